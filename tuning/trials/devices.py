"""Over which devices one trial is spread."""

import contextlib

import keras

from keras_cookbook import recipes
from keras_cookbook.recipes._kinds import nearest

#: Kinds of `recipes.distribution` that need nothing else said.
KINDS = ("auto", "one", "data", "tpu")


def check_strategy(strategy):
    """The object in whose `scope()` a trial runs, or None for one device.

    Args:
        strategy: a kind of `recipes.distribution` that needs nothing else said, or what it returns; a `tf.distribute`
            strategy on TensorFlow, a `keras.distribution` one on JAX; None for one device.

    Raises:
        ValueError: for anything else, or a strategy that this backend would ignore.
    """
    backend = keras.backend.backend()
    if strategy is None or isinstance(strategy, recipes.devices.Distribution):
        return strategy
    if strategy in KINDS:
        return check_strategy(recipes.distribution(strategy))
    if isinstance(strategy, str) or not hasattr(strategy, "scope"):
        raise ValueError(
            f"strategy says how a trial is spread over devices: it must be one of {', '.join(map(repr, KINDS))} or an "
            "object with a scope(), such as recipes.distribution('data') or tf.distribute.MirroredStrategy(), not "
            f"{strategy!r}.{nearest(strategy, KINDS)} The way of searching is algorithm=."
        )
    ours = isinstance(strategy, keras.distribution.DataParallel | keras.distribution.ModelParallel)
    if ours and backend != "jax":
        raise ValueError(f"keras.distribution does nothing on {backend}. Use a tf.distribute strategy on TensorFlow.")
    if not ours and backend != "tensorflow":
        raise ValueError(f"a tf.distribute strategy does nothing on {backend}. Use keras.distribution on JAX.")
    return strategy


def scope(strategy):
    return contextlib.nullcontext() if strategy is None else strategy.scope()
