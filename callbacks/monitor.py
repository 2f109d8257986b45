"""Which way a monitored number improves, and the best of it so far."""

import math
import re

# Whole words of a log's name. What is lowered is looked for first: a Brier score or a Dice loss is lowered.
_LOWER = (
    "loss|logloss|error|err|(?:cross_?)?entropy|crossentropy|divergence|hinge|mae|mse|rmse|msle|mape|nll|perplexity|"
    "distance|poisson|logcosh|false_(?:positives|negatives)|brier|ece|wer|cer|fid"
)
_HIGHER = (
    "acc|accuracy|auc|auroc|precision|recall|f1|f2|fbeta|score|iou|io_u|similarity|correlation|r2|kappa|mcc|bleu|rouge|"
    "specificity|sensitivity|dice|map|ndcg|psnr|ssim|return|reward|likelihood|true_(?:positives|negatives)"
)


def direction(monitor: str, mode: str = "auto") -> str:
    """Whether `monitor` improves downwards (`"min"`) or upwards (`"max"`).

    Args:
        monitor: A name in the epoch's logs: `val_loss`, `val_accuracy`, ...
        mode: `"min"` or `"max"` is taken as given; `"auto"` reads the direction from the name.

    Raises:
        ValueError: `mode` is none of the three, or the name doesn't tell a direction.

    >>> direction("val_auc"), direction("mean_absolute_error"), direction("surprise", "max")
    ('max', 'min', 'max')
    """
    if mode in ("min", "max"):
        return mode
    if mode != "auto":
        raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')
    for words, found in ((_LOWER, "min"), (_HIGHER, "max")):
        if re.search(rf"(?:^|[^a-z0-9])(?:{words})(?:[^a-z]|$)", monitor.lower()):
            return found
    raise ValueError(f'cannot tell whether {monitor!r} should fall or rise: pass mode="min" or mode="max"')


class Best:
    """The best value of one log so far; NaN is never the best.

    Attributes:
        value: The best value, None before there is one.
        epoch: Its epoch, 0-based as Keras counts.
    """

    def __init__(self, monitor: str, mode: str):
        self.monitor = monitor
        self.sign = 1.0 if direction(monitor, mode) == "min" else -1.0
        self.value = self.epoch = None

    def update(self, epoch: int, logs: dict | None) -> bool:
        """Takes in an epoch's logs; True when it is the best so far."""
        value = (logs or {}).get(self.monitor)
        if value is None or math.isnan(value):
            return False
        if self.value is not None and self.sign * value >= self.sign * self.value:
            return False
        self.value, self.epoch = float(value), epoch
        return True
