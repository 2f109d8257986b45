"""Whether an export answers as its model does: on which inputs, how nearly, how fast."""

import statistics
import time

import keras
import numpy as np

from .._check import as_array, batches, check_finite, fits, written
from .._model import layers
from ..parts.layers import Standardization
from .network import input_names

#: How many examples are compared, and how many calibrate.
COMPARED, CALIBRATING = 64, 512


def inputs_from(model, given, what):
    """The inputs of a model as a list of arrays, from arrays or a data set as `predict` takes them; at most
    `CALIBRATING` examples. None of nothing.

    Raises:
        ValueError: if there are none, or they cannot be read twice.
    """
    if given is None:
        return None
    if len(getattr(model, "inputs", None) or [None]) > 1 or isinstance(given, dict):
        arrays = [as_array(part) for part in keras.tree.flatten(given)]
    else:
        found, count = [], 0
        for x, _ in batches(model.encode(given) if hasattr(model, "encode") else given):
            found.append(x)
            count += len(x)
            if count >= CALIBRATING:
                break
        arrays = [np.concatenate(found)] if found else []
    if not arrays or not all(array.ndim and len(array) for array in arrays):
        raise ValueError(f"{what} must be inputs of the model, arrays or a data set, not {type(given).__name__}.")
    return [array[:CALIBRATING] for array in arrays]


def fitting(arrays, specs, what):
    """The arrays in the types of the inputs.

    Raises:
        ValueError: if they have other shapes.
    """
    specs = keras.tree.flatten(specs)
    if len(arrays) != len(specs):
        raise ValueError(f"{what} must have an array for each of the {len(specs)} inputs, not {len(arrays)}.")
    for array, spec in zip(arrays, specs, strict=True):
        if not fits(array.shape[1:], spec.shape[1:]):
            raise ValueError(
                f"{what} must have the shape ({written(spec.shape)}) for {spec.name!r}, not {array.shape}."
            )
        check_finite(array, what)
    return [array.astype(spec.dtype) for array, spec in zip(arrays, specs, strict=True)]


def samples_for(model, specs, sample, calibration):
    """The samples to compare on, each a list of arrays: where a size may vary, one more of another size."""
    given = sample or calibration
    if given:
        first = [array[:COMPARED] for array in given]
        return [first, [array[:1] for array in first]]
    return [make(model, specs, examples=8, free=32), make(model, specs, examples=3, free=40)]


def make(model, specs, examples, free):
    """Random inputs; sizes that may vary are `free`."""
    rng = np.random.default_rng(examples)
    return [
        values(model, spec, (examples, *(size or free for size in spec.shape[1:])), rng)
        for spec in keras.tree.flatten(specs)
    ]


def values(model, spec, shape, rng):
    """Numbers of words below the size of the vocabulary, pixels where the model scales them down, features as a
    `Standardization` has met them, and else normal numbers."""
    dtype = keras.backend.standardize_dtype(spec.dtype)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if "int" in dtype:
        words = [layer.input_dim for layer in layers(model) if isinstance(layer, keras.layers.Embedding)]
        return rng.integers(0, min(words, default=2), shape).astype(dtype)
    if "float" not in dtype:
        raise ValueError(f"the input {spec.name!r} holds {dtype}, of which none can be made up: give sample=.")
    for layer in layers(model):
        if isinstance(layer, keras.layers.Rescaling) and np.all(np.less(layer.scale, 0.1)):
            return rng.uniform(0, 255, shape).astype(dtype)
        if isinstance(layer, Standardization) and not layer.invert and layer.mean.shape == shape[-1:]:
            mean, deviation = (keras.ops.convert_to_numpy(v) for v in (layer.mean, layer.deviation))
            return (mean + deviation * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def predict(model, specs, arrays):
    """The model's answers, a list of arrays."""
    inputs = keras.tree.pack_sequence_as(specs, arrays)
    outputs = [np.asarray(output) for output in keras.tree.flatten(model.predict(inputs, len(arrays[0]), verbose=0))]
    for output in outputs:
        if not np.isfinite(output).all():
            raise ValueError("the model answers with NaN or infinity to the sample, so that nothing can be compared.")
    return outputs


def in_batches(run, specs, arrays):
    """The answers of an export, which may take one size of batch alone: the last one is filled up."""
    names, size = input_names(specs), keras.tree.flatten(specs)[0].shape[0]
    count = len(arrays[0])
    found = []
    for start in range(0, count, size or count):
        batch = [array[start : start + (size or count)] for array in arrays]
        if size:
            batch = [np.concatenate([part, part[-1:].repeat(size - len(part), axis=0)]) for part in batch]
        found.append(run(dict(zip(names, batch, strict=True))))
    return [np.concatenate(parts)[:count] for parts in zip(*found, strict=True)]


def compare(expected, found, tolerance, what):
    """The largest difference, and how large it may be; of several outputs and samples, those where it is nearest to
    what it may be.

    Raises:
        RuntimeError: if it is larger.
    """
    pairs = [pair for answers in zip(expected, found, strict=True) for pair in zip(*answers, strict=True)]
    worst = None
    for ours, theirs in pairs:
        if ours.shape != theirs.shape:
            raise RuntimeError(f"{what} answers with the shape {theirs.shape}, the model with {ours.shape}.")
        difference = np.abs(theirs.astype("float64") - ours).max()
        allowed = tolerance * np.abs(ours.astype("float64")).max()
        if not difference <= allowed:  # NaN neither
            raise RuntimeError(
                f"{what} answers otherwise than the model: the largest difference is {difference:.3g}, and "
                f"{allowed:.3g} is allowed, {tolerance:g} of the largest answer. Nothing was written."
            )
        if worst is None or difference * worst["tolerance"] > worst["difference"] * allowed:
            worst = {"difference": float(difference), "tolerance": float(allowed)}
    return worst


def agreement(model, expected, found):
    """The share of answers with the same class, where the one output holds probabilities; else None."""
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", None)
    if len(expected) > 1 or activation not in ("softmax", "sigmoid") or model.layers[-1].name == "units":
        return None
    ours, theirs = (
        answer.argmax(axis=-1) if activation == "softmax" else answer > 0.5 for answer in (expected[0], found[0])
    )
    return float((ours == theirs).mean())


def timed(model, specs, run, arrays):
    """The size of a batch, and the seconds that the export and Keras take for it."""
    size = keras.tree.flatten(specs)[0].shape[0] or len(arrays[0])
    batch = [np.resize(array, (size, *array.shape[1:])) for array in arrays]
    named_batch = dict(zip(input_names(specs), batch, strict=True))
    inputs = keras.tree.pack_sequence_as(specs, batch)
    return {
        "batch": size,
        "seconds": seconds(lambda: run(named_batch)),
        "keras_seconds": seconds(lambda: model.predict_on_batch(inputs)),
    }


def seconds(call, most=0.25):
    """The median of several calls, after one that may compile."""
    call()
    times, started = [], time.perf_counter()
    while len(times) < 3 or (len(times) < 30 and time.perf_counter() - started < most):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times)
