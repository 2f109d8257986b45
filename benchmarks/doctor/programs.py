"""The programs that the doctor is judged on: base programs of several families, as options that faults change.

A program is made of options, by name; a fault or a variant is a change of some of them. Families are divided into a
development half, on which thresholds may be chosen, and a test half.
"""

import keras
import numpy as np

L = keras.layers

#: Family -> its half.
HALVES = {
    "blobs": "dev", "friedman": "dev", "digits": "dev", "lstm": "dev",
    "circles": "test", "tables": "test", "targets": "test", "textures": "test", "words": "test", "signals": "test",
}  # fmt: skip

DEFAULTS = {
    "body": "dense", "depth": 2, "width": 24, "activation": "relu", "init": None, "bias": None, "normalized": False,
    "dropout": 0.0, "l2": 0.0, "frozen": (), "outputs": 3, "last": "softmax",
    "loss": "sparse_categorical_crossentropy", "optimizer": "Adam", "rate": 3e-3, "clip": None, "schedule": None,
    "momentum": 0.0, "batch": 32, "epochs": 8, "rows": 640, "split": 0.0, "prepare": (), "first": None,
    "class_weight": None, "jit": False, "precision": None, "steps": 1,
}  # fmt: skip

#: Family -> what its healthy program differs in from `DEFAULTS`.
FAMILIES = {
    "blobs": {"data": "blobs"},
    "friedman": {"data": "friedman", "outputs": 1, "last": "linear", "loss": "mean_squared_error", "epochs": 15},
    "digits": {"data": "digits", "body": "conv", "outputs": 10, "rows": 1000, "first": "rescale16", "epochs": 6},
    "lstm": {"data": "waves", "body": "lstm", "epochs": 8, "width": 16, "depth": 1, "rate": 1e-2},
    "circles": {
        "data": "circles", "outputs": 1, "last": "sigmoid", "loss": "binary_crossentropy", "rate": 1e-2, "epochs": 10,
    },
    "tables": {"data": "cancer", "outputs": 1, "last": "sigmoid", "loss": "binary_crossentropy", "first": "normalize"},
    "targets": {
        "data": "diabetes", "outputs": 1, "last": "linear", "loss": "mean_squared_error", "first": "normalize",
        "epochs": 20, "rate": 1e-2,
    },
    "textures": {
        "data": "textures", "body": "deepconv", "outputs": 4, "width": 8, "epochs": 6, "normalized": True, "rate": 1e-2,
        "first": "rescale255",
    },
    "words": {
        "data": "words", "body": "words", "outputs": 1, "last": "sigmoid", "loss": "binary_crossentropy", "width": 16,
        "depth": 1, "rate": 1e-2,
    },
    "signals": {"data": "waves", "body": "conv1d", "width": 16, "rate": 1e-2, "activation": "gelu"},
}  # fmt: skip


# ---- data ------------------------------------------------------------------------------------------------------------


