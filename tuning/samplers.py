"""Oracles of KerasTuner that propose from a model of what was tried: a Gaussian process, and Optuna's estimator."""

import warnings

import keras_tuner
import numpy as np
from scipy.stats import norm

from .space import active

#: One point in so many is drawn at random.
AT_RANDOM = 4
#: Points among which the next one is chosen: anywhere, and near the best ones so far.
ANYWHERE, NEAR, BEST, RADIUS = 1500, 500, 5, 0.08


def defaults(hyperparameters):
    """The default of each hyperparameter whose conditions are met; of an integer the nearest one that it can be."""
    return {
        hp.name: hp.prob_to_value(hp.value_to_prob(hp.default)) if isinstance(hp.default, int) else hp.default
        for hp in active(hyperparameters)
    }


class GaussianProcess(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's Bayesian optimisation, which proposes no point again and takes a tenth of its time.

    Where nothing is known yet, the first point is that of the defaults, and some come at random. Each further one has
    the largest expected improvement (Jones et al., 1998, doi:10.1023/A:1008306431147) among many at random, whose
    values are such as a trial can have.
    """

    def _make_gpr(self):
        process = super()._make_gpr()
        process.n_restarts_optimizer = 2
        return process

    def populate_space(self, trial_id):
        if not self.trials:
            values = defaults(self.hyperparameters)
            self._duplicate(values)  # it is known from now on
            return {"status": "RUNNING", "values": values}
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        early = len(done) < self.num_initial_points
        # A process that is wrong about where the best is would look there for ever.
        if early or len(self.trials) % AT_RANDOM == AT_RANDOM - 1:
            drawn = self._random_populate_space()
            if early or drawn["status"] == "RUNNING":  # it has not only met with what was tried
                return drawn
        with warnings.catch_warnings():
            # The fit tells of length scales at their bound; nothing follows from it.
            warnings.filterwarnings("ignore", module="sklearn.gaussian_process")
            x, y = (np.nan_to_num(values, posinf=0, neginf=0) for values in self._vectorize_trials())
            self.gpr.fit(x, y)
            points = self._points(x[np.argsort(y)[:BEST]])
            mean, deviation = self.gpr.predict(points, return_std=True)
        ahead = y.min() - mean
        z = ahead / np.maximum(deviation, 1e-12)
        expected = ahead * norm.cdf(z) + deviation * norm.pdf(z)
        for index in np.argsort(-expected):
            values = self._vector_to_values(points[index])
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return self._random_populate_space()

    def _points(self, best):
        rng = np.random.default_rng([self.seed, len(self.trials)])
        near = best[rng.integers(len(best), size=NEAR)] + rng.normal(scale=RADIUS, size=(NEAR, best.shape[1]))
        points = np.concatenate([rng.uniform(size=(ANYWHERE, best.shape[1])), near]).clip(0, 1)
        for column, hp in enumerate(self._nonfixed_space()):
            points[:, column] = [hp.value_to_prob(hp.prob_to_value(place)) for place in points[:, column]]
        return points


class TreeParzen(keras_tuner.Oracle):
    """Proposes where good trials are dense and bad ones are not (Bergstra et al., 2011; Optuna's `TPESampler`); where
    nothing is known yet, the defaults.

    Raises:
        ImportError: without Optuna.
    """

    def __init__(self, **settings):
        super().__init__(**settings)
        try:
            import optuna
        except ImportError:
            raise ImportError("algorithm='tpe' needs Optuna: pip install keras-cookbook[optuna]") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=self.seed, multivariate=True, group=True, constant_liar=True)
        direction = {"min": "minimize", "max": "maximize"}[self.objective.direction]
        self.study = optuna.create_study(sampler=sampler, direction=direction)
        self.asked = {}

    def distribution(self, hp):
        kinds = self.optuna.distributions
        if not hasattr(hp, "min_value"):
            return kinds.CategoricalDistribution(list(hp.values))
        kind = kinds.IntDistribution if isinstance(hp.default, int) else kinds.FloatDistribution
        return kind(hp.min_value, hp.max_value, log=hp.sampling == "log")

    def suggested(self, asked):
        """Values of those hyperparameters whose conditions are met by the ones before."""
        hps = self.hyperparameters.copy()
        hps.values = {}
        for hp in hps.space:
            if hps.is_active(hp):
                kind = self.distribution(hp)
                if hasattr(kind, "choices"):
                    hps.values[hp.name] = asked.suggest_categorical(hp.name, kind.choices)
                else:
                    suggest = asked.suggest_int if isinstance(hp.default, int) else asked.suggest_float
                    hps.values[hp.name] = suggest(hp.name, kind.low, kind.high, log=kind.log)
        return hps.values

    def populate_space(self, trial_id):
        if not self.trials:
            self.study.enqueue_trial(defaults(self.hyperparameters))
        for _ in range(self._max_collisions):
            asked = self.study.ask()
            values = self.suggested(asked)
            if not self._duplicate(values):
                self.asked[trial_id] = asked
                return {"status": "RUNNING", "values": values}
            self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)
        # It proposes what it likes again and again: any other point will do.
        values = self._random_values()
        if values is None:
            return {"status": "STOPPED"}
        self.study.enqueue_trial(values)
        self.asked[trial_id] = self.study.ask()
        return {"status": "RUNNING", "values": self.suggested(self.asked[trial_id])}

    def learn(self, trial):
        """Takes in a trial of an earlier search."""
        kinds = {hp.name: self.distribution(hp) for hp in active(trial.hyperparameters)}
        values = {name: trial.hyperparameters.values[name] for name in kinds}
        self.study.add_trial(self.optuna.trial.create_trial(params=values, distributions=kinds, value=trial.score))

    @keras_tuner.synchronized
    def end_trial(self, trial):
        super().end_trial(trial)
        trial, asked = self.trials[trial.trial_id], self.asked.pop(trial.trial_id)
        if trial.status == "COMPLETED":
            self.study.tell(asked, trial.score)
        else:
            self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)
