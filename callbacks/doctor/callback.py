"""The callback that watches a training and says what is wrong with it."""

import contextlib
import types
import warnings
from dataclasses import replace

import keras
import numpy as np
from keras import ops

from ..layers import layers_of
from ..logs import inner_optimizers
from .batch import best_constant
from .course import Course
from .culprit import find_culprit
from .findings import SEVERITIES, Finding, by_severity
from .looking import Looking
from .preflight import preflight
from .remedies import Trial, check_changes, prescribed, try_changes
from .rules import diagnose

ACTIONS = ("warn", "stop", "rollback")
#: After how many roll-backs training is stopped.
_ROLL_BACKS = 3
#: So many labels tell what a guess would cost.
_LABELS = 10_000


class TrainingDoctor(Looking):
    """Watches a training through a fixed batch, and says what is wrong, where, and what to do about it.

    Before the first step `preflight` looks at model and data; what is only unusual, such as a large learning rate,
    stays a note until the training shows a fault of its own. Then looks are taken after steps 1, 2, 4, 8, ..., each
    `every` steps and the last: at the gradient of each layer, how far one step moves its weights, dead and saturated
    units, and the first layer that is no longer finite. Rules judge these and the logs of the epochs. The training
    itself is untouched: its weights are the same to the last bit with the doctor and without.

    `fit` of a recipe's model shows this callback the data, which Keras does not; for any other model write
    `callbacks.fit(model, x, y, ...)` for `model.fit(x, y, ...)`. Looked at are 64 examples from everywhere in arrays
    and in the first batches of a `tf.data.Dataset` (of a copy without its shuffle, where one can be made), or a batch
    of a `PyDataset` or of the validation data. Nothing is taken where that would change what training gets: then give
    `probe=`. Without a probe the logs alone are judged. The weights at the last look are kept in memory: when a number
    is no longer finite, the data are searched for the rows that make it so with these weights.

    Args:
        action: What an error leads to: "warn" (it is told, as all findings are), "stop", or "rollback": weights and
            optimizer of the last good look come back and the learning rate is divided by 10, three times at most.
        every: Steps between looks.
        light: Looks at an eighth as many steps.
        probe: (x, y) or (x, y, sample_weight) of arrays to look at the model with.
        tell: Whether findings are warned of when they are found; notes are not.

    Attributes:
        findings: `Finding`s in the order in which they were made; each fault of a layer once, as it was at its gravest.
            Their number is in the logs as `findings`.
        culprit: The fewest rows found that make a number infinite or NaN, a `Culprit`; `culprit.save("rows.npz")` keeps
            them for `callbacks.replay`. None where there are none, or where the data cannot be read again.

    Raises:
        ValueError: A bad argument.
    """

    def __init__(self, action: str = "warn", *, every: int = 64, light: bool = False, probe=None, tell: bool = True):
        super().__init__(every, probe)
        if action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(map(repr, ACTIONS))}, got {action!r}")
        self.action, self.tell = action, tell
        self.every *= 8 if light else 1
        self.findings, self.course, self._call, self._within_fit = [], Course(), {}, False
        self.culprit = None

    def __deepcopy__(self, memo):  # a trial's own, before it has begun
        return type(self)(self.action, every=self.every, probe=self.batch, tell=self.tell)

    @contextlib.contextmanager
    def during_fit(self, model: keras.Model, call: dict):
        """Surrounds a call to `fit`, of which the data are looked at."""
        self._call, self._within_fit = dict(call), True
        try:
            with super().during_fit(model, call):
                yield
        finally:
            self._good, self._within_fit = None, False

    def try_remedy(self, finding: Finding | None = None, *, changes: dict | None = None, seed: int = 0) -> Trial:
        """Does the training anew with a remedy, to see whether that helps; this one and its model stay as they are.

        The new model begins anew, with the initial weights of the old one where their layers are the same; frozen
        layers keep theirs. A learning rate is looked for with `find_learning_rate`; that of the finding is taken where
        this gives no answer. No other callbacks take part.

        Args:
            finding: One of `findings`; by default the gravest for which there is a remedy.
            changes: What to try instead of the finding's remedy, in the same form.
            seed: For shuffles and dropout.

        Returns:
            A `Trial`, with both models' scores on the validation data (without any: on the training data).

        Raises:
            ValueError: There is nothing to try, a change is nothing of this training, the doctor was not shown the
                data, or the model is a class of one's own that cannot be made again.
        """
        if finding is None:
            grave = [one for one in by_severity(self.findings) if one.remedy]
            finding = grave[0] if grave else None
        given, changes = changes, changes or (finding.remedy if finding else None)
        if not changes:
            raise ValueError("there is nothing to try: no finding has a remedy; give changes=")
        if given:
            check_changes(self.model, changes)
        if not self._call:
            raise ValueError("the doctor was not shown the data: write callbacks.fit(model, ...) for model.fit")
        if not given:  # the same fault of all layers at once
            alike = [one.remedy for one in self.findings if one.code == finding.code]
            changes = {name: value for remedy in [*alike, changes] for name, value in remedy.items()}
        other = type(self)(every=self.every, tell=False)
        code = finding.code if finding else ""
        return try_changes(other, code, self.model, dict(changes), self._call, seed, not given)

    # ---- what Keras calls

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        recipe = getattr(self.model, "recipe", None) or {}
        settings = dict(recipe.get("arguments", {})) | dict(recipe.get("training", {}))
        self.findings, self._known, self._suspected, self.culprit = [], {}, [], None
        self.course = Course(
            self.looks, settings=settings, planned=self.params.get("epochs"), unscaled=_is_unscaled(self.model),
            game=len(inner_optimizers(self.model)) > 1,
            owners={metric.name: layer.name for layer in layers_of(self.model) for metric in layer._metrics},
        )  # fmt: skip
        self._good, self._rolled_back = None, 0
        if not self._within_fit:
            self._call = {}  # that of another training
        found = preflight(self.model, **self._shown())
        if all(finding.severity == "note" or finding.is_suspicion for finding in found):
            self._suspected = [finding for finding in found if finding.is_suspicion]
        self._take([replace(finding, severity="note") if finding in self._suspected else finding for finding in found])

    def _shown(self) -> dict:
        """What `preflight` is given of the call to `fit`."""
        call = self._call
        if not call:
            return {}
        train = call["x"] if call["y"] is None else (call["x"], call["y"])
        judge = call["validation_data"]
        return {
            "data": train if judge is None else types.SimpleNamespace(train=train, validation=judge),
            "callbacks": [c for c in keras.tree.flatten(call["callbacks"]) if c is not None],
            "batch_size": call["batch_size"],
            "validation_split": call["validation_split"] or 0.0,
        }

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.course.epochs.append({name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0})
        self._note_rate()
        self._judge()
        if logs is not None:
            logs["findings"] = len(self.findings)

    def on_train_end(self, logs=None):
        asked = self.course.planned
        self.course.ended = "early" if asked and len(self.course.epochs) < asked else "complete"
        self._judge()

    def get_state(self):
        """What was found, and the epochs; looks are taken anew."""
        findings = [vars(finding) for finding in self.findings]
        suspected = [vars(finding) for finding in self._suspected]
        return {"findings": findings, "suspected": suspected, "epochs": self.course.epochs, "steps": self._before}

    def set_state(self, state):
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self._suspected = [Finding(**finding) for finding in state["suspected"]]
        self._known = {_key(finding): _grave(finding) for finding in self.findings}
        self.course.epochs, self._before = list(state["epochs"]), state["steps"]

    # ---- looks

    def on_train_batch_begin(self, batch, logs=None):
        if self._probe is None and self.batch is not None and _is_built(self.model):
            self._remember(self._before + batch)  # the first step may ruin them
        super().on_train_batch_begin(batch, logs)

    def looked(self, look):
        if len(self.looks) == 1:
            self.course.guess = best_constant(self.model, self._labels())
        self.course.hidden = self._probe.hidden()
        self._note_rate()
        sick = any(finding.severity == "error" for finding in self._judge())
        if self.action == "rollback" and look.finite and not sick:
            self._good = [ops.convert_to_numpy(variable).copy() for variable in self._everything()]

    def _labels(self):
        """Of examples from everywhere, where `fit` was given them as an array; else of those looked at."""
        y = self._call.get("y")
        known = isinstance(y, np.ndarray) and y.dtype.kind in "biuf"
        return y[:: max(1, len(y) // _LABELS)] if known else self.batch[1]

    def moved(self, look):
        self._judge()

    def lost(self, look):
        bad = Finding(
            "not_finite",
            f"The loss of step {look.step} or one before it is not finite; that of the examples looked at is.",
            "error", None, "x", **self.course.now, confidence=0.9,
        )  # fmt: skip
        self._tell_of([bad])

    def _note_rate(self):
        for optimizer in inner_optimizers(self.model)[:1]:
            self.course.rates.append(float(ops.convert_to_numpy(optimizer.learning_rate)))

    def _judge(self) -> list[Finding]:
        found = diagnose(self.course)
        self._tell_of(found)
        return found

    def _tell_of(self, findings):
        self._take(prescribed(map(self._traced, self._fresh(findings)), self.model, self._call))

    def _fresh(self, findings) -> list[Finding]:
        return [finding for finding in findings if _grave(finding) > self._known.get(_key(finding), -1)]

    def _traced(self, finding) -> Finding:
        """With the rows of the data that did it, where a number is no longer finite."""
        if finding.code != "not_finite" or self.culprit is not None or not self._call or self._probe is None:
            return finding
        with contextlib.suppress(Exception):  # odd data, in which nothing can be found
            self.culprit = find_culprit(self._probe, self._call, finding.step)
        if (culprit := self.culprit) is None:
            return finding
        return replace(
            finding, message=f"{finding.message} {culprit}", layer=culprit.layer or finding.layer,
            evidence=finding.evidence | {"rows": culprit.rows},
            remedy={"x": "finite"} if culprit.part in ("x", "y") else finding.remedy,
        )  # fmt: skip

    def _take(self, findings):
        fresh = self._fresh(findings)
        if any(finding.severity != "note" for finding in fresh):  # which bears out what was suspected
            fresh += self._fresh(replace(finding, **self.course.now) for finding in self._suspected)
            self._suspected = []
        new = {_key(finding): _grave(finding) for finding in fresh}
        self.findings = [finding for finding in self.findings if _key(finding) not in new] + fresh
        self._known |= new
        for finding in by_severity(fresh):
            if self.tell and finding.severity != "note":
                warnings.warn(str(finding), RuntimeWarning, stacklevel=2)
        if any(finding.severity == "error" for finding in fresh):
            self._act()

    def _act(self):
        if self.action == "stop":
            self.model.stop_training = True
        elif self.action == "rollback" and self._good is not None:
            self._roll_back()

    def _roll_back(self):
        self._rolled_back += 1
        for variable, value in zip(self._everything(), self._good, strict=True):
            variable.assign(value)
        rates = [optimizer.learning_rate for optimizer in inner_optimizers(self.model)]
        plain = all(isinstance(rate, keras.Variable) for rate in rates)
        if not plain or self._rolled_back >= _ROLL_BACKS:
            self.model.stop_training = True
            return
        for rate in rates:
            rate.assign(rate / 10)
        self.looks.clear()
        self._known, self._unmoved = {}, False  # what is found again is told again
        self._bad, self._was_bad = False, True  # the mean over this epoch stays as it is

    def _everything(self):
        return [*self.model.variables, *self.model.optimizer.variables]


def _is_built(model) -> bool:
    return model.built and all(layer.built for layer in layers_of(model))


def _is_unscaled(model) -> bool:
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    return not scaled and any(layer.compute_dtype == "float16" for layer in layers_of(model))


def _key(finding) -> tuple:
    # Once a number is not finite, others follow in all layers.
    return finding.code, None if finding.code == "not_finite" else finding.layer


def _grave(finding) -> int:
    return SEVERITIES.index(finding.severity)
