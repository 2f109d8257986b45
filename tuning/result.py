"""What a search found."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_cookbook import recipes
from keras_cookbook.callbacks import save_model
from keras_cookbook.callbacks.resume.randomness import seeded

from .trials.trial import network_of


def run_folder(recipe, data):
    """Where a run goes that is told no folder: a new one in `runs`."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in f"{recipe}-{data}")
    return Path("runs", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")


@dataclass
class Search:
    """The result of `tuning.search`.

    Attributes:
        recipe: name of the recipe; of several, with " or " between.
        data: name of the data set.
        objective: name of the log that was improved, such as "val_accuracy".
        direction: "max" or "min".
        folder: where the files are: `best.keras`, and `search.json` with all that is here.
        trials: a dict for each trial that ended, in that order: `trial` (its number), `status` ("completed" or
            "failed"), `score` (the mean of `scores`, of which each execution has one), `values` (hyperparameters),
            `curve` (the objective in each epoch), `logs` (of its best epoch), `best_epoch`, `epochs`, `parameters`,
            `seconds`, and `message`: why it failed, or was stopped early.
        ended: why the search ended; "" while it runs, or after it was interrupted.
        running: the trials that run, or ran when it was interrupted.
        events: what happened, in order: ["begin" or "end", number of the trial].
        settings: what the same command must have the same, to go on with this search.
        space: what was searched: dicts of `name` and `values`, or of `name`, `low`, `high` and `log`.
        elapsed: seconds that the search has run.
    """

    recipe: str
    data: str
    objective: str
    direction: str
    folder: Path
    trials: list = field(default_factory=list)
    ended: str = ""
    running: list = field(default_factory=list)
    events: list = field(default_factory=list)
    settings: dict = field(default_factory=dict)
    space: list = field(default_factory=list)
    elapsed: float = 0.0

    def trial(self, number):
        """The dict of a trial that ended or runs."""
        return next(trial for trial in [*self.trials, *self.running] if trial["trial"] == number)

    @property
    def ranked(self):
        """The completed trials, the best first; of equal ones the smaller model."""
        sign = -1 if self.direction == "max" else 1
        completed = [trial for trial in self.trials if trial["status"] == "completed"]
        return sorted(completed, key=lambda trial: (sign * trial["score"], trial["parameters"]))

    @property
    def best_hyperparameters(self):
        """The hyperparameters of the best trial by name, the fixed ones included."""
        return dict(self._best()["values"])

    @property
    def best_score(self):
        """The objective at the best epoch of the best trial."""
        return self._best()["score"]

    def _best(self):
        if not self.ranked:
            raise ValueError(f"no trial of this search was completed. {self.ended}")
        return self.ranked[0]

    @property
    def best_path(self):
        """The file of the best model."""
        return Path(self.folder) / "best.keras"

    def best_model(self):
        """The best trial's model with the weights of its best epoch, read from its file and compiled.

        Raises:
            ValueError: if no trial was completed.
        """
        self._best()
        return recipes.load(self.best_path, allow=recipes.saving.registered())

    def leaderboard(self):
        """A pandas frame with a row for each trial, the best first and failed ones last."""
        import pandas as pd

        failed = [trial for trial in self.trials if trial["status"] != "completed"]
        rows = [
            {"trial": trial["trial"], self.objective: trial["score"]}
            | ({"spread": _spread(trial["scores"])} if self.settings.get("executions_per_trial", 1) > 1 else {})
            | trial["values"]
            | {key: trial[key] for key in ("best_epoch", "epochs", "parameters", "seconds", "status", "message")}
            for trial in [*self.ranked, *failed]
        ]
        return pd.DataFrame(rows)

    def retrain(self, data, epochs=None):
        """The best hyperparameters trained on train and validation together, for as many epochs as were best.

        Args:
            data: the `recipes.data.Data` that was searched on, with its splits in memory.
            epochs: another number of them.

        Returns:
            The trained model; it is saved as `retrained.keras` in the folder of the search.

        Raises:
            ValueError: if no trial was completed, or the data are read from disk while training.
        """
        best = self._best()
        arguments = network_of(best["values"])
        factory = recipes.get(best["values"].get("recipe", self.recipe))
        x, y = (np.concatenate(parts) for parts in zip(data.arrays("train"), data.arrays("validation"), strict=True))
        size, seed = best["values"]["batch_size"], self.settings.get("seed", 0)
        with seeded(seed):
            model = factory(**factory.recipe.sizes(data) | arguments, seed=seed)
            model.fit(x, y, batch_size=size, epochs=epochs or best["best_epoch"], verbose=0)
        save_model(model, Path(self.folder) / "retrained.keras")
        return model

    def write_report(self):
        """Writes `report.html`, one file that loads nothing, and the same as data, `report.json`, into the folder.

        Returns:
            The path of the HTML file.
        """
        from .report import write_search_report

        return write_search_report(self)

    def to_dict(self):
        """All of it as plain values, as `search.json` holds it."""
        return {**vars(self), "folder": str(self.folder)}

    @classmethod
    def load(cls, folder):
        """The result that an earlier search left in its folder."""
        values = json.loads((Path(folder) / "search.json").read_text(encoding="utf-8"))
        for trial in values.get("trials", ()):
            trial["curve"] = [float(score) for score in trial.get("curve") or ()]  # "NaN" among them
        return cls(**{**values, "folder": Path(folder)})

    def __repr__(self):
        best = f"best {self.objective} {self.best_score:.4g}" if self.ranked else "none completed"
        return f"<Search of {self.recipe} on {self.data}: {len(self.trials)} trials, {best}, in {self.folder}>"


def _spread(scores):
    """The standard deviation of what several seeds reached; None of one."""
    return float(np.std(scores, ddof=1)) if scores and len(scores) > 1 else None
