"""What recipes are made of, for use in any Keras model."""

from .attention import EncoderBlock, Positions, SelfAttention, StepPooling
from .augmentation import ShiftAndFlip
from .latent import KeepLargest, Spread, gaussian_kl
from .layers import Dropout, Standardization
from .losses import SmoothedSparseCategoricalCrossentropy
from .normalization import BatchNormalization
from .schedules import PlannedSchedule
from .spectral import SpectralNormalization

__all__ = [
    "BatchNormalization",
    "Dropout",
    "EncoderBlock",
    "KeepLargest",
    "PlannedSchedule",
    "Positions",
    "SelfAttention",
    "ShiftAndFlip",
    "SmoothedSparseCategoricalCrossentropy",
    "SpectralNormalization",
    "Spread",
    "Standardization",
    "StepPooling",
    "gaussian_kl",
]
