"""Residual networks."""

from typing import Annotated

import keras

from .._contract import recipe
from .._heads import head
from .._kinds import Augmentation, Choice, Flag, Integer, Rate, Shape, Size, Task
from .._training import Training
from ..parts.augmentation import augmented
from ..parts.layers import Dropout
from ..parts.normalization import BatchNormalization

#: Depth -> the kind of block, and how many in each of the four stages (He et al., table 1).
STAGES = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@recipe(
    data="images",
    paper="He et al., 2015, arXiv:1512.03385",
    training=Training(
        optimizer="sgd", learning_rate=0.05, weight_decay=5e-3, schedule="cosine", warmup=0.1, clip_norm=1.0
    ),
)
def resnet(
    input_shape: Shape,
    outputs: Size,
    task: Task = "multiclass",
    *,
    depth: Annotated[int, Choice(18, 34, 50, 101, 152, search=(18, 34, 50))] = 18,
    width: Annotated[int, Integer(1, 1024, search=(16, 64), log=True)] = 64,
    stem: Annotated[str, Choice("auto", "small", "imagenet")] = "auto",
    dropout: Rate = 0.0,
    augmentation: Augmentation = "none",
    rescale: Flag = True,
) -> keras.Model:
    """Residual network (He et al., 2015): blocks that learn what to add to their input, so that depth does not hurt.

    The standard choice for images when a small convnet is not enough. At 224x224x3 and 1000 outputs depth 18 has
    11,689,512 trainable weights and depth 50 has 25,557,032. A quarter of the width costs a sixteenth of the time.

    Args:
        depth: the number of layers with weights; 50 and more have bottleneck blocks.
        width: the number of filters in the first stage; each further stage doubles it.
        stem: "imagenet" begins with a 7x7 convolution and pooling, which divide height and width by 4; "small" with a
            3x3 convolution, which keeps them; "auto" is "small" where a side has fewer than 96 pixels.
        dropout: the share of features left out before the output, in each training step.
        augmentation: how each training step changes the images at random: "shift" moves them by up to an eighth of
            height and width, "flip" exchanges left and right of half of them (not for digits or text), "shift_flip"
            does both (He et al., 2015).
        rescale: whether the network maps pixels 0..255 to -1..1 itself; False for images that are scaled already.
    Fit on:
        x: uint8 or float32 (images, height, width, channels), 0..255.
        y: int (images,) classes for "multiclass"; 0 or 1 (images,) for "binary"; 0 or 1 (images, outputs) for
            "multilabel"; float (images, outputs) for "regression".
    Raises:
        ValueError: an argument outside its range, or data that do not fit, before the first step.
    """
    block, repeats = STAGES[depth]
    if stem == "auto":
        stem = "small" if min((side for side in input_shape[:2] if side), default=224) < 96 else "imagenet"
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs) if rescale else inputs
    x = augmented(x, augmentation)
    if stem == "imagenet":
        x = keras.layers.ReLU()(convolution(x, width, 7, strides=2))
        x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.MaxPooling2D(3, strides=2)(x)
    else:
        x = keras.layers.ReLU()(convolution(x, width, 3))
    for stage, count in enumerate(repeats):
        for index in range(count):
            # The first block of each stage but the first halves height and width.
            x = BLOCKS[block](x, width * 2**stage, strides=2 if stage and not index else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = Dropout(dropout)(x)
    return head(inputs, x, task, outputs)


def convolution(x, filters, size, strides=1):
    """A convolution and batch normalisation; padding is the same on all sides, whatever the stride."""
    if size > 1 and strides > 1:
        x = keras.layers.ZeroPadding2D(size // 2)(x)
    x = keras.layers.Conv2D(
        filters,
        size,
        strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
    )(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def basic_block(x, filters, strides):
    """Two 3x3 convolutions."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = convolution(x, filters, 1, strides)
    x = keras.layers.ReLU()(convolution(x, filters, 3, strides))
    x = convolution(x, filters, 3)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, x]))


def bottleneck_block(x, filters, strides):
    """1x1, 3x3 and 1x1 convolutions; the first narrows, the last widens to four times the filters."""
    shortcut = x
    if strides > 1 or x.shape[-1] != 4 * filters:
        shortcut = convolution(x, 4 * filters, 1, strides)
    x = keras.layers.ReLU()(convolution(x, filters, 1, strides))
    x = keras.layers.ReLU()(convolution(x, filters, 3))
    x = convolution(x, 4 * filters, 1)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, x]))


BLOCKS = {"basic": basic_block, "bottleneck": bottleneck_block}
