"""Saving a model, and loading one that has been checked first."""

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import keras

from .._contract import seeded, version
from .archive import check_content, check_file, check_place, digest_of
from .refusal import RefusedFile, printable


def save(model, path):
    """Saves a model, with the record of its recipe, to a `.keras` file that is whole or not there.

    The file is written beside `path` and renamed, so that a failed or killed write leaves an earlier file as it was.
    Then it is read again and checked as `recipes.load` does; what `load` would refuse, such as a `Lambda` layer, is
    warned of.

    Args:
        model: any Keras model.
        path: ends in `.keras`; folders are created.

    Returns:
        The SHA-256 digest of the file, 64 hexadecimal digits, by which `recipes.load` tells whether it is the same.

    Raises:
        ValueError: `path` does not end in `.keras`.
        OSError: the file could not be written, or not read again.
    """
    from keras_cookbook import callbacks

    path = callbacks.save_model(model, path)
    try:
        return check_file(path, allow=registered()).sha256
    except RefusedFile as error:
        warnings.warn(f"The model is saved, and recipes.load will not load it: {error}", stacklevel=2)
        return digest_of(path)


def load(path, sha256=None, *, allow=(), compile=True):
    """Loads a model from a `.keras` file, after a check that opening it can do no harm.

    The check comes before Keras sees the file: it refuses Python code in it, classes and functions that are not parts
    of a model, paths and links to other files, and sizes that would fill the memory, also in the weights. Keras is
    given a copy that no one else can change, in its safe mode. What is left is trust in Keras itself, and in the HDF5
    library that reads the weights.

    Args:
        path: the file.
        sha256: the digest that it must have, as `recipes.save` returned it; None takes any.
        allow: the names of modules whose classes and functions the model may use besides those of keras, keras_hub and
            keras_cookbook, such as ("my_layers",). They are imported.
        compile: whether the model is compiled as it was when it was saved.

    Returns:
        The Keras model. A model that a recipe made knows its record, `model.recipe`, and goes on from its seed: fitted
        further, it draws the same dropout each time it is loaded.

    Raises:
        RefusedFile: the file is not safe or not whole; a `ValueError` whose `reason` says why in a word or two.
        ValueError: Keras cannot load it, though it is safe; or `sha256` is no digest.
        ImportError: a module of `allow` cannot be imported.
        OSError: the file cannot be read, or there is no room for the copy.
    """
    path = check_place(path)
    with tempfile.TemporaryDirectory(prefix="keras_cookbook_") as folder:
        copy = Path(folder, "model.keras")
        shutil.copyfile(path, copy)
        found = check_content(copy, path, sha256, allow)
        try:
            with seeded(seed_of(found)):
                model = keras.saving.load_model(copy, found.custom_objects, compile=compile, safe_mode=True)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            # Keras raises errors of all types on a configuration that does not fit together.
            told = printable(str(error).replace(str(copy), str(path)))
            raise ValueError(f"{path} is safe, but Keras cannot load it: {type(error).__name__}: {told}") from error
    for name, there, here in versions(found):
        if newer(there, here):
            warnings.warn(f"{path} was saved by {name} {there}, which is newer than {here} here.", stacklevel=2)
    return model


def registered():
    """The modules of all classes and functions that are registered with Keras in this process: what to `allow` for a
    file that the same program has written."""
    modules = {getattr(thing, "__module__", None) for thing in keras.saving.get_custom_objects().values()}
    return tuple(sorted(name for name in modules - {None, "builtins"} if name in sys.modules))


def seed_of(found):
    """The seed of the recipe whose model this is; one drawn at random where there is none."""
    seed = (found.recipe or {}).get("seed")
    return seed if isinstance(seed, int) else None


def versions(found):
    """Each package that a model file names, its version there, and here."""
    record = (found.recipe or {}).get("versions")
    saved = record.get("keras_cookbook") if isinstance(record, dict) else None
    return ("keras_cookbook", saved, version()), ("keras", found.keras, keras.__version__)


def newer(there, here):
    from packaging.version import InvalidVersion, Version

    try:
        return Version(there) > Version(here)
    except (InvalidVersion, TypeError):
        return False
