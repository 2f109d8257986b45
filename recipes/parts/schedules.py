"""Schedules of learning rate and momentum over the whole of `fit`: planned when it begins, computed on the device."""

import math

import keras
from keras import ops


def one_cycle(p):
    """Up from a tenth to the peak and back in equal times, then down to 0 in the last tenth of the steps."""
    return ops.where(p < 0.45, 0.1 + 2 * p, ops.where(p < 0.9, 1 - 2 * (p - 0.45), 1 - p))


#: Name -> the share of the peak rate at progress p, from 0 at the first step after warm-up to 1 at the last.
SHAPES = {
    "constant": lambda p: ops.ones_like(p),
    "linear": lambda p: 1 - p,
    "cosine": lambda p: (1 + ops.cos(math.pi * p)) / 2,
    "exponential": lambda p: ops.exp(math.log(0.01) * p),
    "step": lambda p: ops.where(p < 0.5, 1.0, ops.where(p < 0.75, 0.1, 0.01)),
    "cyclical": lambda p: 0.25 + 0.75 * (1 - ops.abs(2 * ops.mod(4 * p, 1.0) - 1)),
    "one_cycle": one_cycle,
    "one_cycle_momentum": one_cycle,
}


@keras.saving.register_keras_serializable("keras_cookbook")
class PlannedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that follows a shape from the first step of `fit` to the last.

    The number of steps is not known when a model is made; `plan` is told it when `fit` begins. Until then the rate
    is `peak`.

    Args:
        peak: the largest rate, above 0.
        shape: "constant"; "linear" to 0; "cosine" to 0 (Loshchilov and Hutter, 2017, arXiv:1608.03983); "exponential"
            to 1% of the peak; "step": a tenth at half of the steps and again at three quarters (He et al., 2015);
            "cyclical": four triangles between a quarter of the peak and the peak (Smith, 2017, arXiv:1506.01186);
            "one_cycle": up from a tenth and back in 90% of the steps, then to 0 (Smith, 2018, arXiv:1803.09820);
            "one_cycle_momentum": the same for the rate; in recipes the momentum runs against it (`CycledSGD`).
        warmup: the share of all steps, 0 to below 1, in which the rate rises linearly from 0 to where the shape begins.
        steps: the number of steps of the whole course, or None before it is known.
        start: the step at which the course begins.
    """

    def __init__(self, peak, shape, warmup=0.0, steps=None, start=0):
        self.shape, self.warmup, self._numbers = shape, warmup, None
        self._peak = peak
        self.plan(start, steps)

    def plan(self, start, steps):
        """Sets the course; returns whether a compiled training step must then be made anew."""
        before, self.start, self.steps = (getattr(self, "start", None), getattr(self, "steps", None)), start, steps
        return self._changed() and before != (start, steps)

    @property
    def peak(self):
        return self._peak

    @peak.setter
    def peak(self, value):
        self._peak = value
        self._changed()

    def _changed(self):
        """Whether the numbers are compiled in; on TensorFlow they are in a variable, once they are known."""
        if keras.backend.backend() != "tensorflow" or self.steps is None:
            return True
        numbers = [self._peak, self.start, self.steps]
        if self._numbers is None:
            self._numbers = keras.Variable(numbers, dtype="float32", trainable=False, name="course")
            return True
        self._numbers.assign(numbers)
        return False

    def __call__(self, step):
        return (self._peak if self._numbers is None else self._numbers[0]) * self.share(step)

    def share(self, step):
        """The rate at a step as a share of the peak."""
        if self.steps is None:
            return ops.ones((), "float32")
        start, steps = (self.start, self.steps) if self._numbers is None else (self._numbers[1], self._numbers[2])
        done = ops.clip((ops.cast(step, "float32") - start) / steps, 0.0, 1.0)
        rate = SHAPES[self.shape](ops.maximum(0.0, (done - self.warmup) / (1 - self.warmup)))
        if self.warmup:
            # Before it ends, `rate` is where the shape begins. The first step has a rate above zero: a step that
            # changes nothing is a wasted batch.
            rate = rate * ops.minimum(1.0, (done + 1 / steps) / (self.warmup + 1 / steps))
        return rate

    def get_config(self):
        return {name: getattr(self, name) for name in ("peak", "shape", "warmup", "steps", "start")}


class CycledMomentum:
    """What an optimizer has whose momentum runs against its learning rate, a `PlannedSchedule` (Smith, 2018).

    What the optimizer is given as momentum is the highest. Where the rate is at its peak, the momentum is 0.1 lower;
    where the rate is a tenth of it or less, the highest; between them both are linear. It is computed on the device.
    """

    def cycled(self, highest):
        """The momentum of this step, or beta_1 of the Adam family, of which the highest value is given."""
        # Keras gives a schedule the same counter, which accumulation does not slow down.
        share = self._learning_rate.share(self._iterations)
        return highest - min(0.1, highest) * ops.clip((share - 0.1) / 0.9, 0.0, 1.0)


@keras.saving.register_keras_serializable("keras_cookbook")
class CycledSGD(CycledMomentum, keras.optimizers.SGD):
    """SGD whose momentum runs against its learning rate; see `CycledMomentum`. It takes the same arguments."""

    def update_step(self, gradient, variable, learning_rate):
        # That of Keras asks whether the momentum is zero, which it cannot ask of a number on the device.
        rate, momentum = ops.cast(learning_rate, variable.dtype), ops.cast(self.cycled(self.momentum), variable.dtype)
        step = rate * ops.cast(gradient, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, velocity * momentum - step)
        self.assign_add(variable, velocity * momentum - step if self.nesterov else velocity)


class CycledBeta(CycledMomentum):
    """`CycledMomentum` for optimizers of the Adam family."""

    def update_step(self, gradient, variable, learning_rate):
        highest = self.beta_1
        self.beta_1 = ops.cast(self.cycled(highest), variable.dtype)
        try:
            super().update_step(gradient, variable, learning_rate)
        finally:
            self.beta_1 = highest


@keras.saving.register_keras_serializable("keras_cookbook")
class CycledAdam(CycledBeta, keras.optimizers.Adam):
    """Adam whose beta_1 runs against its learning rate; see `CycledMomentum`. It takes the same arguments."""


@keras.saving.register_keras_serializable("keras_cookbook")
class CycledAdamW(CycledBeta, keras.optimizers.AdamW):
    """AdamW whose beta_1 runs against its learning rate; see `CycledMomentum`. It takes the same arguments."""
