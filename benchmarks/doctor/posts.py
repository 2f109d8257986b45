"""Programs that people asked about, each with what was wrong with it: made anew from their descriptions.

A number is that of the question: SO is Stack Overflow, CV and DS are Cross Validated and Data Science of Stack
Exchange. Those of SO are among the ones that Wardat et al. (2021, arXiv:2103.03376) and Cao et al. (2022, DeepFD, ICSE)
have collected. Activations, losses and optimizers are as asked; data are small or made here, layers and epochs fewer,
and some rates therefore higher.
"""

from dataclasses import dataclass

import numpy as np

RATE = "learning rate"
OUTPUT = ("activation", "loss", "labels")
LAST = ("last", "activation", "units")
CROSS, ONE_OF = "binary_crossentropy", "categorical_crossentropy"
SQUARE, ABSOLUTE = "mean_squared_error", "mean_absolute_error"
NESTEROV = {"momentum": 0.9, "nesterov": True}


@dataclass(frozen=True)
class Post:
    """A question.

    Attributes:
        id: Site and number.
        data: Function of a random generator that gives x and y of training and validation.
        healthy: Options as the answer has them, over `DEFAULTS` of real.py.
        asked: What the program that was asked about differs in from that.
        categories, where: As in a `Case`: each patch that helps is right.
        measure: What is right: "class", "tags" (of each label yes or no) or "r2".
    """

    id: str
    data: object
    healthy: dict
    asked: dict
    categories: tuple
    where: tuple
    measure: str = "class"


# ---- data ------------------------------------------------------------------------------------------------------------


def halved(x, y):
    """Every third row is for validation."""
    held = np.arange(len(x)) % 3 == 2
    return x[~held].astype("float32"), y[~held], x[held].astype("float32"), y[held]


def ones_or_zeros(rng):
    y = rng.integers(0, 2, 900)
    return halved(np.repeat(y[:, None], 128, 1), y)


def above(rng):
    x = rng.uniform(0, 500, (900, 1))
    return halved(x, (x[:, 0] > 250).astype("int64"))


def _sklearn(name, rng, rows):
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = rng.permutation(len(x))[:rows]
    return x[chosen], y[chosen]


def pixels(rng):
    """Digits, 0 to 255."""
    x, y = _sklearn("digits", rng, 1500)
    return halved(x / 16 * 255, y)


def pictures(rng):
    x, y = _sklearn("digits", rng, 1500)
    return halved(x.reshape(-1, 8, 8, 1) / 16 * 255, y)


def three_kinds(rng):
    x, y = _sklearn("digits", rng, 1797)
    few = y < 3
    return halved(x[few].reshape(-1, 8, 8, 1) / 16, y[few])


def topics(rows, features, labels):
    """Each row has some of the labels."""

    def make(rng):
        x = rng.normal(size=(rows, features))
        scores = x @ rng.normal(size=(features, labels)) / np.sqrt(features)
        return halved(x, (scores > 0.3).astype("float32"))

    return make


def xor(rows):
    def make(rng):
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
        y = np.array([[0], [1], [1], [0]], "float32")
        chosen = rng.permutation(np.arange(rows) % 4)
        return x[chosen], y[chosen], x, y

    return make


def corners(rng):
    y = rng.integers(0, 2, 300)
    return halved(rng.uniform(0.2, 0.4, (300, 2)) + 0.3 * y[:, None], y)


def signed(rng):
    x = rng.normal(size=(1200, 2))
    return halved(x, np.tanh(x[:, :1] - 0.5 * x[:, 1:]) + rng.normal(size=(1200, 1)) * 0.05)


def weighted_sums(rng):
    x = rng.uniform(0, 10_000, (3000, 3))
    return halved(x, (x @ [2.0, 1.0, 0.5] + 2.2)[:, None])


def measurements(rng):
    x = rng.normal(size=(900, 3)) * [2000, 30, 1] + [9000, 400, 20]
    score = (x[:, 0] - 9000) / 2000 + (x[:, 1] - 400) / 30 - 0.5 * (x[:, 2] - 20)
    return halved(x, (score + rng.normal(size=900) * 0.2 > 0).astype("int64"))


def packets(rng):
    tens = 10.0 ** rng.integers(0, 5, 11)
    x = rng.lognormal(size=(900, 11))
    return halved(x * tens, (np.log(x[:, :6]).sum(1) > 0).astype("int64"))


def five(rng):
    x = rng.uniform(size=(900, 5))
    return halved(x, (x[:, 0] + x[:, 1] > x[:, 2] + x[:, 3]).astype("int64"))


def parabola(rng):
    x = rng.uniform(0, 5, (1500, 1))
    return halved(x, 5 * x**2 + rng.normal(size=x.shape) ** 3)


def fourth_power(rng):
    x = rng.permutation(np.arange(-100, 100, 0.5))[:, None]
    return halved(x, x**4)


