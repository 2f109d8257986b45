"""Rows out of whatever data are given: arrays, batches, or an object with `train`, `validation` and `test`."""

from dataclasses import dataclass

import keras
import numpy as np

SPLITS = ("train", "validation", "test")
MOST_ROWS, MOST_BYTES = 100_000, 2**28


@dataclass
class Split:
    """The rows of one split.

    Attributes:
        name: `"train"`, `"validation"`, `"test"`, or `"given"` for data that came without a name.
        x: NumPy array (rows, ...), or a structure of them.
        y: NumPy array (rows, ...), None without labels.
        rows: How many rows the split has; None when that is not known.
    """

    name: str
    x: object
    y: object
    rows: int | None

    def __len__(self):
        return len(keras.tree.flatten(self.x)[0])

    def take(self, index) -> "Split":
        """Some of the rows."""
        y = None if self.y is None else self.y[index]
        return Split(self.name, keras.tree.map_structure(lambda part: part[index], self.x), y, self.rows)

    def some(self, most: int) -> "Split":
        """At most so many rows, evenly spread."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype(int))

    def told(self) -> str:
        """`"10,000 rows"`, or how many of how many."""
        if self.rows is None or self.rows == len(self):
            return f"{len(self):,} rows"
        return f"{len(self):,} of {self.rows:,} rows"


def has_splits(data) -> bool:
    """Whether `data` is such an object as `recipes.data.load` returns."""
    return any(hasattr(data, name) for name in SPLITS)


def names(data) -> list[str]:
    """The splits that `data` has."""
    return [name for name in SPLITS if getattr(data, name, None) is not None] if has_splits(data) else ["given"]


def judged_name(data) -> str | None:
    """The split that a model is judged by: test if there is one, else validation; None with neither."""
    last = (names(data) or ["train"])[-1]
    return None if last == "train" else last


def read(data, name: str, most: int = MOST_ROWS) -> Split:
    """A split of `data` in memory; no more than `most` rows or 256 MiB of it.

    Raises:
        ValueError: The split is empty, or `data` is nothing that rows can be read from.
    """
    if has_splits(data):
        total = getattr(data, "sizes", {}).get(name)
        try:
            x, y = data.arrays(name)
        except (AttributeError, ValueError):  # read from disk, or an object of the user's own
            source = getattr(data, name)
        else:
            return Split(name, x, y, len(x)).some(most)
    else:
        source, total = data, None
    pair = isinstance(source, tuple) or (isinstance(source, list) and not isinstance(source[0], tuple))
    if pair and len(source) in (2, 3):  # a list of tuples is one of batches
        x, y = (keras.tree.map_structure(array, part) for part in source[:2])
        return _split(name, x, y, None).some(most)
    if hasattr(source, "shape") or isinstance(source, dict):
        return _split(name, keras.tree.map_structure(array, source), None, None).some(most)
    return _from_batches(source, name, most, total)


def _split(name, x, y, rows) -> Split:
    split = Split(name, x, y, rows)
    if not len(split):
        raise ValueError(f"the {name} split is empty")
    split.rows = rows or len(split)
    return split


def _from_batches(source, name: str, most: int, total) -> Split:
    batches, rows, size = [], 0, 0
    for batch in _iterate(source):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        x, y = keras.tree.map_structure(array, x), None if y is None else keras.tree.map_structure(array, y)
        batches.append((x, y))
        rows += len(keras.tree.flatten(x)[0])
        size += sum(part.nbytes for part in keras.tree.flatten(x))
        if rows >= most or size >= MOST_BYTES:
            break
    else:
        total = rows
    if not rows:
        raise ValueError(f"the {name} split is empty")
    x = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *[x for x, _ in batches])
    y = (
        None
        if batches[0][1] is None
        else keras.tree.map_structure(lambda *parts: np.concatenate(parts), *[y for _, y in batches])
    )
    split = Split(name, x, y, total)
    return split.take(np.arange(most)) if rows > most else split


def _iterate(source):
    if isinstance(source, keras.utils.PyDataset):
        return (source[index] for index in range(len(source)))
    if not hasattr(source, "__iter__"):
        raise ValueError(
            "a report's data must be an object with validation or test, such as recipes.data.load gives, "
            f"arrays (x, y), or batches; got {type(source).__name__}"
        )
    return iter(source)


def array(part) -> np.ndarray:
    """A NumPy array of whatever holds numbers."""
    if hasattr(part, "detach"):  # PyTorch
        part = part.detach().cpu()
    return part.numpy() if hasattr(part, "numpy") else np.asarray(part)


def is_text(part) -> bool:
    """Whether an array holds text."""
    return part.dtype.kind in "OSU"


def text(value) -> str:
    """A string out of an array of text, where TensorFlow has bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
