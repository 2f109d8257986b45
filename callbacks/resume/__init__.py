"""Interrupt a training, run the same command again, and it continues at the very step."""

from .callback import Resume

__all__ = ["Resume"]
