"""The multi-layer perceptron."""

import keras

from .._contract import recipe
from .._heads import head
from .._kinds import Activation, Depth, Rate, Shape, Size, Task, Width
from ..parts.layers import Dropout, Standardization


@recipe(data="rows", paper="Rumelhart, Hinton and Williams, 1986, doi:10.1038/323533a0")
def mlp(
    input_shape: Shape,
    outputs: Size,
    task: Task = "multiclass",
    *,
    depth: Depth = 2,
    width: Width = 128,
    activation: Activation = "relu",
    dropout: Rate = 0.2,
) -> keras.Model:
    """Multi-layer perceptron (Rumelhart et al., 1986): dense layers, each a weighted sum and a non-linearity.

    The first thing to try on a table, and the yardstick for everything else. Features may have any scale: the network
    learns their mean and variance when `fit` begins. Inputs of more than one axis, such as small images, are flattened.

    Args:
        depth: the number of hidden layers.
        width: the number of units in each.
        dropout: the share of hidden units left out in each training step.
    Fit on:
        x: float32 (rows, features), any finite numbers; missing values must be filled in.
        y: int (rows,) classes for "multiclass"; 0 or 1 (rows,) for "binary"; 0 or 1 (rows, outputs) for "multilabel";
            float (rows, outputs) for "regression".
    Raises:
        ValueError: an argument outside its range, or data that do not fit, before the first step.
    """
    inputs = keras.Input(input_shape)
    # Features come in any size, which half precision cannot hold before they are standardised.
    x = inputs if len(input_shape) == 1 else keras.layers.Flatten(dtype="float32")(inputs)
    x = Standardization()(x)
    for _ in range(depth):
        x = keras.layers.Dense(width, activation, kernel_initializer="he_normal")(x)
        x = Dropout(dropout)(x)
    return head(inputs, x, task, outputs)
