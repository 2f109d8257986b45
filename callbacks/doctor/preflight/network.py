"""What a compiled model tells of its faults before it has seen an example: layers, weights, loss and optimizer."""

import keras
import numpy as np

from ...checks import check
from ...logs import inner_optimizers
from ..findings import Finding
from .graph import AVERAGES, PRODUCTS, RECURRENT, SHAPERS, Graph, ahead, inner_layers, over_last_axis, unwrapped

# He (2015) and Glorot (2010) differ by less than 2, LeCun's lies between: ten times off is none of them.
_WEIGHTS_OFF = 10
# Fewer numbers than these have no deviation to speak of.
_LEAST_WEIGHTS = 16
# Wu and He (2018), figure 1: the error of ResNet-50 rises at 8 examples a device and is far worse at 4 and 2; from 16
# on it is flat.
_FEW_EXAMPLES, _ENOUGH_EXAMPLES = 8, 16
# Srivastava et al. (2014) keep half of the hidden units or more; at 0.8 a fifth is left.
_HIGH_DROPOUT, _TOO_HIGH_DROPOUT = 0.5, 0.8
# A linear place less than half as wide as what follows is a bottleneck: of MobileNet they are a sixth to 0.43.
_NARROW = 0.5
# What `fit` takes where it is told nothing.
DEFAULT_BATCH = 32

_ADAM = (1e-6, 0.03, 0.1, 1e-3)
#: Optimizer -> the rates below which it hardly moves, above which it suffers, above which it cannot work, and one to
#: begin with. Adam and its kin move each weight by about the rate itself, and weights are about 0.05 to 0.5. Adadelta
#: (Zeiler, 2012) is defined with a rate of 1; 0.001, where Keras begins, is a thousandth of it.
RATES = dict.fromkeys(("Adam", "AdamW", "Nadam", "Adamax", "RMSprop"), _ADAM) | {
    "Lion": (1e-7, 0.01, 0.1, 1e-4),
    "Lamb": (1e-6, 0.1, 1.0, 1e-3),
    "Adafactor": (1e-6, 0.1, 1.0, 1e-3),
    "SGD": (1e-5, 1.0, 10.0, 0.01),
    "Adagrad": (1e-5, 1.0, 10.0, 0.01),
    "Ftrl": (1e-5, 1.0, 10.0, 0.01),
    "Adadelta": (0.01, 10.0, 100.0, 1.0),
}
# A schedule may rise far above what is right for good: one cycle (Smith, 2018) goes up to 3 with SGD.
_PEAK = 4
# The steps at which a schedule is asked for its rate: 0 and powers of 2 up to a million.
_STEPS = [0, *(2**power for power in range(21))]


def look(model, graph: Graph, callbacks=(), batch_size: int | None = None):
    """Pairs of a check and its arguments, for whoever calls them."""
    yield one_unit_softmax, (graph,)
    yield stacked_linear, (model, graph)
    yield nothing_trainable, (model,)
    yield symmetric_weights, (model, graph)
    yield weight_scale, (model, graph)
    yield small_batch_normalized, (model, batch_size)
    yield bias_before_normalization, (graph,)
    yield strong_dropout, (model, graph)
    yield learning_rate_range, (model, callbacks)
    yield callbacks_conflict, (model, callbacks)


def remedy(model, **values) -> dict:
    """Those of the values that are arguments of the recipe that the model was made by."""
    recipe = getattr(model, "recipe", None) or {}
    known = recipe.get("arguments", {}).keys() | recipe.get("training", {}).keys()
    return {name: value for name, value in values.items() if name in known}


def begins(model) -> bool:
    """Whether the model's optimizer has made no step yet."""
    optimizers = inner_optimizers(model)
    return all(int(keras.ops.convert_to_numpy(optimizer.iterations)) == 0 for optimizer in optimizers)


def one_unit_softmax(graph):
    for place in graph.places:
        if place.activation == "softmax" and place.width == 1 and over_last_axis(place.layer):
            yield Finding(
                "one_unit_softmax", f"The layer {place.name!r} is a softmax over 1 unit, which always answers 1.",
                "error", place.name, "units", confidence=0.99, evidence={"units": 1},
            )  # fmt: skip


def stacked_linear(model, graph):
    restores = len(graph.inputs) == len(graph.outputs) == 1 and graph.inputs[0].shape == graph.outputs[0].shape
    bends = any(p.activation not in (None, "linear") for p in graph.places if p not in graph.outputs)
    for place in graph.places:
        if not _is_product(place) or place.activation != "linear" or place in graph.outputs:
            continue
        behind = ahead(place, lambda p: _adds_no_bend(p) and p not in graph.outputs)
        if behind is None or not _is_product(behind) or _is_meant(place, behind):
            continue
        # A linear autoencoder is principal components: a choice.
        chosen = restores and not bends
        yield Finding(
            "stacked_linear",
            f"Nothing bends what goes from {place.name!r} ({place.width} units) to {behind.name!r} ({behind.width}): "
            "together they can do no more than one of them.",
            "note" if chosen else "warning", place.name, "activation", confidence=0.7 if bends else 0.9,
            evidence={"next": behind.name}, remedy=remedy(model, activation="relu"),
        )  # fmt: skip


