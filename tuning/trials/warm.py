"""Compiled models that later trials use again: tracing a small model takes longer than training it."""

from collections import OrderedDict

import keras
import numpy as np

from keras_cookbook.callbacks.resume.state import variables_of
from keras_cookbook.recipes.parts.schedules import PlannedSchedule

#: So many are held, of at most so many weights and optimizer's values each.
MODELS, VALUES = 8, 20_000_000


class WarmModels:
    """Models by what they are made of; one that comes again is as it was when it was new.

    Two trials share a model if they differ in nothing but the learning rate and the batch size. On TensorFlow alone.
    """

    def __init__(self):
        self.held = OrderedDict()

    def model(self, factory, arguments, seed):
        """`factory(**arguments, seed=seed)`, new or as new."""
        structure = {name: value for name, value in arguments.items() if name != "learning_rate"}
        key = repr((factory.recipe.name, sorted(structure.items()), seed))
        held = self.held.pop(key, None)
        if held is None:
            model = factory(**arguments, seed=seed)
            if not _can_be_renewed(model.optimizer):
                return model
            held = Held(model)
            if held.size > VALUES:
                return model
        else:
            held.renew(arguments.get("learning_rate"))
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

    def __init__(self, model):
        self.model = model
        model.keeps_steps = True  # or it would be traced anew for another batch size
        model.build_optimizer_variables()
        groups = variables_of(model)
        variables = [*groups["model"], *groups["optimizer"]]
        self.values = [(variable, np.array(variable.numpy())) for variable in variables]
        self.size = sum(value.size for _, value in self.values)

    def renew(self, learning_rate):
        for variable, value in self.values:
            variable.assign(value)
        self.model.stop_training = False
        optimizer = self.model.optimizer
        if learning_rate is None:
            return
        if isinstance(optimizer._learning_rate, PlannedSchedule):
            optimizer._learning_rate.peak = learning_rate
        else:
            optimizer.learning_rate = learning_rate
