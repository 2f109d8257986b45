"""Splits: which rows are in each, which are in two of them, the batches of one, and `Data`, which is all of them."""

import dataclasses
import functools
import itertools

import numpy as np

from .._kinds import Integer, among
from .encoding import is_frame

SPLITS = ("train", "validation", "test")


def cut_sizes(count, shares, name):
    """How many of the rows of train go to each split that is cut from it."""
    sizes = {split: max(1, round(count * share)) for split, share in shares.items()}
    if sum(sizes.values()) >= count:
        raise ValueError(f"{name!r} is too small to cut {sizes} rows from its {count}: none would be left to train on.")
    return sizes


def cut(groups, shares, seed, name):
    """The rows of each split that is cut from train, and of what is left of train, each with its share of a group."""
    sizes = cut_sizes(len(groups), shares, name)
    # Each group is spread evenly over 0..1, so that any span of that line holds its share of every group. Test is
    # the line's start, validation its end; a row alone in its group goes to the middle of train.
    first, last = sizes.get("test", 0), len(groups) - sizes.get("validation", 0)
    order = np.random.default_rng(seed).permutation(len(groups))
    _, group, count = np.unique(groups[order], return_inverse=True, return_counts=True)
    rank = np.empty(len(groups))
    rank[np.argsort(group, kind="stable")] = np.concatenate([np.arange(size) for size in count])
    place = np.where(count[group] == 1, (first + last) / 2 / len(groups), (rank + 0.5) / count[group])
    order = order[np.argsort(place, kind="stable")]
    spans = {"train": order[first:last], "validation": order[last:], "test": order[:first]}
    return {split: np.sort(rows) for split, rows in spans.items() if split == "train" or split in sizes}


def find_leaks(rows):
    """How many rows of the later split of each pair also occur in the earlier one: `{"train/test": 3}`."""
    import pandas as pd

    def keys(x):
        if is_frame(x):
            return pd.util.hash_pandas_object(x, index=False).to_numpy()
        return np.fromiter((hash(row if isinstance(row, str) else row.tobytes()) for row in x), "int64", len(x))

    found = {split: keys(rows[split]) for split in SPLITS if split in rows}
    counts = {f"{a}/{b}": int(np.isin(found[b], found[a]).sum()) for a, b in itertools.combinations(found, 2)}
    return {pair: count for pair, count in counts.items() if count}


#: So few rows in memory are shuffled one by one: a gathering pipeline takes 25 ms to begin an epoch, and this 1.
FEW_ROWS, FEW_BYTES = 20_000, 1 << 26
#: Bytes that are gathered at a time, where a batch is less: a call for each would take longer than the rows.
TOGETHER = 1 << 20


