"""Compiled models that later trials use again: tracing a small model takes longer than training it."""

import json
import re
from collections import OrderedDict

import keras
import numpy as np

from keras_cookbook.callbacks.resume.state import variables_of
from keras_cookbook.recipes import Rate
from keras_cookbook.recipes._model import Functions
from keras_cookbook.recipes.parts import Dropout, PlannedSchedule

#: So many are held, of at most so many weights and optimizer's values each.
MODELS, VALUES = 8, 20_000_000
#: The kind of an argument that is a share to drop out.
RATE = Rate.__metadata__[0]


class WarmModels:
    """Models by what they are made of; one that comes again is as it was when it was new.

    Two trials share a model if they differ in nothing but the learning rate, the batch size, and shares above 0 that
    `parts.Dropout` leaves out. On TensorFlow alone.
    """

    def __init__(self):
        self.held = OrderedDict()

    def model(self, factory, arguments, seed):
        """`factory(**arguments, seed=seed)`, new or as new."""
        values = factory.recipe.check(**arguments)
        rates = {name: values[name] for name, known in factory.recipe.arguments.items() if known.kind is RATE}
        structure = {name: value for name, value in arguments.items() if name not in ("learning_rate", *rates)}
        dropped = {name: rate > 0 for name, rate in rates.items()}
        key = repr((factory.recipe.name, sorted(structure.items()), dropped, seed))
        held = self.held.pop(key, None)
        if held is None or held.rates != rates:
            model = factory(**arguments, seed=seed)
            if held is not None and not held.take_rates(model, rates):
                held = None
        if held is not None:
            held.renew(values["learning_rate"])
        else:
            if not _can_be_renewed(model.optimizer):
                return model
            held = Held(model, rates)
            if held.size > VALUES:
                return model
        self.held[key] = held
        if len(self.held) > MODELS:
            self.held.popitem(last=False)
        return held.model


def _can_be_renewed(optimizer):
    """Whether the learning rate is no part of what is compiled, and a fit of a model that was fitted before reads the
    data as that of a new one: on JAX and PyTorch the latter reads a batch more, and gets another order.
    """
    # Several players have several optimizers, and a scaled loss has one in another.
    several = hasattr(optimizer, "optimizers") or hasattr(optimizer, "inner_optimizer")
    if several or keras.backend.backend() != "tensorflow":
        return False
    return isinstance(optimizer._learning_rate, keras.Variable | PlannedSchedule)


class Held:
    """A model and its values when it was new."""

    def __init__(self, model, rates):
        self.model, self.rates = model, rates
        model.functions = Functions()  # or it would be traced anew when a batch size comes again
        model.prepare_optimizer()
        for layer in dropouts(model):
            layer.vary()
        groups = variables_of(model)
        variables = [*groups["model"], *groups["optimizer"]]
        self.values = [(variable, np.array(variable.numpy())) for variable in variables]
        self.size = sum(value.size for _, value in self.values)

    def take_rates(self, other, rates):
        """Drops out as another model does; whether both are the same then."""
        for mine, new in zip(dropouts(self.model), dropouts(other), strict=False):
            mine.change(new.rate)
        self.rates, self.model.recipe = rates, other.recipe
        return _text(self.model) == _text(other)

    def renew(self, learning_rate):
        for variable, value in self.values:
            variable.assign(value)
        self.model.stop_training = False
        optimizer = self.model.optimizer
        self.model.recipe["training"]["learning_rate"] = learning_rate
        if isinstance(optimizer._learning_rate, PlannedSchedule):
            optimizer._learning_rate.peak = learning_rate
        else:
            optimizer.learning_rate = learning_rate


def dropouts(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, Dropout)]


def _text(model):
    """What a model is made of; Keras counts layers over the life of the process: dense, dense_1, ..."""
    return re.sub(r'(?<=[a-z0-9])_\d+(?=["/])', "", json.dumps(model.get_config(), default=str))
