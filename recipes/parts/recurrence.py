"""Layers for networks that read step by step."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cookbook")
class UntilEnd(keras.layers.Layer):
    """Masks only what follows the last step that is not masked, and never the first step.

    cuDNN reads no other masks: on a GPU a 0 among the tokens, or a text without a word, would stop `fit`.
    """

    supports_masking = True

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None:
            return None
        later = ops.flip(ops.cumsum(ops.flip(ops.cast(previous_mask, "int32"), axis=1), axis=1), axis=1)
        return ops.concatenate([ops.ones_like(later[:, :1]), later[:, 1:]], axis=1) > 0


@keras.saving.register_keras_serializable("keras_cookbook")
class InHalves(keras.layers.Wrapper):
    """A recurrent layer that reads the two halves of a batch side by side on TensorFlow without a GPU.

    A step is too small to keep two cores busy, and no step can begin before the last one has ended; but the halves do
    not wait for each other. On an LSTM a training step takes a sixth less time. Elsewhere it is the layer itself.

    Args:
        layer: a `keras.layers.RNN`, or a `Bidirectional` of one, that answers with one tensor, and keeps no state from
            batch to batch.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        if keras.backend.backend() == "jax" and layer.compute_dtype != "float32":
            # JAX cannot hand half precision to cuDNN ("Unknown output type bfloat16").
            for one in (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None)):
                if hasattr(one, "use_cudnn"):
                    one.use_cudnn = False

    def call(self, inputs, mask=None, training=None):
        # One sequence has no halves.
        if inputs.shape[0] == 1 or keras.backend.backend() != "tensorflow" or on_gpu():
            return self.layer(inputs, mask=mask, training=training)
        half = ops.shape(inputs)[0] // 2
        return ops.concatenate(
            [
                self.layer(inputs[rows], mask=None if mask is None else mask[rows], training=training)
                for rows in (slice(None, half), slice(half, None))
            ]
        )

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs, previous_mask=None):
        return self.layer.compute_mask(inputs, previous_mask)


def on_gpu():
    """Whether TensorFlow has a GPU, where one kernel reads all steps."""
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))
