"""Tier D: what goes wrong in trainings that are not a stack of layers with labels.

Each kind (trainings.py) is a healthy program and what makes it sick. Half of the kinds are for development.
"""

from dataclasses import dataclass

import keras
import numpy as np
from faults import RATE, Case
from trainings import experts, float16, gan, normalization, policy, siamese, transformer, vae, values


@dataclass(frozen=True)
class Kind:
    """Programs of a kind.

    Attributes:
        half: "dev" or "test".
        make: Function of a random generator, and of what makes it sick, that gives a `Program`.
        faults: Of tier D; their changes are arguments of `make`.
    """

    half: str
    make: object
    faults: tuple


def sick(name, changes, categories, where):
    return Case(name, "D", changes, categories=categories, where=where)


KINDS = {
    "gan": Kind("dev", gan, (
        sick("mode collapse", {"learning_rate": 1e-2, "rate_ratio": 0.02}, (RATE, "architecture"),
             ("learning_rate", "rate_ratio", "loss")),
        sick("a judge never deceived", {"learning_rate": 1e-5, "rate_ratio": 200.0}, (RATE,),
             ("learning_rate", "rate_ratio")),
    )),
    "float16": Kind("dev", float16, (
        sick("no loss scale", {"scaled": False}, ("optimizer", "loss"), ("optimizer", "auto_scale_loss", "loss_weights",
             "loss", "precision", "dtype")),
        sick("overflow", {"normalized": False}, ("data",), ("x", "precision", "dtype")),
    )),
    "experts": Kind("dev", experts, (
        sick("one expert for all", {"balance": 0.0, "favour": 8.0}, ("architecture", "regularization", "initialization",
             "loss"), ("experts", "balance", "gate")),
    )),
    "values": Kind("dev", values, (
        sick("worth without bound", {"discount": 1.0, "ends": False, "follow": 1.0}, ("loss", RATE, "architecture"),
             ("discount", "follow", "ends", "loss", "learning_rate")),
    )),
    "vae": Kind("test", vae, (
        sick("posterior collapse", {"beta": 100.0}, ("regularization", "loss"), ("beta",)),
    )),
    "siamese": Kind("test", siamese, (
        sick("nothing kept apart", {"negatives": False}, ("loss", "architecture"), ("negatives", "loss")),
    )),
    "transformer": Kind("test", transformer, (
        sick("a large rate without warm-up", {"rate": 0.03, "warmed": False}, (RATE,), ("learning_rate",)),
        sick("queries and keys far too large", {"scale": 1e4}, ("initialization", "architecture"),
             ("kernel_initializer", "attention_0", "attention_1")),
    )),
    "normalization": Kind("test", normalization, (
        sick("frozen as it began", {"frozen": True}, ("architecture", "initialization", "activation"),
             ("trainable", "kernel_initializer", *(f"norm_{n}" for n in range(8)))),
    )),
    "policy": Kind("test", policy, (
        sick("entropy collapse", {"rate": 0.5, "bonus": 0.0, "baseline": False}, (RATE, "regularization", "loss"),
             ("learning_rate", "bonus", "loss", "entropy")),
    )),
}  # fmt: skip


def names(half):
    """Pairs of a family, which is the kind, and a `Case`."""
    for name, kind in KINDS.items():
        if kind.half == half:
            yield name, Case("as it is", "H", {})
            yield from ((name, case) for case in kind.faults)


def program(family, case, seed):
    keras.utils.set_random_seed(seed)
    return KINDS[family].make(np.random.default_rng(seed), **case.changes)
