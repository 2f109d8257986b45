"""Signals that ask a training to end: they are noted, and act when it is ready."""

import signal
import threading

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
        before = self._before[number]
        if callable(before):
            before(number, frame)
        raise SystemExit(128 + number)

    def _note(self, number, frame):
        self.came = number, frame
        self.release()  # a second one acts at once
