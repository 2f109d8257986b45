"""What gradients, weights and units say is wrong: a rule for each fault, from the looks at a model."""

import math

import numpy as np

from ..course import LOOKS, lasting, learning, thriving
from ..findings import Finding

#: AutoTrainer's bounds for a vanished gradient: that of the first layer, beside the last's and by itself.
VANISHED_RATIO, VANISHED = 1e-3, 1e-4
#: A gradient that has grown so much since the first looks, while the loss has not fallen, explodes.
EXPLODED_RATIO = 100
#: AutoTrainer takes a layer for dying at 0.7 of its units.
DEAD, SATURATED = 0.7, 0.7
#: Steps after which units that began dead, but for a few, had the time to come to life.
PATIENCE = 32
#: A share of units that come to life between looks.
RECOVERED = 0.02
#: TheDeepChecker's range of a step beside the weights is 1e-4 to 1e-1; Adam's small rates lie below it and still learn.
LARGE_UPDATE, SMALL_UPDATE = 1e-1, 1e-6
#: Optimizers that divide by a mean of squares without correcting it, such as RMSprop, begin with steps three times as
#: large; these looks are passed over.
FIRST_STEPS = 8


def not_finite(course):
    look = course.looks[-1]
    weights = [name for name, norm in look.weights.items() if not math.isfinite(norm)]
    gradients = [name for name, norm in look.gradients.items() if not math.isfinite(norm)]
    earlier = next((one for one in reversed(course.looks[:-1]) if one.finite), None)
    before = ""
    if earlier:
        steepest = max(earlier.gradients, key=earlier.gradients.get)
        before = (
            f" At step {earlier.step} the largest gradient was that of {steepest!r}, {earlier.gradients[steepest]:.3g}."
        )
    if weights:
        where, what = weights[0], f"the weights of {weights[0]!r} are no longer finite"
    elif look.broken:
        where, what = look.broken[0], f"the answer of {look.broken[0]!r} is not finite (in the forward pass)"
    else:
        where = gradients[-1] if gradients else None
        what = f"the gradient of {where!r} is not finite" if where else "the loss is not finite"
    yield Finding(
        "not_finite", f"After step {look.step} {what}.{before}", "error", where, "learning_rate", **course.now,
        evidence={"loss": look.loss, "broken": look.broken, "weights": weights, "gradients": gradients},
        confidence=1.0, remedy=course.remedy(clip_norm=1.0) | course.slower(),
    )  # fmt: skip


def exploding_gradient(course):
    looks, first = lasting(course, 2), course.looks[:LOOKS]
    if len(looks) < 2 or len(course.looks) < len(first) + 2 or learning(course):
        return
    usual = float(np.median([_total(look.gradients) for look in first]))
    sizes = [_total(look.gradients) for look in looks]
    if usual > 0 and min(sizes) > EXPLODED_RATIO * usual and looks[-1].loss >= first[0].loss:
        last = looks[-1].gradients
        layer = max(last, key=last.get)
        yield Finding(
            "exploding_gradient",
            f"The gradient's norm has grown from {usual:.3g} to {sizes[-1]:.3g}, most in {layer!r}, and the loss from "
            f"{first[0].loss:.3g} to {looks[-1].loss:.3g}.",
            "error", layer, "learning_rate", **course.now, evidence={"first": usual, "now": sizes[-1]}, confidence=0.9,
            remedy=course.remedy(clip_norm=1.0) | course.slower(),
        )  # fmt: skip


def vanishing_gradient(course):
    looks = lasting(course)
    reached = [name for name, norm in looks[-1].gradients.items() if norm] if looks else []
    if len(reached) < 4 or learning(course):
        return
    first, *_, last = reached
    pairs = [(look.gradients[first], look.gradients[last]) for look in looks]
    if all(near < VANISHED and near < VANISHED_RATIO * far for near, far in pairs):
        near, far = pairs[-1]
        yield Finding(
            "vanishing_gradient",
            f"The gradient of {first!r}, nearest to the input, has the norm {near:.2g}, that of {last!r} {far:.2g}.",
            "error", first, "activation", **course.now, evidence={"first": near, "last": far}, confidence=0.9,
            remedy=course.remedy(activation="relu"),
        )  # fmt: skip


