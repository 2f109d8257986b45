"""Callbacks for any compiled `keras.Model`: `standard()` is what nearly everyone wants, in one call."""

from .bundle import standard
from .checkpoint import BestModel, save_json, save_model, write_text
from .checks import check
from .logs import JSONLog, LogLearningRate
from .progress import Progress
from .report import Report, plots
from .resume import Resume

__all__ = [
    "BestModel",
    "JSONLog",
    "LogLearningRate",
    "Progress",
    "Report",
    "Resume",
    "check",
    "plots",
    "save_json",
    "save_model",
    "standard",
    "write_text",
]
