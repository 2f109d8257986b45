"""The batch that a model is looked at with, and what a guess would cost on it."""

import keras
import numpy as np

from ..report.splits import array
from .preflight import reading

#: Examples that are looked at.
_EXAMPLES = 64


def examples_of(call: dict) -> tuple | None:
    """A batch to look at, as (x, y, sample_weight), of what `fit` is called with; None where taking it leaves a trace.

    Args:
        call: The arguments of `fit` by name.
    """
    x, y, judge = call["x"], call["y"], call["validation_data"]
    if isinstance(x, keras.utils.PyDataset):
        with reading.undisturbed():
            return _some(x[0])
    if all(hasattr(part, "shape") for part in keras.tree.flatten(x)):  # no data set has one
        return _some((x, y, call["sample_weight"]))
    if hasattr(x, "element_spec") and (sample := next(iter(reading.samples(x).values()), None)) is not None:
        parts = dict(zip(sample.names, sample.x, strict=True)) if sample.names else sample.x
        return _some((parts if len(sample.x) > 1 else sample.x[0], sample.y, None))
    if isinstance(judge, tuple | list) and all(hasattr(part, "shape") for part in keras.tree.flatten(judge)):
        return _some(tuple(judge))
    if judge is not None and not hasattr(judge, "__next__") and hasattr(judge, "__iter__"):
        with reading.undisturbed():
            return _some(next(iter(judge)))
    return None


def _some(batch) -> tuple:
    """At most `_EXAMPLES` of the rows, from everywhere: the labels may be in order."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
    rows = len(keras.tree.flatten(x)[0])
    index = np.unique(np.linspace(0, rows - 1, min(rows, _EXAMPLES)).astype(int))

    def chosen(part):
        return None if part is None else keras.tree.map_structure(lambda leaf: array(leaf)[index], part)

    return tuple(map(chosen, (x, y, sample_weight)))


def best_constant(model, y) -> float | None:
    """The loss of the best answer that is the same for all examples, where the loss is one of the usual ones."""
    if y is None or not hasattr(y, "shape") or not len(y):
        return None
    name = getattr(model.loss, "name", model.loss)
    y = np.asarray(y)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return None
    if name in ("sparse_categorical_crossentropy", "smoothed_sparse_categorical_crossentropy"):
        shares = np.unique(y, return_counts=True)[1] / y.size
        return float(-(shares * np.log(shares)).sum())
    y = y.reshape(len(y), -1).astype("float64")
    if name == "categorical_crossentropy":
        shares = y.mean(axis=0)
        return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())
    if name == "binary_crossentropy":
        p = np.clip(y.mean(axis=0), 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())
    if name in ("mean_squared_error", "mse"):
        return float(y.var(axis=0).mean())
    if name in ("mean_absolute_error", "mae"):
        return float(np.abs(y - np.median(y, axis=0)).mean())
    return None
