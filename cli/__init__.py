"""The command `cookbook`."""

from .commands import main

__all__ = ["main"]
