"""Seconds until a search has a model with a given validation accuracy, against KerasTuner's and Optuna's.

    python benchmarks/search_time_to_target.py --seeds 10 --out times.jsonl   # goes on where it was interrupted
    python benchmarks/search_time_to_target.py --table times.jsonl --plot time_to_target.svg

Each run is a process of its own, one after the other; its clock begins when the data are loaded and everything is
imported, and ends with the first epoch that reaches the target, or after `LIMIT` seconds. All search the same space,
over the same layers, optimizer, data and largest number of epochs:

- `ours`: `tuning.search` with its default algorithm, and `pruning="median"`;
- `hyperband`, `bayesian`: KerasTuner's `Hyperband` and `BayesianOptimization`, as its guides show them;
- `optuna`: `TPESampler` and `MedianPruner`, told of each epoch by a callback, as its examples show.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS, LIMIT = 12, 150
#: Recipe -> the accuracy on the validation rows of the digits to reach.
TASKS = {"mlp": 0.985, "cnn": 0.994}
WIDTHS, BATCHES, RATES, DROPOUTS = [8, 16, 32, 64], [16, 32, 64, 128], (1e-5, 1.0), (0.0, 0.6)
#: What the recipe would search, or do otherwise than the peers' networks.
SAME = {
    "mlp": {"activation": "relu", "schedule": "constant", "warmup": 0.0},
    "cnn": {"kernel_size": 3, "units": 128, "schedule": "constant", "warmup": 0.0},
}
LABELS = {
    "ours": "tuning.search",
    "hyperband": "KerasTuner's Hyperband",
    "bayesian": "KerasTuner's Bayesian",
    "optuna": "Optuna's TPE with pruning",
}
METHODS = tuple(LABELS)


class Reached(BaseException):
    """Not an Exception: KerasTuner goes on after those."""


class Late(BaseException):
    """The target was not reached within the limit."""


def seconds(method, task, seed):
    """One run; None where the target was not reached."""
    import keras

    from keras_cookbook import recipes, tuning

    data, target = recipes.data.load("digits", validation=0.3, test=0, seed=0), TASKS[task]
    x, y = data.arrays("train")
    if task == "mlp":  # the recipe does it in a layer
        mean, deviation = x.mean(0), x.std(0) + 1e-7
    else:
        mean, deviation = 0.0, 1.0
    rows = (x - mean) / deviation
    judged = (data.arrays("validation")[0] - mean) / deviation, data.arrays("validation")[1]

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if logs["val_accuracy"] >= target:
                raise Reached
            if time.perf_counter() - began > LIMIT:
                raise Late

    def network(width, rate, dropout):
        if task == "mlp":
            layers = [keras.layers.Flatten(), keras.layers.Dense(width, "relu"), keras.layers.Dropout(dropout)]
            layers.append(keras.layers.Dense(10, "softmax"))
            model = keras.Sequential([keras.Input(data.input_shape), *layers])
        else:
            made = recipes.cnn.recipe.build(**recipes.cnn.recipe.sizes(data), width=width, dropout=dropout, depth=1)
            model = keras.Model(made.inputs, made.outputs)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def with_keras_tuner(folder):
        import keras_tuner

        class Network(keras_tuner.HyperModel):
            def build(self, hp):
                return network(
                    hp.Choice("width", WIDTHS), hp.Float("rate", *RATES, sampling="log"), hp.Float("dropout", *DROPOUTS)
                )

            def fit(self, hp, model, *arguments, **settings):
                return model.fit(*arguments, batch_size=hp.Choice("batch_size", BATCHES), **settings)

        common = {"objective": "val_accuracy", "seed": seed + 1, "directory": folder}
        if method == "hyperband":
            tuner = keras_tuner.Hyperband(Network(), max_epochs=EPOCHS, hyperband_iterations=100, **common)
        else:
            tuner = keras_tuner.BayesianOptimization(Network(), max_trials=1000, **common)
        tuner.search(rows, y, validation_data=judged, epochs=EPOCHS, callbacks=[Watch()], verbose=0)

    def with_optuna(folder):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        class Tell(keras.callbacks.Callback):
            def __init__(self, trial):
                super().__init__()
                self.trial = trial

            def on_epoch_end(self, epoch, logs=None):
                self.trial.report(logs["val_accuracy"], epoch)
                if self.trial.should_prune():
                    raise optuna.TrialPruned

        def objective(trial):
            keras.backend.clear_session()
            model = network(
                trial.suggest_categorical("width", WIDTHS),
                trial.suggest_float("rate", *RATES, log=True),
                trial.suggest_float("dropout", *DROPOUTS),
            )
            history = model.fit(
                rows, y, batch_size=trial.suggest_categorical("batch_size", BATCHES), epochs=EPOCHS, verbose=0,
                validation_data=judged, callbacks=[Watch(), Tell(trial)],
            ).history  # fmt: skip
            return max(history["val_accuracy"])

        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner(), direction="maximize"
        )
        study.optimize(objective, n_trials=1000)

    def ours(folder):
        found = tuning.search(
            getattr(recipes, task), data, folder=f"{folder}/s", max_trials=None, max_hours=LIMIT / 3600, target=target,
            pruning="median", patience=EPOCHS, seed=seed, progress=False, epochs=EPOCHS, width=WIDTHS, depth=1,
            batch_size=BATCHES, learning_rate=RATES, dropout=DROPOUTS, optimizer="adam",
            **SAME[task],
        )  # fmt: skip
        if found.ranked and found.best_score >= target:
            raise Reached

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Late):
        began = time.perf_counter()
        try:
            {"ours": ours, "optuna": with_optuna}.get(method, with_keras_tuner)(folder)
        except Reached:
            return time.perf_counter() - began
    return None


def run(seeds, out):
    """All runs that are not in `out` yet."""
    done = {tuple(line[:3]) for line in lines(out)}
    for seed in range(seeds):
        for task in TASKS:
            for method in METHODS[seed % 4 :] + METHODS[: seed % 4]:
                if (method, task, seed) in done:
                    continue
                code = f"import {Path(__file__).stem} as own; print('took', own.seconds({method!r}, {task!r}, {seed}))"
                process = subprocess.run(
                    [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
                )
                told = [line for line in process.stdout.splitlines() if line.startswith("took ")]
                if not told:
                    raise RuntimeError(process.stderr[-2000:])
                took = told[0].split()[1]
                with open(out, "a") as file:
                    file.write(json.dumps([method, task, seed, None if took == "None" else float(took)]) + "\n")
                print(method, task, seed, took, flush=True)


def lines(out):
    path = Path(out)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(out):
    """Medians and quartiles, those not reached counted as `LIMIT`; and ours over the best of the others."""
    for task in TASKS:
        medians = {}
        for method in METHODS:
            times = sorted(line[3] or LIMIT for line in lines(out) if line[:2] == [method, task])
            if len(times) > 1:
                low, medians[method], high = statistics.quantiles(times, n=4)
                missed = sum(took >= LIMIT for took in times)
                print(
                    f"{task:4} {method:10} median {medians[method]:6.1f} s ({low:.1f} to {high:.1f}), {missed} of "
                    f"{len(times)} not within {LIMIT} s"
                )
        if len(medians) == len(METHODS):
            best = min(medians[method] for method in METHODS if method != "ours")
            print(f"{task:4} ours to the best of the others: {medians['ours'] / best:.2f}")


def plot(out, picture):
    """For each time, the share of runs that have reached the target by then."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(TASKS), figsize=(9, 3.2), sharey=True, layout="constrained")
    for ax, (task, target) in zip(axes, TASKS.items(), strict=True):
        for method, label in LABELS.items():
            times = sorted(line[3] or LIMIT for line in lines(out) if line[:2] == [method, task])
            reached = [took for took in times if took < LIMIT]
            share = [index / len(times) for index in range(len(reached) + 1)]
            ax.step(
                [0, *reached, LIMIT], [*share, share[-1]], where="post", label=label, lw=2 if method == "ours" else 1
            )
        ax.set(title=f"{task} to {target:.1%}", xlabel="seconds", xlim=(0, LIMIT), ylim=(0, 1.02))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of runs")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LABELS), frameon=False)
    figure.savefig(picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", default="times.jsonl")
    parser.add_argument("--table", metavar="FILE", help="runs nothing")
    parser.add_argument("--plot", metavar="PICTURE")
    given = parser.parse_args()
    if not given.table:
        run(given.seeds, given.out)
    table(given.table or given.out)
    if given.plot:
        plot(given.table or given.out, given.plot)
