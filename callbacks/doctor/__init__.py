"""What is wrong with a training, and what to do about it."""

from .callback import TrainingDoctor
from .culprit import Culprit, replay
from .findings import FAULTS, Fault, Finding, by_severity
from .monitor import Monitor
from .preflight import preflight
from .remedies import Trial

__all__ = [
    "FAULTS",
    "Culprit",
    "Fault",
    "Finding",
    "Monitor",
    "TrainingDoctor",
    "Trial",
    "by_severity",
    "preflight",
    "replay",
]
