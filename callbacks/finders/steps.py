"""A trial's steps: one a call, each with the loss of its own batch."""

import keras
import numpy as np

from .rows import Rows


class OneByOne(keras.callbacks.Callback):
    """Tells `before` the number of each step that begins, and `after` its number and logs; True from it ends the trial.

    Keras' logs are means over the epoch; here the metrics begin anew with each step.
    """

    def __init__(self, after, before=None):
        super().__init__()
        self.before, self.after, self.step = before, after, 0

    def on_train_batch_begin(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            # While it trains, the model's variables are empty: values given to them would not reach the step.
            self.model.jax_state_sync()
        self.model.reset_metrics()
        if self.before:
            self.before(self.step)

    def on_train_batch_end(self, batch, logs=None):
        logs = {name: float(keras.ops.convert_to_numpy(value)) for name, value in (logs or {}).items()}
        if "loss" not in logs:
            raise ValueError(f"the model's logs must hold its loss, got {', '.join(logs) or 'none'}")
        if self.after(self.step, logs):
            self.model.stop_training = True
        self.step += 1


def single_steps(model: keras.Model):
    """Lets a model take one step a call; call it within `restored`."""
    if getattr(model, "automatic_steps", False):  # a recipe's model, which would choose anew
        model.automatic_steps = False
    model.steps_per_execution = 1


def train(model: keras.Model, rows: Rows, batches: list, callback: keras.callbacks.Callback, epochs: int = 1):
    """Trains on these batches, in this order.

    Args:
        model: A compiled model, within `restored`.
        rows: The examples.
        batches: Arrays of equally many numbers of examples.
        callback: Watches the steps.
        epochs: How often the batches are gone through.
    """
    examples = rows.arguments(np.concatenate(batches))
    model.fit(**examples, batch_size=len(batches[0]), epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
