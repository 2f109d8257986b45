"""What is wrong with a training, and what to do about it."""

from .callback import TrainingDoctor
from .findings import FAULTS, Fault, Finding, by_severity
from .preflight import preflight
from .trial import Trial

__all__ = ["FAULTS", "Fault", "Finding", "TrainingDoctor", "Trial", "by_severity", "preflight"]
