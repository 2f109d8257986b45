"""Reports of trainings: one HTML file that loads nothing, and the same as JSON."""

from . import plots
from .callback import Report, read_log, write_report
from .content import training_report
from .evaluation import calibration, class_scores, confusion_matrix, roc_auc
from .page import training_page

__all__ = [
    "Report",
    "calibration",
    "class_scores",
    "confusion_matrix",
    "plots",
    "read_log",
    "roc_auc",
    "training_page",
    "training_report",
    "write_report",
]
