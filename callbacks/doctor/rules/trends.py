"""What the logs of the epochs say is wrong: a rule for each fault."""

import itertools
import math

import numpy as np

from ..course import LOOKS, lasting
from ..findings import Finding

#: A step of Adam moves each weight by about the rate: so much of the first epochs' fall shows that the rate is too low.
SLOW_UPDATE = 1e-3
#: A loss this much above the first one is not chance.
DIVERGED = 2.0
#: A fall of the training loss that counts, and how near to a guess "no better" is.
FALL, GUESS = 0.02, 0.98
#: A loss so many times that of a guess begins elsewhere, and may fall for long before it gets there.
FAR = 3
#: A plateau at the beginning is passed within a quarter of the training, but for so few epochs, or so many.
PLATEAU, SHORT_PLATEAU, LONG_PLATEAU = 1 / 4, 4, 10
#: Fewer steps than these are too few to judge by.
FEW_STEPS = 64
#: Falls by this share of a guess' loss, the last the largest: it begins slowly, as plain SGD does on embeddings.
GAINING = 0.001
#: The norm of a gradient that moves nothing.
FLAT = 1e-6
#: The epochs that validation must be worse for, and by how much in all: of its best, and of what it had won on a guess.
#: By a quarter of that, or by as much as is left of the loss, it is no small matter.
WORSE_EPOCHS, WORSE, MUCH_WORSE = 3, 0.1, 0.25
#: Oscillation: epochs looked at, turns among them, and the size of a swing beside the loss.
SWING_EPOCHS, TURNS, SWING = 6, 4, 0.1
#: What is left of the loss may swing; this beside the first one.
FIRST_SWING = 0.05
#: A loss that falls by this share an epoch when training ends could have fallen on.
STILL_FALLING = 0.05
#: Above this share of a guess' loss, and with falls of that share which get no smaller, a training has hardly begun.
BEGUN, STEADY = 0.9, 0.005
#: Above this share, and with falls of that share each, it was halfway.
HALFWAY, FALLING_FAST = 1 / 3, 0.05


def divergence(course):
    losses, looks = course.losses(), lasting(course)
    # What is left of the loss may swing: twice of nearly nothing is nearly nothing.
    grown = len(losses) >= LOOKS and min(losses[-2:]) > max(
        DIVERGED * min(losses), min(losses) + FIRST_SWING * abs(losses[0])
    )
    first = course.looks[0].loss if looks else 0.0  # which may be negative
    far = looks and min(look.loss for look in looks) > first + (DIVERGED - 1) * abs(first) and looks[-1].step > 30
    if course.game or not (grown or far or _stuck(course, losses, looks)):
        return
    if grown or far:
        first, last = (min(losses), losses[-1]) if grown else (course.looks[0].loss, looks[-1].loss)
        told = f"The loss has grown from {first:.3g} to {last:.3g}."
    else:
        first, last = course.guess, losses[-1] if losses else looks[-1].loss
        told = f"The loss stands at {last:.3g}, far above that of the best constant answer, {course.guess:.3g}."
    yield Finding(
        "divergence", told, "error", None, "learning_rate", **course.now, evidence={"first": first, "now": last},
        confidence=0.8, remedy=course.slower(),
    )  # fmt: skip


def _stuck(course, losses, looks) -> bool:
    """Whether the loss has been thrown to where there is no way back: no gradient, and far worse than a guess."""
    if course.guess is None:
        return False
    flat = looks and max(math.hypot(*look.gradients.values()) for look in looks) < FLAT
    return bool(flat and min(look.loss for look in looks) > FAR * course.guess) or (
        len(losses) >= LOOKS and min(losses[-LOOKS:]) > FAR * course.guess and losses[-1] > (1 - FALL) * losses[-LOOKS]
    )


def oscillation(course):
    losses = course.losses()[-SWING_EPOCHS:]
    if course.game or len(losses) < SWING_EPOCHS:
        return
    moves = np.diff(losses)
    turns = int(sum(a * b < 0 for a, b in itertools.pairwise(moves)))
    swing = float(np.median(np.abs(moves))) / max(abs(float(np.mean(losses))), 1e-12)
    first = abs(course.losses()[0])
    if turns >= TURNS and swing > SWING and float(np.median(np.abs(moves))) > FIRST_SWING * first:
        yield Finding(
            "oscillation",
            f"In {SWING_EPOCHS} epochs the loss has turned {turns} times, by {swing:.0%} of itself each.",
            "warning", None, "learning_rate", **course.now, evidence={"turns": turns, "swing": swing}, confidence=0.7,
            remedy=course.slower(),
        )  # fmt: skip


