"""What a search found."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from keras_cookbook import recipes


def run_folder(recipe, data):
    """Where a run goes that is told no folder: a new one in `runs`."""
    data = "".join(c if c.isalnum() or c in "-_" else "-" for c in data)
    return Path("runs", f"{recipe}-{data}-{time.strftime('%Y%m%d-%H%M%S')}")


@dataclass
class Search:
    """The result of `tuning.search`.

    Attributes:
        recipe: name of the recipe.
        data: name of the data set.
        objective: name of the log that was improved, such as "val_accuracy".
        direction: "max" or "min".
        folder: where the files are: `best.keras`, and `search.json` with all that is here.
        trials: a dict for each trial, in the order they ran: `trial`, `status` ("completed" or "failed"), `score`,
            `values` (hyperparameters), `logs` (of its best epoch), `best_epoch`, `epochs`, `parameters`, `seconds`,
            `message`.
        ended: why the search ended.
    """

    recipe: str
    data: str
    objective: str
    direction: str
    folder: Path
    trials: list = field(default_factory=list)
    ended: str = ""

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
            | trial["values"]
            | {key: trial[key] for key in ("best_epoch", "epochs", "parameters", "seconds", "status", "message")}
            for trial in [*self.ranked, *failed]
        ]
        return pd.DataFrame(rows)

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
        return cls(**{**values, "folder": Path(folder)})

    def __repr__(self):
        best = f"best {self.objective} {self.best_score:.4g}" if self.ranked else "none completed"
        return f"<Search of {self.recipe} on {self.data}: {len(self.trials)} trials, {best}, in {self.folder}>"
