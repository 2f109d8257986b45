"""Everything of a training as it was: a model, its optimizer and the random generators, before and after a trial."""

import collections
import contextlib

import keras
import numpy as np

from ..resume.randomness import generators_restored
from ..resume.state import variables_of

#: The compiled functions that Keras keeps on a model.
FUNCTIONS = ("train_function", "test_function", "predict_function")


@contextlib.contextmanager
def restored(model: keras.Model):
    """A trial on a model, after which nothing is left of it, however it ends.

    Put back are all variables (weights, seed generators, optimizer, running metrics) to the last bit; every attribute
    of the model, its layers, optimizers, metrics, losses and learning-rate schedules, with what their lists, dicts and
    sets hold (so an optimizer that was not built is not built again, and the compiled functions are those of before);
    and the random generators of Python, NumPy, Keras, and TensorFlow or PyTorch. Within, compiled functions are made
    anew. A training afterwards is the one that would have been without the trial.

    Not put back is what no object of Keras holds: files, data that are read only once or in an order of their own
    (`tf.data` that reshuffles goes on to its next order), and changes within attributes of other kinds.

    Args:
        model: A compiled model with weights.

    Raises:
        ValueError: The model has no weights yet, or is not compiled.
    """
    check_model(model)
    with generators_restored():  # at last, since to make or to fill a variable may draw
        start = _Start(model)
        try:
            for name in FUNCTIONS:
                setattr(model, name, None)
            yield
        finally:
            start.put_back()


def check_model(model):
    """Raises a ValueError where a model cannot be tried."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a compiled keras.Model, got {type(model).__name__}")
    if not getattr(model, "compiled", False) or getattr(model, "optimizer", None) is None:
        raise ValueError("model must be compiled with an optimizer: call model.compile first")
    if not all(layer.built for layer in model._flatten_layers()):
        raise ValueError("model has no weights yet: give it a keras.Input, or call it on a batch first")


class _Start:
    def __init__(self, model):
        self.attributes, self.contents, variables = _look_through(model)
        # A metric that was given as an object is found, where a model that has not been trained does not name it yet.
        variables += [variable for group in variables_of(model).values() for variable in group]
        variables = {id(variable): variable for variable in variables}.values()
        self.values = [(variable, variable.trainable, np.array(variable.numpy())) for variable in variables]

    def put_back(self):
        # First which objects there are, then what the variables among them hold.
        for plain, container, content in self.contents:
            _refill(plain, container, content)
        for thing, attributes in self.attributes:
            vars(thing).clear()
            vars(thing).update(attributes)
        for variable, trainable, value in self.values:
            variable.assign(value)
            if variable.trainable != trainable:
                variable.trainable = trainable


def _look_through(model):
    """The attributes of a model and of Keras' objects in it, what the containers among them hold, and the variables."""
    kinds = (
        keras.layers.Layer,
        keras.optimizers.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
        keras.metrics.Metric,
        keras.losses.Loss,
        keras.random.SeedGenerator,
        # The optimizers of a MultiOptimizer, and what remembers which variables an object has.
        keras.optimizers.OptimizerMap,
        type(model._tracker),
    )
    attributes, contents, variables, seen, left = [], [], [], set(), [model, model.optimizer]
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, keras.Variable):
            variables.append(thing)
            continue
        # A proxy tells isinstance another kind. TensorFlow's lists hold what they have in an attribute, and nothing in
        # the list that they are: so of each kind both is kept, and past its own methods, which take notes.
        plain = next(
            (kind for kind in (list, set, collections.OrderedDict, dict) if issubclass(type(thing), kind)), None
        )
        if plain:
            content = list(dict.items(thing)) if issubclass(plain, dict) else list(plain.__iter__(thing))
            contents.append((plain, thing, content))
            left.extend(content)
        elif issubclass(type(thing), tuple):
            left.extend(thing)
        if (plain and hasattr(thing, "__dict__")) or isinstance(thing, kinds):
            attributes.append((thing, dict(vars(thing))))
            left.extend(vars(thing).values())
    return attributes, contents, variables


def _refill(plain, container, content):
    """Gives a list, set or dict what it held, by the methods of its plain kind."""
    if plain is list:
        list.__setitem__(container, slice(None), content)
    elif plain is set:
        set.clear(container)
        set.update(container, content)
    else:
        now = list(dict.items(container))
        if len(now) == len(content) and all(a is c and b is d for (a, b), (c, d) in zip(now, content, strict=True)):
            return
        plain.clear(container)
        for key, value in content:
            plain.__setitem__(container, key, value)
