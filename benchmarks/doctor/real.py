"""Tier A: programs that people asked about (posts.py), each a pair of what was asked and what the answer made of it.

Families tell nothing here, so the tier is a half of its own, divided by number: even ones are for development, odd ones
for the test.
"""

import keras
import numpy as np
from faults import Case
from posts import POSTS

L = keras.layers

DEFAULTS = {
    "hidden": "relu", "last": "sigmoid", "units": 1, "loss": "binary_crossentropy", "optimizer": ("Adam", 1e-3),
    "batch": 32, "epochs": 10, "x": None, "y": None, "labels": None, "init": None, "bias": None,
}  # fmt: skip


def names(half):
    """Pairs of a family, which is the question, and a `Case`."""
    for post in POSTS:
        if half == ("test" if int(post.id[-1]) % 2 else "dev"):
            yield post.id, Case("as it is", "H", {})
            yield post.id, Case("as asked", "A", post.asked, categories=post.categories, where=post.where)


def program(family, case, seed):
    return Program(next(post for post in POSTS if post.id == family), case.changes, seed)


class Program:
    """A model, compiled, and what `fit` is called with."""

    def __init__(self, post, changes: dict, seed: int):
        o = DEFAULTS | post.healthy | changes
        self.options = o | {"rate": o["optimizer"][1]}
        self.measure = post.measure
        keras.utils.set_random_seed(seed)
        x, y, x_val, y_val = post.data(np.random.default_rng(seed))
        self.x, self.x_val = (o["x"](x, part) if o["x"] else part for part in (x, x_val))
        self.y, self.y_val = (o["y"](y, part) if o["y"] else part for part in (y, y_val))
        self.y = o["labels"](self.y, self.y) if o["labels"] else self.y
        self.model = network(o, x.shape[1:])
        kind, rate, *more = o["optimizer"]
        self.model.compile(getattr(keras.optimizers, kind)(rate, **(more[0] if more else {})), o["loss"])

    def fitting(self) -> dict:
        o = self.options
        call = {"x": self.x, "y": self.y, "batch_size": o["batch"], "epochs": o["epochs"], "verbose": 0}
        return call | {"validation_data": (self.x_val, self.y_val)}

    def score(self, model=None) -> float:
        """The share of classes or tags that are right, or of variance explained, on the validation data."""
        answers = (model or self.model).predict(self.x_val, verbose=0)
        return _MEASURES[self.measure](answers, self.y_val) if np.isfinite(answers).all() else float("nan")

    def score_of(self, trial) -> float:
        """That of a `Trial`'s model; where labels were changed the trial itself knows how."""
        return trial.after if "y" in trial.changes else self.score(trial.model)


def network(o: dict, shape: tuple) -> keras.Model:
    """Numbers among the layers are units of dense ones, shares are dropout."""
    layers, number = [keras.Input(shape)], 0
    for kind in o["layers"]:
        if isinstance(kind, float):
            layers.append(L.Dropout(kind))
        elif isinstance(kind, str):
            layers.append({"pool": L.MaxPooling2D, "flatten": L.Flatten}[kind]())
        else:
            layers.append(_hidden(kind, o, f"hidden_{number}"))
            number += 1
    return keras.Sequential([*layers, L.Dense(o["units"], o["last"], name="last", **_begun(o))])


def _hidden(kind, o, name):
    if isinstance(kind, int):
        return L.Dense(kind, o["hidden"], name=name, **_begun(o))
    if kind[0] == "conv":
        _, filters, size, activation = kind
        return L.Conv2D(filters, size, padding="same", activation=activation, name=name, **_begun(o))
    return L.Dense(*kind, name=name, **_begun(o))


def _begun(o) -> dict:
    """Initializers, new ones for each layer."""
    if isinstance(o["init"], float):
        names = ("kernel_initializer", "bias_initializer")
        return {name: keras.initializers.RandomNormal(stddev=o["init"]) for name in names}
    kernel = {} if o["init"] is None else {"kernel_initializer": o["init"]}
    return kernel | ({} if o["bias"] is None else {"bias_initializer": keras.initializers.Constant(o["bias"])})


# ---- what is right ---------------------------------------------------------------------------------------------------


def _class(answers, labels):
    chosen = answers.argmax(1) if answers.shape[1] > 1 else answers[:, 0] > 0.5
    return float(np.mean(chosen == (labels.argmax(1) if labels.ndim > 1 and labels.shape[1] > 1 else labels.ravel())))


def _tags(answers, labels):
    return float(np.mean((answers > 0.5) == (labels > 0.5)))


def _r2(answers, labels):
    return float(1 - np.square(labels - answers).sum() / np.square(labels - labels.mean(axis=0)).sum())


_MEASURES = {"class": _class, "tags": _tags, "r2": _r2}
