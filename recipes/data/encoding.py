"""Encoding: rows and labels as the numbers that models take, or a `ValueError` that says what is wrong and where."""

import warnings

import numpy as np

from .._check import check_finite
from .._kinds import among

TASKS = {  # what the labels must be
    "binary": "one column of two classes",
    "multiclass": "one column of two or more classes: names or whole numbers",
    "multilabel": "a column of 0 and 1 for each label",
    "regression": "numbers",
}
MANY = 100  # integers with more distinct values than this are quantities, not classes
DATES = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"
    r"|(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)"
)


def is_frame(x):
    return hasattr(x, "iloc") and hasattr(x, "columns")


def is_dates(column):
    """Whether a column, of strings or of numbers such as 20240131, looks like dates."""
    some = column.dropna().head(1000).astype(str)
    return bool(len(some) and some.str.match(DATES).all())


def is_text(x):
    return x.ndim == 1 and (x.dtype.kind in "UST" or any(isinstance(text, str | bytes) for text in x))


def float32(values, what):
    with np.errstate(over="ignore"):  # what does not fit is infinite, and told
        values = values.astype("float32")
    check_finite(values, what)
    return values


def resize(images, size):
    import tensorflow as tf

    if tuple(images.shape[-3:-1]) == tuple(size):
        return images
    resized = tf.image.resize(images, size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8) if images.dtype in (tf.uint8, np.uint8) else resized


def read_rows(x, where, image_size):
    """x as uint8, int32 or float32, finite; gray images with a channel axis; texts as an array of str."""
    try:
        # In an array of strings NumPy would write None and NaN out as words.
        texts = isinstance(x, list | tuple) and any(isinstance(text, str | bytes) for text in x)
        x = np.asarray(x, object if texts else None)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"x must be an array of numbers; in {where}: {error}") from None
    if is_text(x) and not image_size:
        return read_texts(x, where)
    if x.dtype.kind not in "biuf":
        raise ValueError(
            f"x must hold numbers, or a text for each row; in {where} it is of type {x.dtype} and shape {x.shape}. "
            "A frame may hold categories."
        )
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ValueError(f"x must be (rows, ...) with at least one feature per row; in {where} it is {x.shape}.")
    if x.dtype != "uint8":
        limits = np.iinfo("int32")
        fits = x.dtype.kind in "iu" and x.size and limits.min <= x.min() and x.max() <= limits.max
        x = x.astype("int32") if fits else float32(x, f"x in {where}")
    if x.ndim == 3 and (x.dtype == "uint8" or image_size):
        x = x[..., None]
    if image_size and x.ndim != 4:
        raise ValueError(f"image_size= is for images (rows, height, width, channels); {where} is {x.shape}.")
    if image_size and x.shape[1:3] != tuple(image_size):
        x = np.concatenate([resize(x[start : start + 256], image_size) for start in range(0, len(x), 256)])
    return x


def read_texts(x, where):
    """Texts as an array of str, each with a word in it."""
    import pandas as pd

    texts = x.astype(object)  # a copy, which holds the caller's own strings
    missing = pd.isna(texts)
    for row in np.flatnonzero(~missing):
        text = texts[row]
        if not isinstance(text, str | bytes):
            raise ValueError(f"x must hold texts; in {where} row {row} is {text!r}, a {type(text).__name__}.")
        try:
            if isinstance(text, bytes):
                texts[row] = text = text.decode()
            elif not text.isascii():
                text.encode()
        except UnicodeError as error:
            raise ValueError(f"x must hold texts in UTF-8; in {where} row {row} is not: {error}.") from None
        missing[row] = not text or text.isspace()
    if missing.any():
        first = np.flatnonzero(missing)[:3].tolist()
        raise ValueError(
            f"{missing.sum()} texts of {len(texts)} are missing or empty in {where}, the first in rows {first}."
        )
    return texts


