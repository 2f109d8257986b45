"""What a model looks like at one step: gradients, weights and activations on a fixed batch, without any trace in it."""

import contextlib

import keras
import numpy as np
from keras import ops

from ..layers import layers_of
from .backends import compiled, gradient
from .observation import Attention, Observation, Units
from .representations import attention_layers, glance, makes_embeddings, spread

#: An answer so near to a limit of its activation is saturated, ...
_NEAR = 0.98
#: ... and a unit is when so many of its answers are.
_MOST = 0.95
#: Numbers of a tensor that a histogram is made of, about.
_SAMPLE = 2048
#: Activation -> its lower and upper limit: what lies there passes no gradient.
_LIMITS = {
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}


class Probe:
    """Looks at a model through one batch.

    Everything runs in a scope that keeps what layers would change (moving averages, random generators, metrics) to
    itself: a training is the same to the last bit with it and without.

    Args:
        model: A compiled model that has been built.
        batch: (x, y, sample_weight) of arrays; y and sample_weight may be None.
        histograms: Whether looks keep samples of gradients and activations.
    """

    def __init__(self, model: keras.Model, batch: tuple, histograms: bool = False):
        self.model, self.histograms = model, histograms
        self.batch = _tensors(batch)
        self.groups = weights_by_layer(model)
        self.watched = [
            layer for layer in layers_of(model) if layer.built and not isinstance(layer, keras.layers.InputLayer)
        ]
        self.attending, self.embeds = attention_layers(model), makes_embeddings(model, batch)
        self.order, self.names, self.heads = [], [], []
        self.trainable = [weight for weights in self.groups.values() for weight in weights]
        chosen = {id(weight) for weight in self.trainable}
        self.others = [variable for variable in model.variables if id(variable) not in chosen]
        self.compiled = compiled(self.look)
        self.good = None  # the step and the weights of `remember`

    def __call__(self, step: int, epoch: int, weights=None, batch=None) -> Observation:
        """A look.

        Args:
            step, epoch: When it is.
            weights: Values of the trainable weights, instead of those that the model has.
            batch: To look through instead, of the same form.
        """
        values = [ops.convert_to_tensor(weight) for weight in self.trainable]
        if weights is not None:
            values = [ops.convert_to_tensor(weight, value.dtype) for weight, value in zip(weights, values, strict=True)]
        others = [ops.convert_to_tensor(variable) for variable in self.others]
        batch = self.batch if batch is None else _tensors(batch)
        found = keras.tree.map_structure(ops.convert_to_numpy, self.compiled(values, others, batch))
        loss, gradients, finite, shares, heads, apart, samples = found
        layers = list(self.groups)
        observation = Observation(
            step, epoch, float(loss), dict(zip(layers, map(float, gradients), strict=True)), self.norms(weights)
        )
        observation.broken = [name for name, fine in zip(self.order, finite, strict=True) if not fine]
        for (name, activation), (dead, saturated, sparse) in zip(self.names, shares, strict=True):
            seen = Units(activation, float(dead), float(saturated), float(sparse))
            other = observation.units.get(name)
            if other is None or seen.dead + seen.saturated < other.dead + other.saturated:  # of a layer called twice
                observation.units[name] = seen
        for name, (entropy, peaked) in zip(self.heads, heads, strict=True):
            other = observation.attention.get(name)
            if other is None or peaked < other.peaked:
                observation.attention[name] = Attention(float(entropy), float(peaked))
        observation.spread = float(apart[0]) if self.embeds else None
        if self.histograms:
            slopes, answers = samples
            observation.samples = {
                "gradients": dict(zip(layers, slopes, strict=True)),
                "activations": dict(zip(self.order, answers, strict=True)),
            }
        return observation

    def remember(self, step: int):
        """Keeps the weights of this step: for `moved`, and for whoever looks for what became of them."""
        self.good = step, [_array(weight) for weight in self.trainable]

    def norms(self, weights=None) -> dict:
        values = iter(self.trainable if weights is None else weights)
        return {name: _norm(_array(next(values)) for _ in mine) for name, mine in self.groups.items()}

    def moved(self, step: int) -> dict:
        """The change of each layer's weights in one of the steps since `remember`, relative to their norm."""
        earlier, old = self.good
        found, old = {}, iter(old)
        for name, weights in self.groups.items():
            pairs = [(next(old), _array(weight)) for weight in weights]
            size = _norm(before for before, _ in pairs)
            change = _norm(now - before for before, now in pairs) / max(1, step - earlier)
            found[name] = change / size if size else 0.0
        return found

    def hidden(self) -> set:
        """The layers whose answers a layer with trainable weights takes up later."""
        last = max((index for index, name in enumerate(self.order) if name in self.groups), default=0)
        return set(self.order[:last])

    def look(self, values, others, batch):
        """Loss, gradient norms by layer, whether each layer's answer is finite, shares of units, attention, the spread
        of embeddings, and samples; as tensors."""
        x, y, sample_weight = batch

        def scaled_loss(values):
            answers, glances = [], []
            mapping = [*zip(self.trainable, values, strict=True), *zip(self.others, others, strict=True)]
            with keras.StatelessScope(mapping, collect_losses=True), self._listening(answers, glances):
                y_pred = self.model(x, training=True)
                loss = self.model.compute_loss(x, y, y_pred, sample_weight, training=True)
            self.heads = [name for name, _ in glances]
            seen = [glance for _, glance in glances], [spread(y_pred)] if self.embeds else []
            return loss * ops.cast(scale, loss.dtype), (*self.summary(answers), *seen)

        scale = ops.cast(self.model.optimizer.scale_loss(1.0), "float32")
        (loss, (finite, shares, answers, heads, apart)), gradients = gradient(scaled_loss, values)
        gradients, norms, slopes = iter(gradients), [], []
        for weights in self.groups.values():
            mine = [next(gradients) for _ in weights]
            mine = [ops.cast(gradient, "float32") / scale for gradient in mine if gradient is not None]
            norms.append(ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in mine)) if mine else ops.zeros(()))
            slopes.append(_sample(mine))
        samples = (slopes, answers) if self.histograms else ()
        return ops.cast(loss, "float32") / scale, norms, finite, shares, heads, apart, samples

    def summary(self, answers):
        """What is kept of the answers of layers; their names are remembered in the order of the calls."""
        self.order, self.names = [], []
        finite, shares, samples = [], [], []
        for layer, answer in answers:
            tensors = [t for t in keras.tree.flatten(answer) if hasattr(t, "shape") and "float" in str(t.dtype)]
            if not tensors:
                continue
            self.order.append(layer.name)
            samples.append(_sample([ops.stop_gradient(tensor) for tensor in tensors]) if self.histograms else ())
            finite.append(ops.all(ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors])))
            if (name := limited(layer)) and len(tensors) == 1 and len(tensors[0].shape) > 1:
                self.names.append((layer.name, name))
                shares.append(_shares(ops.cast(ops.stop_gradient(tensors[0]), "float32"), *_LIMITS[name]))
        return finite, shares, samples

    @contextlib.contextmanager
    def _listening(self, answers: list, glances: list):
        """Puts (layer, answer) into the one list for each call of a layer, and (name, attention) into the other."""
        watched, attending = ({id(layer) for layer in layers} for layers in (self.watched, self.attending))
        layers = {id(layer): layer for layer in (*self.watched, *self.attending)}.values()

        def wrapped(layer, call):
            def listened(*args, **kwargs):
                answer = call(*args, **kwargs)
                if id(layer) in watched:
                    answers.append((layer, answer))
                if id(layer) in attending and (seen := glance(call, args, kwargs)) is not None:
                    glances.append((layer.name if id(layer) in watched else layer.path, seen))
                return answer

            return listened

        try:
            for layer in layers:
                layer.__dict__["call"] = wrapped(layer, layer.call)
            yield
        finally:
            for layer in layers:
                layer.__dict__.pop("call", None)


