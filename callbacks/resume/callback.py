"""The callback that saves a training while it runs, and continues it."""

import contextlib
import os
import sys
import time
import warnings
from pathlib import Path

import keras
from keras import callbacks as kc

from ..workers import is_chief, together
from .data import TrainingData
from .generations import Generations, Writer
from .randomness import random_state, set_random_state
from .settings import compare, settings_of
from .signals import Agreement, Signals
from .skip import Skip
from .state import CallbackStates, assign, pack, unpack, values_of, variables_of

#: A save is put off until training has lasted so many times as long as the last one took.
_PAUSE = 50


class Resume(kc.Callback):
    """Saves a training while it runs; after an interrupt, the same command continues it at the very step.

    Saved are the weights, the optimizer, the running metrics, epoch and batch, the position in the data, the random
    generators (see below) and the state of the other callbacks, History included. On a CPU the final weights are those
    of a training that was never interrupted, to the last bit; on a GPU as far as its operations can be repeated
    (`tf.config.experimental.enable_op_determinism()`).

    `fit` of a recipe's model shows this callback the data and the other callbacks, which Keras does not; for any other
    model write `callbacks.fit(model, x, y, ...)` for `model.fit(x, y, ...)`. Place it last, as `standard(resume=True)`
    does.

    *Files.* `folder/resume/` holds the last two states, each with a checksum. A thread writes them from copies; a
    damaged one is warned of and the one before it is used. A write that fails (a full disk) is warned of, and training
    goes on.

    *Signals.* SIGTERM, which announces a preemption, and SIGINT (Control-C) save before the next batch. Then whoever
    handled the signal before does: Control-C raises KeyboardInterrupt as ever; where nobody did, SystemExit with status
    128 + the signal's number ends Python in order. While validation runs, they end it without a new state. A second
    signal acts at once. All this in the main thread only.

    *A finished training* is not done again: `fit` says so, gives the model its final weights and the history, and
    returns. To start anew, remove `folder/resume`.

    *Exact* are arrays, `tf.data` whose shuffles have seeds (of the whole pipeline, not within `interleave`, and not
    before a `repeat(n)`), PyDatasets and torch DataLoaders in the order that Keras or they give them. Not exact are
    `tf.data` shuffled without a seed, of which the continuing run warns; what a PyDataset draws while it prepares
    batches ahead; augmentation layers with a state within `tf.data`; and what draws from `keras.random` without a seed
    or from `tf.random` without a generator. Batches before the position are read again, but not computed.

    *Several devices* of one process are one training, on the same number of them. Several processes (TF_CONFIG) must
    share the folder, to which the first one writes. They save at the ends of epochs and each `every_steps`, and not by
    their clocks. A signal to any of them lets all save before the same batch and then do what the signal does; one
    that comes while validation runs waits until it ends. The same command, run again in all, continues there; the
    metrics of the epoch that was interrupted may then differ in the last digit, and batch normalisation's statistics.

    The state of a callback is what its `get_state()` returns, plain values and arrays, and `set_state(state)` takes;
    without these methods, its attributes of plain values and arrays that have changed.

    Args:
        folder: That of the run; created when needed.
        every_seconds: The time between two states within an epoch; None for none. There is one at each epoch's end
            too. If saves would take more than a fiftieth of the time, they are put off.
        every_steps: Batches between two states, however long saves take; None for none.

    Raises:
        ValueError: A number that is not above 0. When training begins: data or callbacks that cannot be continued; a
            model, optimizer or data other than those of the interrupted run; all states damaged.
        OSError: When training begins: the folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike, *, every_seconds: float | None = 120, every_steps: int | None = None):
        super().__init__()
        for name, value in (("every_seconds", every_seconds), ("every_steps", every_steps)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, or None, got {value}")
        self.folder = Path(folder) / "resume"
        self.every_seconds, self.every_steps = every_seconds, every_steps
        self._data = None

    @contextlib.contextmanager
    def during_fit(self, model: keras.Model, call: dict):
        """Surrounds a call to `fit`.

        Args:
            call: The arguments of `fit` by name. Those of the data are changed where that makes them repeatable.
        """
        self._others = [other for other in keras.tree.flatten(call["callbacks"]) if other not in (self, None)]
        _check_others(self._others)
        self._writer, self._signals = Writer(Generations(self.folder)), Signals()
        found = self._writer.generations.newest()
        self._goal = None if found is None else unpack(*found)
        self._data = TrainingData(call, self._goal and self._goal["seed"])
        if self._goal and not self._goal["finished"]:
            self._data.forward(self._goal["epoch"], model.steps_per_execution)
        self._skip = self._states = None
        try:
            yield
        finally:
            self._signals.release()
            self._end_skip()
            model._initial_epoch = None
            self._writer.finish()
            self._tell_failure()
            self._data = self._goal = self._states = None

    def on_train_begin(self, logs=None):
        if self._data is None:
            raise ValueError(
                "Resume must see the data and the callbacks: write callbacks.fit(model, ...) for model.fit"
            )
        model = self.model
        _check_model(model)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._settings = settings_of(model, self.params, self._data.facts)
        self._steps = self._saved_steps = 0
        self._wanted, self._saved_at, self._stall = False, time.monotonic(), 0.0
        self._together = together()
        self._agreement = Agreement(self.folder, self._signals)
        if is_chief():
            self._writer.generations.prepare()
            self._agreement.forget()
        if self._goal:
            self._continue(model)
        self._signals.take()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if self._states is None:
            self._states = self._callback_states()
        if self._goal:
            self._data.set_state(self._goal["data"])
            set_random_state(self._goal["epoch_random"])
        # What shuffles with a global generator draws when the epoch begins.
        self._epoch_data, self._epoch_random = self._data.get_state(), random_state()

    def on_train_batch_begin(self, batch, logs=None):
        if self._goal:
            if batch < self._goal["batch"]:
                if self._signals.came:
                    self._leave()
                return
            self._arrive()
        if self._agreement.reached() if self._together else self._signals.came:
            self._save(batch, wait=True)
            self._leave(f"before epoch {self._epoch + 1}, batch {batch + 1}; the same command continues there")
        if self._is_due(batch):
            self._save(batch)
        self._steps += self._model.steps_per_execution

    def on_test_batch_begin(self, batch, logs=None):
        if self._states is not None and self._signals.came and not self._together:
            self._leave()

    def on_train_end(self, logs=None):
        if self._goal:
            self._states.set(self._goal["callbacks"])  # again: History has forgotten when training began
        elif self._states:
            self._save(0, wait=True, finished=True)
        if self._signals.came:
            self._leave()

    def _callback_states(self) -> CallbackStates:
        history = self._model.history
        return CallbackStates([*self._others, *([] if history in self._others else [history])])

    # Saving

    def _is_due(self, batch: int) -> bool:
        # `_model` and not `model`: on JAX the latter fetches all weights.
        if self._model.stop_training or not self._steps:
            return False
        if self.every_steps and self._steps - self._saved_steps >= self.every_steps:
            return True
        if self._together:  # clocks differ, and all read the values of metrics at once
            return batch == 0
        since = time.monotonic() - self._saved_at
        self._wanted |= batch == 0 or (self.every_seconds is not None and since >= self.every_seconds)
        return self._wanted and not self._writer.busy and since >= _PAUSE * (self._stall + self._writer.seconds)

    def _save(self, batch: int, wait: bool = False, finished: bool = False):
        began = time.monotonic()
        self._tell_failure()
        state = {
            "settings": self._settings,
            "epoch": self._epoch,
            "batch": batch,
            "finished": finished,
            "seed": self._data.seed,
            "sample": self._data.sample,
            "data": self._epoch_data,
            "epoch_random": self._epoch_random,
            "random": random_state(),
            "callbacks": self._states.get(),
            "variables": values_of(self.model),
        }
        arrays = []
        document = pack(state, arrays)
        if is_chief():
            self._writer.start(document, arrays)
        if wait:
            self._writer.finish()
            self._tell_failure()
        self._saved_steps, self._saved_at, self._wanted = self._steps, time.monotonic(), False
        self._stall = self._saved_at - began

    def _tell_failure(self):
        if error := self._writer.failure():
            message = f"{error}. Training goes on; it can be continued from the state before this one."
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    # Continuing

    def _continue(self, model):
        goal = self._goal
        compare(goal["settings"], self._settings, self.folder)
        self._assign("model", "optimizer")
        if goal["finished"]:
            model._initial_epoch = self.params["epochs"]
            self._states = self._callback_states()
            self._states.set(goal["callbacks"])
            _tell(f"This training is finished, and is not done again. To start anew, remove {self.folder}.")
            return
        if goal["sample"] != self._data.sample:
            warnings.warn(
                "the data begin with other examples than in the interrupted run: they are others, or are shuffled "
                "without a seed, or were read before in this process. The training continues, but not exactly.",
                RuntimeWarning,
                stacklevel=2,
            )
        model._initial_epoch = goal["epoch"]
        if goal["batch"]:
            self._skip = Skip(model)
        _tell(f"The training continues at epoch {goal['epoch'] + 1}, batch {goal['batch'] + 1}, from {self.folder}.")

    def _arrive(self):
        self._end_skip()
        self._assign("model", "optimizer", *(["metrics"] if self._goal["batch"] else []))
        self._states.set(self._goal["callbacks"])
        set_random_state(self._goal["random"])
        self._goal, self._saved_at = None, time.monotonic()

    def _assign(self, *groups: str):
        variables = variables_of(self.model)
        for group in groups:
            assign(variables[group], self._goal["variables"][group])

    def _end_skip(self):
        if self._skip:
            self._skip.end()
        self._skip = None

    def _leave(self, where: str = ""):
        self._writer.finish()
        if where:
            _tell(f"Interrupted {where}.")
        self._signals.act()


def _check_others(callbacks):
    for other in callbacks:
        if isinstance(other, kc.BackupAndRestore | Resume):
            raise ValueError(f"Resume and {type(other).__name__} both continue a training: leave one out")
        if isinstance(other, kc.CSVLogger) and not other.append:
            raise ValueError("a continued training would empty the file of CSVLogger: make it with append=True")


def _check_model(model):
    if not model.built:
        raise ValueError("Resume needs a model with weights: give it a keras.Input, or call it on a batch first.")


def _tell(message: str):
    print(message, file=sys.stderr, flush=True)
