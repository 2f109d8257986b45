"""One trial: a recipe made with some hyperparameters, fitted, and judged at its best epoch."""

import copy
import dataclasses
import time

import keras

from keras_cookbook import callbacks as cookbook_callbacks
from keras_cookbook import recipes

from .devices import scope


@dataclasses.dataclass
class Plan:
    """What all trials of a search have in common."""

    factory: object
    data: object
    objective: object  # a keras_tuner.Objective: name and direction
    strategy: object
    patience: int
    seed: int
    callbacks: object  # a list to copy, or a function that makes one
    deadline: float  # on the clock of time.monotonic


@dataclasses.dataclass
class Outcome:
    model: object
    logs: dict  # of the best epoch
    best_epoch: int  # counted from 1
    epochs: int  # that were run
    parameters: int
    seconds: float


class Deadline(keras.callbacks.Callback):
    """Ends the training when the time is up, in the middle of an epoch if need be, which is then still judged."""

    def __init__(self, deadline):
        super().__init__()
        self.deadline = deadline

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.deadline:
            self.model.stop_training = True


def run_trial(plan, values, observer=None, *, epochs=None, initial_epoch=0, resume=None):
    """Makes, fits and judges one model; its weights are those of its best epoch.

    A search calls nothing else to run a trial: to run them elsewhere, or to survive what they do, is to replace this.

    Args:
        values: hyperparameters by name, `epochs` and `batch_size` among them.
        observer: a callback that watches, for the display.
        epochs: how many to run, where that is not what `values` say.
        resume: path of a model to go on with from `initial_epoch`.
    """
    started = time.monotonic()
    arguments = {name: value for name, value in values.items() if name not in ("epochs", "batch_size")}
    data = plan.data.batched(values["batch_size"])
    name, mode = plan.objective.name, plan.objective.direction
    chosen = cookbook_callbacks.standard(monitor=name, mode=mode, patience=plan.patience, progress=False)
    chosen += plan.callbacks() if callable(plan.callbacks) else copy.deepcopy(list(plan.callbacks))
    if plan.deadline < float("inf"):
        chosen.append(Deadline(plan.deadline))
    chosen += [observer] if observer else []
    with scope(plan.strategy):
        if resume:
            model = recipes.load(resume, allow=recipes.saving.registered())
        else:
            model = plan.factory(**{**plan.factory.recipe.sizes(data), **arguments}, seed=plan.seed)
        history = model.fit(
            data.train,
            validation_data=data.validation,
            epochs=epochs or values["epochs"],
            initial_epoch=initial_epoch,
            callbacks=chosen,
            verbose=0,
        ).history
    scores = history[name]
    finite = [index for index, score in enumerate(scores) if score == score]
    if not finite:
        raise FloatingPointError(f"{name} is not a number in any epoch: the training diverged.")
    best = (min if mode == "min" else max)(finite, key=lambda index: scores[index])
    return Outcome(
        model=model,
        logs={key: float(series[best]) for key, series in history.items() if len(series) == len(scores)},
        best_epoch=initial_epoch + best + 1,
        epochs=len(scores),
        parameters=model.count_params(),
        seconds=time.monotonic() - started,
    )
