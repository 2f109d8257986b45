"""Learning-rate schedules over the whole of `fit`: planned when it begins, computed on the device."""

import math

import keras
from keras import ops

#: Name -> the share of the peak rate at progress p, from 0 at the first step after warm-up to 1 at the last.
SHAPES = {
    "constant": lambda p: ops.ones_like(p),
    "linear": lambda p: 1 - p,
    "cosine": lambda p: (1 + ops.cos(math.pi * p)) / 2,
    "exponential": lambda p: ops.exp(math.log(0.01) * p),
    "step": lambda p: ops.where(p < 0.5, 1.0, ops.where(p < 0.75, 0.1, 0.01)),
    "one_cycle": lambda p: ops.where(p < 0.45, 0.1 + 2 * p, ops.where(p < 0.9, 1 - 2 * (p - 0.45), 1 - p)),
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
            "one_cycle": up from a tenth and back in 90% of the steps, then to 0 (Smith, 2018, arXiv:1803.09820).
        warmup: the share of all steps, 0 to below 1, in which the rate rises linearly from 0 to the peak.
        steps: the number of steps of the whole course, or None before it is known.
        start: the step at which the course begins.
    """

    def __init__(self, peak, shape, warmup=0.0, steps=None, start=0):
        self.peak, self.shape, self.warmup = peak, shape, warmup
        self.plan(start, steps)

    def plan(self, start, steps):
        """Sets the course; returns whether that changed it (a compiled training step must then be made anew)."""
        changed = (start, steps) != (getattr(self, "start", None), getattr(self, "steps", None))
        self.start, self.steps = start, steps
        return changed

    def __call__(self, step):
        if self.steps is None:
            return ops.convert_to_tensor(self.peak, "float32")
        done = ops.clip((ops.cast(step, "float32") - self.start) / self.steps, 0.0, 1.0)
        rate = SHAPES[self.shape](ops.maximum(0.0, (done - self.warmup) / (1 - self.warmup)))
        if self.warmup:
            # The first step has a rate above zero: a step that changes nothing is a wasted batch.
            rate = ops.where(done < self.warmup, (done + 1 / self.steps) / (self.warmup + 1 / self.steps), rate)
        return self.peak * rate

    def get_config(self):
        return {name: getattr(self, name) for name in ("peak", "shape", "warmup", "steps", "start")}
