"""The callback that leaves a report when training ends."""

import atexit
import json
import os
import time
import warnings
import weakref
from pathlib import Path

import keras

from ..checkpoint import save_json, write_text
from ..monitor import direction
from .content import training_report
from .page import training_page

_SECONDS_BETWEEN_DRAFTS = 60


class Report(keras.callbacks.Callback):
    """Writes `report.html`, one file that loads nothing, and the same as data, `report.json`, when training ends.

    The model is judged with the weights that it has then: place it after what restores the best ones. While training
    runs, what is known so far is written about once a minute, and when Python ends after an interrupt. A report that
    cannot be made is warned of, and costs nothing else.

    Args:
        folder: Where both files go; created when needed.
        data: What to judge the model on: an object with `test` or `validation` (and `train`, for baselines), such as
            `recipes.data.load` gives; arrays `(x, y)`; or batches. None: curves and settings alone.
        monitor: The log that decides which epoch was the best.
        mode: `"min"`, `"max"`, or `"auto"` to read the direction from the name.
        restored: Whether the best epoch's weights are put back before this callback's turn.
        doctor: The `TrainingDoctor` among the callbacks whose findings are reported.

    Raises:
        ValueError: The direction is unknown.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        data=None,
        *,
        monitor: str = "val_loss",
        mode: str = "auto",
        restored: bool = False,
        doctor=None,
    ):
        super().__init__()
        self.folder, self.data, self.restored, self.doctor = Path(folder), data, restored, doctor
        self.monitor, self.mode = monitor, direction(monitor, mode)
        self.log, self._unfinished = [], None

    def __deepcopy__(self, memo):  # data cannot always be copied, and need not be
        settings = {"monitor": self.monitor, "mode": self.mode, "restored": self.restored}
        return type(self)(self.folder, self.data, **settings, doctor=memo.get(id(self.doctor), self.doctor))

    def on_train_begin(self, logs=None):
        self._settle()
        self._began, self._first, self._drafted = time.monotonic(), None, time.monotonic()
        # An interrupt ends fit without a word to its callbacks.
        self._unfinished = _at_exit(weakref.ref(self))
        atexit.register(self._unfinished)

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch
            self.log = [record for record in self.log or read_log(self.folder) if record["epoch"] <= epoch]
        self._epoch_began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        numbers = {name: float(value) for name, value in (logs or {}).items() if _is_number(value)}
        self.log.append({"epoch": epoch + 1, "seconds": round(now - self._epoch_began, 3)} | numbers)
        if now - self._drafted > _SECONDS_BETWEEN_DRAFTS:
            self._write("still running", judged=False)
            self._drafted = time.monotonic()

    def on_train_end(self, logs=None):
        self._settle()
        asked = self.params.get("epochs")
        self._write("early" if self.log and asked and self.log[-1]["epoch"] < asked else "complete")

    def get_state(self):
        """The epochs that are done, and how long they took."""
        return {"log": self.log, "seconds": time.monotonic() - self._began}

    def set_state(self, state):
        self.log, self._began = list(state["log"]), time.monotonic() - state["seconds"]

    def _settle(self):
        if self._unfinished:
            atexit.unregister(self._unfinished)
        self._unfinished = None

    def _write(self, ended: str, judged: bool = True):
        training = {
            "ended": ended,
            "asked": self.params.get("epochs"),
            "seconds": round(time.monotonic() - self._began, 1),
            "monitor": self.monitor,
            "mode": self.mode,
            "restored": self.restored and ended in ("early", "complete"),
        }
        try:
            findings = self.doctor.findings if self.doctor else ()
            data = self.data if judged else None
            write_report(training_report(self.log, training, self.model, data, findings), self.folder)
        except Exception as error:
            told = f"no report was written to {self.folder}: {type(error).__name__}: {error}"
            warnings.warn(f"{told}. The training itself is unharmed.", RuntimeWarning, stacklevel=2)


def write_report(report: dict, folder: str | os.PathLike, page=training_page) -> Path:
    """Writes a report as `report.json` and `report.html`; returns the path of the latter.

    Args:
        report: Plain values, such as `training_report` returns.
        folder: Created when needed.
        page: What makes the HTML of the report.

    Raises:
        OSError: A file could not be written; an earlier one is untouched.
    """
    path = save_json(report, Path(folder) / "report.json")
    # From the file's own text: so the page says nothing that the data do not.
    return write_text(page(json.loads(path.read_text(encoding="utf-8"))), path.with_suffix(".html"))


def read_log(folder: str | os.PathLike) -> list[dict]:
    """The epochs that an earlier run has logged in `log.jsonl`; of an epoch run twice the later one."""
    path = Path(folder) / "log.jsonl"
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record["epoch"]] = record
    return [found[epoch] for epoch in sorted(found)]


def _is_number(value) -> bool:
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0


def _at_exit(report):
    def finish():
        callback = report()
        if callback is not None and callback.log:
            callback._write("interrupted", judged=False)

    return finish
