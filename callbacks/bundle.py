"""`standard()`: the callbacks that nearly every training wants."""

import atexit
import importlib.util
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
from keras import callbacks as kc

from .checkpoint import BestModel
from .checks import Guard, check
from .doctor import TrainingDoctor
from .logs import JSONLog, LogLearningRate, inner_optimizers
from .monitor import direction
from .progress import Progress
from .report import Report
from .resume import Resume
from .workers import is_chief, together


def standard(
    folder: str | os.PathLike | None = None,
    *,
    monitor: str = "val_loss",
    mode: str = "auto",
    patience: int | None = 10,
    reduce_lr: bool | int | None = None,
    tensorboard: bool | None = None,
    report=None,
    resume: bool | Resume = False,
    doctor: bool | TrainingDoctor = False,
    progress: bool = True,
    model_name: str = "best.keras",
    validation_freq: int | Sequence[int] = 1,
    extra: Sequence[kc.Callback] = (),
) -> list[kc.Callback]:
    """What nearly every training wants: `model.fit(..., callbacks=callbacks.standard("runs/1"))`.

    Always: training stops when the loss is NaN or infinite; it stops early and ends with the best weights; the learning
    rate is logged; weights that the optimizer averages (`use_ema=True`) are the ones that are evaluated, saved and
    kept; conflicts and misspelt monitors are told at once. With a `folder` also: the best model (`best.keras`), a log
    (`log.jsonl`, one JSON object an epoch) and TensorBoard's files (`tensorboard/`).

    Every call makes fresh callbacks: one call for each model.

    Args:
        folder: Where files go; created when training begins.
        monitor: The log that decides which epoch is the best.
        mode: `"min"`, `"max"`, or `"auto"` to read the direction from the name.
        patience: Epochs without improvement before training stops; None never stops early.
        reduce_lr: Epochs without improvement before the learning rate is divided by 10; True is a third of `patience`.
        tensorboard: None writes TensorBoard's files when TensorBoard is installed.
        report: Writes `report.html` and `report.json` into `folder` when training ends. True: curves and settings;
            data: also how good the model is, and whether simpler ones are as good (see `Report`).
        resume: Whether the same command, run again, continues an interrupted training at the very step (see `Resume`,
            of which settings can be given).
        doctor: Whether the training is watched for what is wrong with it (see `TrainingDoctor`, of which settings can
            be given). What it finds is warned of, and is in the report.
        progress: Whether `Progress` shows the training; otherwise Keras' own bar does.
        model_name: The best model's file in `folder`.
        validation_freq: What `fit` is given as `validation_freq`.
        extra: More callbacks. They come before those that read the logs, so that what they log can be monitored.

    Of several processes that train together (`TF_CONFIG`), the first one alone writes and shows.

    Raises:
        ValueError: A bad argument, or callbacks that conflict (see `check`). When training begins: a learning-rate
            schedule with a callback that sets the rate. After the first batch or the first epoch: a monitor that isn't
            logged.
        ImportError: `tensorboard=True` without TensorBoard.
        OSError: When training begins: `folder` cannot be written or has too little space.
    """
    mode = direction(monitor, mode)
    if patience is not None and patience < 0:
        raise ValueError(f"patience must be 0 or more epochs, or None, got {patience}")
    if reduce_lr is True:
        reduce_lr = max(1, (10 if patience is None else patience) // 3)
    if reduce_lr not in (None, False) and reduce_lr < 1:
        raise ValueError(f"reduce_lr must be 1 or more epochs, got {reduce_lr}")
    wants_report = report is not None and report is not False  # data may have no truth value
    if folder is None and wants_report:
        raise ValueError("report= needs a folder to write to")
    if folder is None and resume is True:
        raise ValueError("resume=True needs a folder to write to")
    if folder is None and tensorboard:
        raise ValueError("tensorboard=True needs a folder to write to")

    if together():
        if wants_report:
            raise ValueError("report= would judge in one process while others wait: use cookbook report afterwards")
        if not is_chief():
            tensorboard = progress = False

    # Order matters: averaged weights go into the model before anything judges or saves it; logs are complete before
    # the guard and the others read them; the display shows what the others did, and what is saved to be
    # continued is the state of all of them.
    if doctor is True:
        doctor = TrainingDoctor()
    chosen = [StopOnNaN(), AveragedWeights(), LogLearningRate(), *([doctor] if doctor else []), *extra]
    chosen.append(Guard(chosen, validation_freq))
    if reduce_lr:
        chosen.append(kc.ReduceLROnPlateau(monitor, mode=mode, patience=int(reduce_lr)))
    if patience is not None:
        chosen.append(kc.EarlyStopping(monitor, mode=mode, patience=patience, restore_best_weights=True))
    chosen.append(SettleAverage())
    if folder is not None and not is_chief():
        # Some weights can be read by all processes at once only: when the first saves, so do the others, in vain.
        aside = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, aside, ignore_errors=True)
        chosen.append(BestModel(Path(aside) / model_name, monitor, mode))
    elif folder is not None:
        folder = Path(folder)
        chosen += [BestModel(folder / model_name, monitor, mode), JSONLog(folder / "log.jsonl")]
        if _wants_tensorboard(tensorboard):
            chosen.append(EpochTensorBoard(folder / "tensorboard"))
        if wants_report:
            data = None if report is True else report
            chosen.append(
                Report(folder, data, monitor=monitor, mode=mode, restored=patience is not None, doctor=doctor or None)
            )
    if progress:
        chosen.append(Progress(monitor, mode))
    if resume:
        chosen.append(Resume(folder) if resume is True else resume)
    check(chosen)
    return chosen


