"""What the examples tell of faults: their numbers, how many there are of each class, and which are in two splits."""

import itertools

import numpy as np
from keras import ops

from ..findings import Finding
from .graph import PRODUCTS, RECURRENT, SHAPERS
from .network import remedy

# LeCun et al. (1998) want inputs near mean 0 and deviation 1; twenty times that is no accident of the data.
_LARGE_INPUT = 20
# What lies beyond is infinite in half precision.
_FLOAT16 = 65_504
# Above a thousand the small feature's share of a sum is below the noise of the large one's.
_SCALES_APART = 1000
# What Rescaling(1/255) makes of numbers that it was not meant for: pixels between 0 and 255 reach 1.
_SMALL_INPUT = 0.05
# A table has fewer columns than the smallest image has pixels (8 by 8); of images some pixels never change.
_TABLE_COLUMNS = 64
# Buda et al. (2018) see accuracy fall from about 1:10 to 1:20 on.
_IMBALANCED = 1 / 20
# With more classes than that, some are rare by nature, and some may be missing: words, species.
_FEW_CLASSES, _MANY_CLASSES = 10, 100
# With fewer examples for each class than that, chance alone leaves some out.
_ROWS_PER_CLASS = 5
_LEAST_ROWS = 20
# One row in a hundred that is in two splits shifts a score by up to a point.
_SHARED, _LEAST_SHARED = 0.01, 3

_HANDLES = ("Normalization", "Standardization")


def look(model, graph, samples, goal, validation_split=0.0):
    """Pairs of a check and its arguments, for whoever calls them."""
    for sample in samples.values():
        yield not_finite_input, (sample,)
    first = samples.get("train") or next(iter(samples.values()), None)
    if first is None:
        return
    for place, values in zip(graph.inputs, _ordered(first, graph.inputs), strict=False):
        yield input_scale, (model, place, values)
        yield constant_feature, (place, values)
    yield same_rows, (samples,)
    if goal is None or goal.kind not in ("sparse", "categorical", "binary") or goal.y is None:
        return
    yield imbalance, (goal, first)
    yield missing_class, (goal, first, samples.get("validation"))
    yield sorted_labels, (goal, first, validation_split)


def is_number(values) -> bool:
    return values.dtype.kind in "biuf"


def _ordered(sample, inputs) -> list:
    """The arrays of x in the order of the model's inputs; none where they do not match."""
    if len(sample.x) != max(1, len(inputs)):
        return []
    if sample.names and len(inputs) > 1:
        by_name = dict(zip(sample.names, sample.x, strict=True))
        return [by_name[place.name] for place in inputs] if {p.name for p in inputs} == set(by_name) else []
    return sample.x


def not_finite_input(sample):
    labels = [] if sample.all_y is None else [sample.all_y] if isinstance(sample.all_y, np.ndarray) else []
    for name, values in [*(("x", part) for part in sample.all_x), *(("y", part) for part in labels)]:
        if values.dtype.kind != "f" or np.isfinite(values.sum()):
            continue
        bad = ~np.isfinite(values)
        if bad.any():
            rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
            yield Finding(
                "not_finite_input",
                f"{name} of {sample.name} holds {bad.sum()} values that are NaN or infinite, in {len(rows)} of "
                f"{len(values)} examples, the first at index {rows[0]}.",
                "error", argument=name, confidence=0.97,
                evidence={"values": int(bad.sum()), "examples": len(rows), "first": int(rows[0])},
            )  # fmt: skip


def entrances(place, scale=1.0, offset=0.0, rescaled=None):
    """The first places that change an input, each with the factor and the offset that it has come by before."""
    users = place.users if place.kind == "InputLayer" else [place]
    for user in users:
        if user.kind == "Rescaling" and np.isscalar(user.layer.scale) and np.isscalar(user.layer.offset):
            factor, shift = float(user.layer.scale), float(user.layer.offset)
            for behind in user.users:
                yield from entrances(behind, scale * factor, offset * factor + shift, user.name)
        elif user.kind in (*SHAPERS, "Concatenate") or "Pooling" in user.kind:
            for behind in user.users:
                yield from entrances(behind, scale, offset, rescaled)
        else:
            yield user, scale, offset, rescaled


def input_scale(model, place, values):
    """Both inputs that nothing scales and those that are scaled twice."""
    if not is_number(values) or not values.size:
        return
    values = values.astype("float64")
    for user, scale, offset, rescaled in entrances(place):
        largest = float(np.abs(values).max())
        twice = rescaled and 0 < largest * abs(scale) < _SMALL_INPUT
        if twice and not any(word in user.kind for word in _HANDLES):
            yield Finding(
                "scaled_twice",
                f"The inputs lie between {values.min():g} and {values.max():g}, and {rescaled!r} multiplies them by "
                f"{scale:.3g} once more.",
                "warning", rescaled, "scale", confidence=0.9, evidence={"largest": largest, "scale": scale},
                remedy=remedy(model, rescale=False),
            )  # fmt: skip
            return
        idle = _is_idle(user)
        if user.kind in (*PRODUCTS, *RECURRENT) or idle:
            yield from _unscaled(model, user, values * scale + offset, idle)
            return


