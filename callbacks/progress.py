"""One tidy display of a training: a live line on a terminal, a plain line an epoch anywhere else."""

import atexit
import os
import signal
import sys
import time

import keras

from .logs import inner_optimizers
from .monitor import Best

_SECONDS_BETWEEN_REDRAWS = 1 / 8


class Progress(keras.callbacks.ProgbarLogger):
    """Shows how training goes.

    Each epoch leaves one line: loss, metrics, learning rate, time, and the best of `monitor` so far, with a `*` where
    the epoch is the best. On a terminal a live line below shows the epoch under way and the time left. In a pipe, in CI
    and in a notebook there are the lines alone. `fit(verbose=0)` is silent, `fit(verbose=2)` shows the lines alone.
    `evaluate` and `predict` outside `fit` show what Keras shows.

    Args:
        monitor: The log whose best is shown; without it in the logs, no best is shown.
        mode: `"min"`, `"max"`, or `"auto"` to read the direction from the name.

    Raises:
        ValueError: The direction is unknown.
    """

    async_safe = True  # on JAX and PyTorch a step then need not wait for its logs

    def __init__(self, monitor: str = "val_loss", mode: str = "auto"):
        super().__init__()
        self.monitor, self.mode = monitor, mode
        self._best = Best(monitor, mode)
        self._in_fit = False
        self._live = None

    def set_params(self, params):
        self._close()  # a fit that was interrupted had no on_train_end
        self._in_fit = False
        super().set_params(params)

    def on_train_begin(self, logs=None):
        self._in_fit, self._best = True, Best(self.monitor, self.mode)
        self._began, self._first_epoch, self._mark, self._rate = time.monotonic(), None, None, None
        if self.verbose == 1 and _on_terminal():
            self._open()

    def on_epoch_begin(self, epoch, logs=None):
        if self._first_epoch is None:
            self._first_epoch = epoch
        self.seen, self._epoch, self._logs, self._validating = 0, epoch, {}, False
        self._epoch_began, self._redraw_at = time.monotonic(), 0.0
        if self._live:
            optimizers = inner_optimizers(self.model)
            if len(optimizers) == 1:
                self._rate = float(keras.ops.convert_to_numpy(optimizers[0].learning_rate))
        self._redraw()

    def on_train_batch_end(self, batch, logs=None):
        # Batches may end in several threads, and not in order.
        if self._in_fit and batch + 1 > self.seen:
            self.seen, self._logs = batch + 1, logs or {}
            if self._mark is None:  # the first step compiles: time is counted from its end
                self._mark = time.monotonic(), self._done()
            self._redraw()

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            super().on_test_begin(logs)
        elif self.verbose:
            self._validating, self._redraw_at = True, 0.0
            self._redraw()

    def on_test_batch_end(self, batch, logs=None):
        if not self._in_fit:
            super().on_test_batch_end(batch, logs)

    def on_test_end(self, logs=None):
        if not self._in_fit:
            super().on_test_end(logs)

    def on_predict_begin(self, logs=None):
        if not self._in_fit:
            super().on_predict_begin(logs)

    def on_predict_batch_end(self, batch, logs=None):
        if not self._in_fit:
            super().on_predict_batch_end(batch, logs)

    def on_predict_end(self, logs=None):
        if not self._in_fit:
            super().on_predict_end(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.target = self.target or self.seen
        improved = self._best.update(epoch, logs)
        if self._live:
            self._live.console.print(_line(self._epoch_parts(logs or {}, improved), self._live.console.width))
        elif self.verbose:
            print(_line(self._epoch_parts(logs or {}, improved)).plain.rstrip(), flush=True)

    def on_train_end(self, logs=None):
        self._close()
        self._in_fit = False
        if self.verbose and self._first_epoch is not None:
            ended = f"{self._epoch + 1} of {self.epochs} epochs in {_duration(time.monotonic() - self._began)}"
            if self._best.value is not None:
                ended += f"; best {self.monitor} {_number(self._best.value)} at epoch {self._best.epoch + 1}"
            print(ended, flush=True)

    def get_state(self):
        return {"best": self._best.value, "best_epoch": self._best.epoch}

    def set_state(self, state):
        self._best.value, self._best.epoch = state["best"], state["best_epoch"]

    def _open(self):
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(highlight=False), auto_refresh=False, transient=True)
        self._live.start()
        self._live.console.show_cursor(True)  # nothing to put right when the process is killed
        atexit.register(self._close)
        # Control-C ends fit without a word to its callbacks. A handler of someone else's is left alone.
        try:
            handler = signal.getsignal(signal.SIGINT)
            if handler is signal.default_int_handler or getattr(handler, "__func__", None) is Progress._interrupted:
                signal.signal(signal.SIGINT, self._interrupted)
        except ValueError:  # not the main thread
            pass

    def _close(self):
        live, self._live = self._live, None
        if live:
            live.stop()
            atexit.unregister(self._close)
            if signal.getsignal(signal.SIGINT) == self._interrupted:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupted(self, number, frame):
        self._close()
        signal.default_int_handler(number, frame)

    def _redraw(self):
        live, now = self._live, time.monotonic()
        if live and now >= self._redraw_at:
            self._redraw_at = now + _SECONDS_BETWEEN_REDRAWS
            console = live.console
            # One column stays free: some terminals wrap when the last one is written.
            line = _line(self._step_parts(), console.width - 1, bar=(self.seen, self.target, console.encoding))
            live.update(line, refresh=True)

    def _done(self) -> float:
        """Which part of the training is done, 0..1."""
        part = min(self.seen / self.target, 1.0) if self.target else 0.0
        return (self._epoch - self._first_epoch + part) / max(self.epochs - self._first_epoch, 1)

    # Parts of a line: (rank, style, text). Where a line is too long, the parts of the highest rank are left out.

    def _step_parts(self):
        yield 0, "bold", self._epoch_name()
        yield 4, "cyan", _BAR
        yield 1, "", f"{self.seen:>{len(str(self.target or ''))}}{f'/{self.target}' if self.target else ' steps'}"
        for rank, (name, value) in enumerate(_in_order(self._logs)):
            yield (2 if name == "loss" else 10 + rank), "", f"{name} {_number(value)}"
        if self._rate is not None:
            yield 6, "dim", f"lr {self._rate:.3g}"
        if self._best.value is not None:
            yield 5, "green", f"best {_number(self._best.value)}"
        yield 3, "dim", self._time_left()

    def _time_left(self) -> str:
        if self._validating:
            return "validating"
        if self._mark is None:
            return "starting"
        since, done_then = self._mark
        progress = self._done() - done_then
        if progress <= 0:
            return ""
        return _duration((time.monotonic() - since) / progress * (1 - self._done()), whole=True) + " left"

    def _epoch_parts(self, logs: dict, improved: bool):
        yield 0, "bold", self._epoch_name()
        for place, (name, value) in enumerate(_in_order(logs)):
            if name == "learning_rate":
                continue
            training = 0 if name.startswith("val_") else 100
            rank = 1 if name in (self.monitor, "loss") else 10 + training + place
            yield rank, "", f"{name} {_number(value)}"
        if "learning_rate" in logs:
            yield 5, "dim", f"lr {logs['learning_rate']:<8.3g}"
        yield 4, "dim", f"{_duration(time.monotonic() - self._epoch_began):>6}"
        if self._best.value is not None:
            yield 3, "green" if improved else "dim", f"{'*' if improved else ' '} best {_number(self._best.value)}"

    def _epoch_name(self) -> str:
        return f"epoch {self._epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"


