"""The same training anew with a remedy, and what that made better."""

import contextlib
from dataclasses import dataclass, field

import keras
import numpy as np

from ...finders.learning_rate import find_learning_rate
from ...fit import fit
from ...report.splits import read
from ...report.tasks import TASKS, in_one_form, predict, task_of
from ...resume.randomness import seeded
from ..preflight.losses import is_one_hot
from .changes import OF_FIT, again, grouped
from .prescriptions import highest_rate


@dataclass(frozen=True)
class Trial:
    """A training that was done anew.

    Attributes:
        code: The finding that was to be cured.
        changes: What was changed, by name.
        measure: "accuracy", "r2" (share of the labels' variance explained) or "loss", on the validation data where
            there are any, else on the training data.
        before, after: The measure of the two models; NaN where a model could not answer.
        findings: What the doctor found in the new training.
        model: The new model, trained.
    """

    code: str
    changes: dict
    measure: str
    before: float
    after: float
    findings: list = field(repr=False)
    model: keras.Model = field(repr=False)

    @property
    def cured(self) -> bool:
        """Whether the finding is gone and the measure is no worse."""
        gone = self.code not in {finding.code for finding in self.findings}
        better = self.after <= self.before if self.measure == "loss" else self.after >= self.before
        return gone and (better or (np.isnan(self.before) and not np.isnan(self.after)))

    def __str__(self):
        told = ", ".join(f"{name}={value!r}" for name, value in grouped(self.changes))
        verdict = "cured" if self.cured else "not cured"
        return f"With {told}: {self.measure} {self.after:.4g}, before {self.before:.4g}; {self.code} is {verdict}."


def try_changes(doctor, code: str, model, changes: dict, call: dict, seed: int, looks_for_rate: bool) -> Trial:
    """Trains the model anew with the changes.

    Args:
        doctor: A fresh `TrainingDoctor` for the new training.
        code: That of the finding.
        model: The model that was found sick, as its training left it.
        changes: As `prescribe` gives them.
        call: The arguments of `fit` of the sick training by name.
        seed: For shuffles and dropout of the new training.
        looks_for_rate: Whether a learning rate among the changes is only what to fall back on, where
            `find_learning_rate` gives no answer.
    """
    with seeded(seed):
        data = _Data(call, changes)
        new = again(model, changes, data.x)
        if looks_for_rate and "learning_rate" in changes and (rate := _rate(new, data, call)):
            changes = changes | {"learning_rate": rate}
            new = again(model, changes, data.x)
        batch = {name: value for name, value in changes.items() if name in OF_FIT}
        fit(new, **data.arguments(batch), verbose=0, callbacks=[doctor])
        measure, (before, after) = _measured([model, new], data)
    return Trial(code, changes, measure, before, after, doctor.findings, new)


def _rate(model, data, call) -> float | None:
    with contextlib.suppress(Exception):  # data that it cannot read
        found = find_learning_rate(model, data.x, data.y, batch_size=call["batch_size"] or 32)
        return found.suggestion and min(float(f"{found.suggestion:.2g}"), highest_rate(model))
    return None


