"""What is wrong with a training, and what to do about it."""

from .callback import TrainingDoctor
from .findings import FAULTS, Fault, Finding
from .preflight import preflight

__all__ = ["FAULTS", "Fault", "Finding", "TrainingDoctor", "preflight"]
