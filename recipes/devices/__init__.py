"""Devices: over which a model is spread, and whether that gives what one device gives."""

from .pipeline import Pipeline, pipeline
from .spread import Distribution, distribution

__all__ = ["Distribution", "Pipeline", "distribution", "pipeline"]
