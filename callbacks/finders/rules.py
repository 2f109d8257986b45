"""What a learning-rate curve says: rules that read a rate off it, and reasons for which none can be read.

A curve is the loss of each step of a sweep, whose rates grow by the same factor from step to step.
"""

import math

import numpy as np

#: A smoothed loss is a mean over about so many of a hundred steps.
_WIDTH = 9
#: What the loss falls by must be this share of the loss and so many times its uncertainty.
_FALL, _CERTAIN = 0.02, 4.0
#: A sweep has diverged when the smoothed loss is this many times its best, above it.
_DIVERGED = 3.0


def smooth(losses, steps: int) -> np.ndarray:
    """Losses averaged with a Gaussian window; the mean of a step lies on both sides of it, so nothing moves.

    Args:
        losses: (steps done,) finite losses.
        steps: How many steps the whole sweep has.
    """
    losses = np.asarray(losses, "float64")
    width = _deviation(steps)
    distance = np.arange(len(losses))
    weights = np.exp(-0.5 * ((distance[:, None] - distance) / width) ** 2)
    return weights @ losses / weights.sum(1)


def has_diverged(losses, steps: int) -> bool:
    """Whether the loss has left what it was: it is not finite, or smoothed it is far above its best."""
    if not np.isfinite(losses[-1]):
        return True
    if len(losses) < 5:
        return False
    # Of the last steps, lest one bad batch ends the sweep; and a single loss may leap by orders of magnitude.
    recent = np.median(losses[-3:])
    curve = smooth(losses[:-2], steps)
    best = curve.min()
    usual = np.std(losses[: max(5, len(losses) // 4)])
    return bool(recent - best > _DIVERGED * max(abs(best), usual, 1e-12))


def why_not(rates, losses, steps: int) -> str | None:
    """Why no rate can be read off a curve; None where one can.

    Args:
        rates: (steps done,) rates.
        losses: (steps done,) losses, of which the last may be infinite or NaN.
        steps: How many steps the whole sweep has: with fewer done, it diverged.
    """
    losses = np.asarray(losses, "float64")
    finite = losses[np.isfinite(losses)]
    if len(finite) < max(8, steps // 12):
        return f"diverging: the loss is not finite, or explodes, at {rates[max(len(finite) - 1, 0)]:.1g} already"
    curve = smooth(finite, steps)
    least = int(curve.argmin())
    start = curve[: max(3, min(least, steps // 10))].mean()
    fall = start - curve[least]
    noise = np.std(np.diff(finite[: max(6, least + 1)])) / math.sqrt(2)
    # A mean of two windows' difference.
    uncertain = noise * math.sqrt(2 / (2 * math.sqrt(math.pi) * _deviation(steps)))
    level = max(abs(start), abs(curve[least]))
    if fall <= max(_FALL * level, 1e-12):
        if curve[-1] - curve[least] > max(_FALL * level, _CERTAIN * uncertain) or len(losses) < steps:
            return "only rising: at no rate does the loss fall; the model may be trained already, or the task be noise"
        return "flat: the loss hardly changes with the rate"
    if fall < _CERTAIN * uncertain:
        return "noisy: the loss falls by less than it varies from batch to batch; larger batches or more seeds may help"
    turned = len(losses) < steps or curve[-1] - curve[least] > max(0.1 * fall, 2 * uncertain)
    if not turned:
        return "only falling: the loss has not risen up to the highest rate"
    return None


def answers(rates, losses, steps: int) -> dict[str, float]:
    """The rate that each rule reads off a curve.

    `steepest`: where the smoothed loss falls fastest with the logarithm of the rate (Howard and Gugger, 2020,
    arXiv:2002.04688). `minimum/10`: a tenth of the rate at which it is least (the same). `valley`: the middle of the
    longest stretch over which it falls, from 5% to 95% of the fall.
    """
    rates, losses = np.asarray(rates, "float64"), np.asarray(losses, "float64")
    known = np.isfinite(losses)
    rates, curve = rates[known], smooth(losses[known], steps)
    least = max(int(curve.argmin()), 1)
    slope = np.gradient(curve, np.log(rates))
    first, last = _longest_fall(curve)
    return {
        "steepest": float(rates[slope[: least + 1].argmin()]),
        "minimum/10": float(rates[least] / 10),
        "valley": float(math.sqrt(rates[first] * rates[last])),
    }


def _longest_fall(curve) -> tuple[int, int]:
    """Where the longest stretch begins and ends over which a curve falls, without the ends where it hardly does."""
    # A stretch within which little falls, such as noise at low rates, is none.
    worth = 0.2 * (curve[: curve.argmin() + 1].max() - curve.min())
    best, begin = (0, len(curve) - 1), 0
    found = -1
    for place in range(1, len(curve) + 1):
        if place < len(curve) and curve[place] < curve[place - 1]:
            continue
        end = place - 1
        if end > begin and curve[begin] - curve[end] >= worth:
            fallen = (curve[begin] - curve[begin : end + 1]) / (curve[begin] - curve[end])
            stretch = begin + int((fallen <= 0.05).sum()) - 1, begin + int((fallen >= 0.95).argmax())
            if stretch[1] - stretch[0] > found:
                best, found = stretch, stretch[1] - stretch[0]
        begin = place
    return best


def confidence(votes, possible: int, suggestion: float) -> float:
    """The share of possible votes that lie within a factor of three of a rate."""
    return sum(suggestion / 3 <= vote <= suggestion * 3 for vote in votes) / possible


def geometric_median(rates) -> float:
    """The median on a logarithmic scale."""
    return float(np.exp(np.median(np.log(rates))))


def _deviation(steps: int) -> float:
    """That of a Gaussian window as wide as a mean of `_WIDTH` of a hundred steps."""
    return max(1.0, _WIDTH / 100 * steps / (2 * math.sqrt(math.pi)))
