"""What makes a program sick, and what makes a healthy one look sick."""

from dataclasses import dataclass

import keras
import numpy as np

RATE = "learning rate"
#: What a category may as well be named, where the fault is in how two things fit each other.
OUTPUT = ("activation", "loss", "labels")


@dataclass(frozen=True)
class Case:
    """A change of options.

    Attributes:
        name: Of the fault or variant.
        tier: "A" real, "B" injected, "C" a symptom of Zhang et al. (2024), "D" modern, "H" healthy.
        changes: Of options; a function of the options before, or a dict.
        fits: Whether it is one for these options.
        categories: Any of them is right, for a fault.
        where: Names of layers or arguments, any of which locates it; `hidden` is any hidden layer.
        silent: The validation score need not be worse: it is the score itself that is wrong, or luck.
    """

    name: str
    tier: str
    changes: object
    fits: object = lambda o: True
    categories: tuple = ()
    where: tuple = ()
    silent: bool = False

    def options(self, base: dict) -> dict:
        return self.changes(base) if callable(self.changes) else dict(self.changes)


# ---- what is done to data --------------------------------------------------------------------------------------------


def to_x(function):
    return lambda x, y, xv, yv: (function(x), y, function(xv), yv)


def to_y(function):
    return lambda x, y, xv, yv: (x, function(y), xv, function(yv))


def holed(x, y, xv, yv):
    x = x.astype("float32")
    x.reshape(len(x), -1)[::97, 0] = np.nan
    return x, y, xv, yv


def ordered(x, y, xv, yv):
    order = np.argsort(y.ravel(), kind="stable")
    return x[order], y[order], xv, yv


def shared(x, y, xv, yv):
    half = len(xv) // 2
    return x, y, np.concatenate([xv[:half], x[:half]]), np.concatenate([yv[:half], y[:half]])


def rare(x, y, xv, yv):
    kept = (y != y.max()) | (np.arange(len(y)) % 40 == 0)
    return x[kept], y[kept], xv, yv


def few(rows):
    return lambda x, y, xv, yv: (x[:rows], y[:rows], xv, yv)


def noisy(x, y, xv, yv):
    rng = np.random.default_rng(0)
    flipped = rng.uniform(size=(len(y), *[1] * (y.ndim - 1))) < 0.25
    return x, np.where(flipped, rng.permutation(y), y), xv, yv


def one_hot(classes):
    return to_y(lambda y: np.eye(classes, dtype="float32")[y])


def then(prepare):
    return lambda o: {"prepare": (*o.get("prepare", ()), prepare)}


# ---- kinds of programs -----------------------------------------------------------------------------------------------


def classes(o):
    return o["last"] == "softmax"


def binary(o):
    return o["last"] == "sigmoid" and o["outputs"] == 1


def multilabel(o):
    return o["last"] == "sigmoid" and o["outputs"] > 1


def yes_or_no(o):
    return o["last"] == "sigmoid"


def one_class_each(o):
    return classes(o) or binary(o)


def regression(o):
    return o["last"] == "linear"


def labelled(o):
    return not regression(o)


def plain(o):
    """Of layers with activations of their own."""
    return o["body"] not in ("lstm", "gru")


def normalizable(o):
    return plain(o) and o["body"] != "attention"


def stacked(o):
    return o["body"] in ("dense", "conv", "deepconv", "conv1d") and not o["normalized"]


def numbers(o):
    return o["body"] not in ("words", "attention")


def many(o):
    return o["rows"] > 200


def tabular(o):
    return o["body"] == "dense"


def big_normal():
    return keras.initializers.RandomNormal(stddev=10.0)


