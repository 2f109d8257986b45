"""What happens within a network while it learns, as numbers and for TensorBoard, without a judgement."""

import os
from pathlib import Path

from keras import ops

from .looking import Looking
from .observation import Observation


class Monitor(Looking):
    """Gradients, steps, activations and weights of each layer, while a network learns.

    Looks are taken as `TrainingDoctor` takes them, through a fixed batch and without a trace in the training. Each is
    in `looks`: norms of gradients and weights, how far a step moves the weights beside their norm, and the shares of
    dead and saturated units, by layer. With a folder they go to TensorBoard too, under `gradient_norm/`, `update/`,
    `weight_norm/`, `dead/` and `saturated/`, with histograms of gradients, activations and weights.

    `fit` of a recipe's model shows this callback the data; for any other model write `callbacks.fit(model, x, y, ...)`
    for `model.fit(x, y, ...)`, or give `probe=`.

    Args:
        folder: Where TensorBoard's files go; None for none.
        every: Steps between looks; the first come after steps 1, 2, 4, 8, ...
        probe: (x, y) or (x, y, sample_weight) of arrays to look at the model with.

    Attributes:
        looks: The looks in order, each with `step`, `epoch`, `loss`, `gradients`, `weights`, `updates` and `units`.

    Raises:
        ValueError: A bad argument.
    """

    def __init__(self, folder: str | os.PathLike | None = None, *, every: int = 64, probe=None):
        super().__init__(every, probe)
        self.folder = None if folder is None else Path(folder)
        self.histograms = folder is not None
        self._writer = None

    def __deepcopy__(self, memo):  # a trial's own, before it has begun
        return type(self)(self.folder, every=self.every, probe=self.batch)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.folder is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self.folder))

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def looked(self, look: Observation):
        if self._writer is None:
            return
        scalars = {"gradient_norm": look.gradients, "weight_norm": look.weights}
        scalars |= {kind: {n: getattr(unit, kind) for n, unit in look.units.items()} for kind in ("dead", "saturated")}
        self._write("scalar", scalars, look.step)
        weights = {
            name: ops.concatenate([ops.reshape(ops.cast(weight, "float32"), (-1,)) for weight in weights])
            for name, weights in self._probe.groups.items()
        }
        self._write("histogram", look.samples | {"weights": weights}, look.step)
        look.samples = {}

    def moved(self, look: Observation):
        if self._writer is not None:
            self._write("scalar", {"update": look.updates}, look.step)

    def _write(self, kind: str, groups: dict, step: int):
        import tensorflow as tf

        with self._writer.as_default(step):
            for group, values in groups.items():
                for name, value in values.items():
                    getattr(tf.summary, kind)(f"{group}/{name}", ops.convert_to_numpy(value))
