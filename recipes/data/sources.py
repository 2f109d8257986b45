"""Sources: rows and labels out of a name, a file, a folder, a frame or arrays."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import re

import numpy as np

from .._kinds import among, nearest
from .encoding import is_frame, is_text, resize
from .splits import SPLITS

EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
IMAGES = {".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".png": b"\x89PNG", ".gif": b"GIF8", ".bmp": b"BM"}


@dataclasses.dataclass(frozen=True)
class Source:
    """What was read: `splits` maps each split onto its (x, y), or onto its size where `stream` reads it from disk."""

    name: str
    splits: dict
    class_names: list | None = None
    features: list | None = None
    shape: tuple | None = None
    decode: object = None  # the path of an image -> the image
    stream: object = None  # split, shuffle, seed -> its rows one by one


def read(source, target, text, image_size, memory):
    if isinstance(source, str | os.PathLike):
        path = pathlib.Path(source).expanduser()
        if text is not None and (source in EMBEDDED or path.is_dir()):
            raise ValueError(f"text={text!r} names the texts of a frame, a CSV file or a TFDS set; {source!r} is none.")
        if source in EMBEDDED:
            return read_embedded(source)
        if path.is_dir():
            return read_folder(path, image_size, memory)
        if path.is_file():
            return read_csv(path, target, text)
        if ".csv" in path.suffixes or not re.match(r"\w", str(source)):
            raise FileNotFoundError(f"There is no file or folder {str(source)!r}.")
        return read_tfds(str(source), target, text, image_size, memory)
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, tuple) for part in source):
        source = dict(zip(("train", "test"), source, strict=True))
    if not isinstance(source, dict):
        return Source(
            "frame" if is_frame(source) else "arrays", {"train": read_pair(source, target, text, "the source")}
        )
    for split in source:
        if split not in SPLITS:
            raise ValueError(f"A dict of splits has no {split!r}.{among(split, SPLITS)}")
    if "train" not in source:
        raise ValueError(f"A dict of splits must have 'train'; received {list(source)}.")
    return Source("splits", {split: read_pair(part, target, text, repr(split)) for split, part in source.items()})


def read_pair(source, target, text, where):
    if is_frame(source):
        source = split_target(source, target, where)
    elif not isinstance(source, tuple) or len(source) != 2:
        raise ValueError(f"Expected arrays (x, y) or a pandas frame as {where}; received a {type(source).__name__}.")
    elif target is not None:
        raise ValueError(f"target={target!r} names a column of a frame, but {where} holds arrays (x, y).")
    return source if text is None else (text_column(source[0], text, where), source[1])


def text_column(x, text, where):
    if not is_frame(x):
        raise ValueError(f"text={text!r} names a column of a frame, but {where} holds arrays (x, y).")
    if text not in x:
        raise ValueError(
            f"text= must name the column of {where} with texts; received {text!r}.{among(text, x.columns)}"
        )
    if not is_text(np.asarray(x[text])):
        raise ValueError(f"text= must name a column of texts; {text!r} of {where} is {x[text].dtype}.")
    return x[text]


def split_target(frame, target, where):
    """A frame as (the columns to predict from, the columns to predict)."""
    names = list(target) if isinstance(target, list | tuple) else [target]
    for name in names:
        if name not in frame:
            raise ValueError(
                f"target= must name the column of {where} to predict; received {name!r}.{among(name, frame.columns)}"
            )
    if len(names) == len(frame.columns):
        raise ValueError(f"Nothing is left to predict from: {where} holds only the target {names}.")
    return frame.drop(columns=names), frame[names]


def read_embedded(name):
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")(**{"scaled": False} if name == "diabetes" else {})
    if name == "digits":
        return Source(name, {"train": (np.round(found.images * 255 / 16).astype("uint8"), found.target)})
    class_names = [str(label) for label in found.target_names] if "target_names" in found else None
    return Source(name, {"train": (found.data, found.target)}, class_names, [str(name) for name in found.feature_names])


def read_frame(path, text=None):
    """A CSV file as a frame; in its column of texts, `NA` and the like are words."""
    import pandas as pd

    if ".csv" not in path.suffixes:
        raise ValueError(f"Expected a file named .csv (.csv.gz and the like); received {str(path)!r}.")
    try:
        frame = pd.read_csv(path, na_values="?", skipinitialspace=True)
        if text in frame:
            words = pd.read_csv(path, usecols=[text], dtype=str, na_filter=False, skipinitialspace=True)
            frame[text] = words[text].to_numpy(object)
    except (ValueError, OSError) as error:  # such as pandas' parser errors, which do not name the file
        raise ValueError(f"Cannot read {str(path)!r}: {error}") from None
    return frame


def read_csv(path, target, text):
    pair = read_pair(read_frame(path, text), target, text, repr(path.name))
    return Source(path.name.split(".")[0], {"train": pair})


@contextlib.contextmanager
def naming(file):
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(f"Cannot read the image {str(file)!r}: {error.message}") from None


def folders(path):
    return {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir() and entry.name[0] != "."}


def labelled_images(path):
    """The paths of all images in the sub-folders of a folder, and their labels."""
    found = [
        (str(file), label)
        for label, folder in folders(path).items()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in IMAGES
    ]
    if not found:
        raise ValueError(
            f"Expected a sub-folder of images for each class in {str(path)!r}; "
            f"found no image there ({', '.join(IMAGES)})."
        )
    return tuple(np.array(column) for column in zip(*found, strict=True))


def read_folder(root, image_size, memory):
    import tensorflow as tf

    tops = {"validation" if name == "val" else name: path for name, path in folders(root).items()}
    if "train" not in tops or not folders(tops["train"]):
        tops = {"train": root}
    splits = {split: labelled_images(tops[split]) for split in SPLITS if split in tops}
    files = list(itertools.chain(*(paths for paths, _ in splits.values())))
    with naming(files[0]):
        height, width, channels = tf.io.decode_image(tf.io.read_file(files[0]), expand_animations=False).shape
    shape = (*(image_size or (height, width)), 1 if channels == 1 else 3)
    name = root.resolve().name

    def decode(path):
        image = tf.io.decode_image(tf.io.read_file(path), channels=shape[-1], expand_animations=False)
        return tf.ensure_shape(resize(image, shape[:2]), shape)

    def read_images(paths):
        images = np.empty((len(paths), *shape), "uint8")
        decoded = iter(tf.data.Dataset.from_tensor_slices(paths).map(decode, tf.data.AUTOTUNE, deterministic=True))
        for row, file in enumerate(paths):
            with naming(file):
                images[row] = next(decoded)
        return images

    if len(files) * np.prod(shape) <= memory:
        return Source(name, {split: (read_images(paths), labels) for split, (paths, labels) in splits.items()})
    for file in files:
        with open(file, "rb") as opened:
            if not opened.read(8).startswith(tuple(IMAGES.values())):
                raise ValueError(f"Cannot read the image {str(file)!r}: its first bytes are not those of one.")
    return Source(name, splits, shape=shape, decode=decode)


def tfds_builder(name):
    """The builder of a TFDS set that is prepared on this machine."""
    import tensorflow_datasets as tfds

    if re.match(r"\w+:[A-Za-z]", name):
        raise ValueError(f"Expected a set of TFDS itself; {name!r} is another host's, which only the network has.")
    try:
        # TFDS reads the variable once, when it is imported; it may have been set since.
        builder = tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except ValueError:  # an unknown name or configuration, or one that TFDS cannot parse
        known = [*EMBEDDED, *tfds.list_builders(with_community_datasets=False)]
        base, _, config = name.partition("/")
        near = nearest(name, known)
        if config and base in known:
            near = among(config, tfds.builder_cls(base).builder_configs)
        raise ValueError(f"There is no embedded set, file, folder or TFDS set {name!r}.{near}") from None
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"The TFDS set {name!r} is not prepared: it is not in {builder.data_path}. Set TFDS_DATA_DIR to the folder "
            f"that holds it, or prepare it, which downloads it: `tfds build {name}`, or "
            f"`python -c \"import tensorflow_datasets as tfds; tfds.load('{name}')\"`."
        )
    return builder


def read_tfds(name, target, text, image_size, memory):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = tfds_builder(name)
    features = builder.info.features
    sizes = {split: builder.info.splits[split].num_examples for split in SPLITS if split in builder.info.splits}
    if "train" not in sizes:
        raise ValueError(f"Expected a split named 'train' in {name!r}; found {list(builder.info.splits)}.")
    x, y = (builder.info.supervised_keys or (None, None))[:2]
    label = target or y
    if not isinstance(label, str) or label not in features:
        raise ValueError(f"target= must name the label of {name!r}; received {label!r}.{among(label, features)}")
    class_names = getattr(features[label], "names", None)
    texts = [key for key, feature in features.items() if feature.shape == () and feature.np_dtype in (object, str)]
    if text is not None and (text not in texts or text == label):
        raise ValueError(f"text= must name a text of {name!r}; received {text!r}.{among(text, texts)}")

    x = text or x
    if isinstance(x, str) and x in texts:
        tables = {split: builder.as_dataset(split=split, batch_size=-1) for split in sizes}
        return Source(name, {split: (t[x].numpy(), t[label].numpy()) for split, t in tables.items()}, class_names)
    if x is None or isinstance(x, dict):
        columns = [key for key in ([*x.values(), y] if x else features) if key != label]
        if any(features[key].shape != () for key in [*columns, label]):
            raise ValueError(f"Expected an array or a table to predict {label!r} from in {name!r}; found {features}.")
        tables = {split: builder.as_dataset(split=split, batch_size=-1) for split in sizes}
        pairs = {split: (tfds_frame(rows, columns, features), rows[label].numpy()) for split, rows in tables.items()}
        return Source(name, pairs, class_names)

    image = isinstance(features[x], tfds.features.Image)
    shape = features[x].shape
    if image and image_size:
        shape = (*image_size, shape[-1])
    if not isinstance(shape, tuple) or shape == () or None in shape:
        hint = " Pass image_size=(height, width)." if image else ""
        raise ValueError(f"Expected rows of one fixed shape in {name!r}; its {x!r} is {features[x]!r}.{hint}")

    def stream(split, shuffle=False, seed=0):
        def pair(row):
            return resize(row[x], shape[:2]) if image else row[x], row[label]

        reading = tfds.ReadConfig(shuffle_seed=seed, try_autocache=False)
        data = builder.as_dataset(split=split, shuffle_files=shuffle, read_config=reading)
        return data.map(pair, tf.data.AUTOTUNE, deterministic=True)

    if sum(sizes.values()) * np.prod(shape) * np.dtype(features[x].np_dtype).itemsize > memory:
        if class_names is None and np.dtype(features[label].np_dtype).kind != "f":
            raise ValueError(f"{name!r} exceeds memory={memory}: its {label!r} must then be a ClassLabel or a float.")
        return Source(name, sizes, class_names, shape=shape, stream=stream)
    arrays = {split: stream(split).batch(size).get_single_element() for split, size in sizes.items()}
    return Source(name, {split: (x.numpy(), y.numpy()) for split, (x, y) in arrays.items()}, class_names)


def tfds_frame(rows, columns, features):
    """Columns of a TFDS table as a frame; class numbers become class names, since they are categories."""
    import pandas as pd

    def column(key):
        values = rows[key].numpy()
        if names := getattr(features[key], "names", None):
            return [names[value] if value >= 0 else None for value in values]
        return [value.decode("utf-8", "replace") for value in values] if values.dtype.kind == "O" else values

    return pd.DataFrame({key: column(key) for key in columns})
