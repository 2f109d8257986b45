"""One function of a batch and its gradient, on each backend."""

import keras


def gradient(fn, values):
    """What `fn(values)` answers, a loss and more, and the gradient of the loss by the values."""
    return _GRADIENTS[keras.backend.backend()](fn, values)


def compiled(fn):
    """The function as the backend runs it fastest; on PyTorch as it is."""
    return _RUNNERS[keras.backend.backend()](fn)


def _by_tensorflow(fn, values):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(values)
        answer = fn(values)
    return answer, tape.gradient(answer[0], values)


def _by_jax(fn, values):
    import jax

    return jax.value_and_grad(fn, has_aux=True)(values)


def _by_torch(fn, values):
    import torch

    values = [value.detach().requires_grad_() for value in values]
    # Dropout without a seed of its own draws from PyTorch's generator.
    with torch.enable_grad(), torch.random.fork_rng():
        answer = fn(values)
        return answer, torch.autograd.grad(answer[0], values, allow_unused=True) if values else ()


def _tensorflow_function(fn):
    import tensorflow as tf

    return tf.function(fn, autograph=False)


def _jax_function(fn):
    import jax

    return jax.jit(fn)


_GRADIENTS = {"tensorflow": _by_tensorflow, "jax": _by_jax, "torch": _by_torch}
_RUNNERS = {"tensorflow": _tensorflow_function, "jax": _jax_function, "torch": lambda fn: fn}
