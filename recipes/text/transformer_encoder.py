"""The encoder of the transformer."""

from typing import Annotated

import keras

from .._contract import recipe
from .._heads import head
from .._kinds import Activation, Choice, Flag, Integer, Rate, Shape, Size, Task
from .._text import sequence_input
from .._training import Training
from ..parts.attention import EncoderBlock, Positions, StepPooling
from ..parts.layers import Dropout


@recipe(
    data=("text", "sequences"),
    paper="Vaswani et al., 2017, arXiv:1706.03762",
    training=Training(
        optimizer="adamw", learning_rate=1e-3, weight_decay=0.05, schedule="cosine", warmup=0.1, clip_norm=1.0
    ),
)
def transformer_encoder(
    input_shape: Shape,
    outputs: Size,
    task: Task = "multiclass",
    *,
    depth: Annotated[int, Integer(1, 1000, search=(1, 4))] = 1,
    width: Annotated[int, Integer(1, 65536, search=(32, 256), log=True)] = 64,
    heads: Annotated[int, Integer(1, 1024, search=(1, 8), log=True)] = 2,
    expansion: Annotated[int, Integer(1, 64, search=(1, 4))] = 4,
    positions: Annotated[str, Choice("sinusoidal", "learned", "rotary", "none", search=True)] = "sinusoidal",
    pooling: Annotated[str, Choice("mean", "max", "first")] = "mean",
    activation: Activation = "gelu",
    dropout: Rate = 0.3,
    word_dropout: Rate = 0.2,
    causal: Flag = False,
    return_sequences: Flag = False,
    vocabulary_size: Annotated[int, Integer(3, 10_000_000)] = 10_000,
) -> keras.Model:
    """Transformer encoder (Vaswani et al., 2017): each step looks at all others and takes what it needs of them.

    For texts, split into words by the model itself, and for sequences in which distant steps matter. It is trained from
    nothing: with less than some 10,000 texts, expect what counting words gives, not what a pre-trained network does.
    Time grows with the square of the number of steps.

    Args:
        depth: the number of blocks, each of self-attention and two dense layers.
        width: the number of features of a step, a multiple of `heads`.
        heads: the number of places that a step can look at in each block.
        expansion: the size of the first dense layer of a block, in widths.
        positions: how a step knows its place: "sinusoidal", a fixed table; "learned", a vector for each step; "rotary",
            queries and keys turned by it (Su et al., 2021), so that distance alone counts; "none", not at all.
        pooling: what becomes of the steps: their "mean" or "max", or the "first" alone.
        dropout: the share of features left out, in each training step, of the input, what a block adds, and the answer.
        word_dropout: the share of words, or steps, left out whole.
        causal: whether a step sees only itself and the steps before it.
        return_sequences: whether there is an answer for each step, and none for the sequence.
        vocabulary_size: the number of words that are told apart, the most frequent ones; of no use for numbers.
    Fit on:
        x: texts: str (texts,), or int32 (texts, tokens) of a tokeniser of your own, 0 where a text has ended;
            `input_shape` is `(tokens,)`, and longer texts are cut. Numbers: float32 (sequences, steps, features) of any
            scale.
        y: int (examples,) classes for "multiclass"; 0 or 1 (examples,) for "binary"; 0 or 1 (examples, outputs) for
            "multilabel"; float (examples, outputs) for "regression". With `return_sequences`, all of it by step:
            (examples, steps, ...).
    Raises:
        ValueError: an argument outside its range, a width that the heads cannot share, positions that the number of
            steps does not allow, or data that do not fit, before the first step.
    """
    check_heads(width, heads, positions)
    if positions == "learned" and input_shape[0] is None:
        raise ValueError("positions='learned' needs to know the number of steps. Use 'sinusoidal' or 'rotary'.")
    if pooling == "first" and causal:
        raise ValueError("pooling='first' with causal=True sees nothing but the first step. Use pooling='mean'.")
    inputs, x, model = sequence_input(input_shape, vocabulary_size, width)
    # Beside the positions words must not be small (section 3.4 of the paper).
    enter = keras.layers.Rescaling(width**0.5) if len(input_shape) == 1 else keras.layers.Dense(width)
    x = enter(x)
    x = Dropout(word_dropout, noise_shape=(None, None, 1))(x)
    if positions in ("sinusoidal", "learned"):
        x = Positions(positions)(x)
    x = Dropout(dropout)(x)
    for _ in range(depth):
        x = EncoderBlock(heads, expansion * width, activation, dropout, causal, positions == "rotary")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    if not return_sequences:
        x = StepPooling(pooling)(x)
    x = Dropout(dropout)(x)
    return head(inputs, x, task, outputs, model)


def check_heads(width, heads, positions):
    """Raises a `ValueError` with the nearest width that the heads can share evenly."""
    unit = 2 * heads if positions == "rotary" else heads
    if width % unit:
        below, above = width // unit * unit, (width // unit + 1) * unit
        near = below if below and width - below <= above - width else above
        why = f"2 * heads={unit}, since rotary positions turn pairs" if unit > heads else f"heads={heads}"
        raise ValueError(f"width={width} must be a multiple of {why}. The nearest is width={near}.")
