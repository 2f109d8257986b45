"""Signals that ask a training to end: they are noted, and act when it is ready."""

import signal
import threading
from pathlib import Path

from ..checkpoint import _replacing

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes SIGTERM and SIGINT from whoever handles them, until the first comes; only in the main thread.

    Attributes:
        came: The number of the signal and the frame it interrupted, or None.
    """

    def __init__(self):
        self.came, self._before = None, {}

    def take(self):
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}

    def release(self):
        """Gives the signals back."""
        for number, handler in self._before.items():
            # None: a handler that Python has not set, and cannot set again.
            if signal.getsignal(number) == self._note and handler is not None:
                signal.signal(number, handler)

    def act(self):
        """Does what the signal would have done without this object; at the latest, ends Python in order."""
        number, frame = self.came
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        raise SystemExit(128 + number)

    def _note(self, number, frame):
        self.came = number, frame
        self.release()  # a second one acts at once


class Agreement:
    """The batch before which several processes that train together leave, when a signal came to one of them or more.

    Who hears a signal writes to their common folder, before it takes part in a batch, that all leave before the next
    one. No other has done with this batch by then, since a batch ends for all at once; so that all read it in time.

    Args:
        folder: The common one.
        signals: Those of this process.
    """

    def __init__(self, folder: Path, signals: Signals):
        self.path, self.signals, self.batches = folder / "leave.txt", signals, 0

    def forget(self):
        """What an earlier training left; the process that writes does it before its first batch."""
        self.path.unlink(missing_ok=True)

    def reached(self) -> bool:
        """Whether to leave before the batch that begins; asked once for each."""
        batch, self.batches = self.batches, self.batches + 1
        try:
            agreed, number = map(int, self.path.read_text().split())
        except FileNotFoundError:
            if self.signals.came:
                with _replacing(self.path, "the batch to leave at") as unfinished:
                    unfinished.write_text(f"{batch + 1} {int(self.signals.came[0])}")
            return False
        if batch < agreed:
            return False
        self.signals.came = self.signals.came or (number, None)
        return True
