"""Conversion on JAX and PyTorch: in a process of its own, with Keras on TensorFlow, from which all formats come."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

ERRORS = {error.__name__: error for error in (ValueError, OSError, ImportError)}
CODE = "import sys; from keras_cookbook.recipes.saving.elsewhere import main; main(sys.argv[1])"


def write_elsewhere(model, path, specs, *, calibration=None, **options):
    """`formats.write` in a process of its own.

    Raises:
        ValueError, OSError, ImportError: as there; or if the other process cannot load the model.
        RuntimeError: if that process ended without a word.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model.save(folder / "model.keras")
        if calibration:
            np.savez(folder / "calibration.npz", *calibration)
        batch_size = keras.tree.flatten(specs)[0].shape[0]
        task = {"path": os.path.abspath(path), "batch_size": batch_size, "options": options}
        (folder / "task.json").write_text(json.dumps(task))
        run = subprocess.run(
            [sys.executable, "-c", CODE, str(folder)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        if not (folder / "told.json").exists():
            raise RuntimeError(f"the process that converts ended with {run.returncode}: {run.stderr[-2000:]}")
        told = json.loads((folder / "told.json").read_text())
    if told:
        raise ERRORS.get(told["error"], RuntimeError)(told["message"])


def main(folder):
    """What that process does."""
    from .formats import write
    from .network import input_specs

    folder = Path(folder)
    task = json.loads((folder / "task.json").read_text())
    calibration = folder / "calibration.npz"
    told = {}
    try:
        arrays = list(np.load(calibration).values()) if calibration.exists() else None
        model = load(folder / "model.keras")
        specs = input_specs(model, task["batch_size"])
        write(model, task["path"], specs, calibration=arrays, **task["options"])
    except Exception as error:
        name = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), type(error).__name__)
        told = {"error": name, "message": str(error)}
    (folder / "told.json").write_text(json.dumps(told))


def load(path):
    """The model, by Keras itself: the file was written a moment ago, and models of the user's own may be in it."""
    import keras_cookbook.recipes  # noqa: F401 - registers its layers

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        told = str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0]
        raise ValueError(
            "on this backend a model is converted by another process, with Keras on TensorFlow, and that process "
            f"could not load it: {told} Put layers of your own into a module that can be imported, and register "
            "them; or train, save and export on KERAS_BACKEND=tensorflow."
        ) from error
