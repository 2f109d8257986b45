"""The command `cookbook`."""

from . import reports  # noqa: F401 - its command
from .commands import main

__all__ = ["main"]
