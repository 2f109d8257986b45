"""What to change against a finding: for any functional or sequential model; `changes.py` says in what names."""

from dataclasses import replace

import keras
import numpy as np

from ...logs import inner_optimizers
from ..preflight.graph import PRODUCTS, RECURRENT, graph, unwrapped
from ..preflight.losses import is_one_hot
from ..preflight.network import DEFAULT_BATCH, RATES, kind_of_optimizer, rate_of
from .changes import OF_FIT

#: A gradient has this norm at most, where it is clipped.
_CLIP = 1.0
#: Trainings that ended too early are made so many times as long.
_LONGER = 4
#: Activations that pass a gradient on whatever their input is from above.
_OPEN = ("relu", "gelu", "silu", "swish", "elu", "selu", "leaky_relu", "mish")


def prescribe(finding, model, call: dict) -> dict:
    """The changes to try; empty where there are none.

    Args:
        finding: A `Finding`; one of a recipe's model may name arguments of the recipe already.
        model: What was looked at.
        call: The arguments of `fit` by name, as far as they are known.
    """
    if finding.remedy or finding.code not in _PRESCRIPTIONS:
        return finding.remedy
    changes = _PRESCRIPTIONS[finding.code](finding, model, call)
    recipe = getattr(model, "recipe", None)
    if not recipe:
        return changes
    if changes.get("x") == "standardized":  # a recipe scales by an argument, or by itself
        return {}
    names = {*recipe.get("arguments", ()), *recipe.get("training", ()), *OF_FIT, "x"}
    return {name: value for name, value in changes.items() if name in names}


def prescribed(findings, model, call: dict) -> list:
    """The findings, with what to try."""
    return [replace(finding, remedy=prescribe(finding, model, call)) for finding in findings]


def slower(finding, model, call):
    optimizer, rate, usual = _optimizer(model)
    if rate is None:
        return {"clip_norm": _CLIP}
    if optimizer:
        return {**optimizer, "learning_rate": usual}
    clipped = {} if rate > usual else {"clip_norm": _CLIP}
    return {"learning_rate": float(f"{min(rate / 10, usual):.3g}"), **clipped}


def faster(finding, model, call):
    optimizer, rate, usual = _optimizer(model)
    if optimizer:
        return {**optimizer, "learning_rate": usual}
    return {} if rate is None else {"learning_rate": float(f"{max(rate * 10, usual):.3g}")}


def usual_rate(finding, model, call):
    optimizer, _, usual = _optimizer(model)
    return {**optimizer, "learning_rate": usual}


def _optimizer(model):
    """Another optimizer, where the model's depends much on its rate; the rate, where that is a number; and a usual one.

    What has no momentum and no scale of its own needs the right rate; Adam learns with many.
    """
    optimizer = inner_optimizers(model)[0]
    kind = kind_of_optimizer(optimizer) or "Adam"
    rate, scheduled = rate_of(optimizer)
    fixed = None if scheduled or not rate else rate
    plain = kind in ("Adadelta", "Adagrad", "Ftrl") or (kind == "SGD" and not optimizer.momentum)
    if plain and fixed is not None:
        return {"optimizer": "adam"}, fixed, RATES["Adam"][3]
    return {}, fixed, RATES[kind][3]


def highest_rate(model) -> float:
    """The rate above which the optimizer suffers."""
    kind = kind_of_optimizer(inner_optimizers(model)[0])
    return RATES[kind][1] if kind else 1.0


def open_activations(finding, model, call):
    """ReLU wherever a hidden layer has limits, begun as that needs it."""
    changes = {}
    for place in _hidden(model):
        if place.activation not in (*_OPEN, "linear", "softmax", None) and place.kind not in RECURRENT:
            changes[f"{place.name}.activation"] = "relu"
            changes |= _begun(place, "relu")
    return changes


def bent(finding, model, call):
    return {f"{finding.layer}.activation": "relu"}


def begun_anew(finding, model, call):
    """Usual initial weights in all layers."""
    return {name: value for place in graph(model).places for name, value in _begun(place).items()}


def _begun(place, activation=None) -> dict:
    """What of a layer's initial weights is not as usual."""
    if place.kind in RECURRENT:
        usual = {"kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal"}
    elif place.kind in PRODUCTS:
        usual = {"kernel_initializer": "he_normal" if (activation or place.activation) in _OPEN else "glorot_uniform"}
    else:
        return {}
    usual["bias_initializer"] = "zeros"
    layer = unwrapped(place.layer)
    there = {name: getattr(layer, name, None) for name in usual}
    return {
        f"{place.name}.{name}": one
        for name, one in usual.items()
        if there[name] is not None and not isinstance(there[name], type(keras.initializers.get(one)))
    }


