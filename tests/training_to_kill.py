"""A training in a process of its own, to be killed and started again by test_resume.py."""

import hashlib
import json
import os
import signal

import keras
import numpy as np

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.resume import generations


class Count(keras.callbacks.Callback):
    """Counts the steps that are really computed."""

    def __init__(self, counter, resume):
        super().__init__()
        self.counter, self.resume = counter, resume

    def on_train_batch_end(self, batch, logs=None):
        if not self.resume._goal:
            self.counter.value += 1


def train(folder, counter, epochs, die_in_write=0):
    """Trains a small network; what came out is in `result.json` at the end.

    Args:
        counter: a shared number that counts steps.
        die_in_write: the number of the state in whose middle the process kills itself.
    """
    keras.utils.set_random_seed(3)
    if die_in_write:
        die_in(die_in_write)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6)).astype("float32")
    data = recipes.data.load((x, x[:, :3].argmax(1)), task="multiclass", batch_size=8, seed=1)
    model = recipes.mlp(
        data.input_shape, 3, dropout=0.3, learning_rate=0.02, ema=0.9, seed=2, steps_per_execution=2, jit_compile=False
    )
    resume = callbacks.Resume(folder, every_steps=1)
    watch = callbacks.standard(
        folder,
        resume=resume,
        patience=None,
        reduce_lr=2,
        progress=False,
        tensorboard=False,
        extra=[Count(counter, resume)],
    )
    history = model.fit(data.train, validation_data=data.validation, epochs=epochs, callbacks=watch, verbose=0)
    values = [v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]]
    result = {"weights": hashlib.sha256(b"".join(values)).hexdigest(), "history": history.history, "log": log(folder)}
    callbacks.save_json(result, os.path.join(folder, "result.json"))


def log(folder):
    """The log without its times."""
    with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [{key: value for key, value in record.items() if key not in ("time", "seconds")} for record in records]


def die_in(number):
    """The process ends when half of that state is on disk."""
    savez, written = np.savez, [0]

    def half(file, **arrays):
        savez(file, **arrays)
        written[0] += 1
        if written[0] == number:
            file.truncate(file.tell() // 2)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    generations.np.savez = half