SICK = [
    Case("rate far too high", "B", lambda o: {"rate": 3.0}, lambda o: True, (RATE,), ("learning_rate",)),
    Case("SGD rate far too high", "B", {"optimizer": "SGD", "rate": 30.0}, plain, (RATE,), ("learning_rate",)),
    Case("rate far too low", "B", {"rate": 1e-7}, lambda o: True, (RATE,), ("learning_rate",)),
    Case("Adadelta as it comes", "B", {"optimizer": "Adadelta", "rate": 1e-3}, lambda o: True, (RATE, "optimizer"),
         ("learning_rate", "optimizer")),
    Case("zeros to begin with", "B", {"init": "zeros"}, plain, ("initialization",), ("hidden", "kernel_initializer")),
    Case("weights far too large", "B", {"init": big_normal}, lambda o: plain(o) and not o["normalized"],
         ("initialization",), ("hidden", "kernel_initializer")),
    Case("no activations", "B", {"activation": "linear"}, lambda o: stacked(o) or o["data"] == "circles",
         ("activation",), ("hidden", "activation")),
    Case("softmax over one unit", "B", {"last": "softmax"}, binary, OUTPUT, ("last", "units", "activation")),
    Case("softmax over labels that go together", "B", {"last": "softmax", "loss": "categorical_crossentropy"},
         multilabel, OUTPUT, ("last", "activation", "loss")),
    Case("cross-entropy without softmax", "B", {"last": "linear"}, classes, OUTPUT, ("last", "activation")),
    Case("ReLU before cross-entropy", "B", {"last": "relu"}, labelled, OUTPUT, ("last", "activation")),
    Case("sigmoid for any number", "B", {"last": "sigmoid"}, regression, OUTPUT, ("last", "activation")),
    Case("ReLU for negative numbers", "B", {"last": "relu"}, regression, OUTPUT, ("last", "activation")),
    Case("tanh before binary cross-entropy", "B", {"last": "tanh"}, yes_or_no, OUTPUT, ("last", "activation")),
    Case("squared error of class numbers", "B", {"loss": "mean_squared_error"}, classes, OUTPUT, ("last", "loss")),
    Case("classes from 1", "B", then(to_y(lambda y: y + 1)), labelled, ("labels", "loss"), ("y", "last")),
    Case("one-hot labels for class numbers", "B", lambda o: then(one_hot(o["outputs"]))(o), classes, ("labels", "loss"),
         ("y", "loss", "last")),
    Case("NaN in the data", "B", then(holed), numbers, ("data",), ("x",)),
    Case("inputs far off scale", "B", lambda o: {"first": None, **then(to_x(lambda x: x * 300.0 + 1000))(o)}, numbers,
         ("data",), ("x",)),
    Case("scaled twice", "B", then(to_x(lambda x: x / np.float32(255))), lambda o: o["first"] == "rescale255",
         ("data",), ("scale", "x")),
    Case("targets far off scale", "B", then(to_y(lambda y: y * 500 + 4000)), regression, ("labels", "loss", "data"),
         ("y", "last", "loss")),
    Case("in order, then split", "B", lambda o: {"split": 0.3, **then(ordered)(o)}, one_class_each, ("data",),
         ("validation_split", "shuffle"), silent=True),
    Case("rows in both splits", "B", then(shared), lambda o: numbers(o) and o["data"] != "diabetes", ("data",),
         ("data",), silent=True),
    Case("a rare class", "B", then(rare), one_class_each, ("data",), ("class_weight",), silent=True),
    Case("nothing trainable", "B", lambda o: {"frozen": _weighted(o)}, lambda o: o["body"] == "dense",
         ("architecture",), ("trainable",)),
    Case("dropout of 0.95", "B", {"dropout": 0.95}, lambda o: True, ("regularization",), ("rate", "dropout")),
    Case("batch normalization of 2", "B", lambda o: {"batch": 2, "normalized": True, "epochs": 3},
         lambda o: normalizable(o) and o["body"] != "words", ("batch size",), ("batch_size",), silent=True),
    Case("logits taken from a softmax", "B", lambda o: {"loss": keras.losses.SparseCategoricalCrossentropy(
        from_logits=True)}, classes, OUTPUT, ("from_logits", "last"), silent=True),
    Case("far too strong L2", "B", {"l2": 10.0}, plain, ("regularization",), ("hidden", "last", "kernel_regularizer")),
    Case("ended far too early", "B", lambda o: {"epochs": 4, "optimizer": "SGD", "rate": 0.05, "batch": 64},
         lambda o: o["data"] in ("digits", "circles", "cancer", "friedman", "tags", "prices", "shapes"),
         ("epochs", RATE), ("epochs", "learning_rate")),
    Case("vanishing gradient", "C", lambda o: {"activation": "sigmoid", "depth": 9, "init": None},
         lambda o: tabular(o), ("activation",), ("hidden", "activation")),
    Case("vanishing gradient through tanh", "C", {"activation": "tanh", "depth": 9,
         "init": lambda: keras.initializers.RandomNormal(stddev=0.02)}, tabular,
         ("activation", "initialization"), ("hidden", "activation", "kernel_initializer")),
    Case("exploding gradient", "C", {"init": lambda: keras.initializers.RandomNormal(stddev=3.0), "depth": 6,
         "optimizer": "SGD", "rate": 0.1}, tabular, (RATE, "initialization"), ("hidden", "learning_rate",
         "kernel_initializer")),
    Case("born dead", "C", {"bias": -30.0}, lambda o: plain(o) and not o["normalized"] and o["activation"] == "relu",
         ("initialization",), ("hidden", "bias_initializer", "kernel_initializer")),
    Case("oscillation", "C", {"optimizer": "SGD", "rate": 2.0, "epochs": 10}, tabular, (RATE,), ("learning_rate",)),
    Case("slow convergence", "C", {"optimizer": "SGD", "rate": 1e-4}, lambda o: True, (RATE,), ("learning_rate",)),
    Case("overfitting", "C", lambda o: {"epochs": 60, "width": 128, "rate": 1e-2, **then(few(60))(o), **(
        {} if regression(o) else {"prepare": (*o.get("prepare", ()), noisy, few(60))})}, tabular,
        ("regularization", "epochs"), ("dropout", "epochs")),
]  # fmt: skip