def gather(rows, size, batch_size, seed, shuffle, row_bytes=None):
    """Batches of what `rows` gives for the numbers of a split's rows: for one at a time, or for whole batches where the
    size of a row is told."""
    import tensorflow as tf

    singly = row_bytes is None
    together = 1 if singly else batch_size * max(1, TOGETHER // (batch_size * row_bytes))

    def numbers(order):
        """The numbers in that order: one by one they would take longer than their rows."""
        if singly:
            return tf.data.Dataset.from_tensor_slices(order)
        return tf.data.Dataset.range(0, size, together).map(lambda first: order[first : first + together])

    def reordered(epoch):
        return numbers(tf.random.experimental.stateless_shuffle(tf.range(size, dtype=tf.int64), [epoch, seed]))

    with tf.device("CPU"):
        if shuffle:
            # The buffer of `Dataset.shuffle` would take seconds and hundreds of megabytes for a million numbers.
            epoch = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
            data = epoch.flat_map(reordered)
        else:
            data = numbers(tf.range(size, dtype=tf.int64))
        data = data.map(rows, tf.data.AUTOTUNE, deterministic=True)
        data = data.batch(batch_size) if singly else data.rebatch(batch_size)
        data = data.apply(tf.data.experimental.assert_cardinality(-(-size // batch_size)))
        return data.prefetch(tf.data.AUTOTUNE)


class Rows:
    """A split in memory, held once: `arrays` are read-only views of its tensors, or copies of its texts.

    With `decode`, x holds the paths of images, which are read while training.
    """

    def __init__(self, x, y, decode=None):
        import tensorflow as tf

        with tf.device("CPU"):
            self.tensors = tf.constant(x), tf.constant(y)
        self.decode = decode
        self.views = None if x.dtype.kind in "OU" else tuple(np.asarray(tensor) for tensor in self.tensors)

    def __len__(self):
        return len(self.tensors[1])

    def __reduce__(self):  # for another process
        x, y = (tensor.numpy() for tensor in self.tensors)
        return type(self), (x, y, self.decode)

    @property
    def arrays(self):
        if self.views or self.decode:
            return self.views
        x, y = self.tensors
        texts = np.array([text.decode() for text in x.numpy()], object)
        texts.flags.writeable = False
        return texts, np.asarray(y)

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        x, y = self.tensors
        small = len(self) <= FEW_ROWS and x.shape.num_elements() * x.dtype.size <= FEW_BYTES
        if self.decode or (shuffle and not small):

            def rows(index):
                return (self.decode or tf.identity)(tf.gather(x, index)), tf.gather(y, index)

            # Rows in memory are gathered by whole batches; images are decoded one by one, in parallel.
            # Texts tell no size: of them a batch is gathered at a time.
            row_bytes = None if self.decode else x.shape[1:].num_elements() * x.dtype.size or TOGETHER
            return gather(rows, len(self), batch_size, seed, shuffle, row_bytes)
        with tf.device("CPU"):
            if shuffle:
                data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(self), seed).batch(batch_size)
            else:
                data = in_order(self.tensors, batch_size)
            return data.prefetch(tf.data.AUTOTUNE)


def untuned(data):
    """A pipeline that TensorFlow does not tune while it runs. The thread that tunes sleeps twice as long each time, and
    the end of an epoch, which should wake it, often waits until it has slept, up to as long as the epoch took: it is
    woken before it is told that this is the end, and goes on sleeping."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def in_order(tensors, size):
    """Batches of tensors in their order, without a function, which would cost 10 ms in each epoch."""
    import tensorflow as tf

    whole = len(tensors[0]) // size * size
    batches = tuple(tf.reshape(tensor[:whole], (-1, size, *tensor.shape[1:])) for tensor in tensors)
    rest = tf.data.Dataset.from_tensors(tuple(tensor[whole:] for tensor in tensors))
    return tf.data.Dataset.from_tensor_slices(batches).concatenate(rest.take(int(whole < len(tensors[0]))))


class Stream:
    """A split that is read from disk: `read(shuffle, seed)` gives its rows one by one, with labels as `like` are."""

    arrays = None

    def __init__(self, read, like, size, buffer):
        self.read, self.like, self.size, self.buffer = read, like, size, buffer

    def __len__(self):
        return self.size

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        def cast(x, y):
            kind = x.dtype if x.dtype == tf.uint8 else tf.int32 if x.dtype.is_integer else tf.float32
            return tf.cast(x, kind), tf.reshape(tf.cast(y, self.like.dtype), (-1, *self.like.shape[1:]))

        with tf.device("CPU"):
            data = self.read(shuffle, seed)
            if shuffle:
                data = data.shuffle(max(batch_size, self.buffer), seed=seed, reshuffle_each_iteration=True)
            return data.batch(batch_size).map(cast, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Train, validation and test, and what a model must know about them. Made by `load` and `windows`.

    Attributes:
        name: What was loaded.
        kind: What recipes call such data: `"rows"`, `"images"` (height, width, channels), `"sequences"`
            (steps, features) or `"text"`.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        outputs: Units of the model's last layer.
        class_names: Name of each class or label, by its number; None for regression.
        input_shape: Shape of one row of x; for text `(tokens,)`, the words of the longest training text, at most 512.
        batch_size: Rows per batch.
        seed: Seeded the cut, and seeds the order of the training rows.
        features: Name of each column of x, where columns have names.
        leaks: Rows that two splits share: `{"train/test": 3}` if 3 rows of test occur in train; None where they were
            not looked for.
    """

    name: str
    kind: str
    task: str
    outputs: int
    class_names: list | None
    input_shape: tuple
    batch_size: int
    seed: int
    features: list | None
    leaks: dict | None
    _parts: dict
    _encoder: object = None

    def __getstate__(self):  # without the pipelines
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def train(self):
        """Batches in a new order each epoch."""
        return self._batches("train", shuffle=True)

    @functools.cached_property
    def validation(self):
        """Batches in a fixed order; None where there is no validation split."""
        return self._batches("validation")

    @functools.cached_property
    def test(self):
        """Batches in a fixed order; None where there is no test split."""
        return self._batches("test")

    def _batches(self, split, shuffle=False):
        if split not in self._parts:
            return None
        return untuned(self._parts[split].batches(self.batch_size, self.seed, shuffle))

    @property
    def sizes(self):
        """Rows in each split: `{"train": 1258, ...}`."""
        return {split: len(part) for split, part in self._parts.items()}

    @property
    def horizon(self):
        """The steps to forecast, of what `windows` made; otherwise None."""
        return getattr(self._parts["train"], "horizon", None)

    @property
    def return_sequences(self):
        """Whether each step of a sequence has a label of its own."""
        rank = len(self.train.element_spec[1].shape)
        return self.kind == "sequences" and not self.horizon and rank > (1 if self.task == "multiclass" else 2)

    def batched(self, batch_size):
        """The same data, sharing its memory, in batches of another size."""
        check_whole("batch_size", batch_size, 1)
        return dataclasses.replace(self, batch_size=batch_size)

    def arrays(self, split):
        """One split as NumPy arrays `(x, y)`, in a fixed order; texts as an array of str. They are read-only, and all
        but texts are views of what `train` reads.

        Raises:
            ValueError: for a split that is not there, or one that is read from disk while training.
        """
        if split not in self._parts:
            raise ValueError(f"{self.name!r} has no split {split!r}.{among(split, self._parts)}")
        if (arrays := self._parts[split].arrays) is None:
            raise ValueError(f"{self.name!r} is read from disk while training; a larger memory= makes arrays of it.")
        return arrays

    def encode(self, frame):
        """New rows of a frame as float32 (rows, features), encoded as the training rows were.

        Raises:
            ValueError: if the data did not come from a frame, or the new rows lack one of its columns.
        """
        if self._encoder is None:
            raise ValueError(f"{self.name!r} did not come from a frame: its rows need no encoding.")
        return self._encoder.encode(self._encoder.tidy(frame, "the new rows"))

    def __repr__(self):
        rows = ", ".join(f"{split} {size:,}" for split, size in self.sizes.items())
        leaks = ", ".join(f"{pair} {count:,}" for pair, count in (self.leaks or {}).items()) or "none found"
        leaks = "not looked for" if self.leaks is None else leaks
        return (
            f"<Data {self.name!r}: {self.kind}, {self.task}, {self.input_shape} -> {self.outputs}\n"
            f"  rows: {rows}, in batches of {self.batch_size}\n  leaks: {leaks}>"
        )


def check_whole(name, value, least):
    if not Integer(least).legal(value):
        raise ValueError(f"{name}= must be a whole number of at least {least}; received {value!r}.")