_BAR = "\0"  # stands for the bar until its width is known


def _line(parts, width: int | None = None, bar=None):
    """The parts as one `rich.text.Text` of at most `width` columns."""
    from rich.text import Text

    parts = [part for part in parts if part[2]]
    least_bar = 8

    def length():
        return sum(least_bar if text == _BAR else len(text) for _, _, text in parts) + 2 * (len(parts) - 1)

    while width and length() > width and len(parts) > 1:
        parts.remove(max(parts, key=lambda part: part[0]))
    room = least_bar + min(max((width or 0) - length(), 0), 22)
    line = Text(no_wrap=True, overflow="crop")
    for _, style, text in parts:
        line.append("  " if line else "")
        line.append_text(_bar(room, *bar) if text == _BAR else Text(text, style))
    return line


def _bar(width: int, seen: int, target: int | None, encoding: str):
    from rich.text import Text

    full, empty = ("━", "─") if encoding.lower().startswith("utf") else ("#", "-")
    filled = min(width * seen // target, width) if target else 0
    return Text.assemble((full * filled, "cyan"), (empty * (width - filled), "dim"))


def _in_order(logs: dict) -> list:
    """Numbers alone; the loss first, then the metrics, then validation's in the same order."""
    numbers = [(name, value) for name, value in logs.items() if isinstance(value, int | float)]
    return sorted(numbers, key=lambda item: (item[0].startswith("val_"), item[0].removeprefix("val_") != "loss"))


def _number(value: float) -> str:
    size = abs(value)
    if size and not 1e-3 <= size < 1e4:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}"


def _duration(seconds: float, whole: bool = False) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s" if whole else f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _on_terminal() -> bool:
    stream = sys.stdout
    return bool(getattr(stream, "isatty", bool)()) and os.environ.get("TERM") not in ("dumb", "unknown")
