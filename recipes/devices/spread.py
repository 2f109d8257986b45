"""`distribution`: one way to say over which devices a model is spread, on TensorFlow and on JAX."""

import contextlib
import json
import os
import warnings
from dataclasses import dataclass, replace

import keras

from .._kinds import Choice, Integer, among
from . import mesh, replicas
from .selftest import largest_difference, tolerance

KINDS = ("auto", "one", "data", "workers", "tpu", "model")


@dataclass(frozen=True)
class Distribution:
    """Over which devices a model is spread. Make the model, and train it, within `scope()`.

    Attributes:
        kind: "one", "data", "workers", "tpu" or "model".
        devices: their names; of "workers" those of all processes.
        strategy: the `tf.distribute.Strategy` or `keras.distribution` object; None for one device.
        replicas: into how many parts a batch is cut; each device of a replica has the whole batch or its part.
        difference: how far the weights were from those of one device after the ten steps of the self-test; None where
            it was not run.
    """

    kind: str
    devices: tuple[str, ...]
    strategy: object = None
    replicas: int = 1
    difference: float | None = None

    def scope(self):
        """The context in which a model is made and trained."""
        return self.strategy.scope() if self.strategy is not None else contextlib.nullcontext()

    def __str__(self):
        among_them = f" over {len(self.devices)} devices" if len(self.devices) > 1 else ""
        tested = "" if self.difference is None else f"; ten steps differ from one device's by {self.difference:.1e}"
        return f"{self.kind}{among_them}: {', '.join(self.devices)}{tested}"


def distribution(
    kind: str = "auto",
    *,
    devices=None,
    workers=None,
    index: int | None = None,
    shards: int | None = None,
    layout: dict | None = None,
    check: bool = True,
) -> Distribution:
    """Spreads models over devices, once it has seen that this gives the weights that one device gives.

    >>> from keras_cookbook import recipes
    >>> spread = recipes.distribution()
    >>> with spread.scope():
    ...     model = recipes.mlp((4,), 3)

    The batch size is that of all devices together. The self-test takes ten steps of a small network on the devices and
    on one of them; where they fail or the weights differ, a warning says so and one device is used. ("workers" raises
    an error, since the others would wait.) Where a batch can't be cut evenly, as the last of an epoch, TensorFlow gives
    each part the same weight, and Keras on JAX fails: leave such a batch out there.

    | kind | on TensorFlow | on JAX |
    |---|---|---|
    | "one" | one device | one device |
    | "data": each device learns from its part of a batch | `MirroredStrategy` | `keras.distribution.DataParallel` |
    | "workers": the same over processes, on one machine or several | `MultiWorkerMirroredStrategy` | no |
    | "tpu": the same over the cores of a TPU | `TPUStrategy` | `DataParallel` |
    | "model": each device holds its part of the weights | no: `recipes.pipeline` | `keras.distribution.ModelParallel` |

    `keras.distribution` does nothing on TensorFlow, and does not say so: hence the errors here. On PyTorch Keras trains
    on one device.

    Args:
        kind: "auto" is "workers" where the environment variable TF_CONFIG names several, else "tpu" where there is one,
            "data" where there are several GPUs, and "one" otherwise.
        devices: names such as "GPU:0" (TensorFlow) or "gpu:0" (JAX), for "data" and "model"; all of the best kind by
            default.
        workers: for "workers": the addresses of all processes, "host:port", in the same order in each. By default
            TF_CONFIG tells them.
        index: for "workers": which of them this process is, from 0; the first one is the chief, which writes files.
        shards: for "model": into how many parts the weights are cut; by default one for each device. With fewer, the
            rest share out the batch.
        layout: for "model": how weights are cut that are to be cut otherwise than along their last axis: a pattern of
            their path -> a tuple with "model" for the axis that is cut, and None for others.
        check: whether to run the self-test.

    Raises:
        ValueError: for an argument that does not fit, or what this backend does not have.
        RuntimeError: for "workers", if TensorFlow has run something in this process before; or if the self-test fails.
    """
    backend = keras.backend.backend()
    Choice(*KINDS).check(kind, "kind")
    check_arguments(kind, devices=devices, workers=workers, index=index, shards=shards, layout=layout)
    if kind == "auto":
        kind = best(backend)
    if kind == "one":
        return Distribution("one", (one_device(backend),))
    if backend not in SPREADS[kind]:
        raise ValueError(f"there is no kind={kind!r} on {backend}. {INSTEAD.get((kind, backend), INSTEAD['torch'])}")
    make, given = SPREADS[kind][backend], {}
    if kind in ("data", "model"):
        given["devices"] = known_devices(backend, devices)
        if len(given["devices"]) < 2:
            return fall_back(backend, f"kind={kind!r} needs several devices, and there is {given['devices'][0]} alone")
    if kind == "workers":
        set_workers(workers, index)
    if kind == "model":
        given |= {"shards": shards, "layout": layout or {}}
    try:
        found = Distribution(kind, *make(**given))
    except mesh.NoTPU as error:
        return fall_back(backend, str(error))
    return tested(found, backend) if check else found


