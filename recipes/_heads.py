"""Tasks: what the last layer, the loss and the metrics are for each."""

from dataclasses import dataclass

import keras

from ._model import RecipeModel
from .parts.layers import Standardization
from .parts.losses import SmoothedSparseCategoricalCrossentropy


@dataclass(frozen=True)
class Head:
    activation: str
    loss: object  # label smoothing -> loss
    metrics: object  # -> metrics
    objective: str  # what a search improves


def sparse_loss(smoothing):
    return (
        SmoothedSparseCategoricalCrossentropy(smoothing) if smoothing else keras.losses.SparseCategoricalCrossentropy()
    )


def binary_loss(smoothing):
    return keras.losses.BinaryCrossentropy(label_smoothing=smoothing)


def squared_loss(smoothing):
    if smoothing:
        raise ValueError("label_smoothing is for classes; task='regression' has none. Leave it at 0.")
    return keras.losses.MeanSquaredError()


HEADS = {
    "binary": Head("sigmoid", binary_loss, lambda: [keras.metrics.BinaryAccuracy("accuracy")], "val_accuracy"),
    "multiclass": Head(
        "softmax", sparse_loss, lambda: [keras.metrics.SparseCategoricalAccuracy("accuracy")], "val_accuracy"
    ),
    "multilabel": Head("sigmoid", binary_loss, lambda: [keras.metrics.BinaryAccuracy("accuracy")], "val_accuracy"),
    "regression": Head("linear", squared_loss, lambda: [keras.metrics.MeanAbsoluteError("mae")], "val_loss"),
}


def head(inputs, features, task, outputs, model=RecipeModel, horizon=None, start=None):
    """The finished network, of the given class: an output layer for the task on the last axis of `features`, always in
    float32.

    With a `horizon` it answers for that many steps at once, (horizon, outputs). Where there is a `start`, standardised
    numbers, the network learns what to add to it.
    """
    units = outputs * (horizon or 1)
    answer = keras.layers.Dense(units, HEADS[task].activation, dtype="float32", name="predictions")(features)
    if horizon:
        answer = keras.layers.Reshape((horizon, outputs), dtype="float32")(answer)
    if start is not None:
        answer = answer + start
    if task == "regression":
        # Labels may have any unit and size: the network learns the standardised number.
        answer = Standardization(invert=True, name="units")(answer)
    return model(inputs, answer)


def check_outputs(task, outputs):
    """Refuses a number of outputs that the task cannot have."""
    if task == "binary" and outputs != 1:
        raise ValueError(
            f"outputs={outputs}: task='binary' has one output, the probability of class 1. "
            f"Use outputs=1, or task='multiclass' with a class for each output."
        )
    if task == "multiclass" and outputs < 2:
        raise ValueError(
            "outputs=1: task='multiclass' needs two classes or more, since a softmax over one is always 1. "
            "Use task='binary' for yes or no, task='regression' for a number."
        )


def compile_model(model, training, task=None):
    """Compiles a model with the training settings, for its task where it has one."""
    goal = {}
    if task:
        goal = {"loss": HEADS[task].loss(training.label_smoothing), "metrics": HEADS[task].metrics()}
    model.compile(
        optimizer=model.build_optimizer(training),
        jit_compile=training.jit_compile,
        steps_per_execution=training.steps_per_execution,
        **goal,
    )


def default_objective(task):
    """What a search improves by default."""
    return HEADS[task].objective if task else "val_loss"
