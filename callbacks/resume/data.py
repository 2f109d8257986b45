"""The data of a call to `fit`: what identifies them, and how they get back to where an epoch began."""

import hashlib
import random

import keras
import numpy as np


class TrainingData:
    """The data that a call to `fit` learns from.

    Args:
        call: The arguments of `fit` by name. They are changed where Keras' own way could not be repeated: arrays that
            TensorFlow shuffles become a `tf.data.Dataset` whose order depends on a seed and the epoch.
        seed: That of the interrupted run, or None in a new one.

    Attributes:
        seed: What orders the arrays; None where nothing needs it.
        facts: What must be the same when the training goes on, as plain values.
        sample: A checksum of some examples, or None where looking would take them away.

    Raises:
        ValueError: Data that cannot be brought back to a position: a generator, a data set that `steps_per_epoch` cuts
            into other epochs (one without end is taken on TensorFlow), a `PyDataset` that changes itself between epochs
            and does not tell its state.
    """

    def __init__(self, call: dict, seed: int | None = None):
        self.seed, self._call = seed, call
        x = call["x"]
        if hasattr(x, "element_spec"):
            self._take_dataset(x)
        elif isinstance(x, keras.utils.PyDataset):
            self._take_sequence(x)
        elif type(x).__name__ == "DataLoader":
            self.facts, self.sample = {"batches": len(x)}, None
            self._check_steps(len(x))
        elif not hasattr(x, "__next__") and all(hasattr(part, "shape") for part in keras.tree.flatten(x)):
            self._take_arrays()
        else:
            raise ValueError(
                f"the position in x, a {type(x).__name__}, cannot be saved: what a generator has given is gone. Give "
                "arrays, a tf.data.Dataset, a keras.utils.PyDataset or a torch DataLoader."
            )

    def forward(self, epoch: int, at_once: int):
        """Moves data that are still at their beginning to where `epoch` (0-based) begins.

        Args:
            at_once: Batches in one execution, of which an epoch has a whole number.
        """
        x, steps = self._call["x"], self._call["steps_per_epoch"]
        if not hasattr(x, "element_spec"):
            return
        if steps:  # one pass of a repeated data set goes through all epochs
            self._call["x"] = x.skip(epoch * -(-steps // at_once) * at_once)
            return
        # A pass draws its seeds when its iterator is made. On TensorFlow, Keras makes one more when an epoch ends.
        for _ in range(epoch * (2 if keras.backend.backend() == "tensorflow" else 1)):
            iter(x)

    def get_state(self) -> dict:
        """What the data themselves say of the order of the epoch that begins."""
        x = self._call["x"]
        if hasattr(x, "get_state"):
            return {"data": x.get_state()}
        if getattr(x, "generator", None) is not None:  # of a DataLoader
            return {"generator": x.generator.get_state().numpy()}
        return {}

    def set_state(self, state: dict):
        if "data" in state:
            self._call["x"].set_state(state["data"])
        if "generator" in state:
            import torch

            self._call["x"].generator.set_state(torch.from_numpy(state["generator"]))

    def _check_steps(self, batches: int):
        """An epoch must be one pass: then `steps_per_epoch` is not needed."""
        steps = self._call["steps_per_epoch"]
        if steps not in (None, batches):
            raise ValueError(
                f"steps_per_epoch={steps} cuts a data set of {batches} batches into epochs whose beginning cannot be "
                "found again. Leave it out, or repeat a tf.data.Dataset without end: x.repeat()."
            )
        self._call["steps_per_epoch"] = None

    def _take_dataset(self, x):
        batches, steps = int(x.cardinality()), self._call["steps_per_epoch"]
        if batches >= 0:
            self._check_steps(batches)
        elif steps and keras.backend.backend() != "tensorflow":
            # Keras looks at a batch first, and what a repeated shuffle draws for that depends on the position.
            raise ValueError(
                f"steps_per_epoch={steps} with a data set without end can be continued on TensorFlow alone: give one "
                "of which each pass is an epoch."
            )
        elif steps is None:
            # Keras would know it from the second epoch on, and then read in another rhythm.
            batches = sum(1 for _ in x)
            self._call["x"] = x = x.apply(_cardinality(batches))
        self.facts = {"batches": steps if batches < 0 else batches, "elements": _described(x.element_spec)}
        self.sample = _checksum(next(iter(x), None))

    def _take_sequence(self, x):
        speaks = hasattr(x, "get_state") and hasattr(x, "set_state")
        plain = keras.utils.PyDataset
        if x.num_batches is None or (
            not speaks and (type(x).on_epoch_end, type(x).on_epoch_begin) != (plain.on_epoch_end, plain.on_epoch_begin)
        ):
            raise ValueError(
                f"the order of {type(x).__name__} cannot be saved: "
                + ("it has no length." if x.num_batches is None else "it changes between epochs.")
                + " Give it get_state(), which returns plain values and arrays, and set_state(state), which brings it "
                "back to the beginning of an epoch; or leave the shuffling to fit(shuffle=True)."
            )
        self._check_steps(x.num_batches)
        self.facts, self.sample = {"batches": x.num_batches}, None

    def _take_arrays(self):
        call = self._call
        _split_validation(call)
        parts = tuple(call[name] for name in ("x", "y", "sample_weight"))
        leaves = [leaf for leaf in keras.tree.flatten(parts) if leaf is not None]
        size, steps = len(leaves[0]), call["steps_per_epoch"]
        batch_size = call["batch_size"] or (-(-size // steps) if steps else 32)
        self._check_steps(-(-size // batch_size))
        call["batch_size"] = batch_size
        self.facts = {
            "examples": size,
            "batch_size": batch_size,
            "elements": "; ".join(f"{leaf.shape[1:]} {leaf.dtype}" for leaf in leaves if hasattr(leaf, "dtype")),
        }
        # Some rows from everywhere; all of them may be many.
        self.sample = _checksum([leaf[:: max(1, size // 64)] for leaf in leaves if isinstance(leaf, np.ndarray)])
        if call["shuffle"] and keras.backend.backend() == "tensorflow":
            if call["shuffle"] == "batch":
                raise ValueError('shuffle="batch" cannot be repeated on TensorFlow: use shuffle=True or False.')
            if self.seed is None:
                self.seed = random.getrandbits(31)
            while parts[-1] is None:
                parts = parts[:-1]
            call["x"] = _shuffled(parts, size, batch_size, self.seed)
            call["validation_batch_size"] = call["validation_batch_size"] or batch_size
            call.update(y=None, sample_weight=None, batch_size=None, shuffle=False)


def _split_validation(call: dict):
    """`validation_split` as `validation_data`: the last examples, as Keras takes them."""
    if not call["validation_split"] or call["validation_data"] is not None:
        return
    parts = tuple(call[name] for name in ("x", "y", "sample_weight"))
    size = len(next(leaf for leaf in keras.tree.flatten(parts) if leaf is not None))
    first = int(np.floor(size * (1 - call["validation_split"])))
    if not 0 < first < size:
        raise ValueError(f"validation_split={call['validation_split']} leaves one part of {size} examples empty.")

    def cut(part, span):
        return keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[span], part)

    call["x"], call["y"], call["sample_weight"] = (cut(part, slice(first)) for part in parts)
    call["validation_data"] = tuple(cut(part, slice(first, None)) for part in parts if part is not None)
    call["validation_split"] = 0.0


def _shuffled(parts: tuple, size: int, batch_size: int, seed: int):
    """Batches in an order of their own for each pass, which follows from the seed and the number of the pass."""
    import tensorflow as tf

    def tensor(leaf):
        leaf = np.asarray(leaf.to_numpy() if hasattr(leaf, "iloc") else leaf)
        return tf.constant(leaf.astype(keras.config.floatx()) if leaf.dtype == "float64" else leaf)

    def batches(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(size, dtype=tf.int64), [epoch, seed])
        return tf.data.Dataset.range(0, size, batch_size).map(lambda first: order[first : first + batch_size])

    with tf.device("CPU"):
        tensors = keras.tree.map_structure(tensor, keras.tree.lists_to_tuples(parts))
        passes = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
        data = passes.flat_map(batches).apply(_cardinality(-(-size // batch_size)))

        def rows(order):
            return keras.tree.map_structure(lambda leaf: tf.gather(leaf, order), tensors)

        data = data.map(rows, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.enabled = False  # the end of an epoch may wait for it, as long as the epoch took
    return data.with_options(options)


def _cardinality(batches: int):
    import tensorflow as tf

    return tf.data.experimental.assert_cardinality(batches)


def _described(spec) -> str:
    return "; ".join(f"{part.shape} {part.dtype.name}" for part in keras.tree.flatten(spec) if hasattr(part, "dtype"))


def _checksum(examples) -> str | None:
    """One for arrays or tensors; None where some of them are neither."""
    digest = hashlib.sha256()
    for leaf in keras.tree.flatten(examples):
        try:
            array = np.asarray(leaf)
        except Exception:
            return None
        digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    return digest.hexdigest()
