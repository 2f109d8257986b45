"""Hyperparameter search: `search(recipe, data)` reads the space from the recipe's signature."""

from . import plots
from .result import Search
from .search import search
from .space import when

__all__ = ["Search", "plots", "search", "when"]
