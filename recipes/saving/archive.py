"""What a `.keras` file is, found out without Keras: a zip archive of a configuration, weights and assets.

Nothing in the file is run, imported or followed. Each class of hole in loading that was published for Keras 3 is
refused here by a rule of its own, also where the installed Keras has closed it.
"""

import errno
import hashlib
import io
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from .._kinds import nearest
from .config import parse, read_config
from .refusal import RefusedFile
from .weights import check_weights

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
#: What layers keep beside their weights: vocabularies.
ASSETS = (".txt", ".json", ".spm")
#: First bytes -> what such a file is, and what to say of it.
OTHERS = {
    b"\x89HDF": ("HDF5", "it is an HDF5 file, as Keras 2 wrote them: code in those runs in spite of the safe mode"),
    b"\x80\x02": ("pickle", "it is a pickle, and reading one runs what it says"),
    b"\x80\x03": ("pickle", "it is a pickle, and reading one runs what it says"),
    b"\x80\x04": ("pickle", "it is a pickle, and reading one runs what it says"),
    b"\x80\x05": ("pickle", "it is a pickle, and reading one runs what it says"),
    b"\x08\x01\x12": ("SavedModel", "it is a TensorFlow SavedModel, a program that can do more than compute"),
}
MOST_MEMBERS = 10_000
#: Keras stores its members as they are, and whoever packs weights again saves little.
MOST_EXPANSION = 100
#: Smaller members may unpack to any multiple of their size.
NO_BOMB = 1 << 20
#: What the zip module raises on bytes that are no archive, besides a ValueError.
DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, struct.error, RuntimeError)


@dataclass(frozen=True)
class ModelFile:
    """What a model file says of itself; `check_file` gives it.

    path: the file.
    size: in bytes.
    sha256: its digest, 64 hexadecimal digits.
    keras: the version of Keras that wrote it.
    saved: when, as Keras notes it: "2026-11-24@20:45:00".
    recipe: the record of the call that made the model (see `model.recipe`), or None.
    classes: the names of the classes and functions that it is put together from.
    numbers: how many numbers it holds, the optimizer's among them.
    custom_objects: those of `classes` that are not registered with Keras, by name.
    """

    path: Path
    size: int
    sha256: str
    keras: str | None
    saved: str | None
    recipe: dict | None
    classes: tuple
    numbers: int
    custom_objects: dict

    def to_dict(self):
        """The same as plain values."""
        return {key: value for key, value in vars(self).items() if key != "custom_objects"} | {
            "path": str(self.path),
            "classes": list(self.classes),
        }


def check_file(path, sha256=None, *, allow=()):
    """Looks whether a `.keras` file can be loaded without harm. Nothing of it is loaded.

    Args:
        path: the file.
        sha256: the digest that it must have, as `recipes.save` returned it; None takes any.
        allow: the names of modules besides keras, keras_hub and keras_cookbook whose classes and functions it may use.
            They are imported. "my_layers" also allows "my_layers.attention".

    Returns:
        A `ModelFile`.

    Raises:
        RefusedFile: the file is not safe or not whole; `reason` says why in a word or two.
        ValueError: `sha256` is no digest.
        ImportError: a module of `allow` cannot be imported.
        OSError: the file cannot be read.
    """
    path = check_place(path)
    return check_content(path, path, sha256, allow)


def check_place(path):
    """The path of a file on this machine that begins like a zip archive."""
    if "://" in str(path):
        raise RefusedFile("remote path", "it is not on this machine; download it and give sha256=", path)
    path = Path(path)
    if path.is_dir():
        kind = "SavedModel" if (path / "saved_model.pb").exists() else "folder"
        raise RefusedFile(kind, "a model is loaded from one .keras file, not from a folder", path)
    if not path.is_file():
        if not path.exists():
            others = [file.name for file in path.parent.glob("*.keras")] if path.parent.is_dir() else []
            raise FileNotFoundError(errno.ENOENT, f"there is no model file.{nearest(path.name, others)}", str(path))
        raise RefusedFile("no regular file", "it is a pipe or a device", path)
    with open(path, "rb") as file:
        head = file.read(4)
    for start, (kind, what) in OTHERS.items():
        if head.startswith(start):
            raise RefusedFile(kind, f"{what}. Load it where it comes from, and save it as .keras there", path)
    if path.suffix != ".keras":
        raise RefusedFile("suffix", "the name of a model file ends in .keras", path)
    if head != b"PK\3\4":
        what = "it is empty" if not head else "it does not begin as a zip archive does"
        raise RefusedFile("no zip archive", what, path)
    return path


