"""Layers that Keras does not have, or has with a trap."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("keras_cookbook")
class Dropout(keras.layers.Dropout):
    """Keras' dropout; its rate may become a variable, so that what is compiled serves any other rate too.

    Args:
        rate: the share of the inputs left out in each training step, 0 to 1.
        **kwargs: as of `keras.layers.Dropout`.
    """

    variable = None

    def vary(self):
        """Makes the rate a variable of all that is compiled from now on; a rate of 0 stays. On TensorFlow alone."""
        import tensorflow as tf

        if self.rate:
            self.variable = tf.Variable(self.rate, trainable=False, dtype="float32")

    def change(self, rate):
        """Sets another rate, above 0 if it was so before."""
        self.rate = rate
        if self.variable is not None:
            self.variable.assign(rate)

    def call(self, inputs, training=False):
        if self.variable is None or not training:
            return super().call(inputs, training=training)
        rate, shape = ops.cast(self.variable, inputs.dtype), ops.shape(inputs)  # Keras takes plain rates only
        noise = [size if one is None else one for one, size in zip(self.noise_shape or shape, shape, strict=True)]
        kept = keras.random.uniform(noise, dtype=inputs.dtype, seed=self.seed_generator) >= rate
        return ops.where(kept, inputs / (1 - rate), ops.zeros_like(inputs))


@keras.saving.register_keras_serializable("keras_cookbook")
class Standardization(keras.layers.Layer):
    """Shifts and scales each feature, on the last axis, to mean 0 and deviation 1 in the training data.

    `keras.layers.Normalization` keeps both as constants of the compiled function, which `set_weights` does not reach;
    here they are weights. Before `adapt` the layer changes nothing. A feature that never varied is only shifted.

    Args:
        invert: whether the layer goes the other way, from a standardised number to the units of the training labels.
    """

    def __init__(self, invert=False, **kwargs):
        # Features of any scale come in, more than half precision can hold.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.invert, self.supports_masking = invert, True

    def build(self, input_shape):
        shape = input_shape[-1:]
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
        self.deviation = self.add_weight(shape=shape, initializer="ones", trainable=False, name="deviation")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="float32", name="count")

    def call(self, inputs):
        if self.invert:
            return inputs * self.deviation + self.mean
        return (inputs - self.mean) / self.deviation

    def compute_output_shape(self, input_shape):
        return input_shape  # told, so that Keras need not trace `call` for it

    def get_config(self):
        return {**super().get_config(), "invert": self.invert}

    @property
    def adapted(self):
        return bool(ops.convert_to_numpy(self.count) > 0)

    def adapt(self, batches):
        """Learns mean and deviation from an iterable of arrays (examples, ..., features).

        Raises:
            ValueError: if there is no array, as when `fit` was given a generator.
        """
        count, mean, squares = 0, 0.0, 0.0
        # A batch may be the whole array: in double precision a part of it is enough at a time.
        parts = (batch[start : start + 8192] for batch in batches for start in range(0, len(batch), 8192))
        for batch in parts:
            batch = np.asarray(batch, "float64").reshape(-1, *self.mean.shape)
            total = count + len(batch)
            off = batch.mean(axis=0) - mean
            mean = mean + off * len(batch) / total
            squares = squares + batch.var(axis=0) * len(batch) + off**2 * count * len(batch) / total
            count = total
        if not count:
            raise ValueError(
                "The scale of the features is learnt from the data before the first step, and a generator can be read "
                "only once. Give fit arrays, a tf.data.Dataset or a PyDataset."
            )
        deviation = np.sqrt(squares / count)
        # Rounding leaves a constant feature a deviation a little above zero.
        self.deviation.assign(np.where(deviation <= 1e-7 * np.abs(mean), 1.0, deviation))
        self.mean.assign(mean)
        self.count.assign(count)
