"""A bounded number of examples out of whatever `fit` takes, without a trace: nothing that is random is asked."""

import contextlib
import random
import sys
from dataclasses import dataclass

import keras
import numpy as np

from ...report.splits import SPLITS, array, has_splits

MOST_BATCHES, MOST_ROWS = 32, 10_000
# Of large images fewer: so many numbers take 128 MiB in double precision, in which they are looked at.
_MOST_NUMBERS, _LEAST_ROWS = 2**24, 64
# What lies in memory is looked at whole, up to a size that takes a second.
MOST_BYTES = 2**28


@dataclass
class Sample:
    """Some examples of a split.

    Attributes:
        name: `"train"`, `"validation"`, `"test"` or `"given"`.
        x: List of NumPy arrays (rows, ...), one for each input of the model.
        names: The inputs by name where x is a dictionary, else None.
        y: NumPy array (rows, ...), a structure of them, or None.
        all_x: What x was taken from: all examples where they lie in memory, else the same as x.
        all_y: Likewise.
        whole: Whether all_x is all there is.
        batch: The number of examples in a batch, None where that is not told.
        weighted: Whether examples come with weights.
        form: `"arrays"`; `"fixed"`, batches in an order that never changes; or `"shuffled"`.
    """

    name: str
    x: list
    names: list | None
    y: object
    all_x: list
    all_y: object
    whole: bool
    batch: int | None = None
    weighted: bool = False
    form: str = "arrays"

    def __len__(self):
        return len(self.x[0])


def samples(data) -> dict[str, Sample]:
    """The splits of the data that can be read, by name; `"given"` for data without splits."""
    found = {}
    for name in SPLITS if has_splits(data) else ("given",):
        with contextlib.suppress(Exception):  # what cannot be read is not looked at
            sample = _read(data, name)
            if sample is not None and len(sample):
                found[name] = sample
    return found


