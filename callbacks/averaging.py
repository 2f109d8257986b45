"""Stochastic weight averaging: the mean of the weights that the last epochs end with."""

import contextlib
import functools
import itertools
import math
import warnings

import keras
import numpy as np

from .resume.state import assign


class StochasticWeightAveraging(keras.callbacks.Callback):
    """Puts the mean of the weights at the ends of the last epochs into the model (SWA; Izmailov et al., 2018,
    arXiv:1803.05407), each epoch counting the same.

    Trained on are the weights themselves. The mean is what is validated, judged and saved from its first epoch on, and
    what the model has in the end; the next epoch goes on from the weights. Its place is before whatever judges or saves
    at an epoch's end: `standard(extra=[StochasticWeightAveraging()])` is that. There, early stopping still ends with
    the best epoch, which may be one before the mean began. A learning rate that stays high in these epochs
    (`schedule="constant"` or `"cyclical"`) is what the mean lives from.

    *Batch normalisation.* The moving statistics of the weights are not those of their mean. So the training data pass
    through the model once more, in training mode and without learning, and the statistics become the plain mean of
    those of all batches, as `torch.optim.swa_utils.update_bn` has it; a frozen layer keeps its own. A recipe's `fit`
    gives this callback the data; for any other model give `data`. Models without such layers need no pass.

    Averaged are the weights that are trainable when the mean begins. A training that `Resume` continues has the same
    mean, to the last bit, but where the data are a `tf.data.Dataset` that shuffles: the pass moves its order, so give
    `data` too, without a shuffle.

    Args:
        start: The share of the epochs before the first that is averaged; at the least the last one is.
        validate: Whether the mean is in the model while it is validated, judged and saved, which takes a pass over the
            data each of these epochs. Otherwise it comes into the model only when training ends.
        data: What passes through the model for batch normalisation: arrays, `tf.data.Dataset`, `PyDataset`, torch
            DataLoader; the last three with or without labels. None takes the training data.
        batch_size: That of `data` if these are arrays.

    Raises:
        ValueError: `start` is not from 0 to below 1. When training begins: the model has batch normalisation, and there
            are no data that can be read again.
    """

    def __init__(self, start: float = 0.75, *, validate: bool = True, data=None, batch_size: int = 32):
        super().__init__()
        if not 0 <= start < 1:
            raise ValueError(f"start must be a share from 0 to below 1, got {start}")
        self.start, self.validate = start, validate
        self._given = None if data is None else functools.partial(inputs, data, batch_size)
        self._read, self._training = self._given, False

    @contextlib.contextmanager
    def during_fit(self, model: keras.Model, call: dict):
        """Surrounds a call to `fit` of a recipe's model, which gives the arguments by name."""
        if self._given is None:
            x = call["x"]
            if call["validation_split"] and call["validation_data"] is None:
                size = len(keras.tree.flatten(x)[0])
                x = rows(x, slice(math.floor(size * (1 - call["validation_split"]))))
            # Now: what comes after may put other data in their place.
            self._read = functools.partial(inputs, x, call["batch_size"] or 32, call["steps_per_epoch"])
        try:
            yield
        finally:
            self._read = self._given

    def on_train_begin(self, logs=None):
        epochs = self.params["epochs"]
        self._first = min(math.ceil(self.start * epochs - 1e-9), epochs - 1)
        self._count, self._mean, self._places, self._raw = 0, [], [], None
        self._epoch, self._taken, self._training, self._ended = -1, True, True, False
        if normalizations(self.model) and (self._read is None or is_generator(self._read.args[0])):
            raise ValueError(
                "batch normalisation is measured anew for averaged weights, which needs data that can be read again: "
                "StochasticWeightAveraging(data=x_train)"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._taken = epoch, False
        if self._raw is not None:
            assign(self.model.variables, self._raw)
            self._raw = None

    def on_test_begin(self, logs=None):
        self._take()

    def on_epoch_end(self, epoch, logs=None):
        self._take()

    def on_train_end(self, logs=None):
        if self._count and not (self.validate or self._ended):
            self._insert()
        if not self._count and not self._ended:
            message = f"training ended before epoch {self._first + 1}, the first that is averaged: nothing is averaged"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        self._raw, self._training, self._ended = None, False, True

    def get_state(self):
        return {"count": self._count, "mean": self._mean, "places": self._places, "ended": self._ended}

    def set_state(self, state):
        self._count, self._mean = state["count"], state["mean"]
        self._places, self._ended = state["places"], state["ended"]

    def _take(self):
        """Takes the weights into the mean, once an epoch; validation may come before the epoch's end, or not at all."""
        if not self._training or self._taken or self._epoch < self._first:
            return
        self._taken = True
        variables = self.model.variables
        if not self._count:
            trainable = {id(variable) for variable in self.model.trainable_variables}
            self._places = [place for place, variable in enumerate(variables) if id(variable) in trainable]
        weights = [value(variables[place]).astype("float64") for place in self._places]
        self._count += 1
        means = self._mean or weights
        self._mean = [mean + (weight - mean) / self._count for mean, weight in zip(means, weights, strict=True)]
        if self.validate:
            self._insert()

    def _insert(self):
        variables = self.model.variables
        self._raw = [value(variable) for variable in variables]
        assign([variables[place] for place in self._places], self._mean)
        if normalizations(self.model):
            measure(self.model, self._read())


def measure(model: keras.Model, batches):
    """Makes the moving statistics of all batch normalisation the mean of those of the batches.

    Nothing else of the model changes: what the pass draws or remembers is put back.

    Args:
        model: The model; frozen layers keep their statistics.
        batches: Inputs, a batch each.
    """
    norms = normalizations(model)
    statistics = [v for norm in norms for v in statistics_of(norm)]
    own = {id(v) for v in statistics}
    others = [v for v in model.variables if id(v) not in own]
    before, momenta = [value(v) for v in others], [norm.momentum for norm in norms]
    means, count = [0.0] * len(statistics), 0
    try:
        for norm in norms:
            norm.momentum = 0.0  # then what moves is what the batch has
        with without_gradients():
            for batch in batches:
                model(batch, training=True)
                count += 1
                means = [m + (value(v).astype("float64") - m) / count for m, v in zip(means, statistics, strict=True)]
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        assign(others, before)
    if not count:
        raise ValueError("there are no batches to measure batch normalisation with")
    assign(statistics, means)


def normalizations(model: keras.Model) -> list:
    """The batch-normalisation layers that learn, those within other layers too."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def statistics_of(norm) -> list:
    names = ("moving_mean", "moving_variance", *(["moving_stddev"] if norm.renorm else []))
    return [getattr(norm, name) for name in names]


def inputs(data, batch_size: int, steps: int | None = None):
    """The inputs of each batch of `data`, whichever of the kinds that `fit` takes they are."""
    if is_arrays(data):
        for first in range(0, len(keras.tree.flatten(data)[0]), batch_size):
            yield rows(data, slice(first, first + batch_size))
        return
    batches = map(data.__getitem__, range(len(data))) if isinstance(data, keras.utils.PyDataset) else data
    for batch in itertools.islice(batches, steps):
        x = batch[0] if isinstance(batch, tuple | list) else batch
        yield keras.tree.map_structure(np.asarray, x)


def is_arrays(data) -> bool:
    return all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(data))


def is_generator(data) -> bool:
    return hasattr(data, "__next__")


def rows(arrays, span: slice):
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf)[span], arrays)


def without_gradients():
    """On PyTorch, a scope in which nothing is kept for gradients; elsewhere nothing is outside a tape."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def value(variable) -> np.ndarray:
    """A copy: a view would change with the variable."""
    return np.array(keras.ops.convert_to_numpy(variable))
