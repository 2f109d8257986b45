"""A search against plain KerasTuner: trials in the same time, memory, disk.

    python benchmarks/search_against_keras_tuner.py            # the harness' cases: time of the same trials
    python benchmarks/search_against_keras_tuner.py --resources  # memory after 60 trials to that after 10; disk

Both search the learning rate, batch size, depth and width of a multilayer perceptron on the digits at random, with the
same layers, epochs and early stopping. Plain KerasTuner is what its guide shows: a function that builds and compiles,
and `tuner.search(x, y, ...)`; batch sizes are searched in the `fit` of a `HyperModel`.
"""

import concurrent.futures
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import THREADS, Side, case, clock, main

TRIALS, EPOCHS, PATIENCE = 20, 4, 5
WIDTHS, DEPTHS, BATCHES, RATES = [32, 64, 128], [1, 2], [32, 64, 128], (1e-4, 1e-1)


def ours(folder, trials, workers=1, seed=0):
    from keras_cookbook import recipes, tuning

    return tuning.search(
        recipes.mlp, recipes.data.load("digits"), algorithm="random", max_trials=trials, workers=workers,
        folder=f"{folder}/search-{seed}", progress=False, patience=PATIENCE, seed=seed, epochs=EPOCHS, width=WIDTHS,
        depth=DEPTHS, batch_size=BATCHES, learning_rate=RATES, activation="relu", dropout=0.2,
    )  # fmt: skip


def plain(folder, trials, seed=0):
    """What KerasTuner's guide shows."""
    import keras
    import keras_tuner

    from keras_cookbook import recipes

    data = recipes.data.load("digits")
    (x, y), judged = data.arrays("train"), data.arrays("validation")

    class Network(keras_tuner.HyperModel):
        def build(self, hp):
            inputs = keras.Input(data.input_shape)
            hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(inputs))
            width = hp.Choice("width", WIDTHS)
            for _ in range(hp.Choice("depth", DEPTHS)):
                hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(width, "relu")(hidden))
            model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(hidden))
            rate = hp.Float("learning_rate", *RATES, sampling="log")
            model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, *arguments, **settings):
            return model.fit(*arguments, batch_size=hp.Choice("batch_size", BATCHES), **settings)

    tuner = keras_tuner.RandomSearch(
        Network(), "val_accuracy", max_trials=trials, seed=seed + 1, directory=folder, project_name=f"search-{seed}"
    )
    stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=PATIENCE, mode="max", restore_best_weights=True)
    tuner.search(x, y, validation_data=judged, epochs=EPOCHS, callbacks=[stopping], verbose=0)
    return tuner


def timed(how, **arguments):
    """One search after the other, each in a folder of its own."""
    seeds = iter(range(1000))

    def run():
        with tempfile.TemporaryDirectory() as folder:
            start = clock()
            {"ours": ours, "plain": plain}[how](folder, TRIALS, seed=next(seeds), **arguments)
            return clock() - start

    return run


@case(f"search of {TRIALS} trials, one worker", "plain KerasTuner", rounds=5)
def one_worker():
    """In a process of its own, the time to begin it included."""
    return Side(timed, how="ours", workers=1), Side(timed, how="plain")


def single_threaded(workers, trials=16, seed=0):
    """Trials of `cnn` that take seconds, each on one thread and as long as the others; the time to begin the processes
    is included."""
    os.environ.update(dict.fromkeys([*THREADS, "TF_NUM_INTEROP_THREADS"], "1"))
    from keras_cookbook import recipes, tuning

    data, seeds = recipes.data.load("digits"), itertools.count(seed)

    def run():
        with tempfile.TemporaryDirectory() as folder:
            start = clock()
            tuning.search(
                recipes.cnn, data, algorithm="random", max_trials=trials, workers=workers, folder=folder, patience=20,
                progress=False, seed=next(seeds), epochs=12, depth=2, width=32, kernel_size=3, units=64, batch_size=32,
            )  # fmt: skip
            return clock() - start

    return run


def at_once(*sides):
    """Several sides as one: they run beside each other, and the time is that of the last."""

    def run():
        with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
            return max(pool.map(lambda side: side(), sides))

    run.close = lambda: [side.close() for side in sides]
    return run


@case("search of 16 trials of `cnn` on one thread each, two workers", "one worker", rounds=3)
def two_workers():
    """On two cores."""
    return Side(single_threaded, workers=2), Side(single_threaded, workers=1)


@case("two searches of 8 such trials beside each other, without workers", "one of 16 trials", rounds=3)
def two_searches():
    """What the machine's two cores give to two programs that have nothing to do with each other."""
    halves = [Side(single_threaded, workers=None, trials=8, seed=seed) for seed in (0, 100)]
    return at_once(*halves), Side(single_threaded, workers=None)


@case(f"search of {TRIALS} trials, in this process", "plain KerasTuner", rounds=5)
def in_this_process():
    """Without workers."""
    return Side(timed, how="ours", workers=None), Side(timed, how="plain")


# ---- memory and disk -------------------------------------------------------------------------------------------------


def memory_of(pid):
    """Bytes that a process and those that it began have in memory."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if int(entry.name) == pid:
                total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            elif parent == pid:
                total += memory_of(int(entry.name))
        except (OSError, IndexError, ValueError):
            continue
    return total


def trials_done(how, folder):
    if how == "plain":
        return sum('"COMPLETED"' in path.read_text() for path in Path(folder).glob("search-0/trial_*/trial.json"))
    try:
        return len(json.loads(Path(folder, "search-0", "search.json").read_text())["trials"])
    except OSError:
        return 0


def resources(how, trials=60):
    """Memory after each trial, and bytes on disk at the end."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"import {Path(__file__).stem} as own; own.{how}({folder!r}, {trials})"
        process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stdout=subprocess.DEVNULL)
        seen = {}
        while process.poll() is None:
            done = trials_done(how, folder)
            seen.setdefault(done, []).append(memory_of(process.pid))
            time.sleep(0.1)
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    if process.returncode:
        raise RuntimeError(f"{how} ended with {process.returncode}")
    early = [value for done in seen for value in seen[done] if 5 <= done <= 15]
    late = [value for done in seen for value in seen[done] if trials - 10 <= done < trials]
    return sum(early) / len(early), sum(late) / len(late), disk


def told_resources():
    disks = {}
    for how in ("ours", "plain"):
        early, late, disks[how] = resources(how)
        print(f"{how}: memory {early / 2**20:.0f} MB after 10 trials, {late / early - 1:+.1%} after 55", flush=True)
    print(f"disk ratio: {disks['plain'] / disks['ours']:.1f}")


if __name__ == "__main__":
    told_resources() if "--resources" in sys.argv else main()