#: Kind -> backend -> a function that makes (names of devices, strategy, number of replicas).
SPREADS = {
    "data": {"tensorflow": replicas.mirrored, "jax": mesh.data_parallel},
    "workers": {"tensorflow": replicas.multi_worker},
    "tpu": {"tensorflow": replicas.tpu, "jax": mesh.tpu},
    "model": {"jax": mesh.model_parallel},
}
INSTEAD = {
    ("model", "tensorflow"): "keras.distribution.ModelParallel does nothing on TensorFlow, and does not say so. "
    "Set KERAS_BACKEND=jax, or use recipes.pipeline, which lays the layers of a model on several devices.",
    ("workers", "jax"): "Set KERAS_BACKEND=tensorflow.",
    "torch": "Keras trains on one device there: set KERAS_BACKEND=jax or tensorflow, or wrap the model in PyTorch's "
    "own DistributedDataParallel and write the loop.",
}
#: The kinds that an argument is for.
ARGUMENTS = {
    "devices": ("data", "model"),
    "workers": ("workers",),
    "index": ("workers",),
    "shards": ("model",),
    "layout": ("model",),
}


def check_arguments(kind, **given):
    for name, value in given.items():
        if value is not None and kind not in ARGUMENTS[name]:
            raise ValueError(f"{name}= is for kind={' or '.join(map(repr, ARGUMENTS[name]))}, not {kind!r}.")
    if given["shards"] is not None:
        Integer(2).check(given["shards"], "shards")
    if (given["workers"] is None) != (given["index"] is None):
        raise ValueError("workers= and index= belong together: all addresses, and which of them this process is.")


def best(backend):
    if backend == "tensorflow":
        return replicas.best()
    return mesh.best() if backend == "jax" else "one"


def one_device(backend):
    """The name of the device that Keras uses."""
    if backend == "torch":
        return str(keras.ops.zeros(()).device)
    found = known_devices(backend, None)
    return found[0]


def known_devices(backend, devices):
    """All devices of the best kind, or those that are asked for, if they are there."""
    there = replicas.devices() if backend == "tensorflow" else keras.distribution.list_devices()
    there = list(there)
    if devices is None:
        kinds = [name.split(":")[0].lower() for name in there]
        kind = next((kind for kind in ("gpu", "cuda", "tpu") if kind in kinds), "cpu")
        return [name for name, its in zip(there, kinds, strict=True) if its == kind]
    names = {name.lower(): name for name in there}
    for name in [devices] if isinstance(devices, str) else devices:
        if str(name).lower() not in names:
            raise ValueError(f"there is no device {name!r}.{among(name, there)}")
    if isinstance(devices, str) or len({str(name).lower() for name in devices}) < len(devices):
        raise ValueError(f"devices must be a list of different names, not {devices!r}.")
    return [names[name.lower()] for name in devices]


def set_workers(workers, index):
    """Writes TF_CONFIG, or checks the one that is there."""
    from keras_cookbook.callbacks.workers import together

    if workers is not None:
        if isinstance(workers, str) or not all(":" in str(address) for address in workers):
            raise ValueError(f"workers must be a list of addresses, 'host:port', not {workers!r}.")
        Integer(0, len(workers) - 1).check(index, "index")
        task = {"type": "worker", "index": index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    elif not together():
        raise ValueError(
            "kind='workers' needs the addresses of at least two processes: workers=['host:port', ...] and index=, or "
            "the environment variable TF_CONFIG."
        )


def fall_back(backend, why):
    warnings.warn(f"{why}: one device is used.", RuntimeWarning, stacklevel=3)
    return Distribution("one", (one_device(backend),))


def tested(found, backend):
    """The distribution with what its self-test gave; one device where it failed."""
    try:
        difference = largest_difference(found)
    except Exception as error:
        failure = f"the self-test of {found} failed with {type(error).__name__}: {error}"
        if found.kind == "workers":
            raise RuntimeError(failure) from error
    else:
        if difference <= tolerance(found):
            return replace(found, difference=difference)
        failure = f"ten steps on {found} give weights that differ from one device's by {difference:.2g}"
        if found.kind == "workers":
            raise RuntimeError(failure)
    return fall_back(backend, failure)
