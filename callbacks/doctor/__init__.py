"""What is wrong with a training, and what to do about it."""

from .findings import FAULTS, Fault, Finding

__all__ = ["FAULTS", "Fault", "Finding"]
