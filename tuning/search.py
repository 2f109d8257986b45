"""`search`: looks for the best hyperparameters of a recipe, and can be interrupted at any moment."""

import json
from pathlib import Path

from keras_cookbook import recipes
from keras_cookbook.callbacks.checkpoint import strict
from keras_cookbook.callbacks.report import splits
from keras_cookbook.callbacks.report.facts import fingerprint
from keras_cookbook.callbacks.resume.randomness import generators_restored, seeded
from keras_cookbook.callbacks.workers import is_chief, together
from keras_cookbook.recipes._heads import HEADS, default_objective
from keras_cookbook.recipes._kinds import Choice, Integer, Real, nearest

from .display import Display
from .hparams import HParams
from .loop import Loop
from .proposals import WARM_START, Proposals, build_oracle
from .result import Search, run_folder
from .space import Space
from .trials.devices import KINDS, check_strategy
from .trials.processes import Here, Workers, pickled
from .trials.pruning import RULES
from .trials.trial import Plan


@generators_restored()
def search(
    recipe,
    data,
    *,
    algorithm="bayesian",
    max_trials=20,
    max_hours=None,
    max_epochs=None,
    target=None,
    objective=None,
    patience=5,
    pruning=None,
    doctor=False,
    executions_per_trial=1,
    workers=None,
    seed=0,
    strategy="auto",
    folder=None,
    keep=1,
    warm_start=(),
    callbacks=(),
    tensorboard=False,
    progress=True,
    **space,
):
    """Searches the hyperparameters of a recipe on a data set, and keeps the best model.

    The space is read from the recipe's signature: every argument with a range worth searching, the learning rate and
    the batch size. Any argument of the recipe, any training setting, `epochs` and `batch_size` may be given as a
    keyword: a value fixes it, a list gives the values to try, a tuple the lowest and the highest; `tuning.when` gives
    values for some trials only. Of several recipes it is for those that have the argument.

    *Interrupted* at any moment, by Control-C or a kill, the same command with the same `folder` goes on: no trial that
    ended is lost or run again, and the one that ran continues where its training last saved itself. With one worker
    the leaderboard is that of a search that was never interrupted. With larger limits a search that has ended goes on.

    *A trial that fails* (an error, a loss that is not a number in any epoch, with `workers` also the end of its
    process, as when memory runs out) is recorded with its reason, and the search goes on.

    *Models are used again* on TensorFlow by trials that differ in learning rate and batch size alone, since tracing a
    small model takes longer than training it; the result is the same.

    Args:
        recipe: a recipe, or its name; or a list of them, of which each trial has one.
        data: a `recipes.data.Data` with a validation split, or what `recipes.data.load` takes.
        algorithm: "random" (Bergstra and Bengio, 2012), "grid", "bayesian" (a Gaussian process; Snoek et al., 2012,
            arXiv:1206.2944), "hyperband" (Li et al., 2018, arXiv:1603.06560; trials run 1 epoch to `epochs`),
            "halving" (random, with `pruning="halving"`), or "tpe" (Bergstra et al., 2011; needs Optuna).
        max_trials: the largest number of trials; None leaves it to the algorithm ("grid", "hyperband") or to the other
            limits.
        max_hours: the largest number of hours, above 0, those before an interrupt included; a trial that is running
            then is ended and judged.
        max_epochs: the largest number of epochs of all trials together.
        target: the objective at which the search ends.
        objective: the log to improve, such as "val_loss", or a `keras_tuner.Objective`; by default the accuracy on the
            validation data for classes, their loss for regression.
        patience: epochs without a better objective after which a trial ends.
        pruning: which trials end early: "median", those behind the median of the others at the same epoch; "halving",
            those not in the best third after 1, 3, 9, ... epochs (Li et al., 2020, arXiv:1810.05934); None for none.
        doctor: whether a `TrainingDoctor` watches, and a trial in which it finds an error ends with that as its reason.
        executions_per_trial: trainings of each trial, with seeds of their own; their mean is its score.
        workers: the number of processes that run trials at once, each with its share of the cores and the GPUs; None
            runs them in this one. A crash, or memory that is not given back, then ends with its process. The address of
            a Dask scheduler, such as "tcp://127.0.0.1:8786", runs them on all of its workers, on several machines.
        seed: seeds the algorithm and every model: the same seed, the same search.
        strategy: over which devices a trial is spread: a kind of `recipes.distribution` ("auto", "one", "data", "tpu"),
            what it returns, or a `tf.distribute` or `keras.distribution` object. With `workers`, a kind. Over several
            processes (`recipes.distribution("workers", ...)`), each runs the same search with a folder in common.
        folder: where `best.keras` and `search.json` go; by default a new folder in `runs`.
        keep: the number of models that are kept: the best in `best.keras`, and several in `trial-<number>.keras` too.
        warm_start: earlier searches to learn from, as `Search` objects or their folders; trials outside of this space
            are passed over. For "random", "halving", "bayesian" and "tpe".
        callbacks: further callbacks, copied for each trial, or a function that makes them.
        tensorboard: whether trials are written for TensorBoard's HParams table too, into `tensorboard`.
        progress: whether to show the search while it runs.
        **space: what to fix or to search otherwise.

    Returns:
        A `Search`.

    Raises:
        ValueError: before anything starts, for an argument that is not legal, with the nearest legal one; for a folder
            that holds another search.
        RuntimeError: if ten trials in a row fail for the same reason, with that reason; or if an interrupted search
            cannot go on, since another version of the algorithm is installed.
        ImportError: for "tpe" without Optuna, for `tensorboard` without TensorBoard, for an address without Dask.

    >>> from keras_cookbook import recipes, tuning
    >>> found = tuning.search(recipes.mlp, "iris", max_trials=1, epochs=1, width=[8, 16], progress=False)
    >>> sorted(found.best_hyperparameters)
    ['activation', 'batch_size', 'depth', 'dropout', 'epochs', 'learning_rate', 'width']
    """
    factories = [factory_of(one) for one in (recipe if isinstance(recipe, list | tuple) else [recipe])]
    limits = {"max_trials": max_trials, "max_hours": max_hours, "max_epochs": max_epochs, "target": target}
    processes = None if isinstance(workers, str) else workers
    check_numbers(**limits, patience=patience, seed=seed, executions_per_trial=executions_per_trial, workers=processes,
                  keep=keep)  # fmt: skip
    check_words(pruning, doctor, tensorboard)
    if algorithm == "halving":
        pruning = pruning or "halving"
    if together():
        check_together(folder, algorithm, workers, max_hours)
        progress = progress and is_chief()
        tensorboard = tensorboard and is_chief()
    space = Space(factories, space)
    if workers and strategy not in (None, *KINDS):
        raise ValueError(f"with workers= strategy must be one of {', '.join(map(repr, KINDS))}, not {strategy!r}.")
    strategy = strategy if workers else check_strategy(strategy)
    data = recipes.data.load(data)
    if data.validation is None:
        raise ValueError("the data have no validation split to judge a trial by; load them with validation=0.1.")
    task = task_of(factories, data)
    check_objective(objective, task, callbacks)
    oracle = build_oracle(algorithm, objective or default_objective(task), max_trials, seed, space)
    # What a recipe refuses for these data, it should refuse now.
    for factory in factories:
        entry = factory.recipe
        network = {name: value for name, value in space.fixed[entry.name].items() if name in entry.arguments}
        factory(**{**entry.sizes(data), **network}, compile=False)
    earlier = check_warm_start(warm_start, algorithm, oracle.objective)

    name = " or ".join(space.factories)
    settings = {
        "recipe": name, "data": [data.name, data.seed, data.sizes, fingerprint_of(data)], "algorithm": algorithm,
        "objective": oracle.objective.name, "patience": patience, "pruning": pruning, "doctor": doctor, "seed": seed,
        "executions_per_trial": executions_per_trial, "fixed": space.fixed, "warm_start": len(earlier),
        "searched": repr(space.searched), "conditions": repr(space.conditions),
    }  # fmt: skip
    folder = Path(folder or run_folder(name, data.name))
    found = Search(name, data.name, oracle.objective.name, oracle.objective.direction, folder)
    found.space = space.to_list()
    found.settings = json.loads(json.dumps(strict(settings)))
    found = gone_on_with(found)
    proposals = Proposals(oracle, space)
    proposals.learn(earlier)
    proposals.repeat(found)
    plan = Plan(
        space.factories, data, found.objective, found.direction, strategy, patience, seed, executions_per_trial,
        callbacks, pruning, doctor, target,
    )  # fmt: skip
    hparams = HParams(found) if tensorboard else None
    display = Display(found, max_trials, space.names, progress)
    where = place_of(workers, plan, display.epoch, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with display, where, seeded(seed):
        Loop(found, proposals, where, limits, keep, display, hparams).run()
    return found


def check_together(folder, algorithm, workers, max_hours):
    """Several processes that train each trial together must decide alike."""
    wrong = {
        "folder= must be given, and be the same": folder is None,
        "algorithm='hyperband' cannot be used, since one process would wait for the file of another": (
            algorithm == "hyperband"
        ),
        "workers= cannot be used": workers is not None,
        "max_hours= cannot be used, since clocks differ": max_hours is not None,
    }
    for what, is_so in wrong.items():
        if is_so:
            raise ValueError(f"in a search by several processes, as TF_CONFIG has them, {what}.")


def factory_of(recipe):
    factory = recipes.get(recipe) if isinstance(recipe, str) else recipe
    if not hasattr(factory, "recipe"):
        raise ValueError(f"recipe must be a recipe, such as recipes.mlp, or the name of one, not {recipe!r}.")
    return factory


def task_of(factories, data):
    """The task that all recipes learn; None of those without labels."""
    tasks = {data.task if factory.recipe.supervised else None for factory in factories}
    if len(tasks) != 1:
        raise ValueError("recipes that are searched together must all learn from labels, or all without.")
    return tasks.pop()


def gone_on_with(found):
    """The search that its folder holds, where that is the same; otherwise this one."""
    if not (found.folder / "search.json").exists():
        return found
    try:
        earlier = Search.load(found.folder)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{found.folder}/search.json is damaged: {error}. Give another folder.") from error
    for name, value in found.settings.items():
        if earlier.settings.get(name) != value:
            raise ValueError(
                f"{found.folder} holds a search with {name}={earlier.settings.get(name)}, and this one has "
                f"{name}={value}. Give another folder, or the same arguments to go on with it."
            )
    return earlier


def place_of(workers, plan, observe, folder):
    """What runs the trials."""
    if not workers:
        return Here(plan, observe)
    plan = pickled(plan)
    if not isinstance(workers, str):
        return Workers(plan, observe, workers, folder)
    try:
        from .trials.hosts import Hosts
    except ImportError as error:
        raise ImportError(f"workers={workers!r} needs Dask: pip install keras-cookbook[dask] ({error})") from None
    return Hosts(plan, observe, workers, folder)


def fingerprint_of(data):
    """That of the training rows; None where they are read from disk."""
    try:
        data.arrays("train")
    except ValueError:
        return None
    return fingerprint(splits.read(data, "train"))


def check_warm_start(warm_start, algorithm, objective):
    """The records of earlier searches."""
    searches = [warm_start] if isinstance(warm_start, str | Path | Search) else list(warm_start)
    if searches and algorithm not in WARM_START:
        raise ValueError(f"warm_start= is for {', '.join(map(repr, WARM_START))}, not for algorithm={algorithm!r}.")
    records = []
    for earlier in searches:
        earlier = earlier if isinstance(earlier, Search) else Search.load(earlier)
        if (earlier.objective, earlier.direction) != (objective.name, objective.direction):
            raise ValueError(
                f"warm_start= must have improved what this search improves, {objective.name!r}; {earlier.folder} "
                f"improved {earlier.objective!r}."
            )
        records += earlier.trials
    return records


def check_objective(objective, task, callbacks):
    # Callbacks and the models of other losses may log what no metric does.
    if not isinstance(objective, str) or callbacks or not task:
        return
    names = ["loss", *(metric.name for metric in HEADS[task].metrics())]
    known = [f"val_{name}" for name in names] + names
    if objective not in known:
        raise ValueError(f"objective must be one of {', '.join(known)}, not {objective!r}.{nearest(objective, known)}")


def check_words(pruning, doctor, tensorboard):
    if pruning is not None and pruning not in RULES:
        known = ", ".join(map(repr, RULES))
        raise ValueError(f"pruning must be None or one of {known}, not {pruning!r}.{nearest(str(pruning), RULES)}")
    Choice(True, False).check(doctor, "doctor")
    Choice(True, False).check(tensorboard, "tensorboard")


def check_numbers(**values):
    kinds = {
        "max_trials": Integer(1), "max_hours": Real(1e-9), "max_epochs": Integer(1), "target": Real(-1e300),
        "patience": Integer(0), "seed": Integer(0, 2**31), "executions_per_trial": Integer(1), "workers": Integer(1),
        "keep": Integer(1),
    }  # fmt: skip
    for name, value in values.items():
        if value is not None or name in ("patience", "seed", "executions_per_trial", "keep"):
            kinds[name].check(value, name)
