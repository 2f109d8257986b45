"""Data for recipes: `load` makes train, validation and test out of a name, a file, a folder, a frame or arrays.

A reader gives rows and labels per split (`_Raw`). The labels decide the task, missing splits are cut from train, frames
are encoded as their training rows teach it, and what would spoil a training run is told before it starts.
"""

import contextlib
import dataclasses
import functools
import itertools
import numbers
import os
import pathlib
import re
import warnings

import numpy as np

from ._check import check_finite
from ._kinds import nearest

SPLITS = ("train", "validation", "test")
TASKS = {  # what the labels must be
    "binary": "one column of two classes",
    "multiclass": "one column of two or more classes: names or whole numbers",
    "multilabel": "a column of 0 and 1 for each label",
    "regression": "numbers",
}
EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
MANY = 100  # integers with more distinct values than this are quantities, not classes
IMAGES = {".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".png": b"\x89PNG", ".gif": b"GIF8", ".bmp": b"BM"}


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
            - the path of a CSV (also compressed) or parquet file; an empty field, `NA` or `?` is a missing value;
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

    >>> load("wine").sizes
    {'train': 124, 'validation': 18, 'test': 36}
    """
    if isinstance(source, Data):
        return source
    _check_arguments(task, validation, test, batch_size, image_size, seed)
    raw = _read(source, target, image_size, memory)
    shares = {"validation": validation, "test": test}
    shares = {split: share for split, share in shares.items() if share and split not in raw.splits}
    if raw.examples:
        return _streamed(raw, task, shares, batch_size, seed, memory)

    rows = {}
    for split, (x, y) in raw.splits.items():
        where = f"{raw.name!r} ({split})"
        if not (_is_frame(x) or raw.decode):
            x = _numbers(x, where, image_size)
        if len(x) != len(y):
            raise ValueError(f"x and y must have as many rows as each other; in {where} x has {len(x)}, y {len(y)}.")
        if not len(x):
            raise ValueError(f"{where} is empty: expected at least one row.")
        rows[split] = x
    kinds = {split: "frame" if _is_frame(x) else f"{x.dtype} {x.shape[1:]}" for split, x in rows.items()}
    if len(set(kinds.values())) > 1 and not raw.decode:  # paths of images differ in their length
        raise ValueError(f"The splits of {raw.name!r} must hold rows of one kind; received {kinds}.")
    labels, task, outputs, class_names = _labels({split: y for split, (_, y) in raw.splits.items()}, task, raw)

    train, train_labels = rows["train"], labels["train"]
    groups = train_labels.ravel() if task in ("binary", "multiclass") else np.zeros(len(train))
    for split, index in _cut(groups, shares, seed, raw.name).items():
        rows[split] = train.iloc[index] if _is_frame(train) else train[index]
        labels[split] = train_labels[index]

    encoder, leaks = None, {}
    if _is_frame(train):
        encoder = Encoder(rows["train"])
        rows = {split: encoder.tidy(frame, f"{raw.name!r} ({split})") for split, frame in rows.items()}
    if not raw.decode:
        leaks = _leaks(rows)
    if leaks:
        pairs = [(count, *pair.split("/")) for pair, count in leaks.items()]
        told = "; ".join(f"{count} of the {len(rows[b])} rows of {b} are also in {a}" for count, a, b in pairs)
        warnings.warn(
            f"In {raw.name!r}, {told}. A score on rows that were trained on flatters: drop the copies, "
            "or keep all copies of a row in one split.",
            LeakWarning,
            stacklevel=2,
        )
    if encoder:
        rows = {split: encoder.encode(tidy) for split, tidy in rows.items()}
    return Data(
        name=raw.name,
        task=task,
        outputs=outputs,
        class_names=class_names,
        input_shape=raw.shape or rows["train"].shape[1:],
        batch_size=batch_size,
        seed=seed,
        features=encoder.features if encoder else raw.features,
        leaks=leaks,
        _parts={split: _Rows(rows[split], labels[split], raw.decode) for split in SPLITS if split in rows},
        _encoder=encoder,
    )


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
        part = self._parts.get(split)
        return part and part.batches(self.batch_size, self.seed, shuffle)

    @property
    def sizes(self):
        """Rows in each split: `{"train": 1258, ...}`."""
        return {split: len(part) for split, part in self._parts.items()}

    def batched(self, batch_size):
        """The same data, sharing its memory, in batches of another size."""
        _check_whole("batch_size", batch_size, 1)
        return dataclasses.replace(self, batch_size=batch_size)

    def arrays(self, split):
        """One split as NumPy arrays `(x, y)`, in a fixed order.

        Raises:
            ValueError: for a split that is not there, or one that is read from disk while training.
        """
        if split not in self._parts:
            raise ValueError(f"{self.name!r} has no split {split!r}.{_among(split, self._parts)}")
        part = self._parts[split]
        if isinstance(part, _Stream) or part.decode:
            raise ValueError(f"{self.name!r} is read from disk while training; a larger memory= makes arrays of it.")
        return part.x, part.y

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


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """A split in memory. With `decode`, x holds the paths of images, which are read while training."""

    x: np.ndarray
    y: np.ndarray
    decode: object = None

    def __len__(self):
        return len(self.y)

    @functools.cached_property
    def tensors(self):
        import tensorflow as tf

        with tf.device("CPU"):
            return tf.constant(self.x), tf.constant(self.y)

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        def rows(index):
            row = tf.gather(x, index)
            return (self.decode(row) if self.decode else row), tf.gather(y, index)

        x, y = self.tensors
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Stream:
    """A split that is read from disk: `examples(shuffle, seed)` gives its rows (x, y) one by one."""

    examples: object
    size: int
    buffer: int

    def __len__(self):
        return self.size

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        with tf.device("CPU"):
            data = self.examples(shuffle, seed)
            if shuffle:
                data = data.shuffle(max(batch_size, self.buffer), seed=seed, reshuffle_each_iteration=True)
            return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


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
        for name, dtype in frame.dtypes.items():
            if dtype.kind in "mMc":
                raise ValueError(
                    f"Columns must hold numbers, booleans or categories; column {name!r} is {dtype}. Make numbers of "
                    f"what matters in it (such as frame[{name!r}].dt.hour for a time), or drop it."
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
                raise ValueError(f"Column {name!r} is not in {where}.{_among(name, frame.columns)}")
            column = frame[name]
            if name in self.numeric:
                try:
                    column = pd.to_numeric(column).to_numpy("float64", na_value=np.nan)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"Column {name!r} of {where} must hold numbers: {error}.") from None
                _float32(np.where(np.isnan(column), 0, column), f"Column {name!r} of {where}")
            else:
                column = column.astype(object).where(column.notna(), "missing").astype(str).to_numpy(object)
            columns[name] = column
        return pd.DataFrame(columns)

    def encode(self, tidy):
        """A tidy frame as float32 (rows, features)."""
        blocks = [step.transform(tidy[names].to_numpy()) for names, step in self.steps]
        return np.concatenate(blocks, axis=1, dtype="float32")


# Readers: a source -> its rows and labels


@dataclasses.dataclass(frozen=True)
class _Raw:
    """What a reader gives: `splits` maps a split onto its (x, y), or onto its size where `examples` streams it."""

    name: str
    splits: dict
    class_names: list | None = None
    features: list | None = None
    shape: tuple | None = None
    decode: object = None
    examples: object = None


def _read(source, target, image_size, memory):
    if isinstance(source, str | os.PathLike):
        path = pathlib.Path(source).expanduser()
        if source in EMBEDDED:
            return _embedded(source)
        if path.is_dir():
            return _folder(path, image_size, memory)
        if path.is_file():
            return _file(path, target)
        if {".csv", ".parquet"} & set(path.suffixes) or not re.match(r"\w", str(source)):
            raise FileNotFoundError(f"There is no file or folder {str(source)!r}.")
        return _tfds(str(source), target, image_size, memory)
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, tuple) for part in source):
        source = dict(zip(("train", "test"), source, strict=True))
    if not isinstance(source, dict):
        return _Raw("frame" if _is_frame(source) else "arrays", {"train": _pair(source, target, "the source")})
    for split in source:
        if split not in SPLITS:
            raise ValueError(f"A dict of splits has no {split!r}.{_among(split, SPLITS)}")
    if "train" not in source:
        raise ValueError(f"A dict of splits must have 'train'; received {list(source)}.")
    return _Raw("splits", {split: _pair(source[split], target, repr(split)) for split in SPLITS if split in source})


def _pair(source, target, where):
    if _is_frame(source):
        return _target(source, target, where)
    if not isinstance(source, tuple) or len(source) != 2:
        raise ValueError(f"Expected arrays (x, y) or a pandas frame as {where}; received a {type(source).__name__}.")
    if target is not None:
        raise ValueError(f"target={target!r} names a column of a frame, but {where} holds arrays (x, y).")
    return source


def _target(frame, target, where):
    names = list(target) if isinstance(target, list | tuple) else [target]
    for name in names:
        if name not in frame:
            raise ValueError(
                f"target= must name the column of {where} to predict; received {name!r}.{_among(name, frame.columns)}"
            )
    if len(names) == len(frame.columns):
        raise ValueError(f"Nothing is left to predict from: {where} holds only the target {names}.")
    return frame.drop(columns=names), frame[names[0] if len(names) == 1 else names]


def _embedded(name):
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")(**{"scaled": False} if name == "diabetes" else {})
    if name == "digits":
        return _Raw(name, {"train": (np.round(found.images * 255 / 16).astype("uint8"), found.target)})
    class_names = [str(label) for label in found.target_names] if "target_names" in found else None
    return _Raw(name, {"train": (found.data, found.target)}, class_names, [str(name) for name in found.feature_names])


def _file(path, target):
    import pandas as pd

    if path.suffix != ".parquet" and ".csv" not in path.suffixes:
        raise ValueError(f"Expected a file named .csv (.csv.gz and the like) or .parquet; received {str(path)!r}.")
    try:
        frame = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, na_values="?", skipinitialspace=True)
        )
    except (ValueError, OSError, ImportError) as error:  # such as pandas' parser errors, which do not name the file
        raise ValueError(f"Cannot read {str(path)!r}: {error}") from None
    return _Raw(path.name.split(".")[0], {"train": _target(frame, target, repr(path.name))})


def _folder(root, image_size, memory):
    import tensorflow as tf

    @contextlib.contextmanager
    def naming(file):
        try:
            yield
        except tf.errors.OpError as error:
            raise ValueError(f"Cannot read the image {str(file)!r}: {error.message}") from None

    def folders(path):
        return {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir() and entry.name[0] != "."}

    tops = folders(root)
    if "train" in tops and folders(tops["train"]):
        tops = {"validation" if name == "val" else name: path for name, path in tops.items()}
    else:
        tops = {"train": root}
    splits = {}
    for split in SPLITS:
        if split not in tops:
            continue
        found = [
            (str(file), label)
            for label, folder in folders(tops[split]).items()
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in IMAGES
        ]
        if not found:
            raise ValueError(
                f"Expected a sub-folder of images for each class in {str(tops[split])!r}; "
                f"found no image there ({', '.join(IMAGES)})."
            )
        splits[split] = tuple(np.array(column) for column in zip(*found, strict=True))

    first = splits["train"][0][0]
    with naming(first):
        height, width, channels = tf.io.decode_image(tf.io.read_file(first), expand_animations=False).shape
    shape = (*(image_size or (height, width)), 1 if channels == 1 else 3)
    name = root.resolve().name

    def decode(path):
        image = tf.io.decode_image(tf.io.read_file(path), channels=shape[-1], expand_animations=False)
        return tf.ensure_shape(_resize(image, shape[:2]), shape)

    if sum(len(files) for files, _ in splits.values()) * np.prod(shape) > memory:
        for file in itertools.chain(*(files for files, _ in splits.values())):
            with open(file, "rb") as opened:
                if not opened.read(8).startswith(tuple(IMAGES.values())):
                    raise ValueError(f"Cannot read the image {str(file)!r}: its first bytes are not those of one.")
        return _Raw(name, splits, shape=shape, decode=decode)

    def read(files):
        images = np.empty((len(files), *shape), "uint8")
        decoded = iter(tf.data.Dataset.from_tensor_slices(files).map(decode, tf.data.AUTOTUNE, deterministic=True))
        for row, file in enumerate(files):
            with naming(file):
                images[row] = next(decoded)
        return images

    return _Raw(name, {split: (read(files), labels) for split, (files, labels) in splits.items()})


def _tfds(name, target, image_size, memory):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if re.match(r"\w+:[A-Za-z]", name):
        raise ValueError(f"Expected a set of TFDS itself; {name!r} is another host's, which only the network has.")
    # TFDS reads the variable once, when it is imported; it may have been set since.
    directory = os.environ.get("TFDS_DATA_DIR")
    try:
        builder = tfds.builder(name, data_dir=directory)
    except ValueError:  # an unknown name or configuration, or one that TFDS cannot parse
        known = [*EMBEDDED, *tfds.list_builders(with_community_datasets=False)]
        base, _, config = name.partition("/")
        near = nearest(name, known)
        if config and base in known:
            near = _among(config, tfds.builder_cls(base).builder_configs)
        raise ValueError(f"There is no embedded set, file, folder or TFDS set {name!r}.{near}") from None
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"The TFDS set {name!r} is not prepared: it is not in {builder.data_path}. Set TFDS_DATA_DIR to the folder "
            f"that holds it, or prepare it, which downloads it: `tfds build {name}`, or "
            f"`python -c \"import tensorflow_datasets as tfds; tfds.load('{name}')\"`."
        )
    features = builder.info.features
    sizes = {split: builder.info.splits[split].num_examples for split in SPLITS if split in builder.info.splits}
    if "train" not in sizes:
        raise ValueError(f"Expected a split named 'train' in {name!r}; found {list(builder.info.splits)}.")
    x, y = (builder.info.supervised_keys or (None, None))[:2]
    label = target or y
    if not isinstance(label, str) or label not in features:
        raise ValueError(f"target= must name the label of {name!r}; received {label!r}.{_among(label, features)}")
    class_names = getattr(features[label], "names", None)

    if x is None or isinstance(x, dict):
        columns = [key for key in ([*x.values(), y] if x else features) if key != label]
        if any(features[key].shape != () for key in [*columns, label]):
            raise ValueError(f"Expected an array or a table to predict {label!r} from in {name!r}; found {features}.")
        read = {split: builder.as_dataset(split=split, batch_size=-1) for split in sizes}
        return _Raw(name, {split: _table(rows, columns, label, features) for split, rows in read.items()}, class_names)

    image = isinstance(features[x], tfds.features.Image)
    shape = features[x].shape
    if image and image_size:
        shape = (*image_size, shape[-1])
    if not isinstance(shape, tuple) or shape == () or None in shape:
        hint = " Pass image_size=(height, width)." if image else ""
        raise ValueError(f"Expected rows of one fixed shape in {name!r}; its {x!r} is {features[x]!r}.{hint}")

    def examples(split, shuffle=False, seed=0):
        reading = tfds.ReadConfig(shuffle_seed=seed, try_autocache=False)
        data = builder.as_dataset(split=split, shuffle_files=shuffle, read_config=reading)
        resized = functools.partial(_resize, size=shape[:2]) if image else tf.identity
        return data.map(lambda row: (resized(row[x]), row[label]), tf.data.AUTOTUNE, deterministic=True)

    if sum(sizes.values()) * np.prod(shape) * np.dtype(features[x].np_dtype).itemsize > memory:
        if class_names is None and np.dtype(features[label].np_dtype).kind != "f":
            raise ValueError(f"{name!r} exceeds memory={memory}: its {label!r} must then be a ClassLabel or a float.")
        return _Raw(name, sizes, class_names, shape=shape, examples=examples)
    read = {split: examples(split).batch(size).get_single_element() for split, size in sizes.items()}
    return _Raw(name, {split: (x.numpy(), y.numpy()) for split, (x, y) in read.items()}, class_names)


def _table(rows, columns, label, features):
    """A TFDS table as (frame, labels); class numbers become class names, since they are categories."""
    import pandas as pd

    def column(key):
        values = rows[key].numpy()
        if names := getattr(features[key], "names", None):
            return [names[value] if value >= 0 else None for value in values]
        return [value.decode("utf-8", "replace") for value in values] if values.dtype.kind == "O" else values

    return pd.DataFrame({key: column(key) for key in columns}), rows[label].numpy()


def _streamed(raw, task, shares, batch_size, seed, memory):
    """A TFDS set that stays on disk: what is cut from train is a span of its rows."""
    import tensorflow as tf

    x, y = raw.examples("train").element_spec
    labels = np.arange(len(raw.class_names)) if raw.class_names else np.full((2, *y.shape), 0.5)  # such as there may be
    labels, task, outputs, class_names = _labels({"train": labels}, task, raw)
    kind, form = labels["train"].dtype, labels["train"].shape[1:]
    x_kind = {tf.uint8: tf.uint8}.get(x.dtype, tf.int32 if x.dtype.is_integer else tf.float32)
    spans, start = {split: (split, 0, size) for split, size in raw.splits.items()}, 0
    for split, size in _cut_sizes(raw.splits["train"], shares, raw.name).items():
        spans[split] = ("train", start, start + size)
        start += size
    spans["train"] = ("train", start, raw.splits["train"])

    def part(source, first, last):
        def examples(shuffle, seed):
            data = raw.examples(f"{source}[{first}:{last}]", shuffle, seed)
            return data.map(lambda x, y: (tf.cast(x, x_kind), tf.reshape(tf.cast(y, kind), form)))

        return _Stream(examples, last - first, min(last - first, memory // (4 * int(np.prod(raw.shape)))))

    parts = {split: part(*spans[split]) for split in SPLITS if split in spans}
    return Data(raw.name, task, outputs, class_names, raw.shape, batch_size, seed, None, {}, parts)


# Labels and rows: what models take, or a ValueError


def _labels(splits, task, raw):
    """Labels of all splits -> (labels as the task wants them, task, outputs, class names)."""
    splits = {split: _label_array(y, f"{raw.name!r} ({split})") for split, y in splits.items()}
    shapes = {split: y.shape for split, y in splits.items()}
    if len({shape[1:] for shape in shapes.values()}) > 1:
        raise ValueError(f"The splits of {raw.name!r} must have labels of one shape; received {shapes}.")
    y, names = np.concatenate(list(splits.values())), raw.class_names
    if (
        y.ndim == 2 and task not in ("multilabel", "regression") and _is_flags(y) and (y.sum(axis=1) == 1).all()
    ):  # one-hot
        names, y, task = [str(k) for k in range(y.shape[1])], y.argmax(axis=1), task or "multiclass"
    elif y.dtype.kind == "f" and task != "regression" and (_is_flags(y) or (task and (y == np.floor(y)).all())):
        y = y.astype("int64")  # floats are classes if they are 0 and 1, or on demand

    found, codes = np.arange(len(names)) if names else None, y
    if names is None and y.ndim == 1 and y.dtype.kind in "biuU":
        found, codes = np.unique(y, return_inverse=True)
    count = 0 if found is None else len(found)
    if names and not 0 <= y.min() <= y.max() < count:
        raise ValueError(f"Class numbers must lie in 0..{count - 1} in {raw.name!r}; they lie in {y.min()}..{y.max()}.")
    if task is None and y.ndim == 2:
        task = "multilabel" if _is_flags(y) else "regression"
    elif task is None:
        quantity = y.dtype.kind == "f" or (y.dtype.kind in "iu" and names is None and count > MANY)
        task = "regression" if quantity else "binary" if count == 2 else "multiclass"
    fits = {
        "binary": y.ndim == 1 and count == 2,
        "multiclass": y.ndim == 1 and count >= 2,
        "multilabel": y.ndim == 2 and _is_flags(y),
        "regression": y.dtype.kind in "iuf" and names is None,
    }
    if not fits[task]:
        kind = f"{count} classes" if count else f"{y.dtype} of shape {y.shape}"
        raise ValueError(f"task={task!r} needs {TASKS[task]} as labels; in {raw.name!r} they are {kind}.")

    if task in ("binary", "multiclass"):
        names = names or [str(label) for label in found]
        y = codes.astype("int32") if task == "multiclass" else codes.astype("float32")[:, None]
        outputs = 1 if task == "binary" else count
    else:
        y = y.reshape(len(y), -1).astype("float32")
        outputs = y.shape[1]
        names = [str(k) for k in range(outputs)] if task == "multilabel" else None
    ends = np.cumsum([len(part) for part in splits.values()])[:-1]
    return dict(zip(splits, np.split(y, ends), strict=True)), task, outputs, names


def _label_array(y, where):
    import pandas as pd

    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2):
        raise ValueError(f"Labels must be (rows,) or (rows, outputs); in {where} they are {y.shape}.")
    if y.dtype.kind == "O" and y.ndim == 1:
        y = pd.Series(y).infer_objects().to_numpy()
    missing = pd.isna(y)
    if missing.any():
        first = np.flatnonzero(missing.reshape(len(y), -1).any(axis=1))[:3].tolist()
        raise ValueError(f"{missing.sum()} labels of {len(y)} are missing in {where}, the first in rows {first}.")
    if y.dtype.kind not in "biufOUT":
        raise ValueError(f"Labels must be numbers, booleans or names; in {where} they are {y.dtype}.")
    if y.dtype.kind == "f":
        _float32(y, f"y in {where}")
    return y.astype(str) if y.dtype.kind in "OUT" else y


def _is_flags(y):
    return y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all())


def _numbers(x, where, image_size):
    """x as uint8, int32 or float32, finite; gray images with a channel axis."""
    try:
        x = np.asarray(x)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"x must be an array of numbers; in {where}: {error}") from None
    if x.dtype.kind not in "biuf":
        raise ValueError(f"x must hold numbers; in {where} it is of type {x.dtype}. A frame may hold categories.")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ValueError(f"x must be (rows, ...) with at least one feature per row; in {where} it is {x.shape}.")
    if x.dtype != "uint8":
        limits = np.iinfo("int32")
        fits = x.dtype.kind in "iu" and x.size and limits.min <= x.min() and x.max() <= limits.max
        x = x.astype("int32") if fits else _float32(x, f"x in {where}")
    if x.ndim == 3 and (x.dtype == "uint8" or image_size):
        x = x[..., None]
    if image_size and x.ndim != 4:
        raise ValueError(f"image_size= is for images (rows, height, width, channels); {where} is {x.shape}.")
    if image_size and x.shape[1:3] != tuple(image_size):
        x = np.concatenate([_resize(x[start : start + 256], image_size).numpy() for start in range(0, len(x), 256)])
    return x


def _float32(values, what):
    with np.errstate(over="ignore"):  # what does not fit is infinite, and told
        values = values.astype("float32")
        check_finite(values, what)
    return values


def _resize(images, size):
    import tensorflow as tf

    if tuple(images.shape[-3:-1]) == tuple(size):
        return images
    resized = tf.image.resize(images, size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8) if images.dtype in (tf.uint8, np.uint8) else resized


# Splits


def _cut_sizes(count, shares, name):
    sizes = {split: max(1, round(count * share)) for split, share in shares.items()}
    if sum(sizes.values()) >= count:
        raise ValueError(f"{name!r} is too small to cut {sizes} rows from its {count}: none would be left to train on.")
    return sizes


def _cut(groups, shares, seed, name):
    """The rows of each split that is cut from train, and of what is left of train; nothing to cut, nothing given."""
    sizes = _cut_sizes(len(groups), shares, name)
    if not sizes:
        return {}
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


def _leaks(rows):
    """How many rows of the later split of each pair also occur in the earlier one."""
    import pandas as pd

    def keys(x):
        if _is_frame(x):
            return pd.util.hash_pandas_object(x, index=False).to_numpy()
        return np.fromiter((hash(row.tobytes()) for row in x), "int64", len(x))

    found = {split: keys(rows[split]) for split in SPLITS if split in rows}
    counts = {f"{a}/{b}": int(np.isin(found[b], found[a]).sum()) for a, b in itertools.combinations(found, 2)}
    return {pair: count for pair, count in counts.items() if count}


# Arguments


def _is_frame(x):
    return hasattr(x, "iloc") and hasattr(x, "columns")


def _among(word, known):
    known = [str(name) for name in known]
    return f"{nearest(word, known)} There are {', '.join(known[:40])}{', ...' if len(known) > 40 else ''}."


def _check_arguments(task, validation, test, batch_size, image_size, seed):
    if task is not None and task not in TASKS:
        raise ValueError(f"There is no task {task!r}.{_among(task, TASKS)}")
    for name, share in (("validation", validation), ("test", test)):
        if not isinstance(share, numbers.Real) or not 0 <= share < 1:
            raise ValueError(f"{name}= must be a share of the rows, 0 <= {name} < 1; received {share!r}.")
    if validation + test >= 1:
        raise ValueError(f"validation={validation} and test={test} must sum to less than 1: train is the rest.")
    _check_whole("batch_size", batch_size, 1)
    _check_whole("seed", seed, 0)
    if image_size is not None:
        if not isinstance(image_size, tuple | list) or len(image_size) != 2:
            raise ValueError(f"image_size= must be (height, width); received {image_size!r}.")
        for size in image_size:
            _check_whole("image_size", size, 1)


def _check_whole(name, value, least):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}= must be a whole number of at least {least}; received {value!r}.")
