"""What recipes are made of, for use in any Keras model."""

from .layers import Standardization
from .losses import SmoothedSparseCategoricalCrossentropy
from .schedules import PlannedSchedule

__all__ = ["PlannedSchedule", "SmoothedSparseCategoricalCrossentropy", "Standardization"]