def _is_product(place) -> bool:
    return place.kind in PRODUCTS


def _adds_no_bend(place) -> bool:
    return place.kind in (*SHAPERS, *AVERAGES) or (place.kind == "Activation" and place.activation == "linear")


def _is_meant(place, behind) -> bool:
    """Whether two products follow each other on purpose: through a narrow place, or as two factors of one."""
    if place.inner_output:  # a code, or features, that others may take too
        return True
    before = next((p.width for p in _sources(place)), None)
    known = None not in (before, place.width, behind.width)
    if known and place.width <= before and place.width < _NARROW * behind.width:
        return True
    kernels = [getattr(unwrapped(p.layer), "kernel_size", None) for p in (place, behind)]
    depthwise = any(p.kind.startswith("Depthwise") for p in (place, behind))
    return depthwise or (None not in kernels and kernels[0] == kernels[1][::-1] and len(set(kernels[0])) > 1)


def _sources(place):
    """What a place takes its inputs from, with convolutions counted by their channels."""
    while len(place.sources) == 1:
        place = place.sources[0]
        if place.kind not in ("Dropout", "Identity"):
            yield place


def nothing_trainable(model):
    built = all(layer.built for layer in [model, *inner_layers(model)])
    if built and inner_layers(model) and not model.trainable_weights:
        count = len(model.weights)
        message = f"None of the {count} weights is trainable." if count else "The model has no weights."
        yield Finding("nothing_trainable", message, "error", argument="trainable", confidence=0.98,
                      evidence={"weights": count})  # fmt: skip


def _kernels(model):
    """The layers and kernels that training begins with; embeddings, biases and scales are no kernels."""
    for layer in inner_layers(model):
        for weight in getattr(layer, "_trainable_variables", []):
            if layer.trainable and len(weight.shape) >= 2 and weight.name.endswith("kernel"):
                yield layer, weight.name, keras.ops.convert_to_numpy(weight).astype("float32")


def symmetric_weights(model, graph):
    if not begins(model):
        return
    found = []
    for layer, name, kernel in _kernels(model):
        if kernel.shape[-1] > 1 and np.ptp(kernel, axis=-1).max() == 0:
            found.append((layer, name, kernel))
    for layer, name, kernel in found:
        place = next((p for p in graph.places if unwrapped(p.layer) is layer), None)
        hidden = place is not None and place.kind in (*PRODUCTS, *RECURRENT) and not _ends(place, graph)
        # With others that differ, units that begin alike part slowly; nothing comes out of zeros.
        grave = "error" if not kernel.any() or len(found) > 1 else "warning"
        what = f"{kernel.flat[0]:g}" if np.ptp(kernel) == 0 else "the same for each"
        yield Finding(
            "symmetric_weights", f"The weights {name!r} of the {kernel.shape[-1]} units of {layer.name!r} are {what}.",
            grave if hidden else "note", layer.name, f"{name}_initializer", confidence=0.95 if hidden else 0.3,
            evidence={"units": kernel.shape[-1], "value": float(kernel.flat[0])},
        )  # fmt: skip


def _ends(place, graph) -> bool:
    """Whether a place is the last with weights, or what is added to a shortcut; there zeros are a known trick."""
    while place not in graph.outputs:
        if len(place.users) != 1:
            return not place.users
        place = place.users[0]
        if place.kind in PRODUCTS or place.kind in RECURRENT or place.kind == "MultiHeadAttention":
            return False
        if len(place.sources) > 1:
            return True
    return True


def weight_scale(model, graph):
    if not begins(model):
        return
    last = {id(unwrapped(p.layer)) for p in graph.places if _ends(p, graph)}
    placed = {id(unwrapped(p.layer)): p for p in graph.places}
    for layer, name, kernel in _kernels(model):
        size = float(np.sqrt(np.mean(np.square(kernel, dtype="float64"))))
        if kernel.size < _LEAST_WEIGHTS or size == 0:
            continue
        *space, fan_in, fan_out = kernel.shape
        fan_in = int(np.prod(space)) * (1 if name.startswith("depthwise") else fan_in)
        he, glorot = (2 / fan_in) ** 0.5, (2 / (fan_in + int(np.prod(space)) * fan_out)) ** 0.5
        large, small = size > _WEIGHTS_OFF * he, size < min(glorot, he / 2**0.5) / _WEIGHTS_OFF
        place = placed.get(id(layer))
        # What is normalized next has no scale of its own, and a last layer may begin small.
        normal = place is not None and any("Normalization" in user.kind for user in place.users)
        if not (large or small) or normal or (small and (id(layer) in last or place is None)):
            continue
        yield Finding(
            "weight_scale",
            f"The weights {name!r} of {layer.name!r} have a size of {size:.3g}; for {fan_in} inputs {he:.3g} is usual.",
            "warning", layer.name, f"{name}_initializer", confidence=0.9 if large else 0.6,
            evidence={"size": size, "he": he, "glorot": glorot},
        )  # fmt: skip


