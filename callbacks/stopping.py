"""A budget of time for a training."""

import sys
import time

import keras

from .workers import together


class StopAfter(keras.callbacks.Callback):
    """Ends a training when its time is up, in good order: with validation, restored weights and closed files.

    The clock is looked at before each step (with `steps_per_execution`, each execution); the step that begins then is
    the last. What comes after it, validation above all, is not cut short: leave time for it. The time counts from the
    beginning of `fit`, over all runs of a training that `Resume` continues; what a run that was killed did after its
    last saved state is not known, and not counted.

    Args:
        seconds: The budget; with `minutes` and `hours`, their sum.
        minutes: See `seconds`.
        hours: See `seconds`.

    Raises:
        ValueError: The budget is not above 0. When training begins: several processes train together (TF_CONFIG).
    """

    def __init__(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0):
        super().__init__()
        self.budget = seconds + 60 * minutes + 3600 * hours
        if not self.budget > 0:
            raise ValueError(f"the budget must be above 0 seconds, got {self.budget}: StopAfter(minutes=30)")
        self._earlier, self._began = 0.0, None

    def on_train_begin(self, logs=None):
        if together():
            raise ValueError("processes that train together must stop at the same step, and their clocks differ")
        self._earlier, self._began, self._told = 0.0, time.monotonic(), False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self._look(f"in epoch {self._epoch + 1}, after {batch + self._model.steps_per_execution} batches")

    def on_epoch_end(self, epoch, logs=None):
        self._look(f"after epoch {epoch + 1}")

    def get_state(self):
        return {"seconds": self._spent()}

    def set_state(self, state):
        # The time that this run took to get here counts too.
        self._earlier = state["seconds"]

    def _spent(self) -> float:
        return self._earlier + (time.monotonic() - self._began if self._began is not None else 0)

    def _look(self, where: str):
        # `_model` and not `model`: on JAX the latter fetches all weights.
        if self._told or self._model.stop_training or self._spent() < self.budget:
            return
        self._model.stop_training = self._told = True
        print(f"The time is up ({told(self.budget)}): the training stops {where}.", file=sys.stderr, flush=True)


def told(seconds: float) -> str:
    """`"1 h 30 min"`, `"45 s"`: a length of time in its two largest units."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
