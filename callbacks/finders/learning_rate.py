"""The learning-rate range test: which rates a model learns at, found without leaving a trace in it."""

import math
from dataclasses import dataclass, field

import keras
import numpy as np

from ..logs import inner_optimizers
from ..report.plots import BLUE, GREEN, GREY, ORANGE, RED, axes, finish
from ..resume.randomness import random_state, set_random_state
from ..resume.state import assign, values_of, variables_of
from .restored import check_model, restored
from .rows import Rows, check_count, read
from .rules import answers, confidence, geometric_median, has_diverged, smooth, why_not
from .steps import OneByOne, single_steps, train


@dataclass(frozen=True)
class LearningRates:
    """What `find_learning_rate` found.

    Attributes:
        suggestion: A rate within the range; None where the curves give no answer.
        low: The lowest of the rules' answers; with a schedule that varies, a rate to begin from.
        high: The highest.
        confidence: From 0 to 1: the share of the answers, of all rules in all orders, that lie within a factor of
            three of the suggestion; an order whose curve gives no answer counts as that many that do not.
        rules: Rule -> the rate it reads off each curve that gives an answer, one for each order of the batches.
        reason: Why there is no suggestion; "" where there is one.
        curve: `rates` (steps,), `losses` (orders, steps), `smoothed` (orders, steps) and `mean` (steps,), the mean
            of the smoothed ones; NaN where a sweep had ended.
        steps: How many steps a sweep has that does not end early.
    """

    suggestion: float | None
    low: float | None
    high: float | None
    confidence: float
    rules: dict[str, list[float]]
    reason: str
    curve: dict[str, np.ndarray] = field(repr=False)
    steps: int = 100

    def __str__(self):
        if self.suggestion is None:
            return f"No learning rate can be told: {self.reason}."
        orders = len(self.curve["losses"])
        read_off = ", ".join(f"{rule} {geometric_median(rates):.2g}" for rule, rates in self.rules.items())
        sure = "high" if self.confidence >= 0.8 else "fair" if self.confidence >= 0.5 else "low"
        return (
            f"Learning rate {self.suggestion:.2g}, between {self.low:.2g} and {self.high:.2g}; "
            f"confidence {self.confidence:.0%} ({sure}), from {len(self.rules)} rules and {orders} orders of the "
            f"batches: {read_off}."
        )

    def plot(self, ax=None):
        """The loss over the rate, with the range and the suggestion; returns the matplotlib figure."""
        ax = axes(ax)
        rates, mean = self.curve["rates"], self.curve["mean"]
        for number, losses in enumerate(self.curve["losses"]):
            ax.plot(rates, losses, color=GREY, linewidth=0.6, alpha=0.6, label=None if number else "each order")
        ax.plot(rates, mean, color=BLUE, label="smoothed mean")
        ax.set_xscale("log")
        known = mean[np.isfinite(mean)]
        if len(known):
            # What explodes at the end would flatten all the rest.
            least, first = known.min(), known[: max(1, len(known) // 10)].mean()
            room = max(first - least, 0.1 * abs(least), 1e-9)
            ax.set_ylim(least - 0.2 * room, min(known.max(), first + room) + 0.2 * room)
        if self.suggestion is None:
            return finish(ax, "learning rate", "loss", f"no answer: {self.reason.partition(':')[0]}")
        ax.axvspan(self.low, self.high, color=GREEN, alpha=0.15, linewidth=0, label="range")
        for (rule, found), colour in zip(self.rules.items(), (ORANGE, RED, GREEN), strict=False):
            ax.axvline(geometric_median(found), color=colour, linewidth=0.8, linestyle=":", label=rule)
        ax.axvline(self.suggestion, color=GREEN, label=f"suggestion {self.suggestion:.2g}")
        finish(ax, "learning rate", "loss", f"confidence {self.confidence:.0%}", legend=False)
        ax.legend(loc="lower left", frameon=False, fontsize="small")
        return ax.figure


def find_learning_rate(
    model: keras.Model,
    x,
    y=None,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seeds: int = 3,
) -> LearningRates:
    """The learning-rate range test (Smith, 2017, arXiv:1506.01186): rates at which a model learns.

    The rate grows exponentially from step to step until the loss diverges; several rules read a rate off the curve. It
    is done for several orders of the batches, each time from the very same state, since one curve alone misleads.
    Where the curves give no answer the result says so, and why. Afterwards the model, its optimizer and the random
    generators are as they were, to the last bit.

    A rate that a schedule varies is swept in its place; take the answer as the schedule's peak. The optimizers of a
    MultiOptimizer keep their rates' proportions, and the answer is the rate of the fastest.

    >>> import keras, numpy as np
    >>> from keras_cookbook.callbacks import find_learning_rate
    >>> keras.utils.set_random_seed(0)
    >>> x = np.random.default_rng(0).normal(size=(512, 4))
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> found = find_learning_rate(model, x, x.sum(1, keepdims=True))
    >>> found.low <= found.suggestion <= found.high
    True

    Args:
        model: A compiled model with weights, new or trained.
        x: Inputs, or a `tf.data.Dataset`, PyDataset or DataLoader of batches.
        y: Labels, where `x` is inputs.
        low: The rate of the first step.
        high: The rate of the last.
        steps: How many steps a sweep has, 20 or more. With gradient accumulation each takes as many batches.
        batch_size: Examples in a step; data in batches keep theirs.
        seeds: How many orders of the batches.

    Returns:
        The range, the suggestion, the confidence in it, and the curves.

    Raises:
        ValueError: A model without weights or not compiled, an argument out of its bounds, data that can be read only
            once.
    """
    check_model(model)
    for name, value, least in (("steps", steps, 20), ("batch_size", batch_size, 1), ("seeds", seeds, 1)):
        check_count(name, value, least)
    if not 0 < low < high < math.inf:
        raise ValueError(f"low and high must be rates with 0 < low < high, got low={low!r} and high={high!r}")
    rates = np.geomspace(low, high, steps)
    with restored(model):
        # With accumulated gradients a rate acts once in so many batches.
        each = max(optimizer.gradient_accumulation_steps or 1 for optimizer in inner_optimizers(model))
        rows = read(x, y, most=steps * each * batch_size)
        single_steps(model)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        set_rate = _settable(model)
        start, drawn, sweeps = values_of(model), random_state(), []
        for seed in range(seeds):
            set_random_state(drawn)
            for group, variables in variables_of(model).items():
                # Those of metrics may be new since, and begin anew with each step.
                if group != "metrics":
                    assign(variables, start[group])
            sweeps.append(_sweep(model, rows, rates, each, rows.batch_size or batch_size, seed, set_rate))
    return judge(rates, sweeps)


def judge(rates, sweeps) -> LearningRates:
    """What curves say.

    Args:
        rates: (steps,) rates, growing by the same factor.
        sweeps: The losses of each sweep, as many as it had steps before it diverged.
    """
    steps = len(rates)
    rules, reasons = {}, []
    for losses in sweeps:
        reason = why_not(rates[: len(losses)], losses, steps)
        if reason:
            reasons.append(reason)
            continue
        for rule, rate in answers(rates[: len(losses)], losses, steps).items():
            rules.setdefault(rule, []).append(rate)
    curve = _curve(np.asarray(rates), sweeps)
    if len(reasons) * 2 > len(sweeps):
        kinds = [reason.partition(":")[0] for reason in reasons]
        reason = reasons[kinds.index(max(kinds, key=kinds.count))]
        if len(reasons) < len(sweeps):
            reason += f" ({len(reasons)} of {len(sweeps)} orders of the batches)"
        return LearningRates(None, None, None, 0.0, rules, reason, curve, steps)
    read_off = [geometric_median(found) for found in rules.values()]
    suggestion = geometric_median(read_off)
    votes = [rate for found in rules.values() for rate in found]
    sure = confidence(votes, len(rules) * len(sweeps), suggestion)
    return LearningRates(suggestion, min(read_off), max(read_off), sure, rules, "", curve, steps)


def _curve(rates, sweeps):
    losses = np.full((len(sweeps), len(rates)), np.nan)
    smoothed = losses.copy()
    for number, found in enumerate(sweeps):
        known = np.asarray(found, "float64")
        known = known[np.isfinite(known)]
        losses[number, : len(known)], smoothed[number, : len(known)] = known, smooth(known, len(rates))
    # Where all have got to: a mean over fewer would leap.
    whole = np.isfinite(losses).all(0)
    mean = np.where(whole, np.where(whole, smoothed, 0).mean(0), np.nan)
    return {"rates": rates, "losses": losses, "smoothed": smoothed, "mean": mean}


def _sweep(model, rows: Rows, rates, each: int, batch_size: int, seed: int, set_rate) -> list[float]:
    """The losses of the steps of one sweep."""
    found, group = [], []

    def before(batch):
        set_rate(rates[batch // each])

    def after(batch, logs):
        group.append(logs["loss"])
        if len(group) < each and math.isfinite(logs["loss"]):
            return False
        found.append(float(np.mean(group)))
        group.clear()
        return has_diverged(found, len(rates))

    train(model, rows, _order(len(rows), len(rates) * each, batch_size, seed), OneByOne(after, before))
    return found


def _order(count: int, batches: int, batch_size: int, seed: int) -> list:
    """Numbers of examples for so many batches, each example once before any comes again."""
    generator, size = np.random.default_rng(seed), min(batch_size, count)
    order = []
    while len(order) < batches:
        numbers = generator.permutation(count)
        order.extend(numbers[start : start + size] for start in range(0, count - size + 1, size))
    return order[:batches]


def _settable(model):
    """A function that sets the learning rate of a model's optimizers, also where a schedule rules it."""
    optimizers = inner_optimizers(model)
    own = [float(keras.ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in optimizers]
    fastest = max(own)
    shares = [rate / fastest if 0 < fastest < math.inf else 1.0 for rate in own]
    variables = []
    for optimizer in optimizers:
        if isinstance(optimizer.learning_rate, keras.Variable):
            variables.append(optimizer.learning_rate)
        else:
            # As an attribute the optimizer counts it among its variables, which JAX must be told of.
            optimizer.swept_rate = keras.Variable(0.0, dtype="float32", trainable=False, name="swept_rate")
            optimizer.learning_rate = _Swept(optimizer.swept_rate, optimizer._learning_rate)
            variables.append(optimizer.swept_rate)

    def set_rate(rate):
        for variable, share in zip(variables, shares, strict=True):
            variable.assign(rate * share)

    return set_rate


class _Swept(keras.optimizers.schedules.LearningRateSchedule):
    """A variable in the place of a schedule; for all but the rate it is that schedule."""

    def __init__(self, variable, schedule):
        self.variable, self.schedule = variable, schedule

    def __call__(self, step):
        return keras.ops.convert_to_tensor(self.variable)

    def __getattr__(self, name):
        return getattr(self.__dict__["schedule"], name)

    def get_config(self):
        raise NotImplementedError("it lasts only as long as a sweep")
