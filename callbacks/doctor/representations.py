"""What a network attends to, and how far the embeddings of examples differ."""

import contextlib
import inspect
import math

import keras
from keras import ops

from ..logs import inner_optimizers
from .preflight.graph import graph, inner_layers
from .preflight.losses import read_loss

#: Examples whose attention is looked at: each has many queries.
_FEW = 4
#: A query that gives a single step so much of its weight looks at nothing else.
_NEARLY_ALL = 0.99
#: Fewer numbers, without a normalization, may be a value or a choice.
_WIDE = 16


def attention_layers(model) -> list:
    """The layers, those within layers too, that can be asked for their weights as Keras' own are:
    `call(..., return_attention_scores=True)`."""
    return [layer for layer in inner_layers(model) if "return_attention_scores" in _arguments(layer)]


def _arguments(layer):
    try:
        return inspect.signature(layer.call).parameters
    except (TypeError, ValueError):
        return ()


def glance(call, args, kwargs):
    """Entropy and share of peaked queries of an attention layer, as tensors; None where they cannot be told.

    Args:
        call: The layer's own.
        args, kwargs: What it was called with.
    """
    tensors = [part for part in keras.tree.flatten(args) if hasattr(part, "shape")]
    if not tensors or not tensors[0].shape:
        return None
    rows = tensors[0].shape[0]

    def few(part):
        # A mask of queries and keys for all examples has two axes of its own.
        return part[:_FEW] if len(getattr(part, "shape", ())) > 1 and part.shape[0] == rows else part

    args, kwargs = keras.tree.map_structure(few, (args, {**kwargs}))
    kwargs |= {"return_attention_scores": True} | ({"training": False} if "training" in kwargs else {})
    with contextlib.suppress(Exception):  # one that computes no weights, such as flash attention
        weights = ops.cast(ops.stop_gradient(call(*args, **kwargs)[1]), "float32")
        steps = weights.shape[-1]
        if steps and steps > 1:
            entropy = -ops.sum(weights * ops.log(weights + 1e-9), axis=-1)
            peaked = ops.cast(ops.max(weights, axis=-1) > _NEARLY_ALL, "float32")
            return ops.mean(entropy) / math.log(steps), ops.mean(peaked)
    return None


def makes_embeddings(model, batch) -> bool:
    """Whether the answers of the model are embeddings: nothing that labels or inputs could be compared with."""
    x, y, _ = batch
    places = graph(model).outputs
    shape = places[0].shape if len(places) == 1 else None
    if not shape or len(shape) != 2 or not shape[1] or shape[1] < 2 or len(inner_optimizers(model)) != 1:
        return False
    if isinstance(model.loss, dict | list | tuple) or (model.loss is not None and read_loss(model.loss)[2]):
        return False
    if any(hasattr(part, "shape") and tuple(part.shape[1:]) == shape[1:] for part in keras.tree.flatten((x, y))):
        return False  # an autoencoder, or a regression with a loss of its own
    if places[0].kind in ("UnitNormalization", "Normalize"):
        return True
    return model.loss is None and y is None and shape[1] >= _WIDE and places[0].activation in (None, "linear")


def spread(embeddings):
    """The deviation of normalized embeddings over the batch, 1 where they go in all directions alike."""
    embeddings = ops.cast(ops.stop_gradient(embeddings), "float32")
    directions = embeddings / (ops.norm(embeddings, axis=-1, keepdims=True) + 1e-12)
    return ops.mean(ops.std(directions, axis=0)) * embeddings.shape[-1] ** 0.5
