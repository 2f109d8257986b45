"""Recipes: factories of compiled Keras models. `recipes.list()` names them; `help(recipes.resnet)` explains one."""

from ._kernels import switch_on

switch_on()  # before anything imports TensorFlow

from . import data, parts
from ._contract import get, recipe
from ._contract import names as list
from ._heads import head
from ._kinds import Activation, Choice, Depth, Flag, Integer, Rate, Real, Shape, Size, Task, Width
from ._model import ComposedModel, RecipeModel
from ._training import Fitting, Training
from .devices import distribution, pipeline
from .generative import autoencoder, gan, vae
from .saving import export, load, save
from .saving.reproducible import reproducible
from .sequence import recurrent
from .tabular import mlp
from .text import transformer_encoder
from .vision import cnn, resnet

__all__ = [
    "Activation", "Choice", "ComposedModel", "Depth", "Fitting", "Flag", "Integer", "Rate", "Real", "RecipeModel",
    "Shape", "Size", "Task", "Training", "Width", "autoencoder", "cnn", "data", "distribution", "export", "gan",
    "get", "head", "list", "load", "mlp", "parts", "pipeline", "recipe", "recurrent", "reproducible", "resnet",
    "save", "transformer_encoder", "vae",
]  # fmt: skip
