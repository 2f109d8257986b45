"""Training that can be continued after an interrupt, against the same training without, and Keras' `BackupAndRestore`.

    python benchmarks/resume_overhead.py Resume

`fit` of `cnn` on pictures of 28 x 28 in memory, with `callbacks.Resume` at its default cadence: it saves at the ends of
epochs and each two minutes. A machine's own speed varies by more than what is to be seen here, so times of two
trainings say nothing. What is counted instead is the time spent in the methods of what saves and in the function that
writes (though that one has a thread of its own, which training does not wait for), beside the rest of the same training
from the end of its first epoch. A time in a case is that of training with what saves in units of training without.
"""

import collections
import functools
import tempfile
import time

from harness import Side, case, main, recipe
from train_step import batched, examples

SHAPE, BATCH, STEPS, EPOCHS = (28, 28, 1), 64, 128, 6

#: The seconds in what saves.
SPENT = collections.Counter()


def counted(function):
    """The same function; its seconds are added to those that were spent."""

    @functools.wraps(function)
    def run(*arguments, **named):
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            SPENT["seconds"] += time.perf_counter() - began

    return run


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
        for name in dir(saves):
            if name.startswith("on_"):
                setattr(saves, name, counted(getattr(saves, name)))
        began = []

        def begin(epoch, logs):
            if not epoch:
                SPENT.clear()
                began.append(time.perf_counter())

        model = recipe("cnn")(SHAPE, 10)
        callbacks.fit(
            model,
            data,
            epochs=EPOCHS,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=begin), saves],
        )
        whole = time.perf_counter() - began[0]
        return whole / (whole - SPENT["seconds"])

    return run


@case("`cnn` with `Resume`", "the same without", rounds=5)
def nothing():
    """What it costs."""
    return Side(training, how="resume"), lambda: 1.0


@case("`cnn` with `Resume`", "Keras' `BackupAndRestore` at each epoch's end", rounds=5)
def backup():
    """Weights and optimizer alone, while training waits."""
    return Side(training, how="resume"), Side(training, how="backup")


if __name__ == "__main__":
    main()