def _wants_tensorboard(asked: bool | None) -> bool:
    installed = importlib.util.find_spec("tensorboard") is not None
    if asked and not installed:
        raise ImportError("tensorboard=True needs TensorBoard: pip install keras-cookbook[tensorboard]")
    return installed if asked is None else asked


class StopOnNaN(kc.TerminateOnNaN):
    """Keras' own, which ends training in good order, so that the best weights are restored and files are closed.

    The loss is looked at where Keras has it ready, and acted upon before the next step: so no step has to wait for
    its loss on JAX and PyTorch.
    """

    async_safe = True

    def on_train_begin(self, logs=None):
        self._bad = None

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._bad = batch, logs

    def on_batch_begin(self, batch, logs=None):
        self._act()

    def on_epoch_end(self, epoch, logs=None):
        self._act()

    def _act(self):
        if self._bad and not self.model.stop_training:
            super().on_batch_end(*self._bad)


class AveragedWeights(kc.Callback):
    """`keras.callbacks.SwapEMAWeights` where the optimizer averages weights (`use_ema=True`), else nothing.

    Its place is before everything that judges, saves or restores the model at an epoch's end.
    """

    def __init__(self):
        super().__init__()
        self._swap = None

    def on_train_begin(self, logs=None):
        self._swap = _swap_ema(self.model, self.params["epochs"]) if _averages(self.model) else None

    def on_epoch_begin(self, epoch, logs=None):
        if self._swap:
            self._swap.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._swap:
            self._swap.on_epoch_end(epoch, logs)

    def on_test_begin(self, logs=None):
        if self._swap:
            self._swap.on_test_begin(logs)

    def on_test_end(self, logs=None):
        if self._swap:
            self._swap.on_test_end(logs)

    def on_train_end(self, logs=None):
        self._swap = None


class SettleAverage(kc.Callback):
    """Makes the optimizer's average equal to the weights that early stopping has restored.

    Otherwise a later `fit` would average on from other weights than those in the model.
    """

    def on_train_end(self, logs=None):
        if not _averages(self.model):
            return
        weights = self.model.get_weights()
        # Model and average change places twice; the second time, in what SwapEMAWeights takes for the last epoch, the
        # average becomes a copy of the model.
        for epoch in range(2):
            _swap_ema(self.model, epochs=2).on_epoch_end(epoch)
        self.model.set_weights(weights)  # exactly: the exchange rounds on TensorFlow


def _averages(model) -> bool:
    return any(optimizer.use_ema for optimizer in inner_optimizers(model))


def _swap_ema(model, epochs: int) -> kc.SwapEMAWeights:
    swap = kc.SwapEMAWeights(swap_on_epoch=True)
    swap.set_model(model)
    swap.set_params({"epochs": epochs})
    return swap


class EpochTensorBoard(kc.TensorBoard):
    """TensorBoard's scalars at each epoch's end. Nothing happens at a batch, so no step waits for its logs."""

    on_train_batch_end = keras.callbacks.Callback.on_train_batch_end

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        super().__init__(str(folder), write_graph=False)

    def __deepcopy__(self, memo):
        return type(self)(self.folder)  # open writers and modules cannot be copied
