"""Files that are whole or not there: saving a model, JSON or text, and keeping the best model on disk."""

import contextlib
import json
import math
import os
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path

import keras
import numpy as np

from .monitor import Best


def save_model(model: keras.Model, path: str | os.PathLike) -> Path:
    """Writes `model` to a `.keras` file that is either complete or not there.

    The file is written beside `path` and renamed, so a failure or a kill leaves an earlier file at `path` untouched.

    Args:
        model: Any Keras model.
        path: Ends in `.keras`; parent folders are created.

    Returns:
        The path written.

    Raises:
        ValueError: `path` doesn't end in `.keras`.
        OSError: The file could not be written (no space, read-only, ...); the message says what is on disk now.
    """
    path = _keras_path(path)
    with _replacing(path, "the model") as unfinished:
        model.save(unfinished)
    return path


def save_json(value, path: str | os.PathLike) -> Path:
    """Writes `value` as strict, indented JSON, atomically.

    NumPy numbers and arrays are written as plain numbers and lists; NaN and infinities, which JSON doesn't have, as the
    strings "NaN", "Infinity" and "-Infinity" (`float()` reads them back).

    Raises:
        TypeError: `value` holds something that JSON cannot hold.
        OSError: The file could not be written; an earlier one is untouched.
    """
    return write_text(json.dumps(strict(value), indent=2, allow_nan=False) + "\n", path)


def write_text(text: str, path: str | os.PathLike) -> Path:
    """Writes `text` (UTF-8) atomically: the file at `path` is the old one or the new one, never half of one.

    Raises:
        OSError: The file could not be written; an earlier one is untouched.
    """
    path = Path(path)
    with _replacing(path, "text") as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def strict(value):
    """`value` with NumPy types made plain and NaN or infinite numbers made strings, as strict JSON needs."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return strict(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class BestModel(keras.callbacks.Callback):
    """Keeps the best model so far in one `.keras` file, which is complete at every moment.

    A write that fails in the middle of training (a full disk) is warned of, and training goes on: the last good file
    stays, the best weights are kept in memory and written as soon as there is space, at the latest at the end. They are
    then written with the optimizer's state of that later moment.

    A second `fit` of the same model goes on from the best so far; with another model it starts afresh. One file belongs
    to one run: what a killed run left unfinished beside `path` is removed when training begins.

    Args:
        path: The file, ending in `.keras`.
        monitor: The log to watch.
        mode: `"min"`, `"max"`, or `"auto"` to read the direction from the name.

    Attributes:
        path: The file as a `pathlib.Path`.
        best: The best value, None before the first.
        best_epoch: Its epoch, 0-based as Keras counts.

    Raises:
        ValueError: `path` doesn't end in `.keras`, or the direction is unknown.
        OSError: When training begins: the folder cannot be written, or has no room for three times the model.
    """

    def __init__(self, path: str | os.PathLike, monitor: str = "val_loss", mode: str = "auto"):
        super().__init__()
        self.path = _keras_path(path)
        self.monitor, self.mode = monitor, mode
        self._best = Best(monitor, mode)
        self._seen_model = None
        self._unsaved = None  # the best weights, held only while they could not be written

    @property
    def best(self) -> float | None:
        return self._best.value

    @property
    def best_epoch(self) -> int | None:
        return self._best.epoch

    def on_train_begin(self, logs=None):
        if self._seen_model is None or self._seen_model() is not self.model:
            self._seen_model = weakref.ref(self.model)
            self._best, self._unsaved = Best(self.monitor, self.mode), None
        _check_room(self.model, self.path)
        remove_unfinished(self.path.parent, _unfinished(self.path, "*").name)

    def on_epoch_end(self, epoch, logs=None):
        if self._best.update(epoch, logs):
            self._unsaved = None
            try:
                save_model(self.model, self.path)
            except OSError as error:
                self._unsaved = self.model.get_weights()
                warnings.warn(f"epoch {epoch + 1}: {error}. Training goes on.", RuntimeWarning, stacklevel=2)
        elif self._unsaved is not None:
            with contextlib.suppress(OSError):  # it was warned of when it failed first
                self._save_kept()

    def on_train_end(self, logs=None):
        if self._unsaved is not None:
            try:
                self._save_kept()
            except OSError as error:
                message = f"THE BEST MODEL (epoch {self.best_epoch + 1}) IS NOT ON DISK: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)

    def get_state(self):
        """The best so far, and its weights while they could not be written."""
        return {"best": self.best, "best_epoch": self.best_epoch, "unsaved": self._unsaved}

    def set_state(self, state):
        self._best.value, self._best.epoch = state["best"], state["best_epoch"]
        self._unsaved = state["unsaved"]

    def _save_kept(self):
        current = self.model.get_weights()
        self.model.set_weights(self._unsaved)
        try:
            save_model(self.model, self.path)
            self._unsaved = None
        finally:
            self.model.set_weights(current)


def _keras_path(path) -> Path:
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"a model's path must end in .keras, got {str(path)!r}")
    return path


def _unfinished(path: Path, process) -> Path:
    # Keras looks at the suffix, so it stays; the process keeps two writers apart.
    return path.with_name(f".{path.stem}.unfinished-{process}{path.suffix}")


def remove_unfinished(folder: Path, pattern: str = _unfinished(Path("*"), "*").name):
    """Removes what a killed process has left unfinished: of one file, or of all in `folder`, to which nobody writes."""
    for leftover in folder.glob(pattern):
        with contextlib.suppress(OSError):
            leftover.unlink()


@contextlib.contextmanager
def _replacing(path: Path, what: str):
    """Yields a path to write to, beside `path`; moves it onto `path` when the block has succeeded."""
    unfinished = _unfinished(path, os.getpid())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        message = f"could not write {what} to {path}: {error.strerror or error} ({_on_disk(path)})"
        raise (OSError(error.errno, message) if error.errno else OSError(message)) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _on_disk(path: Path) -> str:
    earlier = "the earlier file there is untouched" if path.exists() else "there is no earlier file there"
    try:
        return f"{earlier}; {shutil.disk_usage(path.parent).free:,} bytes free"
    except OSError:
        return earlier


def _check_writable(folder: Path, what: str):
    """Makes the folder; an `OSError` that says so if nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, f"cannot save {what} in {folder}: {error.strerror}") from error


def _check_room(model, path: Path):
    _check_writable(path.parent, "models")
    # The old file, the new one beside it, and as much again for logs.
    needed, free = 3 * _saved_bytes(model), shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(
            f"too little space to save the model in {path.parent}: {free:,} bytes free, "
            f"{needed:,} needed (three times the model's size)"
        )


def _saved_bytes(model) -> int:
    def size(variables):
        return sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables)

    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or optimizer.built:
        return size(model.variables) + size(optimizer.variables if optimizer else ())
    return size(model.variables) + 2 * size(model.trainable_variables)  # Adam's two moments
