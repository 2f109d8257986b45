"""Over which devices one trial is spread."""

import contextlib

import keras


def check_strategy(strategy):
    """The strategy to use, or None for one device.

    Args:
        strategy: "auto" (one device, or `tf.distribute.MirroredStrategy` over all GPUs where there are several), or an
            object with a `scope()`: a `tf.distribute` strategy on TensorFlow, a `keras.distribution` one on JAX.

    Raises:
        ValueError: for anything else, or a strategy that this backend would ignore.
    """
    backend = keras.backend.backend()
    if strategy == "auto":
        if backend != "tensorflow":
            return None
        import tensorflow as tf

        return tf.distribute.MirroredStrategy() if len(tf.config.list_logical_devices("GPU")) > 1 else None
    if strategy is None:
        return None
    if isinstance(strategy, str) or not hasattr(strategy, "scope"):
        raise ValueError(
            "strategy says how a trial is spread over devices: it must be 'auto' or an object with a scope(), such as "
            f"tf.distribute.MirroredStrategy(), not {strategy!r}. The way of searching is algorithm=."
        )
    ours = isinstance(strategy, keras.distribution.DataParallel | keras.distribution.ModelParallel)
    if ours and backend != "jax":
        raise ValueError(f"keras.distribution does nothing on {backend}. Use a tf.distribute strategy on TensorFlow.")
    if not ours and backend != "tensorflow":
        raise ValueError(f"a tf.distribute strategy does nothing on {backend}. Use keras.distribution on JAX.")
    return strategy


def scope(strategy):
    return contextlib.nullcontext() if strategy is None else strategy.scope()