def no_learning(course):
    losses = course.losses()
    if (
        course.warming_up
        or course.game
        or course.guess is None
        or len(losses) < 3
        or min(losses[-2:]) < GUESS * course.guess
    ):
        return
    if _stuck(course, losses, lasting(course)):
        return  # it is worse than that
    if course.looks and course.looks[-1].step < FEW_STEPS:
        if course.ended == "complete" and losses == sorted(losses, reverse=True):
            yield Finding(
                "still_falling",
                f"Training has ended after {len(losses)} epochs of few steps each, and the loss still falls.",
                "warning", None, "epochs", **course.now, evidence={"loss": losses[-1], "guess": course.guess},
                confidence=0.7,
            )  # fmt: skip
        return
    # What comes from far away falls for long; then it is the last epoch that tells whether it goes on.
    first = losses[-2] if losses[0] > FAR * course.guess else losses[0]
    fall = (first - losses[-1]) / abs(first) if first else 0.0
    steps = [size for look in lasting(course) for size in look.updates.values()]
    slow = bool(steps) and float(np.median(steps)) < SLOW_UPDATE and losses == sorted(losses, reverse=True)
    evidence = {"loss": losses[-1], "guess": course.guess, "fall": fall}
    beside = f"that of the best constant answer is {course.guess:.3g}"
    if slow and fall > 0:
        yield Finding(
            "slow_convergence",
            f"In {len(losses)} epochs the loss has fallen by {fall:.1%}, to {losses[-1]:.3g}; {beside}.",
            "warning", None, "learning_rate", **course.now, evidence=evidence, confidence=0.8,
            remedy=course.slower(0.1),
        )  # fmt: skip
    elif fall < FALL and _patient(course, losses) and not _gaining(losses, course.guess):
        yield Finding(
            "no_learning", f"After {len(losses)} epochs the loss is {losses[-1]:.3g}; {beside}.", "error", None, None,
            **course.now, evidence=evidence, confidence=0.7, remedy=course.slower(),
        )  # fmt: skip


def _patient(course, losses) -> bool:
    """Whether the beginning of the training is over."""
    planned = course.planned or 0
    return len(losses) >= min(max(PLATEAU * planned, SHORT_PLATEAU), LONG_PLATEAU, planned)


def _gaining(losses, guess) -> bool:
    moves = -np.diff(losses[-4:])
    return bool(min(moves) > GAINING * guess and moves[-1] == max(moves))


def overfitting(course):
    train, judged = course.losses(), course.losses("val_loss")
    if course.game or len(judged) < WORSE_EPOCHS + 1 or len(judged) != len(train):
        return
    best = int(np.argmin(judged))
    since = judged[best:]
    if len(since) <= WORSE_EPOCHS or since[-1] <= since[1] or train[-1] >= min(train[best], judged[best]):
        return  # noise has the first value after the best one above it too
    lowest, lost = abs(judged[best]), float(np.mean(since[-2:])) - judged[best]
    won = max(judged[0], course.guess or judged[0]) - judged[best]
    # Where little is left of the loss, a tenth of that is nothing.
    grave = lost > max(WORSE * lowest, min(lowest, MUCH_WORSE * won))
    if lost > WORSE * max(lowest, won):
        yield Finding(
            "overfitting",
            f"Since epoch {best + 1} the validation loss has risen from {judged[best]:.3g} to {judged[-1]:.3g}, and "
            f"the training loss has fallen from {train[best]:.3g} to {train[-1]:.3g}.",
            "warning" if grave else "note", None, "dropout", **course.now,
            evidence={"best_epoch": best + 1, "val_loss": judged[-1]}, confidence=0.9 if grave else 0.5,
            remedy=course.remedy(dropout=0.3, weight_decay=1e-3),
        )  # fmt: skip


def still_falling(course):
    name = "val_loss" if course.losses("val_loss") else "loss"
    losses = course.losses(name)
    if course.ended != "complete" or course.game or len(losses) < 4:
        return
    falls = [(a - b) / abs(a) if a else 0.0 for a, b in itertools.pairwise(losses[-4:])]
    # The validation loss alone may lag behind: batch normalization judges with averages of earlier steps.
    early = all(_early(course.losses(one), course.guess) for one in {"loss", name})
    if min(falls) > STILL_FALLING or early:
        yield Finding(
            "still_falling", f"In the last epochs {name} fell by {min(falls):.0%} or more each, to {losses[-1]:.3g}.",
            "warning" if early else "note", None, "epochs", **course.now, evidence={"falls": falls}, confidence=0.8,
        )  # fmt: skip


def _early(losses, guess) -> bool:
    """Whether a loss has hardly begun to fall, or is still halfway and falls fast."""
    if not guess or len(losses) < 4:
        return False
    moves, left = -np.diff(losses[-4:]) / guess, losses[-1] / guess
    begun = left > BEGUN and min(moves) > STEADY and moves[-1] >= moves[0] / 2
    return bool(begun or (left > HALFWAY and min(moves) > FALLING_FAST))


#: What is only a result where a cause is known; and what stands for itself.
RESULTS = (divergence, oscillation, no_learning)
RULES = (overfitting, still_falling)
