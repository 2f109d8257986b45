"""Callbacks for any compiled `keras.Model`: `standard()` is what nearly everyone wants, in one call."""

import os
import sys

if "tensorflow" not in sys.modules:  # which reads it once; `recipes` says where that was too late
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from .averaging import StochasticWeightAveraging
from .bundle import standard
from .checkpoint import BestModel, save_json, save_model, write_text
from .checks import check
from .curves import LiveCurves
from .doctor import Monitor, TrainingDoctor, by_severity, preflight, replay
from .finders import find_batch_size, find_learning_rate, overfit_one_batch, restored, smoke_run
from .fit import fit
from .logs import JSONLog, LogLearningRate
from .progress import Progress
from .report import Report, plots
from .resume import Resume
from .stopping import StopAfter
from .unfreezing import GradualUnfreezing

__all__ = [
    "BestModel",
    "GradualUnfreezing",
    "JSONLog",
    "LiveCurves",
    "LogLearningRate",
    "Monitor",
    "Progress",
    "Report",
    "Resume",
    "StochasticWeightAveraging",
    "StopAfter",
    "TrainingDoctor",
    "by_severity",
    "check",
    "find_batch_size",
    "find_learning_rate",
    "fit",
    "overfit_one_batch",
    "plots",
    "preflight",
    "replay",
    "restored",
    "save_json",
    "save_model",
    "smoke_run",
    "standard",
    "write_text",
]
