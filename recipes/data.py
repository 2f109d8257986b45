"""Data for recipes: `load` makes train, validation and test out of a name, a file, a folder, a frame or arrays.

A reader gives rows and labels per split. The labels decide the task, missing splits are cut from train, frames are
encoded as their training rows teach it, and what would spoil a training run is told before it starts.
"""

import dataclasses
import functools
import warnings

import numpy as np

from ._encoding import TASKS, Encoder, is_frame, read_labels, read_rows
from ._kinds import Integer, Real, among
from ._sources import read
from ._splits import SPLITS, Rows, Stream, cut, cut_sizes, find_leaks


class LeakWarning(UserWarning):
    """The same row occurs in two splits, so that the score on the later one flatters."""


def load(
    source, target=None, *, task=None, validation=0.1, test=0.2, batch_size=64, image_size=None, seed=0, memory=2**30
):
    """Train, validation and test as `tf.data`, with what a model must know about them.

    Splits that the source brings along are kept. Missing ones are cut from its training rows: stratified by class,
    at random for regression and multilabel; the same seed gives the same rows. Nothing is downloaded.

    Args:
        source: One of
            - an embedded set: `"digits"`, `"iris"`, `"wine"`, `"breast_cancer"`, `"diabetes"`;
            - the path of a CSV file (also compressed); an empty field, `NA` or `?` is a missing value;
            - the path of a folder with one sub-folder of images per class, or with such folders in `train`,
              `validation` (or `val`) and `test`; the first image decides about gray or colour;
            - a pandas frame; arrays `(x, y)`; `((x, y), (x_test, y_test))` as `keras.datasets` gives them; a dict
              `{"train": (x, y) or frame, "validation": ..., "test": ...}`;
            - the name of a prepared TFDS set (`"mnist"`, `"penguins/simple"`), looked for in `TFDS_DATA_DIR`;
            - a `Data`, which is given back as it is.
        target: Name of the column to predict, or a list of them; for TFDS, of a feature (default: its label).
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`; by default it follows from the labels.
        validation: Share of the training rows for validation, 0 <= validation < 1. With 0, none is cut.
        test: Share of the training rows for testing, 0 <= test < 1. With 0, none is cut.
        batch_size: Rows per batch.
        image_size: (height, width) that images are resized to; by default the size of a folder's first image.
        seed: Seeds the cut and the order of the training rows.
        memory: Images and TFDS arrays of more bytes than this are read from disk while training. They are not
            searched for leaks, and TFDS sets among them are cut by position.

    Returns:
        A `Data`, with batches `(x, y)`:
            x: uint8 (batch, height, width, channels), 0..255, for images, or float32 in the same range;
               float32 (batch, features) for frames and rows of numbers; integers other than uint8 as int32.
            y: int32 (batch,) for multiclass; float32 (batch, 1) of 0 and 1 for binary; float32 (batch, outputs)
               for multilabel and regression.

    Raises:
        ValueError: for data or arguments that nothing can be trained on: what was expected, what came, and where.
        FileNotFoundError: for a missing file, or a TFDS set that is not prepared on this machine.

    Warns:
        LeakWarning: if rows of x occur in two splits.
        UserWarning: if a column of a frame looks like dates.

    >>> load("wine").sizes
    {'train': 124, 'validation': 18, 'test': 36}
    """
    if isinstance(source, Data):
        return source
    check_arguments(task, validation, test, batch_size, image_size, seed)
    found = read(source, target, image_size, memory)
    name = found.name
    shares = {"validation": validation, "test": test}
    shares = {split: share for split, share in shares.items() if share and split not in found.splits}
    if found.stream:
        return streamed(found, task, shares, batch_size, seed, memory)

    rows = {}
    for split, (x, y) in found.splits.items():
        where = f"{name!r} ({split})"
        rows[split] = x if is_frame(x) or found.decode else read_rows(x, where, image_size)
        if len(x) != len(y):
            raise ValueError(f"x and y must have as many rows as each other; in {where} x has {len(x)}, y {len(y)}.")
        if not len(x):
            raise ValueError(f"{where} is empty: expected at least one row.")
    kinds = {split: "frame" if is_frame(x) else f"{x.dtype} {x.shape[1:]}" for split, x in rows.items()}
    if len(set(kinds.values())) > 1 and not found.decode:  # paths of images differ in their length
        raise ValueError(f"The splits of {name!r} must hold rows of one kind; received {kinds}.")
    labels = {split: y for split, (_, y) in found.splits.items()}
    labels, task, outputs, class_names = read_labels(labels, task, found.class_names, name)

    if shares:
        x, y = rows["train"], labels["train"]
        groups = y.ravel() if task in ("binary", "multiclass") else np.zeros(len(y))
        for split, index in cut(groups, shares, seed, name).items():
            rows[split], labels[split] = x.iloc[index] if is_frame(x) else x[index], y[index]

    encoder = Encoder(rows["train"]) if is_frame(rows["train"]) else None
    if encoder:
        rows = {split: encoder.tidy(frame, f"{name!r} ({split})") for split, frame in rows.items()}
    leaks = {} if found.decode else find_leaks(rows)
    if leaks:
        pairs = [(count, *pair.split("/")) for pair, count in leaks.items()]
        told = "; ".join(f"{count} of the {len(rows[b])} rows of {b} are also in {a}" for count, a, b in pairs)
        warnings.warn(
            f"In {name!r}, {told}. A score on rows that were trained on flatters: drop the copies, "
            "or keep all copies of a row in one split.",
            LeakWarning,
            stacklevel=2,
        )
    if encoder:
        rows = {split: encoder.encode(tidy) for split, tidy in rows.items()}
    shape, features = found.shape or rows["train"].shape[1:], encoder.features if encoder else found.features
    parts = {split: Rows(rows.pop(split), labels[split], found.decode) for split in SPLITS if split in rows}
    return Data(name, task, outputs, class_names, shape, batch_size, seed, features, leaks, parts, encoder)


