"""The networks of the base programs, from options."""

import keras

L = keras.layers


def network(o: dict, shape: tuple, x) -> keras.Model:
    """A functional model where the body is one, else a sequential one."""
    first = {
        None: list,
        "rescale16": lambda: [L.Rescaling(1 / 16)],
        "rescale255": lambda: [L.Rescaling(1 / 255)],
        "normalize": lambda: [_adapted(x)],
    }[o["first"]]()
    inputs = keras.Input(shape, dtype="int32" if o["body"] in ("words", "attention") else None)
    last = L.Dense(o["outputs"], o["last"], name="last", **_initial(o))
    if o["body"] in _GRAPHS:
        answer = inputs
        for layer in first:
            answer = layer(answer)
        model = keras.Model(inputs, last(_GRAPHS[o["body"]](o, answer)))
    else:
        model = keras.Sequential([inputs, *first, *_STACKS[o["body"]](o), last])
    for name in o["frozen"]:
        model.get_layer(name).trainable = False
    return model


def _adapted(x):
    layer = L.Normalization()
    layer.adapt(x)
    return layer


def _initial(o):
    init = {"kernel_initializer": o["init"]() if callable(o["init"]) else o["init"]} if o["init"] is not None else {}
    return init | ({"kernel_regularizer": keras.regularizers.L2(o["l2"])} if o["l2"] else {})


def _hidden(o, number, kind, *arguments, **settings):
    """A layer with its activation, normalization and dropout."""
    bias = {"bias_initializer": keras.initializers.Constant(o["bias"])} if o["bias"] is not None else {}
    settings |= _initial(o) | bias | {"name": f"hidden_{number}"}
    if o["normalized"]:
        layers = [
            kind(*arguments, use_bias=False, **settings),
            L.BatchNormalization(momentum=0.9),
            L.Activation(o["activation"]),
        ]
    else:
        layers = [kind(*arguments, activation=o["activation"], **settings)]
    return layers + ([L.Dropout(o["dropout"])] if o["dropout"] else [])


# ---- layers one after the other --------------------------------------------------------------------------------------


def _dense(o):
    return [layer for number in range(o["depth"]) for layer in _hidden(o, number, L.Dense, o["width"])]


def _conv(o):
    layers = []
    for number in range(o["depth"]):
        layers += [*_hidden(o, number, L.Conv2D, o["width"], 3, padding="same"), L.MaxPooling2D()]
    return [*layers, L.Flatten()]


def _deepconv(o):
    layers = []
    for number in range(o["depth"] + 2):
        layers += _hidden(o, number, L.Conv2D, o["width"], 3, padding="same")
    return [*layers, L.MaxPooling2D(), L.Flatten()]


def _conv1d(o):
    layers = [layer for n in range(o["depth"]) for layer in _hidden(o, n, L.Conv1D, o["width"], 5, padding="same")]
    return [*layers, L.GlobalAveragePooling1D()]


def _recurrent(kind):
    def layers(o):
        init = {} if o["init"] is None else {"kernel_initializer": o["init"]() if callable(o["init"]) else o["init"]}
        init |= {"recurrent_initializer": "zeros"} if o["init"] == "zeros" else {}
        return [kind(o["width"], name="hidden_0", **init), *([L.Dropout(o["dropout"])] if o["dropout"] else [])]

    return layers


def _words(o):
    return [L.Embedding(200, o["width"]), L.GlobalAveragePooling1D(), *_dense(o)]


_STACKS = {
    "dense": _dense, "conv": _conv, "deepconv": _deepconv, "conv1d": _conv1d, "lstm": _recurrent(L.LSTM),
    "gru": _recurrent(L.GRU), "words": _words,
}  # fmt: skip


# ---- layers that go around others ------------------------------------------------------------------------------------


class Positions(L.Layer):
    """Adds to each token a vector that is its place's own."""

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], initializer="random_normal", name="places")

    def call(self, x):
        return x + self.places


def _through(x, layers):
    for layer in layers:
        x = layer(x)
    return x


def _attention(o, tokens):
    """Transformer blocks with normalization before each part (Xiong et al., 2020, arXiv:2002.04745)."""
    x = Positions()(L.Embedding(20, o["width"])(tokens))
    for number in range(o["depth"]):
        look = L.MultiHeadAttention(2, o["width"] // 2, name=f"hidden_{number}_attention", **_initial(o))
        normal = L.LayerNormalization()(x)
        x = L.Add()([x, look(normal, normal)])
        inner = _through(L.LayerNormalization()(x), _hidden(o, number, L.Dense, 2 * o["width"]))
        x = L.Add()([x, L.Dense(o["width"], name=f"hidden_{number}_back", **_initial(o))(inner)])
    return L.GlobalAveragePooling1D()(L.LayerNormalization()(x))


def _residual(o, pictures):
    """Residual blocks of two convolutions each (He et al., 2015, arXiv:1512.03385), and half the side after each."""
    x = _through(pictures, _hidden(o, 0, L.Conv2D, o["width"], 3, padding="same"))
    for number in range(1, o["depth"] + 1):
        inner = _through(x, _hidden(o, number, L.Conv2D, o["width"], 3, padding="same"))
        back = L.Conv2D(o["width"], 3, padding="same", name=f"hidden_{number}_back", **_initial(o))(inner)
        x = L.MaxPooling2D()(L.Activation(o["activation"])(L.Add()([x, back])))
    return L.GlobalAveragePooling2D()(x)


_GRAPHS = {"attention": _attention, "residual": _residual}
