"""A smoke run: everything a training does, once and briefly, before hours are spent on it."""

import contextlib
import copy
import inspect
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import callbacks as kc

from ..resume import Resume
from .restored import check_model, restored
from .rows import check_count, read

#: Attributes of callbacks with such words in their names are places to write to.
_PLACES = ("path", "folder", "dir", "filename")
#: What continues another training, or tells another machine, takes no part.
_ABSENT = (Resume, kc.BackupAndRestore, kc.RemoteMonitor)
_FIT = inspect.signature(keras.Model.fit)


@dataclass(frozen=True)
class Tried:
    """A stage of a smoke run.

    Attributes:
        stage: What was tried.
        seconds: How long it took, with compiling.
        note: What there is to say about it.
    """

    stage: str
    seconds: float
    note: str = ""

    def __str__(self):
        return f"{self.stage}: {self.seconds:.1f} s" + (f" ({self.note})" if self.note else "")


def smoke_run(
    model: keras.Model, x, y=None, *, steps: int = 2, validation_data=None, callbacks=(), **fitting
) -> list[Tried]:
    """Tries everything a training does: predictions, validation, a few steps, saving and loading.

    Afterwards the model, its optimizer and the random generators are as they were, to the last bit. Callbacks take part
    as deep copies, of which the attributes that name files and folders point into a temporary folder; the functions of
    a LambdaCallback and objects outside Python cannot be copied, and act as ever. `Resume`, BackupAndRestore and
    RemoteMonitor take no part.

    Args:
        model: A compiled model with weights.
        x: Whatever `fit` takes, but for what can be read only once.
        y: Labels, where `x` is inputs.
        steps: Batches to train on.
        validation_data: As for `fit`; one batch of it is used.
        callbacks: Those that `fit` will be given.
        fitting: Other arguments of `fit`, such as `batch_size`.

    Returns:
        What was tried, in order, with the seconds each took.

    Raises:
        ValueError: A model without weights or not compiled, an argument that is not one of `fit`.
        RuntimeError: A stage failed; the message names it, and its error is the cause.
    """
    check_model(model)
    check_count("steps", steps)
    for name in fitting:
        if name not in _FIT.parameters or name in ("epochs", "initial_epoch", "steps_per_epoch", "validation_steps"):
            raise ValueError(f"{name} must be an argument of fit that a smoke run leaves alone, got {name!r}")
    for name, data in (("x", x), ("validation_data", validation_data)):
        if hasattr(data, "__next__"):
            raise ValueError(f"{name} must be data that can be read again, got a generator: give arrays or a data set")
    fitting = {"verbose": 0} | fitting
    tried = []
    with restored(model), tempfile.TemporaryDirectory(prefix="smoke_run_") as folder:
        stage = _Stages(tried)
        copies, notes = copied(callbacks, model, Path(folder))
        with stage("one batch of predictions"):
            inputs = _inputs(x, y, fitting.get("batch_size") or 32)
            model.predict(inputs, verbose=0)
        if validation_data is not None:
            with stage("one batch of validation"):
                pair = validation_data if isinstance(validation_data, tuple | list) else (validation_data,)
                arguments = dict(zip(("x", "y", "sample_weight"), pair, strict=False))
                size = fitting.get("validation_batch_size") or fitting.get("batch_size")
                model.evaluate(**arguments, batch_size=size, steps=1, verbose=0)
        with stage(f"{steps} {'batch' if steps == 1 else 'batches'} of training", notes):
            model.fit(
                x, y, epochs=1, steps_per_epoch=steps, validation_data=validation_data,
                validation_steps=None if validation_data is None else 1, callbacks=copies, **fitting,
            )  # fmt: skip
        with stage("saving and loading"):
            _round_trip(model, inputs, Path(folder) / "model.keras")
    return tried


class _Stages:
    """`with stages(name):` notes how long a stage took, and names it where it fails."""

    def __init__(self, tried: list):
        self.tried = tried

    @contextlib.contextmanager
    def __call__(self, name: str, notes=()):
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            raise RuntimeError(f"smoke run, {name}: {type(error).__name__}: {error}") from error
        self.tried.append(Tried(name, time.perf_counter() - began, "; ".join(notes)))


def copied(callbacks, model, folder: Path) -> tuple[list, list[str]]:
    """Deep copies of callbacks that write into another folder, and what to say of those that take no part."""
    copies, notes = [], []
    for callback in keras.tree.flatten(callbacks):
        if callback is None:
            continue
        kind = type(callback).__name__
        if isinstance(callback, _ABSENT):
            notes.append(f"without {kind}, which acts on more than this training")
            continue
        # The models that it knows of are not to be copied with it.
        known = [model, *(value for value in vars(callback).values() if isinstance(value, keras.Model))]
        try:
            twin = copy.deepcopy(callback, {id(thing): thing for thing in known})
        except Exception as error:
            notes.append(f"without {kind}, which cannot be copied: {type(error).__name__}: {error}")
            continue
        own = folder / f"{len(copies)} {kind}"
        own.mkdir()
        _redirect(twin, own, set())
        copies.append(twin)
    return copies, notes


def _redirect(thing, folder: Path, seen: set):
    """Lets the attributes of an object, and of those in it, that name files and folders point into a folder."""
    seen.add(id(thing))
    for name, value in list(getattr(thing, "__dict__", {}).items()):
        if isinstance(value, keras.Model):
            continue
        if isinstance(value, str | os.PathLike) and any(word in name.lower() for word in _PLACES):
            moved = folder / Path(value).name
            vars(thing)[name] = str(moved) if isinstance(value, str) else moved
        elif type(value).__module__.partition(".")[0] in ("keras", "keras_cookbook") and id(value) not in seen:
            _redirect(value, folder, seen)


def _inputs(x, y, size: int):
    """The inputs of the first batch."""
    rows = read(x, y, most=size)
    return rows.arguments(np.arange(min(rows.batch_size or size, len(rows))))["x"]


def _round_trip(model, inputs, path: Path):
    """Saves and loads a model.

    Raises:
        ValueError: The loaded model is another.
    """
    model.save(path)
    loaded = keras.saving.load_model(path)
    for mine, other in zip(model.weights, loaded.weights, strict=True):
        if not np.array_equal(np.array(mine.numpy()), np.array(other.numpy()), equal_nan=True):
            raise ValueError(f"the weight {mine.path} is another when it is loaded")
    first, again, later = (one.predict(inputs, verbose=0) for one in (model, model, loaded))
    # A model that draws numbers when it predicts cannot be compared.
    if _close(first, again) and not _close(first, later):
        raise ValueError(
            "the loaded model, with the same weights, predicts something else: is its get_config complete?"
        )


def _close(left, right) -> bool:
    pairs = zip(keras.tree.flatten(left), keras.tree.flatten(right), strict=True)
    return all(np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True) for a, b in pairs)
