"""Hyperparameter search: `search(recipe, data)` reads the space from the recipe's signature."""

from .result import Search
from .search import search

__all__ = ["Search", "search"]