def line(rng):
    x = rng.uniform(0, 10, (900, 1))
    return halved(x, 3 * x + 4 + rng.normal(size=x.shape))


def television(rng):
    """People for each television set, and how long they live."""
    x = rng.uniform(1, 600, (300, 1))
    return halved(x, 70 - 0.04 * x + rng.normal(size=x.shape) * 3)


def products(rng):
    x = rng.uniform(-1, 1, (1500, 2))
    return halved(x, x[:, :1] * x[:, 1:])


def series(rng):
    """Twelve values between -1 and 1, of three numbers each."""
    code = rng.normal(size=(900, 3))
    x = np.tanh(code @ rng.normal(size=(3, 12)) * 0.6)
    return halved(x, x.astype("float32"))


# ---- what is done to x or y of training and validation ---------------------------------------------------------------


def standard(train, part):
    return ((part - train.mean(0)) / (train.std(0) + 1e-9)).astype("float32")


def over_255(train, part):
    return (part / 255).astype("float32")


def one_hot(train, part):
    return np.eye(int(train.max()) + 1, dtype="float32")[part]


_CONV = (("conv", 16, 3, "relu"), "pool", ("conv", 16, 3, "relu"), "pool", "flatten")

POSTS = (
    Post("SO 31880720", ones_or_zeros, {"layers": (50, 0.2, 50, 0.2), "optimizer": ("RMSprop", 1e-3), "epochs": 3,
         "batch": 16}, {"last": "softmax"}, OUTPUT, LAST),
    Post("SO 45442843", above, {"layers": (1,), "hidden": "sigmoid", "x": standard, "optimizer": ("RMSprop", 1e-2),
         "batch": 20, "epochs": 30}, {"last": "softmax", "loss": ABSOLUTE, "x": None}, (*OUTPUT, "data"),
         (*LAST, "loss", "x")),
    Post("SO 48385830", pixels, {"layers": (30,), "hidden": "sigmoid", "last": "softmax", "units": 10, "loss": ONE_OF,
         "y": one_hot, "x": over_255, "optimizer": ("SGD", 3.0), "init": 1.0, "batch": 10, "epochs": 10},
         {"hidden": "linear", "last": "linear", "loss": SQUARE}, ("activation", "loss", RATE),
         ("hidden", "last", "activation", "loss", "learning_rate")),
    Post("SO 44164749", topics(1800, 30, 11), {"layers": (200, 0.1, 60, 0.1), "units": 11, "batch": 100,
         "optimizer": ("SGD", 0.05, NESTEROV), "epochs": 10}, {"last": "softmax", "loss": ONE_OF}, OUTPUT,
         (*LAST, "loss"), "tags"),
    Post("SO 31556268", xor(200), {"layers": (4,), "hidden": "sigmoid", "loss": SQUARE, "optimizer": ("Adam", 0.05),
         "batch": 4, "epochs": 20}, {"loss": ABSOLUTE, "optimizer": ("SGD", 0.05, {"momentum": 0.11,
         "nesterov": True})}, ("loss", "epochs", RATE, "optimizer"), ("loss", "last", "epochs", "learning_rate",
         "optimizer")),
    Post("SO 34311586", xor(240), {"layers": (2, 3), "hidden": "sigmoid", "loss": SQUARE, "batch": 4, "epochs": 25,
         "optimizer": ("SGD", 0.5, NESTEROV)}, {"last": "softmax", "optimizer": ("SGD", 1e-3, NESTEROV), "epochs": 20},
         (*OUTPUT, RATE, "epochs"), (*LAST, "learning_rate", "epochs")),
    Post("SO 50306988", corners, {"layers": (2,), "hidden": "sigmoid", "last": "softmax", "units": 2, "loss": ONE_OF,
         "y": one_hot, "optimizer": ("Adam", 1e-2), "epochs": 40}, {"optimizer": ("Adam", 1e-3), "epochs": 5},
         ("epochs", RATE), ("epochs", "learning_rate")),
    Post("SO 48251943", signed, {"layers": (4,), "last": "tanh", "loss": SQUARE, "optimizer": ("SGD", 1e-2),
         "batch": 10, "epochs": 20}, {"last": "relu"}, OUTPUT, LAST, "r2"),
    Post("SO 38648195", topics(2400, 20, 3), {"layers": (20, 0.5, 20, 0.5), "units": 3, "optimizer": ("SGD", 0.1),
         "batch": 20, "epochs": 20}, {"last": "softmax", "loss": SQUARE}, OUTPUT, (*LAST, "loss"), "tags"),
    Post("SO 33969059", weighted_sums, {"layers": (3, 2), "hidden": "tanh", "last": "linear", "loss": SQUARE,
         "x": standard, "y": standard, "optimizer": ("SGD", 0.1, NESTEROV)}, {"layers": (3, 0.5, 2, 0.5),
         "last": "softmax", "x": None, "y": None}, (*OUTPUT, "data", "regularization"), (*LAST, "loss", "x", "y",
         "rate"), "r2"),
    Post("SO 55328966", pixels, {"layers": ((64, "linear"), 50), "last": "softmax", "units": 10, "loss": ONE_OF,
         "y": one_hot, "x": over_255}, {"last": "sigmoid", "x": None, "optimizer": ("SGD", 1e-4)},
         ("data", "activation", "loss", "optimizer", RATE), (*LAST, "loss", "x", "optimizer", "learning_rate")),
    Post("SO 39525358", measurements, {"layers": (12, 3), "init": "random_uniform", "x": standard, "batch": 10,
         "epochs": 20}, {"x": None}, ("data",), ("x",)),
    Post("SO 48934338", parabola, {"layers": (50, 30), "last": "linear", "loss": SQUARE, "optimizer": ("SGD", 1e-4),
         "epochs": 20}, {"optimizer": ("SGD", 0.1)}, (RATE, "data", "labels", "loss"), ("learning_rate", "x", "y"),
         "r2"),
    Post("SO 59325381", pictures, {"layers": (("conv", 64, 3, "linear"), "pool", ("conv", 32, 3, "linear"), "pool",
         "flatten", 128), "last": "softmax", "units": 10, "loss": "sparse_categorical_crossentropy", "x": over_255,
         "epochs": 4}, {"labels": over_255}, ("labels", "data", "loss"), ("y", "loss", "last")),
    Post("SO 52800582", fourth_power, {"layers": ((50, "relu"), (50, "elu")), "last": "linear", "loss": SQUARE,
         "x": standard, "y": standard, "epochs": 60}, {"layers": ((50, "sigmoid"), (50, "elu")), "x": None, "y": None},
         ("data", "labels", "loss", "activation"), ("x", "y", "last", "loss", "hidden"), "r2"),
    Post("SO 48221692", line, {"layers": (5,), "hidden": "sigmoid", "last": "linear", "loss": SQUARE, "batch": 16,
         "optimizer": ("SGD", 1e-2), "epochs": 20}, {"last": "sigmoid"}, OUTPUT, (*LAST, "y"), "r2"),
    Post("SO 50079585", three_kinds, {"layers": (*_CONV, 64, 0.5), "last": "softmax", "units": 3, "loss": ONE_OF,
         "y": one_hot, "optimizer": ("RMSprop", 1e-3), "batch": 16}, {"units": 1, "last": "sigmoid", "loss": CROSS,
         "y": None}, OUTPUT, (*LAST, "loss", "y")),
    Post("SO 45337371", five, {"layers": (60, 50)}, {"last": "softmax"}, OUTPUT, LAST),
    Post("SO 44066044", packets, {"layers": (12, 12), "init": "random_normal", "x": standard, "batch": 5,
         "epochs": 12}, {"last": "relu", "x": None}, (*OUTPUT, "data"), (*LAST, "loss", "x")),
    Post("SO 47352366", pictures, {"layers": (("conv", 16, 5, "relu"), "pool", ("conv", 32, 5, "relu"), "pool",
         "flatten", 128, 0.5), "last": "softmax", "units": 10, "loss": ONE_OF, "y": one_hot, "x": over_255, "bias": 0.1,
         "batch": 50}, {"last": "relu"}, OUTPUT, LAST),
    Post("SO 42514960", series, {"layers": (24, 24, 3, 24, 24), "hidden": "tanh", "last": "tanh", "units": 12,
         "loss": SQUARE, "epochs": 25}, {"hidden": "relu", "last": "sigmoid"}, OUTPUT, (*LAST, "y"), "r2"),
    Post("CV 433365", xor(2000), {"layers": (4, 4), "hidden": "relu", "optimizer": ("SGD", 0.1), "epochs": 15},
         {"layers": ((2, "linear"), (2, "relu")), "last": "relu", "loss": SQUARE, "optimizer": ("SGD", 1e-2),
         "epochs": 5}, (*OUTPUT, "epochs", "architecture"), (*LAST, "hidden", "loss", "epochs")),
    Post("CV 284189", television, {"layers": (), "last": "linear", "loss": SQUARE, "optimizer": ("SGD", 1e-2),
         "x": standard, "y": standard, "batch": 4, "epochs": 10}, {"x": None, "y": None, "batch": 1},
         ("data", "labels", RATE), ("x", "y", "learning_rate"), "r2"),
    Post("DS 18667", pixels, {"layers": (100,), "last": "softmax", "units": 10, "loss": ONE_OF, "y": one_hot,
         "x": over_255, "optimizer": ("SGD", 1e-2), "batch": 10, "epochs": 15}, {"x": None}, ("data", RATE),
         ("x", "learning_rate")),
    Post("DS 60170", products, {"layers": (20, 100, 100), "last": "linear", "loss": SQUARE}, {"hidden": "linear"},
         ("activation",), ("hidden", "activation"), "r2"),
)  # fmt: skip