def _tensors(batch):
    return keras.tree.map_structure(lambda part: None if part is None else ops.convert_to_tensor(part), batch)


def _sample(tensors):
    """Numbers from everywhere in tensors, some thousand of each at most."""
    flat = [ops.reshape(ops.cast(tensor, "float32"), (-1,)) for tensor in tensors]
    return ops.concatenate([one[:: max(1, one.shape[0] // _SAMPLE)] for one in flat]) if flat else ops.zeros((0,))


def _shares(answer, low, high):
    """The shares of units that are dead and saturated, and of answers that are 0."""
    units = ops.reshape(answer, (-1, answer.shape[-1]))
    low_ones = units <= low + (0.0 if high is None else (1 - _NEAR) * (high - low))
    if high is None:  # a ReLU's
        dead = ops.mean(ops.cast(ops.all(low_ones, axis=0), "float32"))
        return dead, ops.zeros(()), ops.mean(ops.cast(low_ones, "float32"))
    at_limit = ops.logical_or(low_ones, units >= high - (1 - _NEAR) * (high - low))
    often = ops.mean(ops.cast(at_limit, "float32"), axis=0) >= _MOST
    dead = ops.all(units <= low, axis=0) if low == 0 and high > 1 else ops.zeros_like(often)
    return (
        ops.mean(ops.cast(dead, "float32")),
        ops.mean(ops.cast(often, "float32")),
        ops.mean(ops.cast(units == 0, "float32")),
    )


def limited(layer) -> str | None:
    """The name of the layer's activation, where that has limits."""
    if isinstance(layer, keras.layers.ReLU):
        plain = not layer.negative_slope and not layer.threshold
        return ("relu" if layer.max_value is None else "relu6" if layer.max_value == 6 else None) if plain else None
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None)
    return name if name in _LIMITS and getattr(keras.activations, name, None) is activation else None


def weights_by_layer(model) -> dict:
    """The trainable weights by the name of their layer, from input to output; the model's own under its name."""
    groups, seen = {}, set()
    for layer in layers_of(model):
        mine = [weight for weight in layer.trainable_weights if id(weight) not in seen]
        seen.update(map(id, mine))
        if mine:
            groups.setdefault(layer.name, []).extend(mine)
    rest = [weight for weight in model.trainable_weights if id(weight) not in seen]
    return groups | ({model.name: rest} if rest else {})


def _array(variable):
    return ops.convert_to_numpy(variable).astype("float32")


def _norm(arrays) -> float:
    with np.errstate(over="ignore"):
        return float(np.sqrt(sum(float(np.vdot(array, array)) for array in arrays)))
