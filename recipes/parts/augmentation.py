"""Changes of images that keep what they show."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_cookbook")
class ShiftAndFlip(keras.layers.Layer):
    """In training, moves each image at random, up to a share of its height and width, and mirrors half of them.

    As He et al. (2015, arXiv:1512.03385, section 4.2) do with CIFAR-10, by 4 pixels of 32; what a border uncovers shows
    the image reflected there, without its edge twice. Otherwise nothing is changed. The steps are whole pixels and a
    product of matrices, which XLA compiles and every backend has.

    Args:
        shift: the largest step, as a share of height and of width, 0 to below 1.
        flip: whether left and right are exchanged, each time with probability 1/2.
        seed: of the random draws; None takes one from Python's generator, as Keras' layers do.
    """

    def __init__(self, shift=0.125, flip=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= shift < 1:
            raise ValueError(f"shift must be a share of the image's side from 0 to below 1, not {shift!r}.")
        self.shift, self.flip, self.seed = shift, flip, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        count, height, width, _ = ops.shape(images)
        rows, columns = self.source(count, height), self.source(count, width)
        if self.flip:
            mirrored = keras.random.uniform((count, 1), seed=self.generator) < 0.5
            columns = ops.where(mirrored, width - 1 - columns, columns)
        moved = ops.einsum("bhy,byxc->bhxc", ops.one_hot(rows, height, dtype=images.dtype), images)
        return ops.einsum("bwx,bhxc->bhwc", ops.one_hot(columns, width, dtype=images.dtype), moved)

    def source(self, count, size):
        """Where along an axis each pixel of each image comes from."""
        largest = ops.floor(self.shift * ops.cast(size, "float32"))
        steps = ops.floor(keras.random.uniform((count, 1), seed=self.generator) * (2 * largest + 1)) - largest
        place = ops.abs(ops.arange(size, dtype="int32")[None] + ops.cast(steps, "int32"))
        return size - 1 - ops.abs(size - 1 - place)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "shift": self.shift, "flip": self.flip, "seed": self.seed}


def augmented(x, augmentation):
    """The images with what `augmentation` names: "none", "shift", "flip" or "shift_flip"."""
    if augmentation == "none":
        return x
    return ShiftAndFlip(0.125 if "shift" in augmentation else 0.0, "flip" in augmentation)(x)
