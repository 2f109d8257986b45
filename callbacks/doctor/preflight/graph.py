"""A model as places that numbers pass, whatever it is made of: Sequential, functional, and models within models."""

from dataclasses import dataclass, field

import keras


def _sized(*names) -> tuple:
    """Names of classes, `{}` standing for 1D, 2D and 3D."""
    return tuple(dict.fromkeys(name.format(size) for name in names for size in ("1D", "2D", "3D")))


#: Layers that move or drop numbers, but change none: what holds of their inputs holds of their outputs.
SHAPERS = _sized(
    *("Reshape", "Flatten", "Permute", "RepeatVector", "Identity", "Masking", "ActivityRegularization"),
    *("Dropout", "SpatialDropout{}", "GaussianNoise", "ZeroPadding{}", "Cropping{}", "UpSampling{}"),
)
#: Layers that are a weighted sum of their inputs, but learn no kernel for it.
AVERAGES = _sized("AveragePooling{}", "GlobalAveragePooling{}", "Rescaling", "BatchNormalization")
#: Layers that take their inputs times a kernel.
PRODUCTS = _sized("Dense", "EinsumDense", "Conv{}", "Conv{}Transpose", "SeparableConv{}", "DepthwiseConv{}")
RECURRENT = _sized("SimpleRNN", "LSTM", "GRU", "RNN", "ConvLSTM{}")


@dataclass(eq=False)
class Place:
    """A call of a layer.

    Attributes:
        layer: The layer, or an operation of `keras.ops`.
        sources: The places that it takes its inputs from.
        shape: Of its first output, with None for the batch; None where that is not known.
        users: The places that take its output.
        inner_output: Whether it is the output of a model within the model, such as an encoder.
    """

    layer: object
    sources: list
    shape: tuple | None = None
    users: list = field(default_factory=list)
    inner_output: bool = False

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def kind(self) -> str:
        """The name of the layer's class, or of the class that it was made from; of the layer in a wrapper."""
        return kind_of(self.layer)

    @property
    def width(self) -> int | None:
        """The size of the last axis of its output."""
        if self.shape:
            return self.shape[-1]
        layer = unwrapped(self.layer)
        return getattr(layer, "units", None) or getattr(layer, "filters", None)

    @property
    def activation(self) -> str | None:
        return activation_of(self.layer)


@dataclass(eq=False)
class Graph:
    """The places of a model in the order in which numbers pass them; no outputs where that order is not known."""

    places: list
    inputs: list
    outputs: list


def unwrapped(layer):
    """The layer in `TimeDistributed`, `Bidirectional` or `SpectralNormalization`."""
    inner = getattr(layer, "forward_layer", None) or getattr(layer, "layer", None)
    return unwrapped(inner) if isinstance(inner, keras.layers.Layer) else layer


def kind_of(layer) -> str:
    """The name of the nearest class that is Keras' own; that of the class itself where that is a plain `Layer`."""
    kind = type(unwrapped(layer))
    for parent in kind.__mro__:
        # A layer of the user's own computes what it likes, one that comes of Keras' own much the same as that.
        if parent.__module__.startswith("keras.src") and parent.__name__ not in ("Layer", "Operation"):
            return parent.__name__
        if parent is keras.layers.Layer:
            break
    return kind.__name__


def activation_of(layer) -> str | None:
    """The name of what a layer does last: "linear" for nothing; None where that is not known."""
    layer = unwrapped(layer)
    function = getattr(layer, "activation", None)
    if isinstance(function, keras.layers.Layer):
        return activation_of(function)
    if callable(function):
        return getattr(function, "__name__", type(function).__name__)
    kind = kind_of(layer)
    if not type(layer).__module__.startswith("keras."):
        return None
    plain = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "prelu", "ELU": "elu"}
    operations = ("Softmax", "Relu", "Sigmoid", "Tanh", "Elu", "Gelu", "Silu", "Softplus", "Exp", "Selu")
    return plain.get(kind) or (kind.lower() if kind in operations else None)


def over_last_axis(layer) -> bool:
    """Whether a softmax is one over the last axis."""
    axis = getattr(unwrapped(layer), "axis", -1)
    return axis in (-1, None)


def graph(model) -> Graph:
    """The places of a model; without order where it is a class of the user's own."""
    try:
        places, outputs = _trace(model, None)
    except (AttributeError, KeyError, TypeError, IndexError):
        return Graph([Place(layer, []) for layer in getattr(model, "layers", [])], [], [])
    for place in places:
        for source in place.sources:
            source.users.append(place)
    return Graph(places, [place for place in places if not place.sources], outputs)


def _trace(model, given):
    inner = getattr(model, "_functional", None) or model
    if isinstance(model, keras.Sequential) and inner is model:
        return _chain(model, given)
    at, places = {}, []
    nodes = inner._nodes_by_depth
    for depth in sorted(nodes, reverse=True):
        for node in nodes[depth]:
            layer = node.operation
            sources = [at[id(tensor)] for tensor in node.input_tensors]
            if node.is_input:
                index = [id(tensor) for tensor in inner.inputs].index(id(node.output_tensors[0]))
                ends = [given[index]] if given else [Place(layer, [], tuple(node.output_tensors[0].shape))]
                places += [] if given else ends
            elif _is_transparent(layer):
                new, ends = _trace(layer, sources)
                places += new
            else:
                ends = [Place(layer, sources, tuple(node.output_tensors[0].shape))] * len(node.output_tensors)
                places.append(ends[0])
            at.update((id(tensor), place) for tensor, place in zip(node.output_tensors, ends, strict=True))
    outputs = [at[id(tensor)] for tensor in inner.outputs]
    for place in outputs:
        place.inner_output |= given is not None
    return places, outputs


def _is_transparent(layer) -> bool:
    """Whether a model in a model can be looked into: one that only calls its layers one after the other."""
    return isinstance(layer, keras.Sequential) or (isinstance(layer, keras.Model) and hasattr(layer, "_nodes_by_depth"))


def _chain(model, given):
    """A Sequential that has seen no data yet."""
    places, last = [], given or []
    for layer in model.layers:
        if _is_transparent(layer):
            new, last = _trace(layer, last or None)
            places += new
        else:
            last = [Place(layer, last)]
            places += last
    return places, last


def head(place: Place | None) -> Place | None:
    """The place that decides what numbers an output can have; None where that is not known."""
    while place is not None:
        inert = place.kind in SHAPERS or (place.kind == "Activation" and place.activation == "linear")
        if not inert:
            return place if place.activation else None
        place = place.sources[0] if len(place.sources) == 1 else None
    return None


def ahead(place: Place, through) -> Place | None:
    """The next place behind those that `through` lets pass, where each has one user alone."""
    while len(place.users) == 1:
        place = place.users[0]
        if not through(place):
            return place
    return None


def inner_layers(model) -> list:
    """All layers, those within layers too."""
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten(include_self=False, recursive=True)) if flatten else list(getattr(model, "layers", []))
