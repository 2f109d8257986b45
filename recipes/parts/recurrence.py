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
