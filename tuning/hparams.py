"""Trials for TensorBoard's HParams table."""

import importlib.util
import math


class HParams:
    """Writes each trial that ended into `tensorboard/trial-<number>`: its hyperparameters, and its objective by epoch.

    Raises:
        ImportError: without TensorBoard.
    """

    def __init__(self, found):
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError("tensorboard=True needs TensorBoard: pip install keras-cookbook[tensorboard]")
        self.found = found

    def write(self, record):
        import tensorflow as tf
        from tensorboard.plugins.hparams import api

        if record["status"] != "completed":
            return
        folder = self.found.folder / "tensorboard" / f"trial-{record['trial']}"
        values = {name: value if isinstance(value, bool | int | float) else str(value)
                  for name, value in record["values"].items()}  # fmt: skip
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default():
            api.hparams(values, trial_id=f"trial-{record['trial']}")
            for epoch, score in enumerate(record["curve"]):
                if math.isfinite(score):
                    tf.summary.scalar(f"epoch_{self.found.objective}", score, step=record["initial_epoch"] + epoch)
            tf.summary.scalar(self.found.objective, record["score"], step=record["best_epoch"] - 1)
        writer.close()
