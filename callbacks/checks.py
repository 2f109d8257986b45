"""Callbacks that work against each other, or wait for a number that never comes, told before work is lost."""

import difflib
import threading
from collections.abc import Iterable, Sequence

import keras
from keras import callbacks as kc

from .averaging import StochasticWeightAveraging
from .checkpoint import BestModel
from .logs import JSONLog, LogLearningRate, inner_optimizers
from .resume import Resume
from .stopping import StopAfter
from .unfreezing import GradualUnfreezing

_ONE_OF_A_KIND = (
    kc.EarlyStopping,
    kc.ReduceLROnPlateau,
    kc.LearningRateScheduler,
    kc.TerminateOnNaN,
    kc.SwapEMAWeights,
    kc.ProgbarLogger,
    LogLearningRate,
    Resume,
    StochasticWeightAveraging,
    StopAfter,
    GradualUnfreezing,
)


def check(callbacks: Sequence[kc.Callback], model: keras.Model | None = None, logs: Iterable[str] | None = None):
    """Looks for callbacks that conflict.

    Found are: two of a kind, or two that write one file; early stopping that comes before the plateau schedule has
    lowered the rate once; two callbacks that both set the learning rate; a learning-rate schedule in the model's
    optimizer together with a callback that sets the rate; weights that are averaged twice, or a mean that early
    stopping would replace; a monitor that isn't logged.

    Args:
        callbacks: What is handed to `fit`.
        model: The compiled model, when its optimizer is to be looked at too.
        logs: The names that a finished epoch has logged, when monitors are to be looked at too.

    Raises:
        ValueError: The first conflict found, with the way out of it.
    """
    for kind in _ONE_OF_A_KIND:
        if sum(isinstance(callback, kind) for callback in callbacks) > 1:
            raise ValueError(f"two {kind.__name__} callbacks work against each other: leave one out")
    paths = [callback.path for callback in callbacks if isinstance(callback, BestModel | JSONLog)]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"two callbacks write the same file: {path}")

    found = {kind: next((c for c in callbacks if isinstance(c, kind)), None) for kind in _ONE_OF_A_KIND}
    stopping, plateau = found[kc.EarlyStopping], found[kc.ReduceLROnPlateau]
    if stopping and plateau and stopping.patience <= plateau.patience:
        raise ValueError(
            f"early stopping (patience {stopping.patience}) comes before the learning rate is reduced (patience "
            f"{plateau.patience}): its patience must be greater than that of ReduceLROnPlateau"
        )
    setting = [c for c in (plateau, found[kc.LearningRateScheduler]) if c]
    if len(setting) > 1:
        raise ValueError("ReduceLROnPlateau and LearningRateScheduler both set the learning rate: leave one out")
    # A plain rate is a variable; that of a schedule is computed.
    if setting and not all(isinstance(o.learning_rate, keras.Variable) for o in inner_optimizers(model)):
        raise ValueError(
            f"the optimizer's learning rate is a schedule, which {type(setting[0]).__name__} cannot set: "
            "leave out the callback, or compile with a plain learning rate"
        )
    averaging = found[StochasticWeightAveraging]
    if averaging and (found[kc.SwapEMAWeights] or any(o.use_ema for o in inner_optimizers(model))):
        raise ValueError(
            "StochasticWeightAveraging and the optimizer's average (use_ema, ema= of a recipe) both put their mean "
            "into the model: leave one out"
        )
    if averaging and not averaging.validate and stopping and stopping.restore_best_weights:
        raise ValueError(
            "early stopping would put the best weights in place of the mean, which StochasticWeightAveraging(validate="
            "False) makes only afterwards: leave out validate=False, or give patience=None"
        )
    if logs is not None:
        _check_monitors(callbacks, list(logs))


def _check_monitors(callbacks, names: list[str]):
    for monitor, users in _monitors(callbacks).items():
        if monitor in names:
            continue
        if monitor.startswith("val_") and not any(name.startswith("val_") for name in names):
            raise ValueError(
                f"{users} monitor {monitor!r}, but there is no validation data: give fit validation_data= or "
                f"validation_split=, or monitor {monitor.removeprefix('val_')!r}"
            )
        _raise_unknown(users, monitor, names)


def _check_base_names(callbacks, names: list[str]):
    """The same from the logs of one training batch, where the names don't have their `val_` yet."""
    for monitor, users in _monitors(callbacks).items():
        if monitor.removeprefix("val_") not in names:
            prefix = "val_" if monitor.startswith("val_") else ""
            _raise_unknown(users, monitor, [prefix + name for name in names])


def _monitors(callbacks) -> dict[str, str]:
    users = {}
    for callback in callbacks:
        if isinstance(getattr(callback, "monitor", None), str) and not isinstance(callback, kc.ProgbarLogger):
            users.setdefault(callback.monitor, []).append(type(callback).__name__)
    return {monitor: ", ".join(names) for monitor, names in users.items()}


def _raise_unknown(users: str, monitor: str, names: list[str]):
    nearest = difflib.get_close_matches(monitor, names, 1, 0.5)
    meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
    known = ", ".join(sorted(names))
    raise ValueError(f"{users} monitor {monitor!r}, which is never logged; there are {known}.{meant}")


class Guard(kc.Callback):
    """Runs `check` as soon as each thing can be known: at the start, after the first batch, after validation.

    Its place is after all that add to the logs.

    Args:
        callbacks: The callbacks to look at, read when training begins.
        validation_freq: That of `fit`: validation after every so many epochs, or after the epochs listed (1-based).
    """

    async_safe = True  # on JAX and PyTorch a step then need not wait for its logs

    def __init__(self, callbacks: Sequence[kc.Callback], validation_freq: int | Sequence[int] = 1):
        super().__init__()
        self.callbacks, self.validation_freq = callbacks, validation_freq
        self._names = self._arrived = None

    def on_train_begin(self, logs=None):
        check(self.callbacks, self.model)
        self._names, self._arrived = None, threading.Event()
        self._steps_begun, self._epoch_checked = 0, False

    def on_train_batch_begin(self, batch, logs=None):
        self._check_first_batch()
        self._steps_begun += 1

    def on_train_batch_end(self, batch, logs=None):
        if self._names is None:
            self._names = list(logs or ())
            self._arrived.set()

    def on_test_begin(self, logs=None):
        self._check_first_batch()

    def on_epoch_end(self, epoch, logs=None):
        self._check_first_batch()
        frequency = self.validation_freq
        validated = (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency
        if validated and not self._epoch_checked:
            self._epoch_checked = True
            check(self.callbacks, logs=logs)

    def on_train_end(self, logs=None):
        self._arrived = None

    def get_state(self):
        return {}  # a training that is continued is checked like a new one

    def set_state(self, state):
        pass

    def _check_first_batch(self):
        if self._arrived is None or not self._steps_begun:
            return
        self._arrived.wait(60)  # the logs of the first batch may be computed in a thread; never wait for others
        self._arrived = None
        # A callback of the user's own may add to the logs at the end of the epoch: then that is the time to judge.
        if self._names and all(map(_adds_no_logs, self.callbacks)):
            metrics = [metric.name for metric in self.model.metrics]
            _check_base_names(self.callbacks, [*dict.fromkeys([*self._names, *metrics]), "learning_rate"])


def _adds_no_logs(callback) -> bool:
    home = type(callback).__module__.partition(".")[0]
    return home in ("keras", __name__.partition(".")[0]) and not isinstance(callback, kc.LambdaCallback)
