"""What the doctor is compared with: rules as others have published them, from their descriptions.

Each is a function of a `Watched` that tells whether there is an alarm. Numbers are those of the descriptions.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np


@dataclass
class Watched:
    """What was seen of a training.

    Attributes:
        program: The `Program`.
        looks: The doctor's observations.
        history: The logs of the epochs, each a list; empty where `fit` raised.
        score: On the validation data, NaN where there is none.
    """

    program: object
    looks: list
    history: dict
    score: float


def always(watched) -> bool:
    return True


def never(watched) -> bool:
    return False


def keras_callbacks(watched) -> bool:
    """TerminateOnNaN, or EarlyStopping of the training loss that does not fall for an epoch, as DeepLocalize's authors
    used them (Wardat et al., 2021, arXiv:2103.03376)."""
    losses = watched.history.get("loss", [])
    return not losses or not np.isfinite(losses).all() or any(b >= a for a, b in itertools.pairwise(losses))


def umlaut(watched) -> bool:
    """Heuristics of UMLAUT (Schoop et al., 2021, doi:10.1145/3411764.3445538)."""
    p, history = watched.program, watched.history
    x = np.asarray(p.x, "float64")
    losses, judged = history.get("loss", []), history.get("val_loss", [])
    rises = any(
        later > earlier and after < before
        for (earlier, later), (before, after) in zip(
            itertools.pairwise(judged), itertools.pairwise(losses), strict=False
        )
    )
    rate = p.options["rate"]
    return (
        not np.isfinite(x).all()
        or np.abs(x).max() > 1
        or (p.options["last"] != "softmax" and "crossentropy" in str(p.options["loss"]).lower())
        or not np.isfinite(losses).all()
        or not 1e-7 < rate <= 0.01
        or rises
        or watched.score > 0.95
    )


def autotrainer(watched) -> bool:
    """The symptoms of AutoTrainer with its published bounds (Zhang et al., 2024, doi:10.1109/TDSC.2024.3450951)."""
    history, looks = watched.history, [look for look in watched.looks if len(look.gradients) > 1]
    losses, judged = history.get("loss", []), history.get("val_loss", [])
    if not losses or not np.isfinite(losses).all() or any(not look.finite for look in looks):
        return True
    for look in looks:
        first, *_, last = look.gradients.values()
        vanished = first < 1e-4 and last and first / last < 1e-3
        exploded = last and first / last > 70
        dying = any(units.sparse > 0.9 for units in look.units.values() if units.activation == "relu")
        if vanished or exploded or dying:
            return True
    swings = sum(
        (b - a) * (c - b) < 0 and min(abs(b - a), abs(c - b)) > 0.05
        for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)
    )
    slow = len(losses) > 3 and losses[-1] > 0.99 * losses[0]
    gap = bool(judged) and judged[-1] - losses[-1] > 0.1 * max(1.0, abs(losses[-1]))
    return swings >= 0.25 * len(losses) or slow or (gap and len(losses) > 3) or math.isnan(losses[-1])


ALL = {
    "always": always, "never": never, "Keras' callbacks": keras_callbacks, "UMLAUT's rules": umlaut,
    "AutoTrainer's rules": autotrainer,
}  # fmt: skip