def small_batch_normalized(model, batch_size):
    layer = next((layer for layer in inner_layers(model) if _normalizes_batches(layer)), None)
    if layer is None or batch_size is None or batch_size >= _ENOUGH_EXAMPLES:
        return
    yield Finding(
        "small_batch_normalized", f"{layer.name!r} normalizes over batches of {batch_size} examples.",
        "warning" if batch_size < _FEW_EXAMPLES else "note", layer.name, "batch_size",
        confidence=0.8 if batch_size < _FEW_EXAMPLES else 0.4, evidence={"batch_size": batch_size},
        remedy=remedy(model, batch_size=DEFAULT_BATCH),
    )  # fmt: skip


def _normalizes_batches(layer) -> bool:
    renormalized = getattr(layer, "renorm", False) or getattr(layer, "synchronized", False)
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable and not renormalized


def bias_before_normalization(graph):
    for place in graph.places:
        layer = unwrapped(place.layer)
        if not _is_product(place) or place.activation != "linear" or not getattr(layer, "use_bias", False):
            continue
        behind = ahead(place, lambda p: False)
        if behind is not None and behind.kind == "BatchNormalization" and behind.layer.center:
            yield Finding(
                "bias_before_normalization", f"The bias of {place.name!r} is taken away by {behind.name!r}.",
                "note", place.name, "use_bias", confidence=0.9,
            )  # fmt: skip


def strong_dropout(model, graph):
    for layer in inner_layers(model):
        for name in ("rate", "dropout", "recurrent_dropout"):
            rate = getattr(layer, name, None)
            drops = name != "rate" or ("Dropout" in type(layer).__name__ and "Gaussian" not in type(layer).__name__)
            if not drops or not isinstance(rate, int | float) or not _HIGH_DROPOUT < rate <= 1:
                continue
            grave = "error" if rate == 1 else "warning" if rate >= _TOO_HIGH_DROPOUT else "note"
            yield Finding(
                "strong_dropout", f"{layer.name!r} leaves out {rate:.0%} of its inputs in each step.",
                grave, layer.name, name, confidence=0.4 if grave == "note" else 0.8, evidence={"rate": float(rate)},
                remedy=remedy(model, dropout=0.5),
            )  # fmt: skip
    for place in graph.outputs:
        if place.kind == "Dropout" and place.layer.rate > 0:
            yield Finding(
                "strong_dropout", f"{place.name!r} leaves out {place.layer.rate:.0%} of the answers themselves.",
                "warning", place.name, "rate", confidence=0.9, evidence={"rate": float(place.layer.rate)},
            )  # fmt: skip


def learning_rate_range(model, callbacks):
    if any(isinstance(callback, keras.callbacks.LearningRateScheduler) for callback in callbacks):
        return
    for optimizer in inner_optimizers(model):
        kind = kind_of_optimizer(optimizer)
        rate, scheduled = rate_of(optimizer)
        if kind is None or rate is None:
            continue
        low, high, limit, usual = RATES[kind]
        high, limit = (high * _PEAK, limit * _PEAK) if scheduled else (high, limit)
        # The loss of a single layer is convex: steps that overshoot come back.
        high = limit if len(list(_kernels(model))) == 1 else high
        if low <= rate <= high:
            continue
        told = f"{'reaches' if scheduled else 'has'} a learning rate of {rate:g}"
        side = f"{high:g} is much" if rate > high else f"{low:g} is little"
        grave = "error" if rate > limit or rate == 0 else "warning"
        yield Finding(
            "learning_rate_range", f"{kind} {told}, where {side} already.", grave, argument="learning_rate",
            confidence=0.9 if grave == "error" else 0.7, evidence={"learning_rate": rate, "optimizer": kind},
            remedy=remedy(model, learning_rate=usual),
        )  # fmt: skip


def kind_of_optimizer(optimizer) -> str | None:
    """Its name in `RATES`, or that of the class it was made from; None where there is none."""
    return next((parent.__name__ for parent in type(optimizer).__mro__ if parent.__name__ in RATES), None)


def rate_of(optimizer) -> tuple[float | None, bool]:
    """The rate, of a schedule the highest one, and whether there is a schedule."""
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return max(float(keras.ops.convert_to_numpy(schedule(step))) for step in _STEPS), True
    # The optimizer keeps 0.1 in single precision, a little above 0.1.
    return float(f"{float(keras.ops.convert_to_numpy(optimizer.learning_rate)):.6g}"), False


def callbacks_conflict(model, callbacks):
    try:
        check(list(callbacks), model)
    except ValueError as error:
        message = str(error)
        yield Finding("callbacks_conflict", message[:1].upper() + message[1:] + ".", "warning", argument="callbacks",
                      confidence=0.95)  # fmt: skip
