"""Images."""

from .cnn import cnn
from .resnet import resnet

__all__ = ["cnn", "resnet"]