class _Data:
    """The data of a call to `fit`, with changes.

    Attributes:
        x: What `fit` is given.
        judge: The rows that models are measured on.
        answer: Brings the new model's answers to the scale of the labels.
    """

    def __init__(self, call, changes):
        self.call, self.answer = call, lambda answers: answers
        self.x, self.y = call["x"], call["y"]
        self.judge = call["validation_data"]
        if self.judge is None and call["validation_split"] and "shuffle" not in changes:
            rows = int(len(self.x) * (1 - call["validation_split"]))
            self.judge = self.x[rows:], self.y[rows:]
            self._keep(slice(rows))
        if {"x", "y", "shuffle"} & {*changes}:
            self._change(changes)
        self.rows = read(self.judge if self.judge is not None else self._pair(), "given", 10_000)
        if changes.get("y") == "standardized":
            mean, deviation = float(np.mean(self.y)), float(np.std(self.y)) or 1.0
            self.y = (np.asarray(self.y, "float32") - mean) / deviation
            self.judge = None
            self.answer = lambda answers: answers * deviation + mean

    def _pair(self):
        return self.x if self.y is None else (self.x, self.y)

    def _change(self, changes):
        if not hasattr(self.x, "shape"):
            raise ValueError(f"{', '.join(changes)} changes the data, which must be arrays for that")
        if changes.get("x") == "finite":
            fine = np.isfinite(self.x).reshape(len(self.x), -1).all(axis=1)
            fine &= True if self.y is None else np.isfinite(self.y).reshape(len(self.y), -1).all(axis=1)
            self._keep(fine)
        if changes.get("y") == "from 0":
            judged = isinstance(self.judge, tuple)
            classes = np.union1d(self.y, self.judge[1] if judged else self.y)
            self.y = np.searchsorted(classes, self.y)
            if judged:
                self.judge = self.judge[0], np.searchsorted(classes, self.judge[1])
        if changes.get("shuffle"):
            order = np.random.default_rng(0).permutation(len(self.x))
            rows = int(len(order) * (1 - (self.call["validation_split"] or 0)))
            train, held = order[:rows], order[rows:]
            if len(held):
                self.judge = self.x[held], self.y[held]
            self._keep(train)

    def _keep(self, rows):
        """Of the training data these rows alone."""
        self.x, self.y = self.x[rows], None if self.y is None else self.y[rows]
        if self.call["sample_weight"] is not None:
            self.call = {**self.call, "sample_weight": np.asarray(self.call["sample_weight"])[rows]}

    def arguments(self, changes: dict) -> dict:
        names = ("batch_size", "epochs", "class_weight", "sample_weight", "shuffle", "steps_per_epoch")
        call = {name: self.call[name] for name in names} | changes
        if call["class_weight"] == "balanced":
            call["class_weight"] = self._balanced()
        return call | {"x": self.x, "y": self.y, "validation_data": self.judge}

    def _balanced(self) -> dict:
        """Class -> its weight, by which each class counts alike."""
        from sklearn.utils.class_weight import compute_class_weight

        y = read(self._pair(), "given").y  # labels may come in batches with x
        y = y.argmax(axis=-1) if np.ndim(y) == 2 and is_one_hot(y) else np.squeeze(y) if np.ndim(y) == 2 else y
        if y is None or not hasattr(y, "ndim") or y.ndim != 1:
            raise ValueError("class_weight='balanced' needs one class for each example")
        classes = np.unique(y)
        weights = compute_class_weight("balanced", classes=classes, y=y)
        return dict(zip(classes.astype(int).tolist(), weights.tolist(), strict=True))


def score(model, x, y) -> float:
    """Accuracy for classes, else the share of the labels' variance that is explained; NaN where nothing can be told.

    Args:
        x, y: Arrays.
    """
    rows = read((x, y), "given")
    answers = _answers(model, rows)
    return _score(model, task_of(model, None, rows.y, answers), rows.y, answers)


def _measured(models, data):
    """What models are measured by, and each one's number."""
    rows = data.rows
    if rows.y is None or not hasattr(rows.y, "shape"):
        return "loss", [float(model.evaluate(rows.x, rows.y, verbose=0, return_dict=True)["loss"]) for model in models]
    before, after = (_answers(model, rows) for model in models)
    after = data.answer(after)
    task = task_of(models[1], None, rows.y, after)
    scores = [_score(model, task, rows.y, one) for model, one in zip(models, (before, after), strict=True)]
    return "accuracy" if task in TASKS[:3] else "r2", scores


def _answers(model, rows):
    try:
        return predict(model, rows)
    except Exception:  # a model that never ran need not be able to
        return np.full((len(rows), 1), np.nan)


def _score(model, task, labels, answers) -> float:
    if not np.isfinite(answers).all():
        return float("nan")
    try:
        labels, answers, _ = in_one_form(model, task or "regression", labels, answers)
    except ValueError:
        return float("nan")
    if task in ("binary", "multiclass"):
        return float(np.mean(answers.argmax(axis=1) == labels))
    if task == "multilabel":
        return float(np.mean((answers > 0.5) == (labels > 0.5)))
    spread = np.square(labels - labels.mean(axis=0)).sum()
    return float(1 - np.square(labels - answers).sum() / spread) if spread else float("nan")
