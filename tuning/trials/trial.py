"""One trial: a recipe made with some hyperparameters, fitted, and judged at its best epoch."""

import copy
import dataclasses
import math
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_cookbook import callbacks as cookbook_callbacks
from keras_cookbook import recipes
from keras_cookbook.callbacks import save_model
from keras_cookbook.callbacks.resume.randomness import seeded
from keras_cookbook.callbacks.workers import is_chief

from .devices import check_strategy, scope
from .pruning import Pruning
from .warm import WarmModels


@dataclasses.dataclass
class Plan:
    """What all trials of a search have in common."""

    factories: dict  # recipes by name
    data: object
    objective: str
    mode: str  # "min" or "max"
    strategy: object
    patience: int
    seed: int
    executions: int  # trainings of each trial, with seeds of their own
    callbacks: object  # a list to copy, or a function that makes one
    pruning: str | None
    doctor: bool
    target: float | None


@dataclasses.dataclass
class Job:
    """What one trial is told."""

    number: int  # from 1
    values: dict  # hyperparameters by name, `epochs` and `batch_size` among them, and `recipe` where there are several
    folder: Path  # of the search
    epochs: int  # of one training at most, those of the model it goes on with included
    seconds: float = math.inf  # left for it
    goes_on: int | None = None  # the trial with whose model it begins
    initial_epoch: int = 0
    peers: list = dataclasses.field(default_factory=list)  # curves of the trials that ended before
    keep_from: float | None = None  # models of a worse score are not kept
    keep_all: bool = False  # since others may go on with them

    @property
    def own_folder(self):
        """Holds what it needs to go on after an interrupt."""
        return self.folder / "trials" / str(self.number)


def model_path(folder, number):
    return Path(folder) / f"trial-{number}.keras"


def network_of(values):
    """The hyperparameters that a recipe is called with."""
    return {name: value for name, value in values.items() if name not in ("recipe", "epochs", "batch_size")}


def better(a, b, mode):
    return a < b if mode == "min" else a > b


def cause(error):
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Until(keras.callbacks.Callback):
    """Ends a training when its time is up or it is told to, in the middle of an epoch if need be, which is then still
    judged; and after an epoch that reached the target."""

    def __init__(self, seconds, objective, mode, target, told):
        super().__init__()
        self.deadline = time.monotonic() + seconds
        self.objective, self.mode, self.target, self.told = objective, mode, target, told

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.deadline or self.told():
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if reached(logs.get(self.objective, math.nan), self.target, self.mode):
            self.model.stop_training = True


def reached(score, target, mode):
    return target is not None and score == score and not better(target, score, mode)


