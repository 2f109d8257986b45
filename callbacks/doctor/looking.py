"""A callback that looks at the model through a fixed batch now and then, and leaves no trace in the training."""

import contextlib
import math

import keras

from .batch import examples_of
from .observation import Observation
from .probe import Probe


class Looking(keras.callbacks.Callback):
    """Takes looks after steps 1, 2, 4, 8, ..., each `every` steps and the last, and at once after a loss that is not
    finite.

    Looked at are 64 examples from everywhere in arrays and in the first batches of a `tf.data.Dataset` (of a copy
    without its shuffle, where one can be made), or a batch of a `PyDataset` or of the validation data. Nothing is taken
    where that would change what training gets: then give `probe=`, or there are no looks.

    Args:
        every: Steps between looks.
        probe: (x, y) or (x, y, sample_weight) of arrays to look at the model with.

    Attributes:
        looks: `Observation`s in order.

    Raises:
        ValueError: A bad argument.
    """

    async_safe = True  # on JAX and PyTorch a step then need not wait for its logs
    histograms = False  # whether a look keeps numbers for them

    def __init__(self, every: int = 64, probe=None):
        super().__init__()
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be 1 step or more, got {every!r}")
        if probe is not None and not (isinstance(probe, list | tuple) and len(probe) in (2, 3)):
            raise ValueError("probe must be (x, y) or (x, y, sample_weight) of arrays; without labels y is None")
        self.every, self.looks = every, []
        self.batch = None if probe is None else (*probe, None)[:3]

    def looked(self, look: Observation):
        """Is called after each look."""

    def moved(self, look: Observation):
        """Is called when the step after a look is done, and `look.updates` is known."""

    def lost(self, look: Observation):
        """Is called after a look at which all is well, though the loss of a step before it was not finite."""

    @contextlib.contextmanager
    def during_fit(self, model: keras.Model, call: dict):
        """Surrounds a call to `fit`, of which the data are looked at."""
        given = self.batch
        if given is None:
            self.batch = examples_of(call)
        try:
            yield
        finally:
            self.batch, self._probe = given, None

    # ---- what Keras calls

    def on_train_begin(self, logs=None):
        self.looks, self._probe = [], None
        self._before = self._step = 0  # steps of the epochs that are done; of all
        self._next = 1
        self._unmoved = self._bad = self._was_bad = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._was_bad = epoch + 1, False

    def on_train_batch_begin(self, batch, logs=None):
        self._visit(self._before + batch)

    def on_train_batch_end(self, batch, logs=None):
        # On JAX and PyTorch in other threads, while the next step is computed, and not in order: what is seen is acted
        # upon later.
        self._step = max(self._step, self._before + batch + 1)
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not self._was_bad:
            self._bad = self._was_bad = True  # the mean over the epoch will not be finite again

    def on_epoch_end(self, epoch, logs=None):
        self._before = self._step
        self._visit(self._step, last=epoch + 1 == self.params.get("epochs"))

    # ---- looks

    def _visit(self, step: int, last: bool = False):
        """Between two steps, after so many; or after the last one."""
        if self._unmoved and step > self.looks[-1].step:
            self._unmoved = False
            _ = self.model  # see _ready
            self.looks[-1].updates = self._probe.moved(step)
            self.moved(self.looks[-1])
        last = last and not (self.looks and self.looks[-1].step == step)
        if self.batch is not None and (self._bad or last or step >= self._next):
            bad, self._bad = self._bad, False
            self._next = step + min(step, self.every)
            self._look(step)
            if bad and self.looks and self.looks[-1].finite:
                self.lost(self.looks[-1])

    def _look(self, step: int):
        look = self._ready()(step, self._epoch)
        self.looks.append(look)
        if look.finite:
            self._remember(step)
            self._unmoved = True
        self.looked(look)

    def _remember(self, step: int):
        self._ready().remember(step)

    def _ready(self) -> Probe:
        model = self.model  # on JAX asking for it brings its variables up to date
        if self._probe is None:
            self._probe = Probe(model, self.batch, histograms=self.histograms)
        return self._probe