def streamed(found, task, shares, batch_size, seed, memory):
    """A TFDS set that stays on disk: what is cut from train is a span of its rows."""
    _, y = found.stream("train").element_spec
    # Labels such as there may be: the task must be known before they are read.
    labels = np.arange(len(found.class_names)) if found.class_names else np.full((2, *y.shape), 0.5)
    labels, task, outputs, class_names = read_labels({"train": labels}, task, found.class_names, found.name)
    spans, start = {split: (split, size) for split, size in found.splits.items()}, 0
    for split, size in cut_sizes(found.splits["train"], shares, found.name).items():
        spans[split] = (f"train[{start}:{start + size}]", size)
        start += size
    spans["train"] = (f"train[{start}:]", found.splits["train"] - start)
    parts = {}
    for split in SPLITS:
        if split in spans:
            span, size = spans[split]
            buffer = min(size, memory // (4 * int(np.prod(found.shape))))
            parts[split] = Stream(functools.partial(found.stream, span), labels["train"], size, buffer)
    return Data(found.name, task, outputs, class_names, found.shape, batch_size, seed, None, {}, parts)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Train, validation and test, and what a model must know about them. Made by `load`.

    Attributes:
        name: What was loaded.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        outputs: Units of the model's last layer.
        class_names: Name of each class or label, by its number; None for regression.
        input_shape: Shape of one row of x.
        batch_size: Rows per batch.
        seed: Seeded the cut, and seeds the order of the training rows.
        features: Name of each column of x, where columns have names.
        leaks: Rows that two splits share: `{"train/test": 3}` if 3 rows of test occur in train.
    """

    name: str
    task: str
    outputs: int
    class_names: list | None
    input_shape: tuple
    batch_size: int
    seed: int
    features: list | None
    leaks: dict
    _parts: dict
    _encoder: object = None

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
        return self._parts[split].batches(self.batch_size, self.seed, shuffle) if split in self._parts else None

    @property
    def sizes(self):
        """Rows in each split: `{"train": 1258, ...}`."""
        return {split: len(part) for split, part in self._parts.items()}

    def batched(self, batch_size):
        """The same data, sharing its memory, in batches of another size."""
        check_whole("batch_size", batch_size, 1)
        return dataclasses.replace(self, batch_size=batch_size)

    def arrays(self, split):
        """One split as NumPy arrays `(x, y)`, in a fixed order; they are views of what `train` reads, and read-only.

        Raises:
            ValueError: for a split that is not there, or one that is read from disk while training.
        """
        if split not in self._parts:
            raise ValueError(f"{self.name!r} has no split {split!r}.{among(split, self._parts)}")
        if self._parts[split].arrays is None:
            raise ValueError(f"{self.name!r} is read from disk while training; a larger memory= makes arrays of it.")
        return self._parts[split].arrays

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
        leaks = ", ".join(f"{pair} {count:,}" for pair, count in self.leaks.items()) or "none found"
        return (
            f"<Data {self.name!r}: {self.task}, {self.input_shape} -> {self.outputs}\n"
            f"  rows: {rows}, in batches of {self.batch_size}\n  leaks: {leaks}>"
        )


def check_arguments(task, validation, test, batch_size, image_size, seed):
    if task is not None and task not in TASKS:
        raise ValueError(f"There is no task {task!r}.{among(task, TASKS)}")
    for name, share in (("validation", validation), ("test", test)):
        if not Real(0, 1, below=True).legal(share):
            raise ValueError(f"{name}= must be a share of the rows, 0 <= {name} < 1; received {share!r}.")
    if validation + test >= 1:
        raise ValueError(f"validation={validation} and test={test} must sum to less than 1: train is the rest.")
    if not (image_size is None or (isinstance(image_size, tuple | list) and len(image_size) == 2)):
        raise ValueError(f"image_size= must be (height, width); received {image_size!r}.")
    check_whole("batch_size", batch_size, 1)
    check_whole("seed", seed, 0)
    for size in image_size or ():
        check_whole("image_size", size, 1)


def check_whole(name, value, least):
    if not Integer(least).legal(value):
        raise ValueError(f"{name}= must be a whole number of at least {least}; received {value!r}.")
