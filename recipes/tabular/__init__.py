"""Rows of features."""

from .mlp import mlp

__all__ = ["mlp"]
