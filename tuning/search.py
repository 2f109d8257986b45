"""`search`: KerasTuner's oracles propose hyperparameters, trials answer with scores."""

import math
import time
import warnings
from pathlib import Path

import keras_tuner

from keras_cookbook import recipes
from keras_cookbook.callbacks import save_json, save_model
from keras_cookbook.recipes._heads import HEADS, default_objective
from keras_cookbook.recipes._kinds import Integer, Real, nearest

from .devices import check_strategy
from .display import Display
from .result import Search, run_folder
from .space import build_space, hyperparameters, tunable
from .trial import Plan, run_trial

ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


def search(
    recipe,
    data,
    *,
    algorithm="bayesian",
    max_trials=20,
    max_hours=None,
    objective=None,
    patience=5,
    seed=0,
    strategy="auto",
    folder=None,
    callbacks=(),
    progress=True,
    **space,
):
    """Searches the hyperparameters of a recipe on a data set, and keeps the best model.

    The space is read from the recipe's signature: every argument with a range worth searching, the learning rate and
    the batch size. Any argument of the recipe, any training setting, `epochs` and `batch_size` may be given as a
    keyword: a value fixes it, a list gives the values to try, a tuple the lowest and the highest.

    Args:
        recipe: a recipe, or its name.
        data: a `recipes.data.Data` with a validation split, or what `recipes.data.load` takes.
        algorithm: "random" (Bergstra and Bengio, 2012), "grid", "bayesian" (a Gaussian process; Snoek et al., 2012,
            arXiv:1206.2944) or "hyperband" (Li et al., 2018, arXiv:1603.06560; trials run 1 epoch to `epochs`).
        max_trials: the largest number of trials; None leaves it to the algorithm ("grid", "hyperband") or to max_hours.
        max_hours: the largest number of hours, above 0; a trial that is running then is ended and judged.
        objective: the log to improve, such as "val_loss", or a `keras_tuner.Objective`; by default the accuracy on the
            validation data for classes, their loss for regression.
        patience: epochs without a better objective after which a trial ends.
        seed: seeds the algorithm and every model: the same seed, the same search.
        strategy: over which devices a trial is spread: a kind of `recipes.distribution` ("auto", "one", "data", "tpu"),
            what it returns, or a `tf.distribute` or `keras.distribution` object.
        folder: where `best.keras` and `search.json` go; by default a new folder in `runs`.
        callbacks: further callbacks, copied for each trial, or a function that makes them.
        progress: whether to show the search while it runs.
        **space: what to fix or to search otherwise.

    Returns:
        A `Search`.

    Raises:
        ValueError: before anything starts, for an argument that is not legal; it names the nearest legal one.
        RuntimeError: if three trials in a row fail, with the reason of the last.

    >>> from keras_cookbook import recipes, tuning
    >>> found = tuning.search(recipes.mlp, "iris", max_trials=1, epochs=1, width=[8, 16], progress=False)
    >>> sorted(found.best_hyperparameters)
    ['activation', 'batch_size', 'depth', 'dropout', 'epochs', 'learning_rate', 'width']
    """
    factory = recipes.get(recipe) if isinstance(recipe, str) else recipe
    if not hasattr(factory, "recipe"):
        raise ValueError(f"recipe must be a recipe, such as recipes.mlp, or the name of one, not {recipe!r}.")
    entry = factory.recipe
    check_numbers(max_trials, max_hours, patience, seed)
    fixed, searched = build_space(entry, space)
    strategy = check_strategy(strategy)
    data = recipes.data.load(data)
    if data.validation is None:
        raise ValueError("the data have no validation split to judge a trial by; load them with validation=0.1.")
    task = data.task if entry.supervised else None
    check_objective(objective, task, callbacks)
    oracle = build_oracle(algorithm, objective or default_objective(task), max_trials, seed, fixed, searched)
    # What the recipe refuses for these data, it should refuse now.
    network = {name: fixed[name] for name in fixed if name in entry.arguments}
    factory(**{**entry.sizes(data), **network}, compile=False)

    folder = Path(folder or run_folder(entry.name, data.name))
    if (folder / "search.json").exists():
        raise ValueError(f"{folder} holds a search already, which Search.load reads. Give another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    oracle._set_project_dir(str(folder), "oracle")
    oracle.verbose = 0

    deadline = time.monotonic() + max_hours * 3600 if max_hours else math.inf
    plan = Plan(factory, data, oracle.objective, strategy, patience, seed, callbacks, deadline)
    found = Search(entry.name, data.name, oracle.objective.name, oracle.objective.direction, folder)
    with Display(found, max_trials, searched, deadline, progress) as display:
        run_trials(oracle, plan, fixed, max_trials, found, display)
    for path in folder.glob("trial-*.keras"):
        path.unlink()
    return found


def run_trials(oracle, plan, fixed, max_trials, found, display):
    """Asks the oracle, runs the trial, tells the oracle; writes down all that is known after each."""
    known = tunable(plan.factory.recipe)
    while not found.ended:
        with warnings.catch_warnings():
            # The fit of the Gaussian process tells of length scales at their bound; nothing follows from it.
            warnings.filterwarnings("ignore", module="sklearn.gaussian_process")
            trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            found.ended = "There is nothing left to try."
            save_json(found.to_dict(), found.folder / "search.json")
            break
        values, halving = split_values(trial.hyperparameters.values, known)
        values = fixed | values
        record = {"trial": len(found.trials) + 1, "status": "completed", "values": values, "message": ""}
        display.begin(values, halving.get("epochs", values["epochs"]))
        try:
            outcome = run_trial(plan, values, display.observer(), **going_on(found.folder, halving))
        except Exception as error:
            # One bad set of hyperparameters must not end the search; the oracle ends it after three in a row.
            trial.status, trial.message = "FAILED", f"{type(error).__name__}: {error}"
            record |= {"status": "failed", "message": trial.message, "score": None, "logs": {}}
            record |= dict.fromkeys(("best_epoch", "epochs", "parameters", "seconds"))
            found.trials.append(record)
        else:
            trial.status = "COMPLETED"
            oracle.update_trial(trial.trial_id, outcome.logs, step=outcome.best_epoch)
            record |= {"score": outcome.logs[found.objective]} | {
                k: v for k, v in vars(outcome).items() if k != "model"
            }
            found.trials.append(record)
            if halving:
                save_model(outcome.model, found.folder / f"trial-{trial.trial_id}.keras")
            if found.ranked[0] is record:
                save_model(outcome.model, found.best_path)
        if time.monotonic() > plan.deadline:
            found.ended = "The time is up."
        elif len(found.trials) == max_trials:
            found.ended = f"All {max_trials} trials were run."
        save_json(found.to_dict(), found.folder / "search.json")
        display.end(record)
        oracle.end_trial(trial)


def split_values(values, known):
    """The hyperparameters, and what Hyperband adds: how long a trial runs and with which earlier one it goes on."""
    own, halving = {}, {}
    for name, value in values.items():
        if name.startswith("tuner/"):
            halving[name.removeprefix("tuner/")] = value
        else:  # KerasTuner's grid gives integers as floats
            own[name] = int(value) if isinstance(known[name].kind, Integer) else value
    return own, halving


def going_on(folder, halving):
    """Where a trial of Hyperband begins and ends."""
    if not halving:
        return {}
    earlier = halving.get("trial_id")
    return {
        "epochs": halving["epochs"],
        "initial_epoch": halving["initial_epoch"],
        "resume": folder / f"trial-{earlier}.keras" if earlier else None,
    }


def build_oracle(algorithm, objective, max_trials, seed, fixed, searched):
    if algorithm not in ORACLES:
        known = ", ".join(map(repr, ORACLES))
        raise ValueError(f"algorithm must be one of {known}, not {algorithm!r}.{nearest(algorithm, ORACLES)}")
    if not searched:
        raise ValueError("every argument is fixed, so there is nothing to search.")
    settings = {"max_trials": max_trials}
    if algorithm == "bayesian" and max_trials:
        # KerasTuner draws three points a dimension at random first, which is most of a short search.
        settings["num_initial_points"] = max(2, min(3 * len(searched), max_trials // 3))
    if algorithm == "hyperband":
        if "epochs" in searched:
            raise ValueError(
                "algorithm='hyperband' chooses the epochs itself; fix epochs= at the most that a trial may run."
            )
        settings = {"max_epochs": fixed["epochs"]}  # max_trials is not for it to know
    return ORACLES[algorithm](
        objective=objective,
        hyperparameters=hyperparameters(searched),
        allow_new_entries=False,
        tune_new_entries=False,
        seed=seed + 1,  # KerasTuner takes 0 for none
        **settings,
    )


def check_objective(objective, task, callbacks):
    # Callbacks and the models of other losses may log what no metric does.
    if not isinstance(objective, str) or callbacks or not task:
        return
    names = ["loss", *(metric.name for metric in HEADS[task].metrics())]
    known = [f"val_{name}" for name in names] + names
    if objective not in known:
        raise ValueError(f"objective must be one of {', '.join(known)}, not {objective!r}.{nearest(objective, known)}")


def check_numbers(max_trials, max_hours, patience, seed):
    for name, value, kind in (
        ("max_trials", max_trials, Integer(1)),
        ("max_hours", max_hours, Real(1e-9)),
        ("patience", patience, Integer(0)),
        ("seed", seed, Integer(0, 2**31)),
    ):
        if value is not None or name in ("patience", "seed"):
            kind.check(value, name)
