"""The rows of the data that make a network's numbers infinite or NaN, and another look at them."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ..checkpoint import _replacing
from ..report.splits import array
from .observation import Observation
from .preflight import reading
from .probe import Probe

#: Seconds that each of two passes over the data may take.
_SECONDS = 10
#: Rows that are kept at most, and rows that are read at once in the first pass.
_MOST_ROWS, _SLICE = 64, 4096
#: Where more than this share of the batches does it, or so many, it is no single row that is odd.
_MANY, _MOST_SLICES = 0.25, 16
#: So many pieces are made of few rows, so that some can be told from most.
_PIECES = 16
_PARTS = ("x", "y", "sample_weight")


@dataclass(frozen=True, eq=False)
class Culprit:
    """Rows of the training data that make numbers of a network infinite or NaN.

    Attributes:
        x, y, sample_weight: The rows: arrays, or structures of arrays; y and sample_weight may be None.
        rows: Their indices in the data, in the order that these have without being shuffled.
        step: The training step after which a number was no longer finite.
        weights: The trainable weights with which these rows do it, as arrays; None where all were lost already.
        seen: The step whose weights these are, or None.
        part: "x", "y" or "sample_weight" where that holds NaN or infinity itself, else None.
        layer: The first layer whose answer is not finite, else that whose gradient is not; None for the loss.
        forward: Whether it is the answer.
    """

    x: object
    y: object
    sample_weight: object
    rows: list
    step: int
    weights: list | None = None
    seen: int | None = None
    part: str | None = None
    layer: str | None = None
    forward: bool = False

    def __str__(self):
        named = ", ".join(map(str, self.rows[:5])) + (", ..." if len(self.rows) > 5 else "")
        rows = f"row {named}" if len(self.rows) == 1 else f"rows {named}"
        if self.part:
            return f"{self.part} holds NaN or infinity in {rows} of the training data."
        what = f"the {'answer' if self.forward else 'gradient'} of {self.layer!r}" if self.layer else "the loss"
        return f"With the weights of step {self.seen}, {what} is not finite for {rows} of the training data."

    def save(self, path: str | os.PathLike) -> Path:
        """Writes rows and weights to an `.npz` file, atomically; `replay` reads it.

        Raises:
            ValueError: `path` does not end in `.npz`.
            OSError: The file could not be written; an earlier one is untouched.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"the path of a culprit must end in .npz, got {str(path)!r}")
        known = {name: getattr(self, name) for name in ("rows", "step", "seen", "part", "layer", "forward")}
        arrays = {f"weights_{number}": weight for number, weight in enumerate(self.weights or ())}
        for name in _PARTS:
            value = getattr(self, name)
            known[name] = None if value is None else isinstance(value, list | tuple)
            if isinstance(value, dict):
                known[name] = list(value)
            flat = value.values() if isinstance(value, dict) else [] if value is None else keras.tree.flatten(value)
            arrays |= {f"{name}_{number}": part for number, part in enumerate(flat)}
        with _replacing(path, "rows") as unfinished:
            np.savez_compressed(unfinished, known=np.array(json.dumps(known)), **arrays)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Culprit":
        """Reads what `save` has written."""
        with np.load(path) as file:
            known = json.loads(str(file["known"]))

            def numbered(name):
                count = sum(key.rpartition("_")[0] == name for key in file.files)
                return [file[f"{name}_{number}"] for number in range(count)]

            for name in _PARTS:
                form, flat = known[name], numbered(name)
                if isinstance(form, list):
                    known[name] = dict(zip(form, flat, strict=True))
                else:
                    known[name] = None if form is None else flat if form else flat[0]
            return cls(weights=numbered("weights") or None, **known)


def replay(model: keras.Model, culprit: Culprit | str | os.PathLike) -> Observation:
    """Looks at a model through the rows that made its numbers infinite or NaN; the model stays as it is.

    Args:
        model: Of the same make as the one that was trained, compiled.
        culprit: `doctor.culprit`, or the file that its `save` has written.

    Returns:
        The look, with the loss, the gradients by layer, and in `broken` the layers whose answer is not finite, in the
        order in which they were computed.

    Raises:
        ValueError: The weights are those of another model.
    """
    culprit = culprit if isinstance(culprit, Culprit) else Culprit.load(culprit)
    probe = Probe(model, (culprit.x, culprit.y, culprit.sample_weight))
    if culprit.weights is not None:
        shapes = [[tuple(weight.shape) for weight in weights] for weights in (probe.trainable, culprit.weights)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"model must be made as the one that was trained; got {model.name!r}, of other weights")
    return probe(culprit.step if culprit.seen is None else culprit.seen, 0, culprit.weights)


