"""What to try next: KerasTuner's oracles, and Optuna's sampler, asked and answered in an order that can be repeated."""

import tempfile

import keras_tuner
from keras_tuner.engine.trial import Trial

from keras_cookbook.recipes._kinds import nearest

from .samplers import GaussianProcess, TreeParzen

ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "halving": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": GaussianProcess,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
    "tpe": TreeParzen,
}
#: Those that learn from trials of earlier searches, or need not try these again.
WARM_START = ("random", "halving", "bayesian", "tpe")


class Proposals:
    """Hyperparameters for one trial after the other.

    An oracle's proposals follow from its seed and from what it was asked and told before, in that order: to ask and
    tell the same again brings one back to where it was.
    """

    def __init__(self, oracle, space):
        self.oracle, self.space, self.trials = oracle, space, {}
        # Oracles write files, which a kill can tear: nothing is read from them.
        self.aside = tempfile.TemporaryDirectory()
        oracle._set_project_dir(self.aside.name, "oracle")
        oracle.verbose = 0

    def begin(self, number: int):
        """Hyperparameters by name, and what Hyperband adds ("epochs", "initial_epoch", "trial_id"); or "IDLE" while it
        waits for a trial that runs, or "STOPPED" when there is nothing left to try."""
        trial = self.oracle.create_trial(str(number))
        if trial.status != "RUNNING":
            return trial.status
        self.trials[number] = trial
        chosen = trial.hyperparameters.values
        halving = {name.removeprefix("tuner/"): chosen[name] for name in chosen if name.startswith("tuner/")}
        if earlier := halving.get("trial_id"):
            halving["trial_id"] = next(n for n, other in self.trials.items() if other.trial_id == earlier)
        return self.space.values(trial.hyperparameters), halving

    def end(self, number: int, score: float | None):
        """Tells how good a trial was; None if it failed."""
        trial = self.trials[number]
        trial.status = "FAILED" if score is None else "COMPLETED"
        if score is not None:
            self.oracle.update_trial(trial.trial_id, {self.oracle.objective.name: score})
        self.oracle.end_trial(trial)

    def repeat(self, found):
        """Asks and tells again what an interrupted search did.

        Raises:
            RuntimeError: the proposals differ from those of then.
        """
        for event, number in found.events:
            record = found.trial(number)
            if event == "end":
                self.end(number, record["score"])
                continue
            again = self.begin(number)
            if isinstance(again, str) or not alike(again[0], record["values"]):
                raise RuntimeError(
                    f"this search cannot go on: trial {number} had {record['values']}, and would now be "
                    f"{again}. Has another version of KerasTuner or Optuna been installed since?"
                )

    def learn(self, earlier: list):
        """Takes in trials of earlier searches, as records; how many of them lie in this space."""
        count = 0
        for record in earlier:
            own = None if record["score"] is None else self.space.taken_in(record["values"])
            if own is None:
                continue
            trial = Trial(own, trial_id=f"earlier-{count}", status="COMPLETED")
            trial.score, trial.best_step = record["score"], 0
            self.oracle.trials[trial.trial_id] = trial
            self.oracle._record_values(trial)
            if hasattr(self.oracle, "learn"):
                self.oracle.learn(trial)
            count += 1
        return count


def alike(a, b):
    """Whether hyperparameters are the same, but for the last digits of numbers."""

    def same(x, y):
        if isinstance(x, float) and isinstance(y, int | float):
            return abs(x - y) <= 1e-6 * max(abs(x), abs(y))
        return x == y

    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)


def build_oracle(algorithm, objective, max_trials, seed, space):
    if algorithm not in ORACLES:
        known = ", ".join(map(repr, ORACLES))
        raise ValueError(f"algorithm must be one of {known}, not {algorithm!r}.{nearest(algorithm, ORACLES)}")
    if not space.names:
        raise ValueError("every argument is fixed, so there is nothing to search.")
    kind, settings = ORACLES[algorithm], {"max_trials": None}  # the loop counts them
    if algorithm == "bayesian":
        # KerasTuner draws three points a dimension at random first, which is most of a short search.
        settings["num_initial_points"] = max(2, min(len(space.names) + 1, (max_trials or 100) // 3))
    if algorithm == "hyperband":
        if "epochs" in space.names:
            raise ValueError(
                "algorithm='hyperband' chooses the epochs itself; fix epochs= at the most that a trial may run."
            )
        settings = {"max_epochs": space.epochs}
    return kind(
        objective=objective,
        hyperparameters=space.hyperparameters(),
        allow_new_entries=False,
        tune_new_entries=False,
        seed=seed + 1,  # KerasTuner takes 0 for none
        max_consecutive_failed_trials=2**31,  # the loop counts them
        **settings,
    )