class Encoder:
    """Turns the rows of a frame into numbers as the training rows teach it.

    Numbers: the median where one is missing, and a column that says so. Categories: a column each, "missing" among
    them; those seen only once share a column, as do all beyond 64. A category that was never seen goes into that
    shared column, or is all zeros where there is none. Nothing is scaled: models normalise inside.
    """

    def __init__(self, frame):
        from pandas.api.types import is_numeric_dtype
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder

        frame = frame.infer_objects()
        if not frame.columns.is_unique:
            raise ValueError(f"The columns of a frame must have different names; received {list(frame.columns)}.")
        for name, column in frame.items():
            if column.dtype.kind in "mMc":
                raise ValueError(
                    f"Columns must hold numbers, booleans or categories; column {name!r} is {column.dtype}. Make "
                    f"numbers of what matters in it (such as frame[{name!r}].dt.hour for a time), or drop it."
                )
            if is_dates(column):
                warnings.warn(
                    f"Column {name!r} looks like dates (the first: {column.dropna().iloc[0]}), of which a model makes "
                    f"nothing as they are. Derive what matters, year, month or hour, such as "
                    f"pd.to_datetime(frame[{name!r}].astype(str)).dt.month, and drop the column.",
                    stacklevel=3,
                )
        self.numeric = [name for name in frame if is_numeric_dtype(frame[name])]
        self.categorical = [name for name in frame if name not in self.numeric]
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        one_hot = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=2, max_categories=64, sparse_output=False
        )
        steps = ((self.numeric, impute), (self.categorical, one_hot))
        self.steps = [(names, step) for names, step in steps if names]
        self.features = []
        rows = self.tidy(frame, "the training rows")
        for names, step in self.steps:
            step.fit(rows[names].to_numpy())
            self.features += step.get_feature_names_out([str(name) for name in names]).tolist()

    def tidy(self, frame, where):
        """The columns known from training: numbers as float64 with NaN for missing, categories as strings."""
        import pandas as pd

        columns = {}
        for name in self.numeric + self.categorical:
            if name not in frame:
                raise ValueError(f"Column {name!r} is not in {where}.{among(name, frame.columns)}")
            column = frame[name]
            if name in self.numeric:
                try:
                    column = pd.to_numeric(column).to_numpy("float64", na_value=np.nan)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"Column {name!r} of {where} must hold numbers: {error}.") from None
                float32(np.where(np.isnan(column), 0, column), f"Column {name!r} of {where}")
            else:
                column = column.astype(object).where(column.notna(), "missing").astype(str).to_numpy(object)
            columns[name] = column
        return pd.DataFrame(columns)

    def encode(self, tidy):
        """A tidy frame as float32 (rows, features)."""
        blocks = [step.transform(tidy[names].to_numpy()) for names, step in self.steps]
        return np.concatenate(blocks, axis=1, dtype="float32")


