"""Recurrent networks."""

from typing import Annotated

import keras

from .._contract import recipe
from .._heads import head
from .._kinds import Choice, Flag, Integer, Rate, Shape, Size, Task, Width
from .._text import sequence_input
from .._training import Training
from ..parts.layers import Dropout
from ..parts.recurrence import InHalves, UntilEnd

CELLS = {"simple": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


@recipe(
    data=("sequences", "text"),
    paper="Hochreiter and Schmidhuber, 1997, doi:10.1162/neco.1997.9.8.1735",
    training=Training(learning_rate=2e-3, schedule="cosine", clip_norm=1.0),
)
def recurrent(
    input_shape: Shape,
    outputs: Size,
    task: Task = "multiclass",
    *,
    cell: Annotated[str, Choice(*CELLS, search=("lstm", "gru"))] = "lstm",
    depth: Annotated[int, Integer(1, 100, search=(1, 3))] = 1,
    width: Width = 128,
    bidirectional: Flag = False,
    dropout: Rate = 0.2,
    return_sequences: Flag = False,
    horizon: Annotated[int | None, Integer(1)] = None,
    autoregressive: Flag = None,
    vocabulary_size: Annotated[int, Integer(3, 10_000_000)] = 10_000,
) -> keras.Model:
    """Recurrent network (Hochreiter and Schmidhuber, 1997): a cell reads step by step and remembers what it will need.

    One network for three jobs: a label for a whole sequence, a label for each step (tagging), the steps to come
    (forecasting). The cell is an LSTM, whose forget gate starts open (Jozefowicz et al., 2015), a GRU (Cho et al.,
    2014, arXiv:1406.1078), smaller and about as good, or the simple cell, which forgets within tens of steps. Features
    may have any scale. The fill after the end of a text is not read.

    Forecasts of a series whose level drifts are better as changes: with `autoregressive` each variable is forecast from
    its own past by a linear map (Lai et al., 2018, arXiv:1703.07015) of the differences to its last step (Zeng et al.,
    2022, arXiv:2205.13504), and the network adds what a linear map cannot tell. On ETTh1, 24 hours ahead, the linear
    map does most of the work.

    Args:
        cell: "lstm", "gru" or "simple".
        depth: the number of layers, each of which reads the steps of the one below.
        width: the number of units in a layer, in each direction; for text, of the embedding of a word too.
        bidirectional: whether a second cell reads each sequence from its end (Schuster and Paliwal, 1997,
            doi:10.1109/78.650093). Then a label for a step may depend on later steps.
        dropout: the share of a layer's outputs left out in each training step; never between steps (Zaremba et al.,
            2014, arXiv:1409.2329).
        return_sequences: whether there is an answer for each step in place of one for the whole.
        horizon: the number of next steps that are forecast at once, for task="regression".
        autoregressive: whether a linear forecast is added, for regression; y must hold the first `outputs` variables
            of x. By default, where there is a `horizon` and as many outputs as features.
        vocabulary_size: for text, the number of words told apart, the most frequent ones.
    Fit on:
        x: float32 (sequences, steps, features), any finite numbers; or texts: strings (texts,), or int (texts, tokens)
            of a tokeniser of your own, filled up with 0.
        y: int (sequences,) classes for "multiclass"; 0 or 1 (sequences,) for "binary"; 0 or 1 (sequences, outputs) for
            "multilabel"; float (sequences, outputs) for "regression". With return_sequences=True, (sequences, steps)
            and (sequences, steps, outputs). With a horizon, float (sequences, horizon, outputs).
    Raises:
        ValueError: an argument outside its range, arguments that exclude each other, or data that do not fit, before
            the first step.
    """
    numbers = len(input_shape) == 2
    check_answers(numbers, task, return_sequences, horizon)
    if autoregressive is None:
        autoregressive = horizon is not None and outputs == input_shape[-1] and input_shape[0] is not None
    elif autoregressive:
        check_autoregressive(input_shape, outputs, task, return_sequences)
    inputs, x, model = sequence_input(input_shape, vocabulary_size, width)
    if not numbers:
        x = UntilEnd()(x)
    start = None
    if autoregressive:
        last = x[:, -1:]
        x = x - last
        start = (last + linear_forecast(x, horizon or 1))[:, :, :outputs]
        start = start if horizon else start[:, 0]
    for layer in range(1, depth + 1):
        steps = CELLS[cell](width, return_sequences=return_sequences or layer < depth)
        x = InHalves(keras.layers.Bidirectional(steps) if bidirectional else steps)(x)
        x = Dropout(dropout)(x)
    return head(inputs, x, task, outputs, model, horizon, start)


def linear_forecast(x, horizon):
    """The next steps of each variable, by a linear map of its past that all variables share; at first, no change."""
    past = keras.layers.Permute((2, 1), dtype="float32")(x)
    future = keras.layers.Dense(horizon, kernel_initializer="zeros", dtype="float32", name="autoregressive")(past)
    return keras.layers.Permute((2, 1), dtype="float32")(future)


def check_answers(numbers, task, return_sequences, horizon):
    """Refuses a horizon where there is nothing to forecast."""
    if horizon is None:
        return
    if task != "regression" or not numbers:
        raise ValueError(
            f"horizon={horizon} forecasts numbers: it needs task='regression', not {task!r}, and an input_shape of "
            "(steps, features). Leave it at None for labels and for texts."
        )
    if return_sequences:
        raise ValueError(
            f"horizon={horizon} answers for the steps after the last, return_sequences=True for the steps of x. "
            "Give one of them."
        )


def check_autoregressive(input_shape, outputs, task, return_sequences):
    """Refuses a linear forecast where x does not hold the past of y."""
    if len(input_shape) != 2 or input_shape[0] is None or task != "regression" or return_sequences:
        raise ValueError(
            "autoregressive=True is for task='regression' without return_sequences, on an input_shape of "
            f"(steps, features) with a fixed number of steps; not for task={task!r}, input_shape={input_shape}, "
            f"return_sequences={return_sequences}."
        )
    if outputs > input_shape[1]:
        raise ValueError(
            f"autoregressive=True forecasts variables that x holds: outputs={outputs} must be at most the "
            f"{input_shape[1]} features of input_shape={input_shape}."
        )
