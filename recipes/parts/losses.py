"""Losses that Keras does not have."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cookbook")
class SmoothedSparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy against integer labels, a share of each spread over all classes (Szegedy et al., 2016).

    Equal to `keras.losses.CategoricalCrossentropy(label_smoothing=...)` on one-hot labels, which are never made.

    Args:
        label_smoothing: the share that is spread, 0 to 1.
    """

    def __init__(self, label_smoothing=0.1, name="smoothed_sparse_categorical_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        probabilities = ops.clip(y_pred, keras.config.epsilon(), 1.0)
        spread = -ops.mean(ops.log(probabilities), axis=-1)
        return (1 - self.label_smoothing) * super().call(y_true, y_pred) + self.label_smoothing * spread

    def get_config(self):
        return {"label_smoothing": self.label_smoothing, "name": self.name, "reduction": self.reduction}
