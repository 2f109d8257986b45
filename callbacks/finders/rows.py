"""The first examples of whatever `fit` takes, in memory, so that a trial can give them in any order and number."""

import keras
import numpy as np

from ..report.splits import array

#: No more is read of data that come in batches.
MOST_BYTES = 2**29


class Rows:
    """Examples in memory: inputs, labels and weights, each an array or a structure of arrays.

    Attributes:
        parts: A tuple of x, of x and y, or of x, y and sample weights.
        batch_size: That of the data when they come in batches, else None.
    """

    def __init__(self, parts: tuple, batch_size: int | None = None):
        self.parts, self.batch_size = parts, batch_size
        flat = keras.tree.flatten(parts)
        if any(part.ndim == 0 for part in flat):
            raise ValueError("x and y must be arrays, or structures of arrays; got single numbers in place of arrays")
        sizes = {len(part) for part in flat}
        if len(sizes) != 1 or 0 in sizes:
            counts = " and ".join(map(str, sorted(sizes)))
            raise ValueError(f"x and y must hold at least one example, and as many as each other; got {counts}")
        self.count = sizes.pop()

    def __len__(self):
        return self.count

    def arguments(self, index) -> dict:
        """The examples of these numbers, as arguments of `fit`."""
        taken = keras.tree.map_structure(lambda part: part[index], self.parts)
        return dict(zip(("x", "y", "sample_weight"), taken, strict=False))


def read(x, y=None, *, most: int) -> Rows:
    """The first examples of the data; of arrays, all.

    Args:
        x: Inputs, or a `tf.data.Dataset`, PyDataset or DataLoader of batches.
        y: Labels, where `x` is inputs.
        most: How many examples of batches are enough; fewer are read where they would take more than 512 MiB.

    Raises:
        ValueError: Data that can be read only once, or no examples.
    """
    if hasattr(x, "__next__"):
        raise ValueError("x must be data that can be read again, got a generator: give arrays or a data set")
    if isinstance(x, keras.utils.PyDataset):
        source = (x[index] for index in range(len(x)))
    elif hasattr(x, "element_spec") or type(x).__name__ == "DataLoader":
        source = x
    else:
        parts = (x,) if y is None else (x, y)
        return Rows(tuple(keras.tree.map_structure(array, part) for part in parts))
    if y is not None:
        raise ValueError(
            f"y must be None where x is a {type(x).__name__}, which has the labels; got {type(y).__name__}"
        )
    batches, rows, size = [], 0, 0
    for batch in source:
        parts = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
        parts = tuple(keras.tree.map_structure(array, part) for part in parts if part is not None)
        batches.append(parts)
        rows += len(keras.tree.flatten(parts)[0])
        size += sum(part.nbytes for part in keras.tree.flatten(parts))
        if rows >= most or size >= MOST_BYTES:
            break
    if not batches:
        raise ValueError("x must hold at least one batch, got an empty data set")
    first = len(keras.tree.flatten(batches[0])[0])
    return Rows(keras.tree.map_structure(lambda *all_of: np.concatenate(all_of), *batches), first)


def check_count(name: str, value, least: int = 1):
    """Raises a ValueError that names the argument where it is not a whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")