def no_gradient(course):
    """A gradient of exactly 0, while those of other layers are none."""
    looks = lasting(course)
    if course.game or not looks or looks[-1].step < FIRST_STEPS:
        return
    still = [name for name in looks[-1].gradients if not any(look.gradients.get(name) for look in looks)]
    others = all(_total(look.gradients) for look in looks)
    # Behind units that are dead or saturated nothing arrives either, which is told by itself.
    lame = any(max(units.dead, units.saturated) > DEAD for units in looks[-1].units.values())
    if not still or not others or lame:
        return
    told = f"The gradient of {', '.join(map(repr, still[:3]))}{', ...' if len(still) > 3 else ''} has been 0 throughout"
    if course.unscaled:
        yield Finding(
            "underflow", f"{told}; float16 has nothing between 0 and 6e-8.", "error", still[0], "auto_scale_loss",
            **course.now, evidence={"layers": still}, confidence=0.95,
            remedy=course.remedy(precision="mixed_bfloat16") if course.settings else {"auto_scale_loss": True},
        )  # fmt: skip
    else:
        yield Finding(
            "no_gradient", f"{told}, that of other layers is not.", "warning", still[0], "trainable", **course.now,
            evidence={"layers": still}, confidence=0.8,
        )  # fmt: skip


def dead_units(course):
    for name, share, first in _lame(course, "dead", DEAD):
        born = first >= DEAD
        if born and not _stays_dead(course, name):
            continue
        grave = "error" if share > 0.99 else "warning"
        if thriving(course):
            grave = "warning" if share > 0.99 else "note"
        yield Finding(
            "dead_units" if born else "dying_units",
            f"{share:.0%} of the units of {name!r} answer 0 to every example looked at"
            + (", as at the beginning." if born else f"; at the beginning {first:.0%} did."),
            grave, name, "kernel_initializer" if born else "learning_rate", **course.now,
            evidence={"share": share, "first": first}, confidence=min(0.95, share),
            remedy=course.remedy(activation="gelu") if born else course.slower(),
        )  # fmt: skip


def _stays_dead(course, name) -> bool:
    """Whether what began dead is not sparse only, so that examples which are not looked at bring it to life."""
    looks = [look for look in course.looks if look.updates][-LOOKS:]
    if len(looks) < LOOKS or looks[-1].step < FIRST_STEPS:
        return False
    if max(look.updates.get(name, 0.0) for look in looks) < SMALL_UPDATE:
        return True  # dead units get no gradient
    recovers = looks[-1].units[name].dead < looks[0].units[name].dead - RECOVERED
    return looks[-1].step >= PATIENCE and not recovers and not thriving(course)


def saturated_units(course):
    if course.game:  # what a generator paints black or white is meant to be
        return
    for name, share, first in _lame(course, "saturated", SATURATED):
        activation = course.looks[-1].units[name].activation
        yield Finding(
            "saturated_units",
            f"{share:.0%} of the units of {name!r} ({activation}) answer with a limit to nearly every example; at the "
            f"beginning {first:.0%} did.",
            "warning", name, "kernel_initializer" if first >= SATURATED else "learning_rate", **course.now,
            evidence={"share": share, "first": first}, confidence=min(0.95, share),
            remedy=course.remedy(activation="relu"),
        )  # fmt: skip


def _lame(course, kind, bound):
    """Hidden layers of whose units at least such a share has lastingly been so; with the shares now and at first."""
    looks = lasting(course)
    for name in looks[-1].units if looks else ():
        shares = [getattr(look.units[name], kind) for look in looks if name in look.units]
        if name in course.hidden and len(shares) == LOOKS and min(shares) >= bound:
            first = next(look.units[name] for look in course.looks if name in look.units)
            yield name, shares[-1], getattr(first, kind)


def large_updates(course):
    looks = [look for look in course.looks if look.updates and look.step >= FIRST_STEPS][-LOOKS:]
    if len(looks) < LOOKS or learning(course):
        return
    sizes = [float(np.median(list(look.updates.values()))) for look in looks]
    if min(sizes) > LARGE_UPDATE:
        yield Finding(
            "large_updates", f"One step changes weights by {sizes[-1]:.0%} of their norm, in the median over layers.",
            "warning", None, "learning_rate", **course.now, evidence={"update": sizes[-1]}, confidence=0.8,
            remedy=course.slower(),
        )  # fmt: skip


def small_updates(course):
    looks = [look for look in lasting(course) if look.updates]
    if course.warming_up or len(looks) < LOOKS or looks[-1].step < 50 or looks[-1].loss < 0.9 * course.looks[0].loss:
        return
    sizes = [max(look.updates.values()) for look in looks]
    if max(sizes) < SMALL_UPDATE:
        yield Finding(
            "small_updates",
            f"One step changes no layer's weights by more than {max(sizes):.1g} of their norm, and the loss stays at "
            f"{looks[-1].loss:.3g}.",
            "warning", None, "learning_rate", **course.now, evidence={"update": max(sizes)}, confidence=0.8,
            remedy=course.slower(0.01),
        )  # fmt: skip


def _total(norms: dict) -> float:
    return math.hypot(*norms.values()) if norms else 0.0


RULES = (exploding_gradient, vanishing_gradient, no_gradient, dead_units, saturated_units, large_updates, small_updates)
