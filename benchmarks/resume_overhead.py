"""Training that can be continued after an interrupt, against the same training without, and Keras' `BackupAndRestore`.

    python benchmarks/resume_overhead.py Resume

`fit` of `cnn` on pictures of 28 x 28 in memory, an epoch a round: the ratio is the time of the peer to that with
`callbacks.Resume` at its default cadence. Each epoch is long enough for a state to be saved within some of the rounds.
"""

import tempfile
from pathlib import Path

from harness import Side, case, epochs_of, main, recipe
from train_step import batched, examples

SHAPE, BATCH, STEPS = (28, 28, 1), 64, 256


def training(how):
    """`fit` of `cnn`, with what saves it meanwhile: `"resume"`, `"backup"` or nothing."""
    import keras

    from keras_cookbook import callbacks

    folder = Path(tempfile.mkdtemp())
    savers = {
        "resume": lambda: [callbacks.Resume(folder)],
        "backup": lambda: [keras.callbacks.BackupAndRestore(str(folder), save_freq="epoch")],
        "nothing": list,
    }
    model = recipe("cnn")(SHAPE, 10)
    return epochs_of(model, batched(*examples(SHAPE, 10, BATCH * STEPS), BATCH), callbacks=savers[how]())


@case("`cnn` with `Resume`", "the same without", rounds=15)
def nothing():
    """What it costs."""
    return Side(training, how="resume"), Side(training, how="nothing")


@case("`cnn` with `Resume`", "Keras' `BackupAndRestore` at each epoch's end", rounds=15)
def backup():
    """Weights and optimizer alone, while training waits."""
    return Side(training, how="resume"), Side(training, how="backup")


if __name__ == "__main__":
    main()
