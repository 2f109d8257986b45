"""Trials on a model that leave no trace in it: learning rate, batch size, one batch by heart, a smoke run."""

from .batch_size import BatchSizes, find_batch_size
from .learning_rate import LearningRates, find_learning_rate
from .overfit import Overfit, overfit_one_batch
from .restored import restored
from .smoke import smoke_run

__all__ = [
    "BatchSizes",
    "LearningRates",
    "Overfit",
    "find_batch_size",
    "find_learning_rate",
    "overfit_one_batch",
    "restored",
    "smoke_run",
]