def _hidden(model) -> list:
    places = graph(model)
    return [place for place in places.places if place not in places.outputs]


def matched(finding, model, call):
    """Last activation and loss as the labels demand them."""
    y, layer = call.get("y"), finding.layer
    if layer is None or not isinstance(y, np.ndarray) or not len(y) or y.dtype.kind not in "biuf":
        return {}
    units = next((place.width for place in graph(model).places if place.name == layer), None)
    whole = bool((y == np.floor(y)).all())
    single = y.ndim == 1 or y.shape[-1] == 1
    values = set(np.unique(y)[:3]) if whole else set()
    if single and whole and values <= {0, 1} and units == 1:
        pair = "sigmoid", "binary_crossentropy"
    elif single and whole and y.dtype.kind in "iub" and (units or 1) > 1:
        pair = "softmax", "sparse_categorical_crossentropy"
    elif single and whole and len(np.unique(y)) > 2 and units == 1 and finding.code == "one_unit_softmax":
        count = int(y.max()) + 1
        return {f"{layer}.units": count, f"{layer}.activation": "softmax", "loss": "sparse_categorical_crossentropy"}
    elif is_one_hot(y):
        pair = "softmax", "categorical_crossentropy"
    elif whole and values <= {0, 1}:
        pair = "sigmoid", "binary_crossentropy"
    else:
        pair = "linear", "mean_squared_error"
    return {f"{layer}.activation": pair[0], "loss": pair[1]}


def reachable(finding, model, call):
    """Labels, or the layer that answers, within each other's range."""
    evidence, kind = finding.evidence, finding.evidence.get("loss", "")
    if "Sparse" in kind:
        return {"y": "from 0"}
    if "Crossentropy" in kind:
        y = call.get("y")
        few = isinstance(y, np.ndarray) and len(np.unique(y[np.isfinite(y)])) <= 2
        return {"y": "from 0"} if few else {f"{finding.layer}.activation": "linear", "loss": "mean_squared_error"}
    return {f"{finding.layer}.activation": "linear"} | (
        {"y": "standardized"} if abs(evidence.get("highest", 0)) > 20 else {}
    )


def first_loss(finding, model, call):
    return (
        {"y": "standardized"} if finding.argument == "y" else {"x": "standardized"} | begun_anew(finding, model, call)
    )


def dropped_less(finding, model, call):
    last = any(place.name == finding.layer for place in graph(model).outputs)
    return {f"{finding.layer}.{finding.argument}": 0.0 if last else 0.3}


def penalized_less(finding, model, call):
    """A hundredth of the usual upper end of penalties, in all layers."""
    penalized = [layer for layer in model._flatten_layers() if getattr(layer, "kernel_regularizer", None)]
    return {f"{layer.name}.kernel_regularizer": {"class_name": "L2", "config": {"l2": 1e-5}} for layer in penalized}


def longer(finding, model, call):
    return {"epochs": _LONGER * (call.get("epochs") or 1)}


def stopped_early(finding, model, call):
    return {"epochs": max(1, finding.evidence["best_epoch"])}


_PRESCRIPTIONS = {
    "bias_before_normalization": lambda f, model, call: {f"{f.layer}.use_bias": False},
    "dead_units": begun_anew,
    "divergence": slower,
    "dying_units": slower,
    "exploding_gradient": slower,
    "imbalance": lambda f, model, call: {"class_weight": "balanced"},
    "initial_loss": first_loss,
    "input_scale": lambda f, model, call: {"x": "standardized"},
    "label_range": reachable,
    "label_shape": matched,
    "large_updates": slower,
    "learning_rate_range": usual_rate,
    "loss_and_activation": matched,
    "no_learning": slower,
    "not_finite": slower,
    "not_finite_input": lambda f, model, call: {"x": "finite"},
    "nothing_trainable": lambda f, model, call: {"trainable": True},
    "one_unit_softmax": matched,
    "oscillation": slower,
    "overfitting": stopped_early,
    "saturated_units": open_activations,
    "scaled_twice": lambda f, model, call: {f"{f.layer}.scale": 1.0, f"{f.layer}.offset": 0.0},
    "slow_convergence": faster,
    "small_batch_normalized": lambda f, model, call: {"batch_size": DEFAULT_BATCH},
    "small_updates": faster,
    "sorted_labels": lambda f, model, call: {"shuffle": True},
    "stacked_linear": bent,
    "still_falling": longer,
    "strong_dropout": dropped_less,
    "strong_penalty": penalized_less,
    "symmetric_weights": begun_anew,
    "vanishing_gradient": open_activations,
    "weight_scale": begun_anew,
}
