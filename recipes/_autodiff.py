"""`gradient(fn)` on three backends: the only file that knows a backend."""

import keras
from keras import ops


def gradient(fn):
    """The function that gives the derivative of the scalar `fn(x)` by `x`, a tensor or a structure of tensors.

    It may stand inside a loss: the derivative can be derived again, by `x` and by the weights that `fn` uses, and it
    compiles. `fn` must not change state: no batch normalisation or dropout in training mode (on JAX their new values
    would outlive the function they belong to).
    """

    def derivative(x):
        return BACKENDS[keras.backend.backend()](fn, keras.tree.map_structure(ops.convert_to_tensor, x))

    return derivative


def by_tensorflow(fn, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = fn(x)
    return tape.gradient(value, x, unconnected_gradients="zero")


def by_jax(fn, x):
    import jax

    return jax.grad(fn)(x)


def by_torch(fn, x):
    import torch

    return torch.func.grad(fn)(x)


BACKENDS = {"tensorflow": by_tensorflow, "jax": by_jax, "torch": by_torch}
