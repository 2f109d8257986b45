"""The command `cookbook`."""

from . import export, files, reports  # noqa: F401 - their commands
from .commands import main

__all__ = ["main"]
