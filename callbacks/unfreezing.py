"""Layers that begin to learn one after another, from a model's head downwards."""

import contextlib
from collections.abc import Sequence

import keras

from .layers import layers_of
from .logs import inner_optimizers
from .resume.skip import Skip


class GradualUnfreezing(keras.callbacks.Callback):
    """Lets the layers of a model learn one group after another, from the head downwards (Howard and Ruder, 2018,
    ULMFiT, arXiv:1801.06146).

    What has not begun does not move: neither by gradients nor by momentum or weight decay, and its batch normalisation
    keeps its statistics. When it begins, its optimizer slots are at zero, those of the others as they were; Adam's bias
    correction counts the steps of `fit`.

    Leave the layers trainable and compile as ever: this callback freezes them, and only while an epoch learns, so that
    a model saved at an epoch's end, and the one in the end, has all of them trainable. Whatever is in no group is left
    alone; what you have frozen yourself stays frozen.

    The step is compiled anew when a group begins. Which layers learn follows from the epoch, so a training that
    `Resume` continues goes on exactly.

    Args:
        groups: Names of layers, the head first; a list of names is a group that begins together, and the name of a
            model within the model stands for all its layers. None: each layer with weights, from the last to the first.
        epochs: For each group the epoch in which it begins, counted from 1 and never falling, the first group's being
            1. None: one more group each epoch.

    Raises:
        ValueError: `epochs` that do not fit `groups`. When training begins: a layer that does not exist or has nothing
            to train. On JAX also: an optimizer that wraps others (a loss scale, several optimizers) or averages
            weights.
    """

    def __init__(self, groups: Sequence[str | Sequence[str]] | None = None, epochs: Sequence[int] | None = None):
        super().__init__()
        self.groups = groups and [[group] if isinstance(group, str) else list(group) for group in groups]
        self.epochs = None if epochs is None else list(epochs)
        if self.epochs and (self.epochs[0] != 1 or sorted(self.epochs) != self.epochs):
            raise ValueError(f"epochs must begin with 1 and never fall, got {self.epochs}")
        if self.epochs and self.groups and len(self.epochs) != len(self.groups):
            raise ValueError(f"there are {len(self.epochs)} epochs for {len(self.groups)} groups")
        self._layers, self._frozen = None, None

    @contextlib.contextmanager
    def during_fit(self, model: keras.Model, call: dict):
        """Surrounds a call to `fit` of a recipe's model: after an error too, the layers are trainable again."""
        try:
            yield
        finally:
            if self._layers is not None:
                self._end(model)

    def on_train_begin(self, logs=None):
        self._layers = self._find(self.model)
        if self.epochs and len(self.epochs) != len(self._layers):
            raise ValueError(f"there are {len(self.epochs)} epochs for {len(self._layers)} groups")
        if keras.backend.backend() == "jax":
            _check_optimizer(self.model)
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)  # with all, while they are trainable
        self._frozen = None

    def on_epoch_begin(self, epoch, logs=None):
        begun = [epoch + 1 >= first for first in self.epochs or range(1, len(self._layers) + 1)]
        frozen = [layer for layers, on in zip(self._layers, begun, strict=True) if not on for layer in layers]
        _set_trainable(frozen, False)
        if frozen != self._frozen:
            self._frozen = frozen
            if keras.backend.backend() == "jax":
                _apply_to(self.model.optimizer, self.model.trainable_variables)
            _make_step(self.model)

    def on_epoch_end(self, epoch, logs=None):
        _set_trainable(self._frozen, True)

    def on_train_end(self, logs=None):
        self._end(self.model)

    def get_state(self):
        return {}  # it follows from the epoch

    def set_state(self, state):
        pass

    def _find(self, model) -> list[list]:
        """The layers of each group that can learn."""
        if self.groups is None:
            return [[layer] for layer in reversed(list(layers_of(model))) if layer.trainable_variables]
        return [[layer for name in group for layer in _named(model, name)] for group in self.groups]

    def _end(self, model):
        _set_trainable(self._frozen or [], True)
        vars(model.optimizer).pop("stateless_apply", None)
        model.train_function = None  # the next `fit` makes one for all layers
        self._layers = self._frozen = None


def _named(model, name: str) -> list:
    """The layers that can learn in the one of that name."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer.name == name]
    if not layers:
        known = ", ".join(layer.name for layer in layers_of(model) if layer.variables)
        raise ValueError(f"GradualUnfreezing: there is no layer {name!r}; there are {known}")
    inner = layers_of(layers[0]) if isinstance(layers[0], keras.Model) else layers[:1]
    found = [layer for layer in inner if layer.trainable_variables]
    if not found:
        raise ValueError(
            f"GradualUnfreezing: the layer {name!r} has nothing to train. Leave layers trainable, and compile: this "
            "callback freezes them until they begin."
        )
    return found


def _set_trainable(layers, whether: bool):
    for layer in layers:
        layer.trainable = whether


def _make_step(model):
    """Makes the training step anew: the one before was made for other layers."""
    before = model.train_function
    model.make_train_function(force=True)
    if isinstance(before, Skip):
        # A continued training still passes over batches; it is the step after them that is another.
        before.train_function, model.train_function = model.train_function, before


def _check_optimizer(model):
    inner = inner_optimizers(model)
    if inner != [model.optimizer] or inner[0].use_ema:
        raise ValueError(
            "on JAX, GradualUnfreezing needs a single optimizer without a loss scale and without use_ema: compile with "
            "one, or use TensorFlow or PyTorch"
        )


def _apply_to(optimizer, variables):
    """Makes an optimizer take steps of some of the variables that it was built with, which on JAX it does not."""

    def stateless_apply(optimizer_variables, grads, trainable_variables):
        own = optimizer.variables
        mapping = [*zip(variables, trainable_variables, strict=True), *zip(own, optimizer_variables, strict=True)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            optimizer.apply(grads, variables)
        return tuple([scope.get_current_value(v) for v in group] for group in (variables, own))

    optimizer.stateless_apply = stateless_apply