def read_labels(splits, task, names, source, steps=None):
    """Labels of all splits -> (labels as the task wants them, task, outputs, class names).

    Sequences of so many `steps` may have a label for each step.
    """
    splits = {split: label_array(y, f"{source!r} ({split})", steps) for split, y in splits.items()}
    shapes = {split: y.shape for split, y in splits.items()}
    if len({shape[1:] for shape in shapes.values()}) > 1:
        raise ValueError(f"The splits of {source!r} must have labels of one shape; received {shapes}.")
    y = np.concatenate(list(splits.values()))
    classifies = task in (None, "binary", "multiclass")
    if classifies and y.ndim > 1 and y.shape[-1] > 1 and is_flags(y) and (y.sum(axis=-1) == 1).all():  # one-hot
        if y.shape[1:] == (steps,) and y.dtype.kind != "f":
            raise ValueError(
                f"The labels {y.shape} of {source!r} may be one-hot, or a class for each of the {steps} steps. "
                "Pass y.argmax(axis=1) for the one, y[..., None] for the other."
            )
        names, y, task = [str(k) for k in range(y.shape[-1])], y.argmax(axis=-1), task or "multiclass"
    elif y.dtype.kind == "f" and task != "regression" and (is_flags(y) or (task and (y == np.floor(y)).all())):
        y = y.astype("int64")  # floats are classes if they are 0 and 1, or on demand
    if classifies and y.shape[1:] == (steps, 1) and y.dtype.kind in "biuU":
        y, stepwise = y[..., 0], True
    else:
        doubtful = task is None and (is_flags(y) or (y.dtype.kind in "iu" and len(np.unique(y)) > MANY))
        stepwise = bool(classifies and steps and y.shape[1:] == (steps,) and y.dtype.kind in "biuU" and not doubtful)

    single = y.ndim == 1 or stepwise  # one class or number for each row or step
    classes, codes = names or [], y
    if names is None and single and y.dtype.kind in "biuU":
        classes, codes = np.unique(y, return_inverse=True)
        codes = codes.reshape(y.shape)
    count = len(classes)
    if names and not 0 <= y.min() <= y.max() < count:
        raise ValueError(f"Class numbers must lie in 0..{count - 1} in {source!r}; they lie in {y.min()}..{y.max()}.")
    if task is None and not single:
        task = "multilabel" if is_flags(y) else "regression"
    elif task is None:
        quantity = y.dtype.kind == "f" or (y.dtype.kind in "iu" and names is None and count > MANY)
        task = "regression" if quantity else "binary" if count == 2 else "multiclass"
    fits = {
        "binary": single and count == 2,
        "multiclass": single and count >= 2,
        "multilabel": not single and is_flags(y) and (y.ndim == 2 or y.shape[1] == steps),
        "regression": y.dtype.kind in "iuf" and names is None,
    }
    if not fits[task]:
        kind = f"{count} classes" if count else f"{y.dtype} of shape {y.shape}"
        each = f", for each row or each of its {steps} steps" if steps else ""
        raise ValueError(f"task={task!r} needs {TASKS[task]} as labels{each}; in {source!r} they are {kind}.")

    if task == "multiclass":
        y, outputs = codes.astype("int32"), count
    else:
        y = (codes if task == "binary" else y).astype("float32")
        y = y[..., None] if single else y
        outputs = y.shape[-1]
    if task == "multilabel":
        classes = range(outputs)
    names = None if task == "regression" else [str(label) for label in classes]
    ends = np.cumsum([len(part) for part in splits.values()])[:-1]
    return dict(zip(splits, np.split(y, ends), strict=True)), task, outputs, names


def label_array(y, where, steps=None):
    """Labels as an array of numbers or strings, with one axis or two, or three for sequences, and none missing."""
    import pandas as pd

    try:
        y = np.asarray(y)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"Labels must be an array; in {where}: {error}") from None
    if y.ndim not in ((1, 2, 3) if steps else (1, 2)) or 0 in y.shape[1:]:
        more = ", or (rows, steps, outputs) for sequences" if steps else ""
        raise ValueError(f"Labels must be (rows,) or (rows, outputs){more}; in {where} they are {y.shape}.")
    if y.dtype.kind == "O":
        y = pd.DataFrame(y.reshape(len(y), -1)).infer_objects().to_numpy().reshape(y.shape)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    missing = pd.isna(y)
    if missing.any():
        first = np.flatnonzero(missing.reshape(len(y), -1).any(axis=1))[:3].tolist()
        raise ValueError(f"{missing.sum()} labels of {y.size} are missing in {where}, the first in rows {first}.")
    if y.dtype.kind not in "biufOUT":
        raise ValueError(f"Labels must be numbers, booleans or names; in {where} they are {y.dtype}.")
    if y.dtype.kind == "f":
        float32(y, f"y in {where}")
    return y.astype(str) if y.dtype.kind in "OUT" else y


def is_flags(y):
    return y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all())