@contextlib.contextmanager
def undisturbed():
    """Random generators of Python, NumPy and PyTorch are afterwards as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    state = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if state is not None:
            torch.set_rng_state(state)


def _read(data, name) -> Sample | None:
    if not has_splits(data):
        return _from(data, name)
    source = None
    with contextlib.suppress(AttributeError, KeyError, ValueError):
        source = data.arrays(name)
    sample = _from(getattr(data, name, None) if source is None else source, name)
    if sample is not None and source is not None:
        sample.batch = getattr(data, "batch_size", None)
        # What has both arrays and batches shuffles the arrays itself.
        sample.form = "shuffled"
    return sample


def _from(source, name) -> Sample | None:
    if source is None or hasattr(source, "__next__"):
        return None
    if isinstance(source, tuple) and len(source) in (2, 3) and not _is_pair(source[0]):
        return _from_arrays(name, source[0], source[1], len(source) == 3 and source[2] is not None)
    if isinstance(source, list) and len(source) == 2 and all(hasattr(part, "shape") for part in source):
        return _from_arrays(name, *source, False)
    if hasattr(source, "shape") or isinstance(source, dict):
        return _from_arrays(name, source, None, False)
    return _from_batches(name, source)


def _is_pair(value) -> bool:
    return isinstance(value, tuple) and len(value) in (2, 3) and hasattr(value[0], "shape")


def _from_arrays(name, x, y, weighted) -> Sample:
    names, x = _parts(x)
    y = None if y is None else keras.tree.map_structure(array, y)
    rows = len(x[0])
    most = min(MOST_ROWS, max(_LEAST_ROWS, _MOST_NUMBERS // max(1, _numbers(x) // max(1, rows))))
    index = slice(None) if rows <= most else np.linspace(0, rows - 1, most).astype(int)
    some = [part[index] for part in x]
    some_y = None if y is None else keras.tree.map_structure(lambda part: part[index], y)
    fits = sum(part.nbytes for part in x) <= MOST_BYTES
    return Sample(name, some, names, some_y, x if fits else some, y, True, None, weighted)


def _numbers(x) -> int:
    return sum(part.size for part in x)


def _from_batches(name, source) -> Sample | None:
    form = "fixed"
    if hasattr(source, "element_spec"):
        source, form = without_shuffle(source)
        if source is None:
            return None
    xs, ys, names, rows, size, whole, weighted, batch = [], [], None, 0, 0, True, False, None
    for count, given in enumerate(batches(source)):
        if count == MOST_BATCHES or rows >= MOST_ROWS or size >= _MOST_NUMBERS:
            whole = False
            break
        x, y, weight = keras.utils.unpack_x_y_sample_weight(tuple(given) if isinstance(given, list) else given)
        names, x = _parts(x)
        xs.append(x)
        ys.append(None if y is None else keras.tree.map_structure(array, y))
        size += _numbers(x)
        rows, weighted, batch = rows + len(x[0]), weighted or weight is not None, batch or len(x[0])
    if not xs:
        return None
    x = [np.concatenate(parts)[:MOST_ROWS] for parts in zip(*xs, strict=True)]
    y = None
    if ys[0] is not None:
        y = keras.tree.map_structure(lambda *parts: np.concatenate(parts)[:MOST_ROWS], *ys)
    return Sample(name, x, names, y, x, y, whole, batch, weighted, form)


def batches(source):
    if isinstance(source, keras.utils.PyDataset):
        return (source[index] for index in range(len(source)))
    if type(source).__name__ == "DataLoader":
        # Its sampler and workers stay where they are: examples are taken one by one and put together as it would.
        size, examples = source.batch_size or 1, source.dataset
        rows = min(len(examples), MOST_BATCHES * size + 1)
        starts = range(0, rows, size)
        return (source.collate_fn([examples[i] for i in range(s, min(s + size, rows))]) for s in starts)
    if not hasattr(source, "__iter__"):
        raise TypeError(f"no batches in {type(source).__name__}")
    return source


def _parts(x):
    if isinstance(x, dict):
        return list(x), [array(part) for part in x.values()]
    return None, [array(part) for part in keras.tree.flatten(x)]


def without_shuffle(data):
    """A `tf.data.Dataset` as it would be without shuffling, and whether it is shuffled; None where it draws numbers or
    runs Python. To read one that shuffles would change the order in which `fit` sees it."""
    kinds = {type(part).__name__ for part in _lineage(data)}
    if any(word in kind for kind in kinds for word in ("Random", "Generator", "Interleave", "Sample", "Iterator")):
        return None, "shuffled"
    if any(_is_impure(part) for part in _lineage(data)):
        return None, "shuffled"
    return _rebuilt(data), "shuffled" if any("Shuffle" in kind for kind in kinds) else "fixed"


def _lineage(data):
    yield data
    for part in data._inputs():
        yield from _lineage(part)


def _is_impure(data) -> bool:
    """Whether the function of a dataset, such as `map` has, draws numbers, changes variables or calls Python."""
    function = getattr(getattr(data, "_map_func", None) or getattr(data, "_predicate", None), "function", None)
    if function is None:
        return False
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    words = ("Random", "PyFunc", "Assign", "Multinomial", "Shuffle", "SampleDistorted")
    return any(word in node.op and not node.op.startswith("Stateless") for node in nodes for word in words)


def _rebuilt(data):
    """The same without what shuffles, repeats, or keeps what it has read."""
    import tensorflow as tf

    kind, inputs = type(data).__name__, data._inputs()
    new = [_rebuilt(part) for part in inputs]
    if any(word in kind for word in ("Shuffle", "Repeat", "Cache", "Prefetch", "Options", "Cardinality")):
        return new[0]
    if all(a is b for a, b in zip(new, inputs, strict=True)):
        return data
    if kind in ("_BatchDataset", "_ParallelBatchDataset"):
        return new[0].batch(data._batch_size, drop_remainder=data._drop_remainder)
    if kind in ("_MapDataset", "_ParallelMapDataset"):
        function, spec = data._map_func.function, data.element_spec
        return new[0].map(lambda *parts: tf.nest.pack_sequence_as(spec, function(*tf.nest.flatten(parts))))
    if kind == "_ZipDataset":
        return tf.data.Dataset.zip(tf.nest.pack_sequence_as(data._datasets, new))
    raise TypeError(f"cannot do without the shuffling below {kind}")
