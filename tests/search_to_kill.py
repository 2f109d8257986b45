"""A search in a process of its own, to be killed and started again by test_survival.py."""

import json
import os
import signal

import keras
import numpy as np

from keras_cookbook import callbacks, recipes, tuning


class Fails(keras.callbacks.Callback):
    """Lets trials fail in several ways, by the last digit of their learning rate."""

    def way(self):
        return round(float(self.model.optimizer.learning_rate) * 1e6) % 10

    def on_epoch_begin(self, epoch, logs=None):
        way = self.way()
        if way == 0:
            raise ValueError("it was told to fail")
        if way == 1:
            raise MemoryError
        if way == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch, logs=None):
        if self.way() == 3:
            logs["val_accuracy"] = float("nan")


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 5)).astype("float32")
    y = (x @ rng.normal(size=(5, 3)) + rng.normal(size=(160, 3))).argmax(1)
    return recipes.data.load((x, y), task="multiclass", validation=0.3, test=0, batch_size=32, seed=1)


def run(folder, **options):
    """Searches; what came out is in `result.json` at the end."""
    fixed = {"width": 8, "depth": 1, "activation": "relu", "dropout": 0.2, "batch_size": 64, "epochs": 4}
    space = fixed | {"learning_rate": (1e-3, 1e-1)}
    found = tuning.search(
        recipes.mlp, data(), folder=folder, progress=False, seed=4, **{"max_trials": 30} | space | options
    )
    callbacks.save_json({"trials": told(found.trials), "ended": found.ended}, os.path.join(folder, "result.json"))


def told(trials):
    """Trials without their times."""
    return json.loads(json.dumps([{k: v for k, v in trial.items() if k != "seconds"} for trial in trials]))
