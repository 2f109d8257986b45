"""The small convolutional network."""

from typing import Annotated

import keras

from .._contract import recipe
from .._heads import head
from .._kinds import Activation, Augmentation, Choice, Flag, Integer, Rate, Shape, Size, Task, Width
from .._training import Training
from ..parts.augmentation import augmented
from ..parts.layers import Dropout
from ..parts.normalization import BatchNormalization


@recipe(
    data="images",
    paper="LeCun et al., 1998, doi:10.1109/5.726791",
    training=Training(learning_rate=2e-3, schedule="cosine", warmup=0.1),
)
def cnn(
    input_shape: Shape,
    outputs: Size,
    task: Task = "multiclass",
    *,
    depth: Annotated[int, Integer(1, 10, search=(1, 3))] = 2,
    width: Annotated[int, Integer(1, 4096, search=(16, 64), log=True)] = 32,
    kernel_size: Annotated[int, Choice(3, 5, 7, search=(3, 5))] = 3,
    units: Width = 128,
    activation: Activation = "relu",
    dropout: Rate = 0.25,
    augmentation: Augmentation = "none",
    rescale: Flag = True,
) -> keras.Model:
    """Small convolutional network (LeCun et al., 1998): filters that look at patches, pooling, a dense layer.

    For small images, up to about 64 pixels a side; it reaches 99% on MNIST. Beyond that, `resnet`.

    Args:
        depth: the number of stages; each halves height and width and doubles the filters.
        width: the number of filters in the first stage.
        kernel_size: the height and width of a filter, in pixels.
        units: the size of the dense layer before the output.
        dropout: the share of features left out, before and after the dense layer, in each training step.
        augmentation: how each training step changes the images at random: "shift" moves them by up to an eighth of
            height and width, "flip" exchanges left and right of half of them (not for digits or text), "shift_flip"
            does both (He et al., 2015).
        rescale: whether the network maps pixels 0..255 to -1..1 itself; False for images that are scaled already.
    Fit on:
        x: uint8 or float32 (images, height, width, channels), 0..255.
        y: int (images,) classes for "multiclass"; 0 or 1 (images,) for "binary"; 0 or 1 (images, outputs) for
            "multilabel"; float (images, outputs) for "regression".
    Raises:
        ValueError: an argument outside its range, more stages than the image can be halved, or data that do not fit,
            before the first step.
    """
    smallest = min((side for side in input_shape[:2] if side), default=2**depth)
    if smallest < 2**depth:
        raise ValueError(
            f"depth={depth} halves the image {depth} times, and a side of {smallest} pixels can be halved "
            f"{smallest.bit_length() - 1} times. Use depth={max(1, smallest.bit_length() - 1)} or larger images."
        )
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs) if rescale else inputs
    x = augmented(x, augmentation)
    for stage in range(depth):
        x = keras.layers.Conv2D(width * 2**stage, kernel_size, padding="same", use_bias=False)(x)
        # What follows the pooling has a quarter of the values to work on; the network learns as much.
        x = keras.layers.MaxPooling2D()(x)
        x = BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation(activation)(x)
    x = keras.layers.Flatten()(x) if None not in input_shape else keras.layers.GlobalAveragePooling2D()(x)
    x = Dropout(dropout)(x)
    x = keras.layers.Dense(units, activation, kernel_initializer="he_normal")(x)
    x = Dropout(dropout)(x)
    return head(inputs, x, task, outputs)
