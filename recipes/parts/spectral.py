"""Spectral normalisation."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cookbook")
class SpectralNormalization(keras.layers.Wrapper):
    """Divides a layer's kernel by its largest singular value (Miyato et al., 2018, arXiv:1802.05957).

    The kernel counts as a matrix with a column for each output. A call in training mode takes one step of the power
    iteration that finds the singular value, so it follows the kernel as that learns.

    `keras.layers.SpectralNormalization` writes the quotient into the kernel, which PyTorch refuses where a layer is
    called twice in a step, and the gradient takes no notice of the division. Here the kernel stays as it is.

    Args:
        layer: a built-in layer with a `kernel`: Dense, Conv2D, ...
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})

    def build(self, input_shape):
        super().build(input_shape)
        self.direction = self.add_weight(
            shape=self.layer.kernel.shape[-1:],
            initializer="random_normal",
            trainable=False,
            autocast=False,
            name="direction",
        )

    def call(self, inputs, training=False):
        # Half precision is too little for the iteration.
        matrix = ops.cast(ops.reshape(self.layer.kernel, (-1, self.layer.kernel.shape[-1])), "float32")
        fixed = ops.stop_gradient(matrix)
        direction = ops.convert_to_tensor(self.direction)
        if training:
            direction = ops.matmul(ops.matmul(fixed, direction), fixed)
        direction = ops.normalize(direction, epsilon=1e-12)
        if training:
            self.direction.assign(direction)
        size = ops.maximum(ops.norm(ops.matmul(matrix, direction)), 1e-12)
        kernel = ops.reshape(matrix / size, self.layer.kernel.shape)
        groups = self.layer.trainable_variables, self.layer.non_trainable_variables
        weights = [[kernel if w is self.layer.kernel else ops.convert_to_tensor(w) for w in group] for group in groups]
        return self.layer.stateless_call(*weights, inputs)[0]

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)
