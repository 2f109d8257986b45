"""Sequences of steps."""

from .recurrent import recurrent

__all__ = ["recurrent"]
