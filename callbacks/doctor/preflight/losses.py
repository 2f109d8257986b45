"""Whether the loss, the last activation and the labels belong together."""

import keras
import numpy as np

from ..findings import Finding
from .graph import head
from .network import remedy

#: Classes of losses -> what they are, the more special ones first.
_KINDS = {
    "SparseCategoricalCrossentropy": "sparse",
    "CategoricalCrossentropy": "categorical",
    "CategoricalFocalCrossentropy": "categorical",
    "BinaryCrossentropy": "binary",
    "BinaryFocalCrossentropy": "binary",
    "MeanSquaredError": "squared",
    "MeanAbsoluteError": "squared",
    "Huber": "squared",
    "LogCosh": "squared",
}
#: Activation -> the numbers that it answers with. None of the others is known to have limits.
_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
    "relu6": (0.0, 6.0),
}
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
# Targets may pass a limit by rounding; a hundredth of them is an outlier, half of them is another scale.
_SLACK, _FEW_OUTSIDE, _MANY_OUTSIDE = 1e-3, 0.01, 0.5


class Goal:
    """An output of a model, what it is judged by, and its labels.

    Attributes:
        index: Which of the outputs it is.
        place: Where the output leaves the model, or None.
        head: The place that decides what numbers the output can have, or None.
        loss: As it was given to `compile`; a function where it was a name.
        kind: "sparse", "categorical", "binary", "squared", or None for any other.
        y: NumPy array (examples, ...) or None.
        restores: Whether the labels are the inputs.
    """

    def __init__(self, index, place, loss, y=None, restores=False):
        self.index = index
        self.place, self.head, self.y, self.restores = place, head(place), y, restores
        self.loss, self.name, self.kind = read_loss(loss)
        self.logits = bool(getattr(self.loss, "from_logits", False))
        self.shape = place.shape if place is not None else None
        self.units = self.shape[-1] if self.shape else place.width if place is not None else None

    @property
    def activation(self):
        return self.head.activation if self.head else None

    def flaw(self, code, message, severity="error", argument="loss", confidence=0.9, remedy=None, **evidence):
        layer = self.head.name if self.head else self.place.name if self.place else None
        evidence = {"loss": self.name, "activation": self.activation} | evidence
        return Finding(code, message, severity, layer, argument, evidence=evidence, confidence=confidence,
                       remedy=remedy or {})  # fmt: skip


def read_loss(loss):
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        name = next((parent.__name__ for parent in type(loss).__mro__ if parent.__name__ in _KINDS), None)
        return loss, name or type(loss).__name__, _KINDS.get(name)
    name = getattr(loss, "__name__", "")
    known = "".join(word.capitalize() for word in name.split("_"))
    # A function of the user's own may bear such a name and do something else.
    own = known not in _KINDS or loss is not getattr(keras.losses, name, keras.losses.get(name))
    return loss, known or type(loss).__name__, None if own else _KINDS[known]


def goals(model, graph, y, x=None) -> list[Goal]:
    """The outputs of a model with their losses; none where the model says itself what its loss is."""
    loss = getattr(model, "loss", None)
    if loss is None or not graph.outputs or type(model).compute_loss is not keras.Model.compute_loss:
        return []
    places, names = graph.outputs, list(getattr(model, "output_names", []))

    def each(values):
        if isinstance(values, dict):
            return [values.get(name) for name in names] if set(values) <= set(names) else None
        return list(values) if isinstance(values, list | tuple) else [values]

    losses, labels = each(loss), each(y)
    losses = losses * len(places) if losses and len(losses) == 1 else losses
    if losses is None or len(losses) != len(places):
        return []
    if labels is None or len(labels) != len(places):
        labels = [None] * len(places)
    pairs = enumerate(zip(places, losses, labels, strict=True))
    return [Goal(index, place, loss, y, _same(x, y)) for index, (place, loss, y) in pairs if loss is not None]


def _same(x, y) -> bool:
    # An autoencoder's labels are its inputs, with or without noise: of the same shape, beyond a single column.
    alike = isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.shape == y.shape
    return alike and x.ndim > 1 and x.shape[-1] * (x.ndim > 2 or 1) > 1


