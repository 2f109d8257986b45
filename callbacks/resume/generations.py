"""States on disk: each file is whole and has a checksum, the last two are kept, and a thread writes them."""

import contextlib
import hashlib
import json
import os
import threading
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np

from ..checkpoint import _check_writable, _replacing, remove_unfinished

_MARK = b"keras_cookbook state 1 sha256 "
_HEADER = len(_MARK) + 64 + 1
_KEPT = 2


class Generations:
    """The numbered states in a folder.

    A state is a document (plain values, as JSON has them) and a list of arrays. Its file is a line with a checksum and
    then NumPy's `.npz`; nothing in it is ever unpickled.

    Args:
        folder: Created with the first state.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(path for path in self.folder.glob("*.state") if path.stem.isdigit())

    def write(self, document: dict, arrays: list[np.ndarray]):
        """Writes one more generation, and then removes those that are too old.

        Raises:
            OSError: The file could not be written; the generations before it are untouched.
        """
        before = self.paths()
        path = self.folder / f"{int(before[-1].stem) + 1 if before else 1:08d}.state"
        with _replacing(path, "the state of the training") as unfinished, open(unfinished, "wb+") as file:
            file.write(bytes(_HEADER))
            text = np.frombuffer(json.dumps(document).encode(), "uint8")
            np.savez(file, document=text, **{str(place): array for place, array in enumerate(arrays)})
            file.seek(_HEADER)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            file.write(_MARK + digest.encode() + b"\n")
        _sync(self.folder)  # the new name itself survives a power failure before an old one goes
        for old in before[: 1 - _KEPT]:
            with contextlib.suppress(OSError):
                old.unlink()

    def newest(self) -> tuple[dict, list[np.ndarray]] | None:
        """The newest state that is whole, or None where there is none yet; a damaged one is warned of.

        Raises:
            ValueError: There are states, and all of them are damaged.
        """
        told = []
        for path in reversed(self.paths()):
            try:
                found = _read(path)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                told.append(f"{path} is damaged ({error})")
                continue
            if told:
                message = f"{'; '.join(told)}. The training continues from the state before it, {path.name}."
                warnings.warn(message, RuntimeWarning, stacklevel=2)
            return found
        if told:
            raise ValueError(f"{'; '.join(told)}, and there is no other. To start anew, remove {self.folder}.")
        return None

    def prepare(self):
        """Sees that the folder can be written, and removes what a killed process has left unfinished.

        Raises:
            OSError: It cannot be written.
        """
        _check_writable(self.folder, "states")
        remove_unfinished(self.folder)


class Writer:
    """Writes states in a thread beside the training, one at a time.

    Args:
        generations: Where they go.

    Attributes:
        seconds: How long the last one took.
    """

    def __init__(self, generations: Generations):
        self.generations = generations
        self._thread = self._error = None
        self.seconds = 0.0

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, document: dict, arrays: list[np.ndarray]):
        """Begins to write; waits for an earlier state that is still being written."""
        self.finish()
        # Not a daemon: Python waits for it before it ends.
        self._thread = threading.Thread(target=self._write, args=(document, arrays), name="keras_cookbook resume")
        self._thread.start()

    def finish(self):
        """Waits until what was begun is on disk, or has failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def failure(self) -> OSError | None:
        """What went wrong since this was asked last."""
        error, self._error = self._error, None
        return error

    def _write(self, document, arrays):
        began = time.monotonic()
        try:
            self.generations.write(document, arrays)
        except OSError as error:
            self._error = error
        self.seconds = time.monotonic() - began


def _read(path: Path) -> tuple[dict, list[np.ndarray]]:
    with open(path, "rb") as file:
        header = file.read(_HEADER)
        if not header.startswith(_MARK) or len(header) < _HEADER:
            raise ValueError("it does not begin as a state does")
        if hashlib.file_digest(file, "sha256").hexdigest().encode() != header[len(_MARK) : -1]:
            raise ValueError("its checksum is another")
        file.seek(_HEADER)
        with np.load(file, allow_pickle=False) as stored:
            document = json.loads(stored["document"].tobytes())
            return document, [stored[str(place)] for place in range(len(stored.files) - 1)]


def _sync(folder: Path):
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
