"""Text, which a model splits into words itself, and sequences of numbers."""

from .transformer_encoder import transformer_encoder

__all__ = ["transformer_encoder"]
