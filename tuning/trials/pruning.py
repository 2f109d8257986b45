"""Trainings that fall behind those before them are ended early.

A rule sees the curves of the trials that had ended when this one began, and its own so far: so it decides the same
whenever the trial is run again.
"""

import math

import keras
import numpy as np

#: The median rule waits for so many trials, and so many epochs of its own.
TRIALS, EPOCHS = 5, 1
#: The halving rule: the first rung, in epochs, and the share that goes on from each, 1 of so many.
FIRST_RUNG, FACTOR = 1, 3


def best_until(curve, epoch, mode):
    """The best of the first so many epochs; NaN where none of them has a score."""
    values = [value for value in curve[:epoch] if math.isfinite(value)]
    return (min if mode == "min" else max)(values) if values else math.nan


def behind_median(curve, peers, mode):
    """Whether the best so far is behind the median of what others had reached by then (Golovin et al., 2017,
    doi:10.1145/3097983.3098043)."""
    epoch = len(curve)
    others = [best_until(peer, epoch, mode) for peer in peers if len(peer) >= epoch]
    others = [value for value in others if value == value]
    if epoch < EPOCHS or len(others) < TRIALS:
        return False
    own, median = best_until(curve, epoch, mode), float(np.median(others))
    return own != own or (own > median if mode == "min" else own < median)


def behind_halving(curve, peers, mode):
    """Whether it is not in the best third at a rung: after 1, 3, 9, ... epochs (asynchronous successive halving,
    Li et al., 2020, arXiv:1810.05934, by stopping)."""
    epoch = len(curve)
    rungs = {FIRST_RUNG * FACTOR**power for power in range(20)}
    if epoch not in rungs:
        return False
    own = best_until(curve, epoch, mode)
    others = [best_until(peer, epoch, mode) for peer in peers if len(peer) >= epoch]
    ranked = sorted((value for value in [*others, own] if value == value), reverse=mode == "max")
    return own != own or ranked.index(own) >= max(1, len(ranked) // FACTOR)


RULES = {"median": behind_median, "halving": behind_halving}


class Pruning(keras.callbacks.Callback):
    """Ends a training by a rule.

    Args:
        rule: "median" or "halving".
        peers: the objective in each epoch, of the trials that ended before.

    Attributes:
        reason: why it was ended; "" otherwise.
    """

    def __init__(self, rule, peers, objective, mode):
        super().__init__()
        self.rule, self.peers, self.objective, self.mode = rule, peers, objective, mode
        self.curve, self.reason = [], ""

    def on_epoch_end(self, epoch, logs=None):
        self.curve.append(float((logs or {}).get(self.objective, math.nan)))
        if epoch + 1 < self.params["epochs"] and RULES[self.rule](self.curve, self.peers, self.mode):
            self.reason = f"stopped after epoch {epoch + 1}: behind the other trials ({self.rule})."
            self.model.stop_training = True