def look(model, graph, goal):
    """Pairs of a check and its arguments, for whoever calls them."""
    yield loss_and_activation, (model, goal)
    if goal.y is not None and goal.y.dtype.kind in "biuf" and len(goal.y):
        yield label_shape, (goal,)
        yield label_range, (goal,)


def loss_and_activation(model, goal):
    last, units = goal.activation, goal.units
    if last is None or goal.kind is None or goal.head is None:
        return
    over = f" over {units} units" if units else ""
    said = f"The loss is {goal.name}, the last layer {goal.head.name!r} is {_article(last)}{over}"
    if goal.kind == "squared":
        yield from _squared(model, goal, said)
    elif goal.logits and last in _PROBABILITIES:
        yield goal.flaw("loss_and_activation", f"{said}, and from_logits=True takes that for logits.", "warning",
                        "from_logits")  # fmt: skip
    elif goal.logits and last != "linear" and last in _RANGES:
        low, high = _RANGES[last]
        yield goal.flaw("loss_and_activation", f"{said}, so logits lie between {low:g} and {high:g}.", "warning",
                        "activation", 0.8)  # fmt: skip
    elif not goal.logits and last not in (*_PROBABILITIES, "log_softmax", "sparsemax", "softplus", "exponential"):
        yield goal.flaw("loss_and_activation", f"{said}: no probabilities, and from_logits is False.", "error",
                        "activation", 0.97 if last in ("linear", *_RANGES) else 0.7)  # fmt: skip
    elif goal.kind in ("categorical", "sparse") and units == 1 and last != "softmax":
        yield goal.flaw("loss_and_activation", f"{said}: of one class alone nothing can be learnt.", "error", "units",
                        0.95)  # fmt: skip
    elif goal.kind in ("categorical", "sparse") and last in ("sigmoid", "hard_sigmoid"):
        yield goal.flaw("loss_and_activation", f"{said}, whose answers do not sum to 1.", "warning", "activation", 0.8)
    elif goal.kind == "binary" and last == "softmax" and units and units > 1:
        one_hot = goal.y is not None and is_one_hot(goal.y)
        yield goal.flaw("loss_and_activation", f"{said}: that takes each class for a question of its own.",
                        "warning", "loss", 0.85 if one_hot else 0.7)  # fmt: skip


def _article(activation) -> str:
    return {"linear": "linear"}.get(activation, f"a {activation}")


def _squared(model, goal, said):
    y = goal.y
    if goal.restores:
        return
    classes = y is not None and _is_classes(y, goal.units)
    if goal.activation == "softmax" and (goal.units or 2) > 1 and (y is None or classes):
        yield goal.flaw("loss_and_activation", f"{said}.", "warning", confidence=0.85 if classes else 0.6,
                        remedy=remedy(model, task="multiclass"))  # fmt: skip
    elif classes and goal.activation in ("sigmoid", "hard_sigmoid"):
        yield goal.flaw("loss_and_activation", f"{said}, and the labels are 0 and 1.", "warning", confidence=0.6)
    elif classes and goal.activation == "linear" and set(np.unique(y)) <= {0, 1}:
        yield goal.flaw("loss_and_activation", f"{said}, and the labels are 0 and 1.", "note", confidence=0.4)


def is_one_hot(y) -> bool:
    return y.ndim > 1 and y.shape[-1] > 1 and set(np.unique(y)) <= {0, 1} and bool((y.sum(axis=-1) == 1).all())


def _is_classes(y, units) -> bool:
    """Whether labels are classes for sure: one-hot rows, 0 and 1 for one unit, or class numbers for several."""
    if y.dtype.kind not in "biuf" or is_one_hot(y):
        return y.dtype.kind in "biuf"
    single = y.ndim == 1 or y.shape[-1] == 1
    if units == 1:
        return single and set(np.unique(y)) == {0, 1}
    return single and y.dtype.kind in "iu"


