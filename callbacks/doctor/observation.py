"""What is seen of a model at one step."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Units:
    """The units of a layer with an activation that has limits, as shares of all of them.

    Attributes:
        activation: Its name.
        dead: Those of a ReLU that answer 0 to every example and at every place.
        saturated: Those that answer with a limit to nearly every example.
        sparse: Of all answers, those that are 0.
    """

    activation: str
    dead: float = 0.0
    saturated: float = 0.0
    sparse: float = 0.0


@dataclass
class Attention:
    """What the queries of an attention layer look at.

    Attributes:
        entropy: Of their weights, beside that of equal ones: 1 is to look at all steps alike.
        peaked: The share of queries that give a single step nearly all of the weight.
    """

    entropy: float
    peaked: float


@dataclass
class Observation:
    """A look at a model.

    Attributes:
        step: After how many training steps, over all calls to `fit`.
        epoch: From 1.
        loss: On the probe batch, in training mode.
        gradients: Norm of the loss' gradient by the layer's weights, by layer, from input to output.
        weights: Norm of the weights, by layer.
        updates: By how much of their norm the next step has changed the weights, by layer; empty before it.
        units: `Units` by layer.
        attention: `Attention` by layer.
        spread: How far the normalized embeddings of the batch differ: 0 is alike, 1 in all directions; None where the
            model makes no embeddings.
        broken: Layers whose answer is not finite, in the order in which they were computed.
        samples: Where asked for, up to some thousand numbers (float32, 1-D) of `"gradients"` and `"activations"`, each
            by layer; else empty.
    """

    step: int
    epoch: int
    loss: float
    gradients: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    updates: dict = field(default_factory=dict)
    units: dict = field(default_factory=dict)
    attention: dict = field(default_factory=dict)
    spread: float | None = None
    broken: list = field(default_factory=list)
    samples: dict = field(default_factory=dict, repr=False)

    @property
    def finite(self) -> bool:
        numbers = [self.loss, *self.gradients.values(), *self.weights.values()]
        return not self.broken and bool(np.isfinite(numbers).all())