def find_culprit(probe: Probe, call: dict, step: int) -> Culprit | None:
    """Searches the data of `fit` for the fewest rows that make numbers infinite or NaN; None where there are none, or
    where reading the data would leave a trace.

    Args:
        probe: Of the model; with the weights of a step at which all was well.
        call: The arguments of `fit` by name.
        step: That after which a number was no longer finite.
    """
    with reading.undisturbed():
        return _holed(probe, call, step) or _overflowing(probe, call, step)


def _holed(probe, call, step):
    """Rows that hold NaN or infinity themselves."""
    until = time.monotonic() + _SECONDS
    for index, parts in _slices(call, _SLICE):
        for name, part in zip(_PARTS, parts, strict=True):
            bad = np.zeros(len(index), bool)
            for leaf in keras.tree.flatten(part):
                if leaf is not None and leaf.dtype.kind == "f" and not np.isfinite(leaf.sum()):
                    bad |= ~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
            if bad.any():
                chosen = np.flatnonzero(bad)[:_MOST_ROWS]
                culprit = _judged(probe, _taken(parts, chosen), index[chosen], step, name)
                if culprit:  # a network may well be made for it
                    return culprit
        if time.monotonic() > until:
            break
    return None


def _overflowing(probe, call, step):
    """Rows that a network which is well otherwise has no finite answer or gradient for."""
    if probe.good is None:
        return None
    size, until = len(keras.tree.flatten(probe.batch)[0]), time.monotonic() + _SECONDS
    bad, count = [], 0
    for index, parts in _slices(call, size, _PIECES):
        count += 1
        if not _fine(probe, parts, np.arange(len(index))):
            bad.append((index, parts))
        if time.monotonic() > until or len(bad) > _MOST_SLICES:
            break
    if not bad or len(bad) > max(1, _MANY * count):
        return None  # weights that are large already make any row overflow
    index, parts = bad[0]
    chosen = _fewest(probe, parts, np.arange(len(index)))
    return _judged(probe, _taken(parts, chosen), index[chosen], step)


def _fewest(probe, parts, chosen):
    """The smallest half of halves that does it alone."""
    while len(chosen) > 1:
        middle = len(chosen) // 2
        half = next((h for h in (chosen[:middle], chosen[middle:]) if not _fine(probe, parts, h)), None)
        if half is None:
            break
        chosen = half
    return chosen


def _fine(probe, parts, chosen) -> bool:
    return _look(probe, _taken(parts, chosen)).finite


def _look(probe, parts) -> Observation:
    """A look through these rows, over and over until there are as many as in the batch that the look is made for."""
    size, count = (len(keras.tree.flatten(batch)[0]) for batch in (probe.batch, parts))
    return probe(0, 0, probe.good[1], _taken(parts, np.resize(np.arange(count), size)))


def _judged(probe, parts, rows, step, part=None) -> Culprit | None:
    rows = [int(row) for row in rows]
    if probe.good is None:
        return Culprit(*parts, rows, step, part=part)
    look = _look(probe, parts)
    if look.finite:
        return None
    steep = [name for name, norm in look.gradients.items() if not np.isfinite(norm)]
    layer = look.broken[0] if look.broken else steep[-1] if steep and np.isfinite(look.loss) else None
    return Culprit(*parts, rows, step, probe.good[1], probe.good[0], part, layer, bool(look.broken))


def _slices(call, size, pieces=1):
    """The training data in order: indices, and a tuple of x, y and sample_weight, at most so many rows at once, and of
    arrays in so many pieces at least."""
    x = call["x"]
    if all(hasattr(part, "shape") for part in keras.tree.flatten(x)):  # no data set has one
        parts = tuple(_arrays(call[name]) for name in _PARTS)
        count = int(len(keras.tree.flatten(parts[0])[0]) * (1 - (call.get("validation_split") or 0)))
        batches, size = [parts], max(1, min(size, count // pieces))
    elif hasattr(x, "__next__"):
        return
    else:
        source = reading.without_shuffle(x)[0] if hasattr(x, "element_spec") else x
        batches, count = () if source is None else reading.batches(source), None
    start = 0
    for batch in batches:
        given = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
        parts = tuple(map(_arrays, given))
        rows = len(keras.tree.flatten(parts[0])[0]) if count is None else count
        for low in range(0, rows, size):
            index = np.arange(low, min(low + size, rows))
            yield start + index, _taken(parts, index)
        start += rows


def _arrays(part):
    return None if part is None else keras.tree.map_structure(array, part)


def _taken(parts, index) -> tuple:
    return tuple(None if p is None else keras.tree.map_structure(lambda leaf: leaf[index], p) for p in parts)