def label_shape(goal):
    if goal.kind is None or goal.shape is None:
        return
    y, expected = goal.y.shape[1:], goal.shape[1:]
    if goal.kind == "sparse":
        one_hot = y == expected and expected[-1:] != (1,) and not _fits(y, expected[:-1])
        if one_hot:
            message = f"The labels have the shape {y}, one number for each class; {goal.name} takes class numbers."
            yield goal.flaw("label_shape", message, confidence=0.97, labels=list(y))
        elif not _fits(y, expected[:-1]) and not _fits(y, (*expected[:-1], 1)):
            yield _misfit(goal, y, expected[:-1])
    elif not _fits(y, expected) and not (expected[-1:] == (1,) and _fits(y, expected[:-1])):
        if goal.kind == "categorical" and y in ((), (1,)):
            message = f"The labels have the shape {y}, as class numbers have; {goal.name} takes rows {expected}."
            yield goal.flaw("label_shape", message, confidence=0.97, labels=list(y))
        elif not (expected[-1:] != (1,) and y[-1:] == (1,) and _fits(y[:-1], expected)):
            yield _misfit(goal, y, expected)


def _misfit(goal, y, expected):
    many = len(expected) == len(y) + 1 and len(goal.shape) > 2
    hint = " Does return_sequences=True, or a missing Flatten, leave an axis too many?" if many else ""
    message = f"The labels of an example have the shape {y}, where the loss needs {expected}.{hint}"
    return goal.flaw("label_shape", message, argument="units", confidence=0.9, labels=list(y), expected=list(expected))


def _fits(shape, expected) -> bool:
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))


def label_range(goal):
    y = goal.y[np.isfinite(goal.y)] if goal.y.dtype.kind == "f" else goal.y
    if not y.size or goal.kind is None:
        return
    low, high = float(y.min()), float(y.max())
    if goal.kind == "sparse" and goal.units and goal.units > 1 and not is_one_hot(goal.y):
        yield from _class_numbers(goal, y)
    elif goal.kind in ("binary", "categorical") and (low < -_SLACK or high > 1 + _SLACK):
        if goal.kind == "categorical" and goal.y.shape[1:] in ((), (1,)):
            return  # class numbers: their shape is at fault
        hint = " Do the classes start at 1?" if (low, high) == (1, 2) else ""
        yield goal.flaw("label_range", f"The labels lie between {low:g} and {high:g}, and {goal.name} takes 0 to 1."
                        f"{hint}", argument="y", confidence=0.95, lowest=low, highest=high)  # fmt: skip
    elif goal.kind == "squared" and goal.activation in _RANGES:
        least, most = _RANGES[goal.activation]
        outside = float(np.mean((y < least - _SLACK) | (y > most + _SLACK)))
        if outside:
            grave = "note" if outside < _FEW_OUTSIDE else "warning" if outside < _MANY_OUTSIDE else "error"
            yield goal.flaw(
                "label_range",
                f"The labels lie between {low:g} and {high:g}; the {goal.activation} of {goal.head.name!r} answers "
                f"between {least:g} and {most:g}, so {outside:.0%} of them cannot be reached.",
                grave, "activation", 0.9, lowest=low, highest=high, outside=outside,
            )  # fmt: skip


def _class_numbers(goal, y):
    ignored = getattr(goal.loss, "ignore_class", None)
    y = y if ignored is None else y[y != ignored]
    if not y.size:
        return
    low, high = float(y.min()), float(y.max())
    numbers = f"The model has {goal.units} classes, numbered from 0"
    if not (y == np.floor(y)).all():
        yield goal.flaw("label_range", f"{numbers}; the labels hold fractions between {low:g} and {high:g}.",
                        argument="y", confidence=0.95, lowest=low, highest=high)  # fmt: skip
    elif low < 0 or high >= goal.units:
        hint = " Do they start at 1?" if low == 1 and high == goal.units else ""
        yield goal.flaw("label_range", f"{numbers}; the labels hold {low:g} to {high:g}.{hint}", argument="y",
                        confidence=0.97, lowest=low, highest=high)  # fmt: skip
