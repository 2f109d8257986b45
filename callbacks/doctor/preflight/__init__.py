"""What can be known before training begins: `preflight` looks at model and data, and leaves both as they are."""

import math

import keras
import numpy as np
from keras import ops

from ..findings import Finding, by_severity
from . import examples, losses, network, reading
from .graph import graph, inner_layers

# The loss of a network that guesses is known; an untrained one begins up to about twice as far.
_FAR = 3
# ResNet-50 begins with a penalty below its loss, and small networks with usual penalties with about twice of it.
_FAR_PENALTY = 10
# A squared error grows with the square.
_FAR_SQUARED = _FAR**2
# Examples enough for a mean, and few enough for a large network.
_PROBE_ROWS = 64
# Labels of this size take an untrained network, which answers with about 1, thousands of steps to reach.
_LARGE_LABEL = 20
# What is wrong with labels or loss already explains the first loss.
_EXPLAINED = {"label_shape", "label_range", "not_finite_input", "loss_and_activation", "one_unit_softmax"}


def preflight(
    model: keras.Model, data=None, *, callbacks=(), batch_size: int | None = None, validation_split: float = 0.0
) -> list[Finding]:
    """Looks for faults that can be seen before the first step, and changes nothing: no weight, no random generator, no
    iterator of the data.

    Args:
        model: A compiled model of any kind. Of a class of the user's own, layers and weights are seen, and their order
            is not.
        data: What `fit` will be given: arrays `(x, y)`, batches, or an object with `train`, `validation` and `test`,
            such as `recipes.data.load` gives. Of batches at most 32 are read, of arrays at most 10,000 examples;
            generators, which would lose what is taken from them, and data that are drawn at random not at all.
        callbacks: What `fit` will be given.
        batch_size: What `fit` will be given; None is that of the data, or 32.
        validation_split: What `fit` will be given.

    Returns:
        What was found, the gravest first. What cannot be looked at is passed over.
    """
    with reading.undisturbed():
        return by_severity(_findings(model, data, callbacks, batch_size, validation_split))


def _findings(model, data, callbacks, batch_size, validation_split) -> list[Finding]:
    from ..remedies import prescribed  # which looks at models with what is here

    places = graph(model)
    callbacks = keras.tree.flatten(callbacks or [])
    samples = reading.samples(data) if data is not None else {}
    first = samples.get("train") or next(iter(samples.values()), None)
    if first is not None:
        batch_size = min(batch_size or first.batch or network.DEFAULT_BATCH, len(first.all_x[0]))
    found = _run(network.look(model, places, callbacks, batch_size))
    x, y = (first.x[0], first.y) if first is not None else (None, None)
    goals = losses.goals(model, places, y, x)
    for goal in goals:
        found += _run(losses.look(model, places, goal))
    if samples:
        found += _run(examples.look(model, places, samples, goals[0] if len(goals) == 1 else None, validation_split))
    found += _run([(strong_penalty, (model, goals))])
    if first is not None and not _EXPLAINED & {finding.code for finding in found}:
        found += _run([(initial_loss, (model, first, goals))])
    return prescribed(found, model, {"y": y, "batch_size": batch_size})


def _run(checks) -> list[Finding]:
    found = []
    for check, arguments in checks:
        try:
            found += check(*arguments)
        except Exception:  # an odd model or odd data: a check that cannot look has seen nothing
            continue
    return found


def initial_loss(model, sample, goals):
    """The loss of the untrained model on some examples, next to that of a guess."""
    goals = [goal for goal in goals if goal.kind and goal.head is not None and isinstance(goal.y, np.ndarray)]
    waits = any(getattr(layer, "adapted", True) is False for layer in inner_layers(model))
    if not goals or not model.built or waits or not network.begins(model) or not all(map(examples.is_number, sample.x)):
        return
    rows = np.linspace(0, len(sample) - 1, min(len(sample), _PROBE_ROWS)).astype(int)
    answers = _answers(model, sample, rows)
    for goal in goals:
        yield from _judge(goal, answers[goal.index], goal.y[rows])


def strong_penalty(model, goals):
    """What the weights cost before training, next to the loss of a guess."""
    kinds = {goal.kind for goal in goals} - {None}
    if not model.losses or not kinds or not network.begins(model):
        return
    penalty = float(sum(float(ops.convert_to_numpy(loss)) for loss in model.losses))
    guess = max(1.0, *(math.log(max(2, goal.units or 2)) for goal in goals))
    if penalty > _FAR_PENALTY * guess:
        layer = next(layer for layer in inner_layers(model) if getattr(layer, "kernel_regularizer", None))
        yield Finding(
            "strong_penalty", f"The penalty on the weights is {penalty:.4g}; the loss of a guess is about {guess:.2g}.",
            "warning", layer.name, "kernel_regularizer", confidence=0.85,
            evidence={"penalty": penalty, "guess": guess},
        )  # fmt: skip


def _answers(model, sample, rows):
    x = [part[rows].astype("float32") if part.dtype == "float64" else part[rows] for part in sample.x]
    x = dict(zip(sample.names, x, strict=True)) if sample.names else x[0] if len(x) == 1 else x
    # Before it has seen data, batch normalization passes numbers through, which grow in a deep network.
    training = any(isinstance(layer, keras.layers.BatchNormalization) for layer in inner_layers(model))
    weights = [[variable.value for variable in model.trainable_variables]]
    weights += [[variable.value for variable in model.non_trainable_variables]]
    answers, _ = model.stateless_call(*weights, x, training=training)
    return [ops.stop_gradient(answer) for answer in keras.tree.flatten(answers)]


def _judge(goal, answer, y):
    # Labels may come without the axis of a single output.
    y = y if goal.kind == "sparse" else y.reshape(answer.shape)
    labels = ops.convert_to_tensor(y.astype("int32" if goal.kind == "sparse" else "float32"))
    function = goal.loss.call if isinstance(goal.loss, keras.losses.Loss) else goal.loss
    loss = float(ops.convert_to_numpy(ops.mean(function(labels, answer))))
    squares = float(np.mean(np.square(y, dtype="float64")))
    guess = {
        "sparse": math.log(max(2, goal.units or 2)),
        "categorical": math.log(max(2, goal.units or 2)),
        "binary": math.log(2),
        # An untrained network answers with about 0, give or take 1.
        "squared": max(1.0, squares),
    }[goal.kind]
    evidence = {"first_loss": loss, "guess": guess}
    if not math.isfinite(loss):
        yield goal.flaw("initial_loss", f"The loss is {loss} before training.", "error", None, 0.9, **evidence)
    elif goal.kind == "squared" and goal.activation == "linear" and not goal.restores and squares > _LARGE_LABEL**2:
        yield goal.flaw(
            "initial_loss",
            f"The labels are not scaled: they have mean {y.mean():.4g} and deviation {y.std():.4g}, where an untrained "
            f"network answers with about 1; the first loss is {loss:.4g}.",
            "warning", "y", 0.7, **evidence,
        )  # fmt: skip
    elif loss > (_FAR_SQUARED if goal.kind == "squared" else _FAR) * guess:
        yield goal.flaw(
            "initial_loss", f"The untrained model has a loss of {loss:.4g}; guessing has {guess:.4g}.", "warning", None,
            0.6, **evidence,
        )  # fmt: skip
