"""The two halves of an autoencoder, and what lies between them."""

import math

import keras
from keras import ops

from .layers import Standardization


def check_shape(shape, form):
    """Refuses what has no size of its own to be restored to, and convolutions on a table."""
    if None in shape:
        raise ValueError(f"input_shape must have no None, since what is restored has one size; it is {shape}.")
    if form == "convolutional" and len(shape) != 3:
        raise ValueError(f"form='convolutional' is for images (height, width, channels), not {shape}.")


def flat(x):
    """One float32 vector for each example."""
    return ops.reshape(ops.cast(x, "float32"), (-1, math.prod(x.shape[1:])))


def scale(x):
    """Brings pixels 0..255 to 0..1, or the features of a table to mean 0 and deviation 1."""
    if len(x.shape) == 4:
        return keras.layers.Rescaling(1 / 255, dtype="float32", name="scale")(x)
    return Standardization(name="scale")(keras.layers.Flatten(dtype="float32")(x))


def unscale(x, shape, squash):
    """The way back: a layer that leaves pixels in 0..1, then 0..255; or the features of a table in their own units."""
    if len(shape) == 3:
        return keras.layers.Rescaling(255.0, dtype="float32", name="units")(squash(x))
    return keras.layers.Reshape(shape, dtype="float32")(Standardization(invert=True, name="units")(x))


def compress(x, form, depth, width, activation):
    """The first half: a vector of features for each example."""
    if form == "convolutional":
        for stage in range(depth):
            x = keras.layers.Conv2D(filters(width, stage), 4, strides=2, padding="same", activation=activation)(x)
    return dense(keras.layers.Flatten()(x), 1 if form == "convolutional" else depth, width, activation)


def expand(x, shape, form, depth, width, activation):
    """The second half, the mirror image of the first: any numbers, in float32; those of a table in one row."""
    x = dense(x, 1 if form == "convolutional" else depth, width, activation)
    if form == "dense":
        x = keras.layers.Dense(math.prod(shape), dtype="float32")(x)
        return keras.layers.Reshape(shape, dtype="float32")(x) if len(shape) == 3 else x
    *sides, channels = shape
    sizes = halved(sides, depth)
    first = (*sizes[depth], filters(width, depth - 1))
    x = keras.layers.Reshape(first)(keras.layers.Dense(math.prod(first), activation)(x))
    for stage in reversed(range(depth)):
        inner = {"filters": filters(width, stage - 1), "activation": activation}
        last = {"filters": channels, "dtype": "float32"}
        x = keras.layers.Conv2DTranspose(kernel_size=4, strides=2, padding="same", **(inner if stage else last))(x)
        x = crop(x, sizes[stage], dtype=None if stage else "float32")
    return x


def halved(sides, depth):
    """The sides of an image after each of `depth` halvings, which round up, the whole image first."""
    return [tuple(-(-side // 2**stage) for side in sides) for stage in range(depth + 1)]


def crop(x, sides, dtype=None):
    """Cuts off what is too much where a side that was rounded up is doubled: 7 is halved to 4, and doubled to 8."""
    surplus = [(0, more - side) for more, side in zip(x.shape[1:3], sides, strict=True)]
    return keras.layers.Cropping2D(surplus, dtype=dtype)(x) if surplus != [(0, 0), (0, 0)] else x


def filters(width, stage):
    return max(1, width // 8) * 2**stage


def dense(x, depth, width, activation):
    for _ in range(depth):
        x = keras.layers.Dense(width, activation, kernel_initializer="he_normal")(x)
    return x


def gaussian_kl(mean, log_variance):
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, summed over the last axis.

    >>> float(gaussian_kl([[3.0, 0.0]], [[0.0, 0.0]])[0])
    4.5
    """
    mean, log_variance = ops.convert_to_tensor(mean), ops.convert_to_tensor(log_variance)
    return ops.sum(ops.square(mean) + ops.exp(log_variance) - 1 - log_variance, axis=-1) / 2


@keras.saving.register_keras_serializable("keras_cookbook")
class KeepLargest(keras.layers.Layer):
    """Sets all but the `k` numbers of largest magnitude on the last axis to zero (Makhzani and Frey, 2013,
    arXiv:1312.5663)."""

    def __init__(self, k, **kwargs):
        super().__init__(**kwargs)
        self.k = k

    def call(self, inputs):
        size = ops.abs(inputs)
        least = ops.stop_gradient(ops.top_k(size, self.k)[0][..., -1:])
        return ops.where(size >= least, inputs, ops.zeros_like(inputs))

    def get_config(self):
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable("keras_cookbook")
class Spread(keras.layers.Layer):
    """Passes its inputs on, and learns how far the truth lies from them: a variance for each place on the last axis.

    Args:
        start: the variance at first. Too small a one lets gradients explode.
    """

    #: The variance cannot fall below: a feature that never varies would make the likelihood infinite.
    LEAST = 1e-4

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        start = keras.initializers.Constant(math.log(self.start))
        self.log_variance = self.add_weight(shape=input_shape[-1:], initializer=start, dtype="float32", name="spread")

    def get_config(self):
        return {**super().get_config(), "start": self.start}

    def call(self, inputs):
        return inputs

    @property
    def variance(self):
        return ops.exp(self.log_variance) + self.LEAST
