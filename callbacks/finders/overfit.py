"""Whether a model can learn one batch by heart: what cannot do that will learn nothing else."""

from dataclasses import dataclass, field

import keras
import numpy as np

from ..logs import inner_optimizers
from ..report.plots import BLUE, GREY, axes, finish
from .restored import check_model, restored
from .rows import check_count, read
from .steps import OneByOne, single_steps, train

#: The share of the first loss below which a batch is learnt, and how many steps in a row it must be.
_SHARE, _STEADY = 0.05, 3


@dataclass(frozen=True)
class Overfit:
    """What `overfit_one_batch` found; true in an `if` where the model learnt the batch.

    Attributes:
        learnt: Whether it did.
        losses: The loss of each step, before that step changed the weights.
        accuracies: The accuracy of each step, in percent / 100; empty where the model has no such metric.
        advice: What to look at where it did not.
    """

    learnt: bool
    losses: list[float] = field(repr=False)
    accuracies: list[float] = field(repr=False)
    advice: list[str]

    def __bool__(self):
        return self.learnt

    @property
    def first(self) -> float:
        """The first loss."""
        return self.losses[0]

    @property
    def last(self) -> float:
        """The last loss."""
        return self.losses[-1]

    def __str__(self):
        course = f"the loss went from {self.first:.3g} to {self.last:.3g} in {len(self.losses)} steps"
        if self.accuracies:
            course += f", the accuracy from {self.accuracies[0]:.0%} to {self.accuracies[-1]:.0%}"
        if self.learnt:
            return f"The model learnt one batch by heart: {course}."
        advice = "".join(f"\n- {line}" for line in self.advice)
        return f"The model did not learn one batch by heart: {course}. Look at:{advice}"

    def plot(self, ax=None):
        """The loss over the steps; returns the matplotlib figure."""
        ax = axes(ax)
        ax.plot(range(1, len(self.losses) + 1), self.losses, color=BLUE)
        if np.isfinite(self.first) and self.first > 0:
            ax.axhline(_SHARE * self.first, color=GREY, linestyle=":", label=f"{_SHARE:.0%} of the first")
        return finish(ax, "step", "loss", "one batch: " + ("learnt" if self.learnt else "not learnt"))


def overfit_one_batch(model: keras.Model, x, y=None, *, batch_size: int = 32, steps: int = 300) -> Overfit:
    """Whether a model can learn one batch by heart, which a sound one can.

    It trains on the first batch over and over, as `fit` would, but for Keras' augmentation layers, which let pictures
    pass. It has learnt the batch when the loss is below 5% of the first one, or the accuracy 1, three steps in a row.
    Afterwards the model, its optimizer and the random generators are as they were, to the last bit.

    Args:
        model: A compiled model with weights.
        x: Inputs, or a `tf.data.Dataset`, PyDataset or DataLoader of batches.
        y: Labels, where `x` is inputs.
        batch_size: How many examples; data in batches keep theirs.
        steps: After how many steps it is given up.

    Returns:
        Whether it did, the losses, and what to look at where it did not.

    Raises:
        ValueError: A model without weights or not compiled, an argument out of its bounds.
    """
    check_model(model)
    check_count("batch_size", batch_size)
    check_count("steps", steps, 2)
    losses, accuracies, steady = [], [], 0

    def after(step, logs):
        nonlocal steady
        losses.append(logs["loss"])
        accuracies.extend([value for name, value in logs.items() if name.endswith(("accuracy", "acc"))][:1])
        done = 0 <= losses[-1] < _SHARE * losses[0] or (accuracies and accuracies[-1] >= 1)
        steady = steady + 1 if done else 0
        return steady >= _STEADY or not np.isfinite(losses[-1])

    with restored(model):
        rows = read(x, y, most=batch_size)
        batch = np.arange(min(rows.batch_size or batch_size, len(rows)))
        single_steps(model)
        _without_augmentation(model)
        train(model, rows, [batch], OneByOne(after), epochs=steps)
        advice = [] if steady >= _STEADY else _advice(model, rows.arguments(batch), losses)
    return Overfit(steady >= _STEADY, losses, accuracies, advice)


def _without_augmentation(model):
    """Lets augmentation layers do what they do when nothing is trained; until the model is restored."""
    kind = next(kind for kind in keras.layers.RandomFlip.__mro__ if kind.__name__ == "BaseImagePreprocessingLayer")
    for layer in model._flatten_layers():
        if isinstance(layer, kind):
            # Among the attributes themselves: Keras and PyTorch look through what is set as usual.
            vars(layer)["call"] = _at_rest(layer.call)


def _at_rest(call):
    def rest(*args, **kwargs):
        return call(*args[:1], **kwargs | {"training": False})

    return rest


def _advice(model, examples: dict, losses) -> list[str]:
    """What to look at, the likeliest first."""
    found = [] if model.trainable_variables else ["the layers: none is trainable"]
    if not np.isfinite(losses[-1]):
        found.append("numbers: the loss is not finite. NaN in the data, a rate too high, or a logarithm of zero")
    elif losses[-1] > losses[0]:
        found.append("the learning rate: the loss has risen, so it is likely too high; see find_learning_rate")
    rates = [float(keras.ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in inner_optimizers(model)]
    if not found:
        told = ", ".join(f"{rate:.2g}" for rate in rates)
        found.append(f"the learning rate ({told} at the end): too low, or too high; see find_learning_rate")
    found.append("the labels: do they belong to these examples, and do the same examples have the same labels?")
    x, y = keras.tree.flatten(examples["x"]), examples.get("y")
    if any(part.dtype.kind == "f" and np.abs(part).max(initial=0) > 100 for part in x):
        found.append("the inputs: some are above 100, which a network learns badly from; standardise them")
    loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    found.append(f"the loss ({loss}): does it fit the last activation (logits or probabilities) and the labels?")
    strong = [
        layer for layer in model._flatten_layers() if getattr(layer, "rate", 0) and "Dropout" in type(layer).__name__
    ]
    if strong or model.losses:
        parts = ["dropout"] * bool(strong) + ["penalties added to the loss"] * bool(model.losses)
        found.append(f"{' and '.join(parts)}: they keep the loss up; try without")
    size = model.count_params()
    many = 0 if y is None else sum(part.size for part in keras.tree.flatten(y))
    found.append(f"the capacity: {size:,} weights for {many:,} labels" + (", which is few" if size < many else ""))
    found.append("the steps: more of them, where the loss was still falling")
    return found
