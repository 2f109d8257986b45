"""Splits: which rows are in each, which are in two of them, and the batches of one."""

import itertools

import numpy as np

from ._encoding import is_frame

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
        return np.fromiter((hash(row.tobytes()) for row in x), "int64", len(x))

    found = {split: keys(rows[split]) for split in SPLITS if split in rows}
    counts = {f"{a}/{b}": int(np.isin(found[b], found[a]).sum()) for a, b in itertools.combinations(found, 2)}
    return {pair: count for pair, count in counts.items() if count}


class Rows:
    """A split in memory, held once: `arrays` are read-only views of its tensors.

    With `decode`, x holds the paths of images, which are read while training.
    """

    def __init__(self, x, y, decode=None):
        import tensorflow as tf

        with tf.device("CPU"):
            self.tensors = tf.constant(x), tf.constant(y)
        self.arrays = None if decode else tuple(np.asarray(tensor) for tensor in self.tensors)
        self.decode = decode

    def __len__(self):
        return len(self.tensors[1])

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        x, y = self.tensors
        decode = self.decode or tf.identity

        def rows(index):
            return decode(tf.gather(x, index)), tf.gather(y, index)

        with tf.device("CPU"):
            data = tf.data.Dataset.range(len(self))
            if shuffle:
                data = data.shuffle(len(self), seed=seed, reshuffle_each_iteration=True)
            # Rows in memory are gathered a batch at a time; images are decoded one by one, in parallel.
            if self.decode:
                data = data.map(rows, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
            else:
                data = data.batch(batch_size).map(rows, tf.data.AUTOTUNE, deterministic=True)
            return data.prefetch(tf.data.AUTOTUNE)


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
