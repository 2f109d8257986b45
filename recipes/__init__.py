"""Recipes: factories of compiled Keras models. `recipes.list()` names them; `help(recipes.resnet)` explains one."""

from . import data, parts
from ._contract import get, recipe
from ._contract import names as list
from ._heads import head
from ._kinds import Activation, Choice, Depth, Flag, Integer, Rate, Real, Shape, Size, Task, Width
from ._model import ComposedModel, RecipeModel
from ._training import Fitting, Training
from .generative import autoencoder, gan, vae
from .sequence import recurrent
from .tabular import mlp
from .text import transformer_encoder
from .vision import cnn, resnet

__all__ = [
    "Activation", "Choice", "ComposedModel", "Depth", "Fitting", "Flag", "Integer", "Rate", "Real", "RecipeModel",
    "Shape", "Size", "Task", "Training", "Width", "autoencoder", "cnn", "data", "gan", "get", "head", "list", "mlp",
    "parts", "recipe", "recurrent", "resnet", "transformer_encoder", "vae",
]  # fmt: skip
