"""What an epoch's logs hold, and the log file: one JSON object a line."""

import json
import os
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import keras

from .checkpoint import strict


class LogLearningRate(keras.callbacks.Callback):
    """Puts the optimizer's `learning_rate` at the end of the epoch into the logs, for History and all that read them.

    With a schedule it is the schedule's value after the epoch's last step. With `keras.optimizers.MultiOptimizer` each
    optimizer's rate is logged as `learning_rate_<its name>`, as Keras does. A value that another callback has put
    there is left alone.
    """

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        inner = inner_optimizers(self.model)
        for optimizer in inner:
            name = "learning_rate" if len(inner) == 1 else f"learning_rate_{optimizer.name}"
            if name not in logs:
                logs[name] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def inner_optimizers(model) -> list:
    """The optimizers that update the weights, out of a loss scale or a MultiOptimizer; none when not compiled."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(optimizer, "optimizers", [] if optimizer is None else [optimizer]))


class JSONLog(keras.callbacks.Callback):
    """Writes one JSON object a line for each epoch, on disk at once.

    The keys are `epoch` (1-based), `time` (end of the epoch, ISO 8601, UTC), `seconds` (the epoch with its validation)
    and the logs. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity", since strict JSON has no such
    numbers; `float()` and pandas read them back. A later `fit` appends. A last line that a kill has torn is removed.
    A write that fails in the middle of training is warned of, and training goes on.

    Args:
        path: The file; parent folders are created.

    Raises:
        OSError: When training begins: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.path = Path(path)
        self._began = None

    def on_train_begin(self, logs=None):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._append("")

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        record = {
            "epoch": epoch + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(time.monotonic() - self._began, 3),
        }
        line = json.dumps(strict(record | (logs or {}) | record), allow_nan=False)
        try:
            self._append(line + "\n")
        except OSError as error:
            message = f"epoch {epoch + 1} is missing from {self.path}: {error.strerror or error}. Training goes on."
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def get_state(self):
        """What a training that is continued must find: the lines of the epochs that are done."""
        if not self.path.exists():
            return {"bytes": 0}
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())
            return {"bytes": file.seek(0, os.SEEK_END)}

    def set_state(self, state):
        if self.path.stat().st_size < state["bytes"]:
            warnings.warn(f"{self.path} has lost lines of earlier epochs", RuntimeWarning, stacklevel=2)
        else:
            os.truncate(self.path, state["bytes"])

    def _append(self, text: str):
        with open(self.path, "ab+") as file:
            file.seek(0)
            whole = file.read().rpartition(b"\n")[0]
            file.truncate(len(whole) + 1 if whole else 0)
            file.write(text.encode())