def _weighted(o):
    return (*(f"hidden_{number}" for number in range(o["depth"])), "last")


def one_cycle(rate, steps):
    """Up to four times the rate, and down again."""
    return keras.optimizers.schedules.CosineDecay(
        rate / 4, steps * 2 // 3, warmup_target=rate * 4, warmup_steps=steps // 3
    )


def slow_start(rate, steps):
    return keras.optimizers.schedules.CosineDecay(1e-7, steps // 2, warmup_target=rate, warmup_steps=steps // 2)


HEALTHY = [
    Case("as it is", "H", {}),
    Case("SGD with momentum", "H", {"optimizer": "SGD", "rate": 0.03, "momentum": 0.9, "epochs": 12}, plain),
    Case("RMSprop", "H", {"optimizer": "RMSprop"}),
    Case("AdamW, cosine", "H", {"optimizer": "AdamW", "schedule": keras.optimizers.schedules.CosineDecay}),
    Case("one cycle", "H", {"schedule": one_cycle}),
    Case("slow warm-up", "H", {"schedule": slow_start, "epochs": 14}),
    Case("dropout, so validation is better", "H", {"dropout": 0.4, "epochs": 12}),
    Case("batch normalization", "H", {"normalized": True}, normalizable),
    Case("gelu", "H", {"activation": "gelu"}, plain),
    Case("tanh", "H", {"activation": "tanh"}, plain),
    Case("one hidden layer of sigmoids", "H", {"activation": "sigmoid", "depth": 1, "rate": 1e-2}, tabular),
    Case("logits", "H", lambda o: {"last": "linear", "loss": keras.losses.SparseCategoricalCrossentropy(
        from_logits=True)}, classes),
    Case("logits of yes or no", "H", lambda o: {"last": "linear", "loss": keras.losses.BinaryCrossentropy(
        from_logits=True)}, yes_or_no),
    Case("label smoothing", "H", lambda o: {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
         **then(one_hot(o["outputs"]))(o)}, classes),
    Case("softplus for what is positive", "H", lambda o: {"last": "softplus", **then(to_y(lambda y: y - y.min() + 0.1)
         )(o)}, regression),
    Case("absolute error", "H", {"loss": "mean_absolute_error"}, regression),
    Case("sparse ReLUs", "H", {"bias": -0.4, "width": 48}, lambda o: plain(o) and o["activation"] == "relu"),
    Case("a frozen first layer", "H", {"frozen": ("hidden_0",), "width": 64}, lambda o: plain(o) and o["depth"] > 1),
    Case("wide and small L2", "H", lambda o: {"width": 4 * o["width"], "l2": 1e-4, "rate": 1e-3, "epochs": 10}, plain),
    Case("clipped", "H", {"clip": 1.0}),
    Case("few rows", "H", lambda o: then(few(120))(o) | {"batch": 8, "epochs": 10}, many),
    Case("imbalanced and weighted", "H", lambda o: {"class_weight": {0: 1.0, 1: 40.0}, "epochs": 12,
         **then(rare)(o)}, lambda o: binary(o) and o["data"] == "circles"),
    Case("noisy labels", "H", lambda o: then(noisy)(o), labelled),
    Case("bfloat16", "H", {"precision": "mixed_bfloat16"}, lambda o: o["body"] in ("dense", "conv")),
    Case("float16", "H", {"precision": "mixed_float16"}, lambda o: o["body"] == "dense"),
    Case("four steps at once", "H", {"steps": 4}),
    Case("large batches", "H", {"batch": 128, "rate": 1e-2, "epochs": 14}, many),
]  # fmt: skip