def _is_idle(place) -> bool:
    """Whether a layer normalizes with numbers that it has not learnt yet."""
    layer = place.layer
    if place.kind != "Normalization" or getattr(layer, "input_mean", None) is not None:
        return False
    mean, variance = (ops.convert_to_numpy(getattr(layer, name)) for name in ("adapt_mean", "adapt_variance"))
    return bool((mean == 0).all() and (variance == 1).all())


def _unscaled(model, place, values, idle):
    table = values.ndim == 2
    finite = np.where(np.isfinite(values), values, 0)
    mean, deviation = (np.atleast_1d(f(finite, axis=0 if table else None)) for f in (np.mean, np.std))
    worst = int(np.argmax(np.maximum(np.abs(mean), deviation)))
    size = max(abs(mean[worst]), deviation[worst])
    where = f"Feature {worst}" if table and len(mean) > 1 else "The input"
    # A layer whose answers are normalized does not mind; nor do gradients of what has no scale.
    normal = not idle and len(place.users) == 1 and place.users[0].kind == "BatchNormalization"
    told = f"{place.name!r} was not adapted to that" if idle else f"goes into {place.name!r} as it is"
    largest = float(np.abs(finite).max())
    if largest > _FLOAT16 and place.layer.compute_dtype == "float16":
        yield Finding(
            "input_scale", f"The input reaches {largest:.4g}, which is infinite in float16, and {told}.",
            "error", place.name, "x", confidence=0.95, evidence={"largest": largest},
            remedy=remedy(model, rescale=True),
        )  # fmt: skip
        return
    if size > _LARGE_INPUT:
        pixels = values.min() >= 0 and 100 < values.max() <= 255
        yield Finding(
            "input_scale",
            f"{where} has mean {mean[worst]:.4g} and deviation {deviation[worst]:.4g}, and {told}.",
            "note" if normal else "warning", place.name, "x", confidence=0.85 if pixels else 0.7,
            evidence={"mean": float(mean[worst]), "deviation": float(deviation[worst]), "feature": worst},
            remedy=remedy(model, rescale=True),
        )  # fmt: skip
        return
    counted = [i for i in np.flatnonzero(deviation > 0) if len(np.unique(finite[:, i])) > 2] if table else []
    if len(counted) > 1 and deviation[counted].max() > _SCALES_APART * deviation[counted].min():
        low, high = (int(counted[f(deviation[counted])]) for f in (np.argmin, np.argmax))
        yield Finding(
            "input_scale",
            f"Feature {low} has a deviation of {deviation[low]:.3g}, feature {high} one of {deviation[high]:.3g}.",
            "note" if normal else "warning", place.name, "x", confidence=0.5,
            evidence={"smallest": float(deviation[low]), "largest": float(deviation[high])},
        )  # fmt: skip


def constant_feature(place, values):
    if not is_number(values) or values.ndim != 2 or len(values) < _LEAST_ROWS:
        return
    columns = np.flatnonzero(np.ptp(values, axis=0) == 0) if values.dtype.kind != "b" else []
    share = len(columns) / values.shape[1]
    if share == 0 or (values.shape[1] >= _TABLE_COLUMNS and share < 1):
        return
    named = ", ".join(map(str, columns[:5])) + ("..." if len(columns) > 5 else "")
    yield Finding(
        "constant_feature", f"{len(columns)} of {values.shape[1]} features never change: {named}.",
        "error" if share == 1 else "warning" if share > 0.5 else "note", place.name, "x",
        confidence=0.95 if share == 1 else 0.6, evidence={"features": [int(c) for c in columns[:100]]},
    )  # fmt: skip


def _classes(goal, y):
    """The class of each example, and how many classes there are; None where an example has several labels."""
    if goal.kind == "categorical" and y.ndim > 1 and y.shape[-1] > 1:
        return y.argmax(axis=-1), y.shape[-1]
    if goal.kind == "sparse" and not (y.ndim == 2 and y.shape[-1] == goal.units and goal.units > 1):
        labels = y.reshape(y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape)
        # A number that the loss ignores is no class.
        return labels[labels >= 0] if (labels < 0).any() else labels, goal.units
    # Images that a sigmoid restores have no classes.
    if goal.kind == "binary" and goal.units == 1 and y.size == len(y) and set(np.unique(y)) <= {0, 1}:
        return y.ravel(), 2
    return None


