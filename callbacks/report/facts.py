"""What a training ran on: versions, hardware, settings, and a fingerprint of the data."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np

from . import splits

FINGERPRINT_ROWS = 1000


def versions() -> dict[str, str]:
    """Versions of Python, this package, Keras, its backend and what a report is made with."""
    backend = keras.backend.backend()
    found = {"python": platform.python_version(), "keras": keras.__version__, "backend": backend}
    for name in ("keras-cookbook", backend, "numpy", "scikit-learn", "matplotlib"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict:
    """The processor, its cores, memory in GiB, accelerators and the system; no names of machines or users."""
    found = {"processor": _processor(), "cores": os.cpu_count()}
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    found["devices"] = _devices()
    found["system"] = f"{platform.system()} {platform.machine()}"
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _devices() -> list[str]:
    """The accelerators that the backend has, by name where it tells one; "CPU" without."""
    backend = sys.modules.get({"torch": "torch", "jax": "jax"}.get(keras.backend.backend(), "tensorflow"))
    try:
        if keras.backend.backend() == "torch":
            names = [backend.cuda.get_device_name(i) for i in range(backend.cuda.device_count())]
        elif keras.backend.backend() == "jax":
            names = [device.device_kind for device in backend.devices() if device.platform != "cpu"]
        else:
            details = backend.config.experimental.get_device_details
            names = [details(gpu).get("device_name", "GPU") for gpu in backend.config.list_physical_devices("GPU")]
    except Exception:  # a name is never worth a report
        names = []
    return names or ["CPU"]


def settings(model) -> dict:
    """How the model was made and compiled: of a recipe what it says itself, else what Keras tells."""
    recipe = getattr(model, "recipe", None)
    if recipe:
        known = {key: recipe.get(key) for key in ("name", "arguments", "training", "seed")}
        return {"recipe" if key == "name" else key: value for key, value in known.items() if value is not None}
    found = {}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        plain = {k: v for k, v in optimizer.get_config().items() if isinstance(v, int | float | str) and v is not False}
        found["training"] = {"optimizer": type(optimizer).__name__} | {k: v for k, v in plain.items() if k != "name"}
    loss = getattr(model, "loss", None)
    if loss is not None:
        found.setdefault("training", {})["loss"] = loss if isinstance(loss, str) else _name(loss)
    return found


def _name(thing) -> str:
    return getattr(thing, "name", None) or getattr(thing, "__name__", None) or type(thing).__name__


def describe(data) -> dict:
    """Name, task, rows, shapes, classes and fingerprint of the data.

    The training split is left out of shapes and fingerprint where its rows come shuffled from disk.
    """
    found = {"name": getattr(data, "name", None), "task": getattr(data, "task", None), "splits": {}}
    for name in splits.names(data):
        source = getattr(data, name, data)
        shuffled = name == "train" and splits.has_splits(data) and not _in_memory(data, name)
        if shuffled and not isinstance(source, tuple | list):
            found["splits"][name] = {"rows": getattr(data, "sizes", {}).get(name)}
            continue
        split = splits.read(data, name)
        found["splits"][name] = {"rows": split.rows or len(split)} | shapes(split)
        found["splits"][name]["sha256"] = fingerprint(split)
    return {key: value for key, value in found.items() if value is not None}


def _in_memory(data, name) -> bool:
    try:
        data.arrays(name)
    except (AttributeError, ValueError):
        return False
    return True


def shapes(split) -> dict:
    """Shape and dtype of one row of x and of y, and rows of each class where there are no more than 100 classes."""

    def told(part):
        parts = keras.tree.flatten(part)
        return ", ".join(f"{a.dtype if a.dtype.kind not in 'OSU' else 'text'} {tuple(a.shape[1:])}" for a in parts)

    found = {"x": told(split.x)}
    if split.y is not None:
        found["y"] = told(split.y)
        if isinstance(split.y, np.ndarray) and split.y.ndim <= 2 and split.y.size == len(split.y):
            values, counts = np.unique(split.y, return_counts=True)
            if len(values) <= 100 and (values == np.round(values)).all():
                found["class_counts"] = {f"{int(v)}": int(n) for v, n in zip(values, counts, strict=True)}
    return found


def fingerprint(split) -> str:
    """A SHA-256 over the number of rows and 1,000 of them, evenly spread: the same for the same data in one order.

    A change in a row that is not among them is not seen.
    """
    digest = hashlib.sha256(str(split.rows or len(split)).encode())
    sample = split.some(FINGERPRINT_ROWS)
    for part in [*keras.tree.flatten(sample.x), *keras.tree.flatten(sample.y)]:
        if part is None:
            continue
        digest.update(f"{part.dtype.kind} {part.shape}".encode())
        if part.dtype.kind in "OSU":
            digest.update(json.dumps([splits.text(value) for value in part.ravel()]).encode())
        else:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
