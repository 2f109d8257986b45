"""Data for recipes: `load` makes train, validation and test out of a name, a file, a folder, a frame or arrays;
`windows` makes them out of a time series.

A reader gives rows and labels per split. The labels decide the task, missing splits are cut from train, frames are
encoded as their training rows teach it, and what would spoil a training run is told before it starts.
"""

import functools
import warnings

import numpy as np

from .._kinds import Real, among
from .encoding import TASKS, Encoder, is_frame, read_labels, read_rows
from .sources import read
from .splits import SPLITS, Data, Rows, Stream, check_whole, cut, cut_sizes, find_leaks
from .windows import windows

__all__ = ["Data", "LeakWarning", "load", "windows"]
KINDS = {3: "images", 2: "sequences"}  # by the axes of one row
MOST_WORDS = 512


class LeakWarning(UserWarning):
    """The same row occurs in two splits, so that the score on the later one flatters."""


def load(
    source, target=None, *, text=None, task=None, validation=0.1, test=0.2, batch_size=64, image_size=None, seed=0,
    memory=2**30,
):  # fmt: skip
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
              `{"train": (x, y) or frame, "validation": ..., "test": ...}`; x may be an array or list of texts;
            - the name of a prepared TFDS set (`"mnist"`, `"penguins/simple"`), looked for in `TFDS_DATA_DIR`;
            - a `Data`, which is given back as it is.
        target: Name of the column to predict, or a list of them; for TFDS, of a feature (default: its label).
        text: Name of the column, or TFDS feature, of texts; only they are predicted from.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`; by default it follows from the labels.
        validation: Share of the training rows for validation, 0 <= validation < 1. With 0, none is cut.
        test: Share of the training rows for testing, 0 <= test < 1. With 0, none is cut.
        batch_size: Rows per batch.
        image_size: (height, width) that images are resized to; by default the size of a folder's first image.
        seed: Seeds the cut and, with TensorFlow's global seed where there is one, the order of the training rows.
        memory: Images and TFDS arrays of more bytes than this are read from disk while training. They are not
            searched for leaks, and TFDS sets among them are cut by position. Texts are always held in memory.

    Returns:
        A `Data`, with batches `(x, y)`:
            x: uint8 (batch, height, width, channels), 0..255, for images, or float32 in the same range;
               float32 (batch, features) for frames and rows of numbers; (batch, steps, features) for sequences;
               integers other than uint8 as int32; strings (batch,) for text.
            y: int32 (batch,) for multiclass; float32 (batch, 1) of 0 and 1 for binary; float32 (batch, outputs)
               for multilabel and regression. Sequences may have labels for each step, with an axis of steps after
               the first: classes (rows, steps), unless they are all 0 and 1 and no task is given, which are
               multilabel; classes (rows, steps, 1) in any case; flags and numbers (rows, steps, outputs).

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
    found = read(source, target, text, image_size, memory)
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
    forms = {split: "frame" if is_frame(x) else f"{x.dtype} {x.shape[1:]}" for split, x in rows.items()}
    if len(set(forms.values())) > 1 and not found.decode:  # paths of images differ in their length
        raise ValueError(f"The splits of {name!r} must hold rows of one kind; received {forms}.")
    shape = found.shape or rows["train"].shape[1:]
    kind = "text" if shape == () else KINDS.get(len(shape), "rows")
    labels = {split: y for split, (_, y) in found.splits.items()}
    steps = shape[0] if kind == "sequences" else None
    labels, task, outputs, class_names = read_labels(labels, task, found.class_names, name, steps)

    if shares:
        x, y = rows["train"], labels["train"]
        groups = y.ravel() if task in ("binary", "multiclass") and y.size == len(y) else np.zeros(len(y))
        for split, index in cut(groups, shares, seed, name).items():
            rows[split], labels[split] = x.iloc[index] if is_frame(x) else x[index], y[index]

    encoder = Encoder(rows["train"]) if is_frame(rows["train"]) else None
    if encoder:
        rows = {split: encoder.tidy(frame, f"{name!r} ({split})") for split, frame in rows.items()}
    leaks = None if found.decode else find_leaks(rows)
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
        shape = rows["train"].shape[1:]
    if kind == "text":
        shape = (min(MOST_WORDS, max(len(words.split()) for words in rows["train"])),)
    features = encoder.features if encoder else found.features
    parts = {split: Rows(rows.pop(split), labels[split], found.decode) for split in SPLITS if split in rows}
    return Data(name, kind, task, outputs, class_names, shape, batch_size, seed, features, leaks, parts, encoder)


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
    kind = KINDS.get(len(found.shape), "rows")
    return Data(found.name, kind, task, outputs, class_names, found.shape, batch_size, seed, None, None, parts)


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
