"""What is looked at before the first step of `fit`: do the data fit the model, its output and its loss?

Arrays are looked at whole; of a `tf.data.Dataset`, a `PyDataset` or a `DataLoader`, the first batch; a generator, which
would lose what is taken from it, not at all.
"""

import contextlib
import warnings

import keras
import numpy as np


@contextlib.contextmanager
def named(name):
    """Puts the name of a model or recipe before the message of a `ValueError` raised within."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}").with_traceback(error.__traceback__) from None


def batches(x, y=None):
    """The batches of whatever `fit` takes, as pairs of arrays; arrays are one batch.

    Nothing from a generator, which would lose what is taken from it, nor of a dictionary of inputs.
    """
    if hasattr(x, "__next__") or isinstance(x, dict):
        return
    if isinstance(x, keras.utils.PyDataset):
        x = (x[index] for index in range(len(x)))
    elif not (hasattr(x, "element_spec") or type(x).__name__ == "DataLoader"):
        x = [(x, y)]
    for batch in x:
        batch_x, batch_y, _ = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
        if isinstance(batch_x, dict):
            return
        yield as_array(batch_x), None if batch_y is None else as_array(batch_y)


def as_array(values):
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, list | tuple) or hasattr(values, "iloc"):
        return np.asarray(values)
    return keras.ops.convert_to_numpy(values)


def check_fit(model, x, y):
    """Raises a `ValueError` that says what was expected and what came."""
    first = next(batches(x, y), None)
    if first is None:
        if hasattr(x, "cardinality"):
            raise ValueError("the data set is empty: it holds no batch.")
        return
    x, y = first
    if x.dtype == object:
        raise ValueError(
            f"x holds Python objects (first: {x.reshape(-1)[:1]}), not numbers; recipes.data.load encodes tables."
        )
    if len(x) == 0:
        raise ValueError("x is empty: there is no example to learn from.")
    expected = model.input_shape[1:]
    if not fits(x.shape[1:], expected):
        raise ValueError(f"x must have the shape ({written(model.input_shape)}), not {x.shape}.")
    check_finite(x, "x")
    size = getattr(model, "vocabulary_size", None)
    if size and not 0 <= x.min() <= x.max() < size:
        raise ValueError(
            f"x must hold numbers of words from 0 to {size - 1}, since vocabulary_size={size}; it holds "
            f"{x.min()}..{x.max()}."
        )
    if model.recipe.get("data") == "images" and x.dtype.kind == "f" and x.max() <= 1.0:
        other = ", or make it with rescale=False" if "rescale" in model.recipe["arguments"] else ""
        warnings.warn(
            f"{model.name}: the pixels of x lie between {x.min():g} and {x.max():g}. This model rescales 0..255 "
            f"itself: give it the original pixels{other}.",
            stacklevel=4,
        )
    if y is None:
        return
    if len(y) != len(x):
        raise ValueError(f"x and y must have as many examples as each other, not {len(x)} and {len(y)}.")
    check_finite(y, "y")
    for loss, check in LABELS.items():
        if isinstance(model.loss, loss):
            check(y, model.output_shape)


def check_finite(values, name):
    # A sum is finite where all values are, and needs no copy; where it overflows, look closer.
    if values.dtype.kind == "f" and not np.isfinite(values.sum()):
        bad = ~np.isfinite(values)
        if bad.any():
            rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
            raise ValueError(
                f"{name} holds {bad.sum()} values that are NaN or infinite, in {len(rows)} examples, the first at "
                f"index {rows[0]}. Remove or replace them: one such value makes every weight NaN."
            )


def check_classes(y, output_shape):
    classes, rank = output_shape[-1], len(output_shape)
    if y.ndim == rank and y.shape[-1] == classes > 1:
        raise ValueError(
            f"y must hold class numbers 0..{classes - 1}; it has the shape {y.shape}, as one-hot labels have. "
            "Use y.argmax(axis=-1)."
        )
    if not fits(y.shape[1:], output_shape[1:-1]) and not fits(y.shape[1:], (*output_shape[1:-1], 1)):
        raise ValueError(f"y must have the shape ({written(output_shape[:-1])}), a class each, not {y.shape}.")
    if y.dtype.kind not in "iub" and not np.all(y == np.floor(y)):
        raise ValueError(
            f"y must hold class numbers 0..{classes - 1}, not fractions; for numbers use task='regression'."
        )
    low, high = y.min(), y.max()
    if low < 0 or high >= classes:
        raise ValueError(
            f"y must hold class numbers 0..{classes - 1}, since the model has {classes} outputs; "
            f"it holds {low}..{high}." + (" Do the labels start at 1?" if low == 1 and high == classes else "")
        )


def check_probabilities(y, output_shape):
    check_width(y, output_shape)
    low, high = y.min(), y.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"y must lie between 0 and 1 (a sigmoid answers with probabilities); it holds {low}..{high}."
            " For more than two classes use task='multiclass'."
        )


def check_width(y, output_shape):
    # One number for each example may come without an axis of its own.
    if not fits(y.shape[1:], output_shape[1:]) and not (y.ndim == 1 and output_shape[1:] == (1,)):
        raise ValueError(f"y must have the shape ({written(output_shape)}), not {y.shape}.")


def fits(shape, expected):
    """Whether sizes are those expected, of which None is any."""
    return len(shape) == len(expected) and all(e in (None, s) for e, s in zip(expected, shape, strict=True))


def written(shape):
    return ", ".join(["examples", *map(str, shape[1:])])


LABELS = {
    keras.losses.SparseCategoricalCrossentropy: check_classes,
    keras.losses.BinaryCrossentropy: check_probabilities,
    keras.losses.MeanSquaredError: check_width,
}
