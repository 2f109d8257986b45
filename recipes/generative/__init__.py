"""Recipes that learn what the data are like, without labels."""

from .autoencoder import autoencoder
from .gan import gan
from .vae import vae

__all__ = ["autoencoder", "gan", "vae"]
