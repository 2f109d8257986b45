"""Training settings: the same for every recipe, stated once. A recipe says only where its own defaults differ."""

from dataclasses import dataclass, fields
from typing import Annotated, get_type_hints

import keras

from ._kinds import Argument, Choice, Either, Integer, Real
from .parts.schedules import SHAPES, CycledAdam, CycledAdamW, CycledSGD, PlannedSchedule

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": lambda momentum=0.9, **settings: keras.optimizers.SGD(momentum=momentum, nesterov=momentum > 0, **settings),
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "adamax": keras.optimizers.Adamax,
    "adafactor": keras.optimizers.Adafactor,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
}
#: What each optimizer calls its momentum.
MOMENTUM = {"sgd": "momentum", "rmsprop": "momentum"} | dict.fromkeys(
    ("adam", "adamw", "nadam", "adamax", "lamb", "lion"), "beta_1"
)
#: Those whose momentum can run against the learning rate.
CYCLED = {
    "adam": CycledAdam,
    "adamw": CycledAdamW,
    "sgd": lambda **settings: CycledSGD(nesterov=True, **settings),
}


@dataclass(frozen=True)
class Training:
    """How a recipe's model learns; every field may be given to any recipe as a keyword.

    optimizer: the rule that turns gradients into steps; "sgd" has Nesterov momentum 0.9.
    learning_rate: the step size, at its peak where a schedule varies it.
    momentum: the share of the running mean of gradients that a step keeps (`beta_1` of the Adam family). None is the
        optimizer's own: 0.9, but for "rmsprop", which has none; "adagrad", "adadelta" and "adafactor" take none.
    weight_decay: the share of each weight taken off per step, times the learning rate (decoupled: Loshchilov and
        Hutter, 2019, arXiv:1711.05101). Biases and normalisation weights are left alone. None is the optimizer's own:
        0.004 for "adamw", nothing for the others.
    schedule: the course of the learning rate over the whole of `fit`. "one_cycle_momentum" also lets the momentum run
        against it, from `momentum` (None is 0.95) down by 0.1 at the peak and back (Smith, 2018, arXiv:1803.09820);
        for "adam", "adamw" and "sgd".
    warmup: the share of all steps in which the rate rises from zero.
    clip_norm: the largest norm that all gradients together may have.
    label_smoothing: the share of a label spread evenly over all classes (Szegedy et al., 2016, arXiv:1512.00567).
    accumulate: the number of batches whose gradients are averaged into one step.
    ema: the momentum of an exponential moving average of the weights, which `fit` leaves in the model; 0 is off.
    precision: the Keras dtype policy; "auto" is the one that `keras.config` has.
    jit_compile: whether XLA compiles the step; "auto" leaves it to Keras.
    steps_per_execution: the number of batches in one call of the compiled step, between which no callback is asked.
        "auto" is up to 32 for models of less than two million weights on TensorFlow, so that a step does not wait for
        Python, and 1 otherwise.
    """

    optimizer: Annotated[str, Choice(*OPTIMIZERS)] = "adam"
    learning_rate: Annotated[float, Real(0, search=(1e-4, 1e-1), log=True)] = 1e-3
    momentum: Annotated[float, Real(0, 1, below=True)] = None
    weight_decay: Annotated[float, Real(0, log=True)] = None
    schedule: Annotated[str, Choice(*SHAPES)] = "constant"
    warmup: Annotated[float, Real(0, 1, below=True)] = 0.0
    clip_norm: Annotated[float, Real(1e-8, log=True)] = None
    label_smoothing: Annotated[float, Real(0, 1, below=True)] = 0.0
    accumulate: Annotated[int, Integer(1)] = 1
    ema: Annotated[float, Real(0, 1, below=True)] = 0.0
    precision: Annotated[str, Choice("auto", "float32", "mixed_bfloat16", "mixed_float16")] = "auto"
    jit_compile: Annotated[bool, Choice("auto", True, False)] = "auto"
    steps_per_execution: Annotated[int | str, Either(Choice("auto"), Integer(1))] = "auto"

    def build_optimizer(self, players=None):
        """The Keras optimizer of these settings.

        Args:
            players: dict of settings by name, where parts of a model have optimizers of their own: each is for the
                weights that bear its name in their path.
        """
        if players:
            own = {f".*{name}.*": training.build_one(name) for name, training in players.items()}
            # Keras wants one for all other weights; the same again, since it saves and loads one more otherwise.
            default = next(iter(own))
            optimizer = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(own.pop(default), own))
        else:
            optimizer = self.build_one()
        decay_kernels_only(optimizer)
        if keras.config.dtype_policy().name == "mixed_float16":
            # Keras would wrap it too, but forget that in the saved model.
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    def build_one(self, name=None):
        if self.momentum is not None and self.optimizer not in MOMENTUM:
            raise ValueError(f"momentum={self.momentum}: optimizer={self.optimizer!r} has none. Leave it at None.")
        rate = self.learning_rate
        if self.schedule != "constant" or self.warmup:
            rate = PlannedSchedule(rate, self.schedule, self.warmup)
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        momentum = {} if self.momentum is None else {MOMENTUM[self.optimizer]: self.momentum}
        kind = OPTIMIZERS[self.optimizer]
        if self.schedule == "one_cycle_momentum":
            if self.optimizer not in CYCLED or self.momentum == 0:
                raise ValueError(
                    f"schedule='one_cycle_momentum' needs a momentum above 0 and one of {', '.join(CYCLED)}, not "
                    f"optimizer={self.optimizer!r} with momentum={self.momentum}. Or take schedule='one_cycle'."
                )
            kind, momentum = CYCLED[self.optimizer], {MOMENTUM[self.optimizer]: self.momentum or 0.95}
        return kind(
            learning_rate=rate,
            **decay,
            global_clipnorm=self.clip_norm,
            gradient_accumulation_steps=self.accumulate if self.accumulate > 1 else None,
            use_ema=self.ema > 0,
            ema_momentum=self.ema or 0.99,
            name=name,
            **momentum,
        )


@dataclass(frozen=True)
class Fitting:
    """How long and in what portions a model is fitted, where a search or the command line does the fitting.

    epochs: the largest number of passes over the training data; early stopping may end it sooner.
    batch_size: the number of examples in a step, over all devices together.
    """

    epochs: Annotated[int, Integer(1, search=(5, 50), log=True)] = 20
    batch_size: Annotated[int, Integer(1, search=(32, 256), log=True)] = 64


def arguments_of(settings):
    """The fields of a `Training` or a `Fitting` by name, as arguments with these defaults."""
    hints = get_type_hints(type(settings), include_extras=True)
    return {
        field.name: Argument(hints[field.name].__metadata__[0], getattr(settings, field.name), field.default is None)
        for field in fields(settings)
    }


def inner_optimizers(optimizer):
    """The optimizers that move the weights, out of a loss scale or a `MultiOptimizer`."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(optimizer, "optimizers", [optimizer])


def decay_kernels_only(optimizer):
    """Leaves biases and normalisation weights out of weight decay. Keras does not save that, so loading repeats it."""
    for inner in inner_optimizers(optimizer):
        if getattr(inner, "weight_decay", None):
            inner.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