def imbalance(goal, sample):
    found = _classes(goal, sample.all_y)
    if found is None or not sample.whole or sample.weighted or found[0].ndim > 1:
        return
    # These losses weight the rare class themselves.
    if getattr(goal.loss, "apply_class_balancing", False) or "Focal" in goal.name:
        return
    names, counts = np.unique(found[0], return_counts=True)
    if len(names) < 2 or counts.min() > _IMBALANCED * counts.max():
        return
    rare, common = names[counts.argmin()], names[counts.argmax()]
    yield Finding(
        "imbalance",
        f"Class {rare:g} has {counts.min()} examples, class {common:g} {counts.max()}; give fit a class_weight.",
        "warning" if len(names) <= _FEW_CLASSES else "note", argument="class_weight", confidence=0.5,
        evidence={"smallest": int(counts.min()), "largest": int(counts.max())},
    )  # fmt: skip


def missing_class(goal, sample, validation):
    found = _classes(goal, sample.all_y)
    if found is None or not sample.whole or not found[1] or found[1] < 2:
        return
    labels, count = found
    there = np.unique(labels)
    missing = sorted(set(range(count)) - set(there.astype(int).tolist()))
    if missing and there.min() >= 0 and there.max() < count:
        many = len(labels) >= _ROWS_PER_CLASS * count and count <= _MANY_CLASSES and labels.ndim == 1
        # A unit for class 0, where labels start at 1, does no harm.
        spare = missing == [0] and count > 2
        grave = "note" if spare or not many else "error" if len(there) == 1 else "warning"
        named = ", ".join(map(str, missing[:5])) + ("..." if len(missing) > 5 else "")
        yield Finding(
            "missing_class", f"Of {count} classes {len(missing)} have no example in {sample.name}: {named}.",
            grave, argument="y", confidence=0.7 if many else 0.3, evidence={"missing": missing[:100]},
        )  # fmt: skip
    judged = None if validation is None or validation.all_y is None else _classes(goal, validation.all_y)
    if judged and validation.whole and len(judged[0]) >= _ROWS_PER_CLASS * count:
        missing = sorted(set(there.tolist()) - set(np.unique(judged[0]).tolist()))
        if missing:
            yield Finding(
                "missing_class", f"{len(missing)} classes of {sample.name} have no example in validation.",
                "note", argument="validation_data", confidence=0.6, evidence={"missing": missing[:100]},
            )  # fmt: skip


def sorted_labels(goal, sample, validation_split):
    found = _classes(goal, sample.all_y)
    if found is None or sample.form == "shuffled" or found[0].ndim > 1 or len(found[0]) < _LEAST_ROWS:
        return
    labels = found[0].astype("int64")
    steps = np.diff(labels)
    monotone = len(np.unique(labels)) > 1 and ((steps >= 0).all() or (steps <= 0).all())
    evidence = {"classes": len(np.unique(labels))}
    if sample.form == "fixed":
        if monotone:
            yield Finding(
                "sorted_labels", f"Batches come in a fixed order, sorted by their {evidence['classes']} classes.",
                "warning", argument="shuffle", confidence=0.7, evidence=evidence,
            )  # fmt: skip
        return
    cut = int(len(labels) * (1 - validation_split))
    if not 0 < cut < len(labels):
        return
    unseen = sorted(set(labels[cut:].tolist()) - set(labels[:cut].tolist()))
    if monotone or (unseen and len(labels) >= _ROWS_PER_CLASS * evidence["classes"]):
        yield Finding(
            "sorted_labels",
            f"validation_split={validation_split:g} takes the last {len(labels) - cut} examples, of classes "
            f"{', '.join(map(str, np.unique(labels[cut:])[:5]))}"
            + (f"; {len(unseen)} of them are in no training example." if unseen else ", since labels are sorted."),
            "warning", argument="validation_split", confidence=0.95 if monotone else 0.7,
            evidence=evidence | {"unseen": unseen},
        )  # fmt: skip


def same_rows(samples):
    found = {name: _hashes(sample) for name, sample in samples.items()}
    for (first, a), (second, b) in itertools.combinations(found.items(), 2):
        if not len(a) or not len(b):
            continue
        shared = np.isin(b, a)
        # Rows that occur often within a split are alike by nature: few features, few values.
        natural = 1 - len(np.unique(a)) / len(a)
        count, share = int(shared.sum()), float(shared.mean())
        if not count or share <= 2 * natural:
            continue
        grave = "warning" if share >= _SHARED and count >= _LEAST_SHARED else "note"
        yield Finding(
            "same_rows", f"{count} of the {len(b)} examples of {second} ({share:.1%}) are in {first} too.",
            grave, argument="data", confidence=0.8 if grave == "warning" else 0.4,
            evidence={"splits": [first, second], "examples": count, "natural": natural},
        )  # fmt: skip


def _hashes(sample) -> np.ndarray:
    rows = zip(
        *(part if part.dtype.kind in "OSU" else np.ascontiguousarray(part) for part in sample.all_x), strict=True
    )
    keys = (tuple(p.tobytes() if isinstance(p, np.ndarray | np.generic) else p for p in row) for row in rows)
    return np.fromiter((hash(key) for key in keys), "int64", len(sample.all_x[0]))
