"""Oracles of KerasTuner that propose from a model of what was tried: a Gaussian process, and Optuna's estimator."""

import warnings

import keras_tuner
import numpy as np
from scipy.stats import norm

#: Points among which the next one is chosen: anywhere, and near the best ones so far.
ANYWHERE, NEAR, BEST, RADIUS = 1500, 500, 5, 0.08


class GaussianProcess(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's Bayesian optimisation, which proposes no point again and takes a tenth of its time.

    The next point has the largest expected improvement (Jones et al., 1998, doi:10.1023/A:1008306431147) among many at
    random, whose values are such as a trial can have.
    """

    def _make_gpr(self):
        process = super()._make_gpr()
        process.n_restarts_optimizer = 2
        return process

    def populate_space(self, trial_id):
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(done) < self.num_initial_points:
            return self._random_populate_space()
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
    """Proposes where good trials are dense and bad ones are not (Bergstra et al., 2011; Optuna's `TPESampler`).

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
        sampler = optuna.samplers.TPESampler(seed=self.seed, multivariate=True, constant_liar=True)
        direction = {"min": "minimize", "max": "maximize"}[self.objective.direction]
        self.study = optuna.create_study(sampler=sampler, direction=direction)
        self.asked = {}

    def distributions(self):
        kinds = self.optuna.distributions
        found = {}
        for hp in self.hyperparameters.space:
            if not hasattr(hp, "min_value"):
                found[hp.name] = kinds.CategoricalDistribution(list(hp.values))
            elif isinstance(hp.default, int):
                log = hp.sampling == "log"
                found[hp.name] = kinds.IntDistribution(hp.min_value, hp.max_value, log=log)
            else:
                found[hp.name] = kinds.FloatDistribution(hp.min_value, hp.max_value, log=hp.sampling == "log")
        return found

    def populate_space(self, trial_id):
        distributions = self.distributions()
        for _ in range(self._max_collisions):
            asked = self.study.ask(distributions)
            values = {name: asked.params[name] for name in distributions}
            if not self._duplicate(values):
                self.asked[trial_id] = asked
                return {"status": "RUNNING", "values": values}
            self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)
        return {"status": "STOPPED"}

    def learn(self, trial):
        """Takes in a trial of an earlier search."""
        distributions = self.distributions()
        values = {name: trial.hyperparameters.values[name] for name in distributions}
        self.study.add_trial(
            self.optuna.trial.create_trial(params=values, distributions=distributions, value=trial.score)
        )

    @keras_tuner.synchronized
    def end_trial(self, trial):
        super().end_trial(trial)
        trial, asked = self.trials[trial.trial_id], self.asked.pop(trial.trial_id)
        if trial.status == "COMPLETED":
            self.study.tell(asked, trial.score)
        else:
            self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)