class Trials:
    """Runs the trials of a plan, one after the other; models that differ in no part of their network are used again.

    Args:
        observe: is called with the epochs done and their objective after each.
        told: says whether to stop the training that runs.
    """

    def __init__(self, plan, observe=None, told=lambda: False):
        self.plan = dataclasses.replace(plan, strategy=check_strategy(plan.strategy))
        self.observe, self.told, self.warm = observe, told, WarmModels()

    def run(self, job: Job) -> dict:
        """Fits and judges; what came out, by name. The model, at its best epoch, is kept in its file if it may be
        among the best of the search.

        Raises:
            Exception: whatever building or training raises, or a FloatingPointError if no epoch has a score.
        """
        began = time.monotonic()
        runs = []
        for execution in range(self.plan.executions):
            left = job.seconds - (time.monotonic() - began)
            if runs and (left <= 0 or runs[-1]["message"] or self.told()):
                break
            runs.append(self._train(job, execution, left, runs))
        best = _best(runs, self.plan.mode)
        scores = [run["score"] for run in runs]
        return {
            "score": float(np.mean(scores)),
            "scores": scores,
            "epochs": sum(run["epochs"] for run in runs),
            "seconds": time.monotonic() - began,
            "message": runs[-1]["message"],
            **{name: best[name] for name in ("logs", "curve", "best_epoch", "parameters")},
        }

    def _train(self, job, execution, seconds, earlier):
        plan = self.plan
        factory = plan.factories[job.values.get("recipe", next(iter(plan.factories)))]
        data = plan.data.batched(job.values["batch_size"])
        stops, chosen = self._callbacks(job, execution, seconds)
        with scope(plan.strategy), seeded(plan.seed + execution):
            # A search that ended has no files left to go on with: then from the beginning.
            goes_on = job.goes_on and model_path(job.folder, job.goes_on).exists()
            first = job.initial_epoch if goes_on else 0
            if goes_on:
                model = recipes.load(model_path(job.folder, job.goes_on), allow=recipes.saving.registered())
            else:
                arguments = factory.recipe.sizes(data) | network_of(job.values)
                model = self.warm.model(factory, arguments, plan.seed + execution)
            history = model.fit(
                data.train, validation_data=data.validation, epochs=job.epochs, initial_epoch=first,
                callbacks=chosen, verbose=0,
            ).history  # fmt: skip
        curve = history.get(plan.objective)
        if curve is None:
            raise ValueError(f"{plan.objective!r} is not in the logs; there are {', '.join(sorted(history))}.")
        # An accuracy is a number even of weights that are none.
        losses = history.get("loss", curve)
        finite = [i for i, score in enumerate(curve) if math.isfinite(score) and math.isfinite(losses[i])]
        if not finite:
            raise FloatingPointError(f"loss or {plan.objective} is not a number in any epoch: the training diverged.")
        best = (min if plan.mode == "min" else max)(finite, key=lambda index: curve[index])
        run = {
            "score": float(curve[best]),
            "logs": {key: float(series[best]) for key, series in history.items() if len(series) == len(curve)},
            "curve": [float(score) for score in curve],
            "best_epoch": first + best + 1,
            "epochs": len(curve),
            "parameters": model.count_params(),
            "message": next((stop.reason for stop in stops if stop.reason), ""),
        }
        if _best([*earlier, run], plan.mode) is run and self._may_be_kept(job, run["score"]):
            self._save(model, job)
        return run

    def _save(self, model, job):
        if is_chief():
            save_model(model, model_path(job.folder, job.number))
        else:  # some weights can be read by all processes at once only
            with tempfile.TemporaryDirectory() as aside:
                save_model(model, model_path(aside, job.number))

    def _may_be_kept(self, job, score):
        # Of several executions the mean counts, which is not known yet.
        anyhow = job.keep_all or job.keep_from is None or self.plan.executions > 1
        return anyhow or not better(job.keep_from, score, self.plan.mode)

    def _callbacks(self, job, execution, seconds):
        """Those that may stop the training for a reason, and all."""
        plan, stops = self.plan, []
        if plan.pruning and execution == 0 and not job.goes_on:
            stops.append(Pruning(plan.pruning, job.peers, plan.objective, plan.mode))
        own = plan.callbacks() if callable(plan.callbacks) else copy.deepcopy(list(plan.callbacks))
        if plan.doctor:
            stops.append(Sick())
        chosen = cookbook_callbacks.standard(
            monitor=plan.objective, mode=plan.mode, patience=plan.patience, progress=False,
            doctor=stops[-1].doctor if plan.doctor else False,
            extra=[*own, *stops],
        )  # fmt: skip
        chosen.append(Until(seconds, plan.objective, plan.mode, plan.target, self.told))
        if self.observe:
            chosen.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda epoch, logs: self.observe(epoch + 1, logs.get(plan.objective))
                )
            )
        chosen.append(cookbook_callbacks.Resume(job.own_folder / str(execution)))
        return stops, chosen


def _best(runs, mode):
    return (min if mode == "min" else max)(runs, key=lambda run: run["score"])


class Sick(keras.callbacks.Callback):
    """Stops a training in which the doctor has found an error, with that as the reason."""

    def __init__(self):
        super().__init__()
        self.doctor = cookbook_callbacks.TrainingDoctor(light=True, tell=False)
        self.reason = ""

    def on_epoch_end(self, epoch, logs=None):
        grave = [finding for finding in self.doctor.findings if finding.severity == "error"]
        if grave:
            self.reason = f"stopped after epoch {epoch + 1}: {grave[0].message}"
            self.model.stop_training = True
