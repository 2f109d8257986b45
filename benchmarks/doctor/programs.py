"""The programs that faults are injected into: base programs of several families, as options that faults change.

A program is made of options, by name; a fault or a variant is a change of some of them. Families are divided into a
development half, on which thresholds may be chosen, and a test half, whose programs were written without the doctor.
"""

import keras
from data import examples
from faults import HEALTHY, SICK
from networks import network

#: Family -> its half.
HALVES = {
    "blobs": "dev", "friedman": "dev", "digits": "dev", "lstm": "dev", "circles": "dev", "tables": "dev",
    "targets": "dev", "textures": "dev", "words": "dev", "signals": "dev",
    "wine": "test", "gru": "test", "attention": "test", "residual": "test", "multilabel": "test", "prices": "test",
}  # fmt: skip

DEFAULTS = {
    "body": "dense", "depth": 2, "width": 24, "activation": "relu", "init": None, "bias": None, "normalized": False,
    "dropout": 0.0, "l2": 0.0, "frozen": (), "outputs": 3, "last": "softmax",
    "loss": "sparse_categorical_crossentropy", "optimizer": "Adam", "rate": 3e-3, "clip": None, "schedule": None,
    "momentum": 0.0, "batch": 32, "epochs": 8, "rows": 640, "split": 0.0, "prepare": (), "first": None,
    "class_weight": None, "jit": False, "precision": None, "steps": 1,
}  # fmt: skip

_BINARY = {"outputs": 1, "last": "sigmoid", "loss": "binary_crossentropy"}
_REGRESSION = {"outputs": 1, "last": "linear", "loss": "mean_squared_error"}

#: Family -> what its healthy program differs in from `DEFAULTS`.
FAMILIES = {
    "blobs": {"data": "blobs"},
    "friedman": {"data": "friedman", **_REGRESSION, "epochs": 15},
    "digits": {"data": "digits", "body": "conv", "outputs": 10, "rows": 1000, "first": "rescale16", "epochs": 6},
    "lstm": {"data": "waves", "body": "lstm", "width": 16, "depth": 1, "rate": 1e-2},
    "circles": {"data": "circles", **_BINARY, "rate": 1e-2, "epochs": 10},
    "tables": {"data": "cancer", **_BINARY, "first": "normalize"},
    "targets": {
        "data": "diabetes", **_REGRESSION, "first": "normalize", "rows": 294, "depth": 1, "width": 4, "l2": 1e-3,
        "epochs": 20, "rate": 1e-2,
    },
    "textures": {
        "data": "textures", "body": "deepconv", "outputs": 4, "width": 8, "epochs": 6, "normalized": True, "rate": 1e-2,
        "first": "rescale255",
    },
    "words": {"data": "words", "body": "words", **_BINARY, "width": 16, "depth": 1, "rate": 1e-2},
    "signals": {"data": "waves", "body": "conv1d", "width": 16, "rate": 1e-2, "activation": "gelu"},
    "wine": {"data": "wine", "first": "normalize", "rows": 118, "batch": 16, "epochs": 15},
    "gru": {"data": "swings", "body": "gru", **_REGRESSION, "depth": 1, "rate": 1e-2, "epochs": 12},
    "attention": {"data": "order", "body": "attention", "rows": 1000, "depth": 1, "width": 16, "epochs": 12},
    "residual": {
        "data": "shapes", "body": "residual", "outputs": 4, "width": 8, "normalized": True, "rate": 1e-2, "epochs": 10,
        "first": "rescale255",
    },
    "multilabel": {"data": "tags", **_BINARY, "outputs": 5, "rate": 1e-2, "epochs": 12},
    "prices": {"data": "prices", **_REGRESSION, "first": "normalize", "width": 32, "rate": 1e-2, "epochs": 15},
}  # fmt: skip


def names(half):
    """Pairs of a family and a `Case`."""
    for family, own in FAMILIES.items():
        if HALVES[family] == half:
            yield from ((family, case) for case in [*HEALTHY, *SICK] if case.fits(DEFAULTS | own))


def program(family, case, seed):
    return Program(family, case.options(DEFAULTS | FAMILIES[family]), seed)


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

    def score(self) -> float:
        """Accuracy, or the share of variance explained, on the validation data; NaN where nothing can be told."""
        if self.options["data"] == "tags":  # else a loss for single classes would be measured by another accuracy
            return tags_right(self.model, self.x_val, self.y_val)
        from keras_cookbook.callbacks.doctor.remedies import score

        return score(self.model, self.x_val, self.y_val)

    def score_of(self, trial) -> float:
        """That of a `Trial`'s model."""
        return trial.after


def tags_right(model, x, y) -> float:
    """The share of yes and no that is right."""
    answers = model.predict(x, verbose=0)
    border = 0.0 if getattr(model.loss, "from_logits", False) else 0.5
    return float(((answers > border) == (y > y.mean())).mean()) if (answers == answers).all() else float("nan")
