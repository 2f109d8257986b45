"""Training that can be continued after an interrupt, against the same training without, and Keras' `BackupAndRestore`.

    python benchmarks/resume_overhead.py Resume

`fit` of `cnn` on pictures of 28 x 28 in memory, with `callbacks.Resume` at its default cadence: it saves at the ends of
epochs and each two minutes. Counted are the callback and the function that writes, though that one has a thread of its
own, which training does not wait for (`harness.time_with`).
"""

import tempfile

from harness import Side, case, counted, main, recipe, time_with
from train_step import batched, examples

SHAPE, BATCH, STEPS, EPOCHS = (28, 28, 1), 64, 128, 6


def training(how):
    """A training with what saves it meanwhile, `"resume"` or `"backup"`; the function returns its relative time."""
    import keras

    from keras_cookbook import callbacks
    from keras_cookbook.callbacks.resume.generations import Generations

    Generations.write = counted(Generations.write)
    data = batched(*examples(SHAPE, 10, BATCH * STEPS), BATCH)

    def run():
        folder = tempfile.mkdtemp()
        saves = callbacks.Resume(folder) if how == "resume" else keras.callbacks.BackupAndRestore(folder)
        return time_with(saves, recipe("cnn")(SHAPE, 10), data, EPOCHS)

    return run


@case("`cnn` with `Resume`", "the same without", rounds=5)
def nothing():
    """What it costs."""
    return Side(training, how="resume")


@case("`cnn` with `Resume`", "Keras' `BackupAndRestore` at each epoch's end", rounds=5)
def backup():
    """Weights and optimizer alone, while training waits."""
    return Side(training, how="resume"), Side(training, how="backup")


if __name__ == "__main__":
    main()