def check_content(path, told, sha256=None, allow=()):
    """`check_file` of a file at `path` that errors call `told`."""
    try:
        size, digest = path.stat().st_size, digest_of(path)
        if sha256 is not None:
            check_digest(digest, sha256)
        text, metadata, weights = unpack(path, size)
        config, metadata = parse(text, CONFIG), parse(metadata, METADATA)
        found = read_config(config, allow)
        numbers = check_weights(io.BytesIO(weights))
        found.check_sizes(numbers)
    except RefusedFile as error:
        error.path = told
        raise
    inner = config.get("config")
    recipe = inner.get("recipe") if isinstance(inner, dict) else None
    return ModelFile(
        path=told,
        size=size,
        sha256=digest,
        keras=metadata.get("keras_version"),
        saved=metadata.get("date_saved"),
        recipe=recipe if recipe and isinstance(recipe, dict) else None,
        classes=tuple(sorted(found.classes)),
        numbers=numbers,
        custom_objects=found.custom_objects,
    )


def unpack(path, size):
    """The configuration, the metadata and the weights of an archive that is whole."""
    names = CONFIG, METADATA, WEIGHTS
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), size)
            for info in archive.infolist():
                if info.filename not in names:
                    drain(archive, info)
            return [archive.read(name) for name in names]
    except RefusedFile:
        raise
    except (*DAMAGE, ValueError, OSError) as error:
        # A place in the file that cannot be is an OSError too.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise RefusedFile("damaged", f"the archive is not whole: {error}") from None


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(digest, wanted):
    wanted = str(wanted).strip().lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, not {wanted!r}.")
    if digest != wanted:
        raise RefusedFile("sha256", f"its digest is {digest}, not {wanted}: it is not the file that was meant")


def check_members(infos, size):
    """Names, kinds and sizes of what an archive of `size` bytes holds, before any of it is unpacked."""
    if len(infos) > MOST_MEMBERS:
        raise RefusedFile("too many members", f"the archive holds {len(infos):,}, more than {MOST_MEMBERS:,}")
    seen = set()
    for info in infos:
        check_name(info.orig_filename)
        name = info.filename
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RefusedFile("link", f"{name!r} is a symbolic link or a device, not a file")
        if info.flag_bits & 0x2041:  # encrypted; strongly encrypted; with its header hidden
            raise RefusedFile("encrypted", f"{name!r} is encrypted, so that it cannot be looked at")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedFile("compression", f"{name!r} is packed by method {info.compress_type}, not as Keras does")
        if name.casefold() in seen:
            raise RefusedFile("duplicate member", f"the archive holds {name!r} twice: which one counts?")
        seen.add(name.casefold())
        check_known(info)
        if info.file_size > max(NO_BOMB, MOST_EXPANSION * info.compress_size):
            told = f"{name!r} is {info.compress_size:,} bytes and would unpack to {info.file_size:,}"
            raise RefusedFile("zip bomb", told)
    for name in (METADATA, CONFIG, WEIGHTS):
        if name not in seen:
            raise RefusedFile("missing member", f"the archive holds no {name}, so it is no model")
    if sum(info.compress_size for info in infos) > size:
        raise RefusedFile("zip bomb", "members share their bytes: together they are larger than the archive")


def check_name(name):
    parts = name.removesuffix("/").split("/")
    if "\\" in name or ":" in name or "\0" in name or not {"", ".", ".."}.isdisjoint(parts):
        raise RefusedFile("path", f"the member {name!r} could be written outside the folder it is unpacked to")


def check_known(info):
    name = info.filename
    if name in (METADATA, CONFIG, WEIGHTS) or (info.is_dir() and name.startswith("assets/")):
        return
    if not name.startswith("assets/"):
        raise RefusedFile("unknown member", f"the archive holds {name!r}, which no .keras file has")
    if not name.endswith(ASSETS):
        raise RefusedFile("asset", f"{name!r} is none of {', '.join(ASSETS)}, as vocabularies are")


def drain(archive, info):
    """Reads a member to its end, where zipfile compares its checksum."""
    with archive.open(info) as member:
        while member.read(1 << 20):
            pass
