"""Where an export is put: whole, or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


def check_path(path, name):
    """Refuses to replace what is no earlier export."""
    if name != "saved_model":
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the path of a file.")
    elif path.exists() and not (path / "saved_model.pb").exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} exists and is no SavedModel, so that it is not replaced; give another path.")


@contextlib.contextmanager
def beside(path):
    """Yields a folder beside `path` to write in; when the block has succeeded, moves what is in it to where `path` is.

    What was there before is replaced then, and untouched otherwise. Between the removal of an old SavedModel and the
    new one lies the moment of renaming a folder.
    """
    folder = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.unfinished-", dir=path.parent))
        yield folder
        for new in sorted(folder.iterdir(), key=lambda new: new.name == path.name):  # the export itself comes last
            sync(new)
            replace(new, path.with_name(new.name), folder / ".replaced")
    except OSError as error:
        there = "what was there is untouched" if path.exists() else "nothing is there"
        message = f"could not write the export to {path}: {error.strerror or error} ({there})"
        raise (OSError(error.errno, message) if error.errno else OSError(message)) from error
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def sync(path):
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb+") as opened:
                os.fsync(opened.fileno())


def replace(new, place, aside):
    """Moves a file or folder to its place; a folder that is there already is moved aside first, and back on failure."""
    if not place.is_dir():
        os.replace(new, place)
        return
    os.rename(place, aside)
    try:
        os.rename(new, place)
    except OSError:
        os.rename(aside, place)
        raise


def bytes_of(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