def examples(name: str, rows: int, seed: int):
    """x and y of training and of validation."""
    rng = np.random.default_rng(seed)
    x, y = _DATA[name](rng, rows * 3 // 2)
    order = rng.permutation(len(x))
    cut = len(x) * 2 // 3
    return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


def blobs(rng, rows):
    centers = rng.normal(size=(3, 10)) * 1.2
    y = rng.integers(0, 3, rows)
    return (centers[y] + rng.normal(size=(rows, 10))).astype("float32"), y


def friedman(rng, rows):
    """Friedman (1991), doi:10.1214/aos/1176347963, scaled."""
    x = rng.uniform(size=(rows, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y + rng.normal(size=rows) - 14.4) / 5
    return (x * 2 - 1).astype("float32"), y.astype("float32")[:, None]


def circles(rng, rows):
    y = rng.integers(0, 2, rows)
    angle, radius = rng.uniform(0, 2 * np.pi, rows), 1.0 + y + rng.normal(size=rows) * 0.2
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("float32"), y


def waves(rng, rows):
    y = rng.integers(0, 3, rows)
    time, phase = np.arange(20), rng.uniform(0, 2 * np.pi, rows)
    x = np.sin(time[None] * np.array([0.3, 0.7, 1.3])[y][:, None] + phase[:, None])
    return (x + rng.normal(size=x.shape) * 0.3).astype("float32")[:, :, None], y


def textures(rng, rows):
    y = rng.integers(0, 4, rows)
    i, j = np.mgrid[:12, :12]
    grids = np.stack([np.sin(i * 1.5), np.sin(j * 1.5), np.sin((i + j) * 1.1), np.sin(i * 1.5) * np.sin(j * 1.5)])
    x = grids[y] * rng.uniform(0.4, 1, (rows, 1, 1)) + rng.normal(size=(rows, 12, 12)) * 0.5
    return np.clip(x * 50 + 128, 0, 255).astype("uint8")[..., None], y


def words(rng, rows):
    y = rng.integers(0, 2, rows)
    x = rng.integers(20, 200, (rows, 15))
    for row, good in zip(x, y, strict=True):
        row[rng.choice(15, 3, replace=False)] = rng.integers(1, 9, 3) + 9 * good
    return x, y


def _sklearn(name):
    def load(rng, rows):
        from sklearn import datasets

        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        chosen = rng.permutation(len(x))[:rows]
        x, y = x[chosen].astype("float32"), y[chosen]
        if name == "digits":
            x = x.reshape(-1, 8, 8, 1)
        return x, ((y - 152) / 77).astype("float32")[:, None] if name == "diabetes" else y.astype("int64")

    return load


_DATA = {
    "blobs": blobs, "friedman": friedman, "circles": circles, "waves": waves, "textures": textures, "words": words,
    "digits": _sklearn("digits"), "cancer": _sklearn("breast_cancer"), "diabetes": _sklearn("diabetes"),
}  # fmt: skip


# ---- networks --------------------------------------------------------------------------------------------------------


def network(o: dict, shape: tuple, x) -> keras.Model:
    first = {
        None: list,
        "rescale16": lambda: [L.Rescaling(1 / 16)],
        "rescale255": lambda: [L.Rescaling(1 / 255)],
        "normalize": lambda: [_adapted(x)],
    }[o["first"]]()
    layers = [keras.Input(shape, dtype="int32" if o["body"] == "words" else None), *first, *_BODIES[o["body"]](o)]
    layers.append(L.Dense(o["outputs"], o["last"], name="last", **_initial(o)))
    model = keras.Sequential(layers)
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
        layers = [kind(*arguments, use_bias=False, **settings), L.BatchNormalization(), L.Activation(o["activation"])]
    else:
        layers = [kind(*arguments, activation=o["activation"], **settings)]
    return layers + ([L.Dropout(o["dropout"])] if o["dropout"] else [])


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


def _recurrent(o):
    init = {} if o["init"] is None else {"kernel_initializer": o["init"]() if callable(o["init"]) else o["init"]}
    init |= {"recurrent_initializer": "zeros"} if o["init"] == "zeros" else {}
    return [L.LSTM(o["width"], name="hidden_0", **init), *([L.Dropout(o["dropout"])] if o["dropout"] else [])]


def _words(o):
    return [L.Embedding(200, o["width"]), L.GlobalAveragePooling1D(), *_dense(o)]


_BODIES = {
    "dense": _dense, "conv": _conv, "deepconv": _deepconv, "conv1d": _conv1d, "lstm": _recurrent, "words": _words,
}  # fmt: skip


# ---- a program -------------------------------------------------------------------------------------------------------


class Program:
    """A model, compiled, and what `fit` is called with.

    Args:
        options: By name, over those of the family and `DEFAULTS`.
    """

    def __init__(self, family: str, options: dict, seed: int):
        o = self.options = DEFAULTS | FAMILIES[family] | options
        keras.utils.set_random_seed(seed)
        x, y, self.x_val, self.y_val = examples(o["data"], o["rows"], seed)
        self.x_val, self.y_val = self.x_val.copy(), self.y_val.copy()
        for prepare in o["prepare"]:
            x, y, self.x_val, self.y_val = prepare(x, y, self.x_val, self.y_val)
        self.x, self.y = x, y
        if o["precision"]:
            keras.config.set_dtype_policy(o["precision"])
        self.model = network(o, x.shape[1:], x)
        keras.config.set_dtype_policy("float32")
        self.model.compile(self.optimizer(), o["loss"], jit_compile=o["jit"], steps_per_execution=o["steps"])

    def optimizer(self):
        o = self.options
        rate = o["schedule"](o["rate"], o["epochs"] * -(-len(self.x) // o["batch"])) if o["schedule"] else o["rate"]
        settings = {"momentum": o["momentum"]} if o["momentum"] else {}
        return getattr(keras.optimizers, o["optimizer"])(rate, global_clipnorm=o["clip"], **settings)

    def fitting(self) -> dict:
        o = self.options
        call = {"x": self.x, "y": self.y, "batch_size": o["batch"], "epochs": o["epochs"], "verbose": 0}
        call |= {"class_weight": o["class_weight"]} if o["class_weight"] else {}
        if o["split"]:
            return call | {"validation_split": o["split"]}
        return call | {"validation_data": (self.x_val, self.y_val)}
