"""One switch for runs that can be repeated."""

import os
from dataclasses import dataclass

import keras

from .._kinds import Integer


@dataclass(frozen=True)
class Reproducible:
    """What has been set, and what it cannot promise; printed as text.

    seed: of all random numbers.
    backend: "tensorflow", "jax" or "torch".
    device: "CPU" or "GPU", where Keras computes.
    limits: sentences, each something that can still differ between two runs.
    """

    seed: int
    backend: str
    device: str
    limits: tuple

    def __str__(self):
        first = f"Seed {self.seed}, deterministic operations of {self.backend}, {self.device}. What may still differ:"
        return "\n".join([first, *(f"- {limit}" for limit in self.limits)])

    __repr__ = __str__


def reproducible(seed):
    """Makes two runs of the same program give the same numbers: call it first, before models and data are made.

    It seeds Python, NumPy, Keras, the backend and `tf.data`, and has the backend choose deterministic operations for
    the rest of the process, which makes some of them slower.

    Args:
        seed: an integer from 0 to 2**32 - 1.

    Returns:
        A `Reproducible`, which says what it cannot promise on this backend and device.

    Raises:
        ValueError: `seed` is out of its range.
    """
    seed = int(Integer(0, 2**32 - 1).check(seed, "seed"))
    keras.utils.set_random_seed(seed)
    # Data are loaded by tf.data on every backend.
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    device, limits = BACKENDS[keras.backend.backend()]()
    return Reproducible(seed, keras.backend.backend(), device, (*limits, *everywhere()))


def on_tensorflow():
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return "CPU", ()
    return "GPU", ("An operation without a deterministic form on the GPU raises UnimplementedError.",)


def on_jax():
    import jax

    if jax.default_backend() != "gpu":
        return jax.default_backend().upper(), ()
    if "--xla_gpu_deterministic_ops=true" in os.environ.get("XLA_FLAGS", ""):
        return "GPU", ()
    flag = "XLA_FLAGS=--xla_gpu_deterministic_ops=true"
    return "GPU", (f"Sums on the GPU: set {flag} in the environment before Python starts.",)


def on_torch():
    import torch

    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    limits = [
        "Dropout without a seed of its own draws from PyTorch's global generator: it changes with whatever else draws "
        "from that, and the seed= of a recipe does not reach it."
    ]
    if not torch.cuda.is_available():
        return "CPU", limits
    return "GPU", [*limits, "An operation without a deterministic form on the GPU raises RuntimeError."]


def everywhere():
    if not os.environ.get("PYTHONHASHSEED", "").isdigit():
        yield "The order of sets of texts: set PYTHONHASHSEED=0 in the environment before Python starts."
    yield "Random numbers drawn in other processes or threads, such as the workers of a PyDataset."
    yield (
        "Sums are rounded otherwise on another processor or device, with another number of threads or devices, under "
        "XLA (jit_compile) against without it, and in other versions of the libraries."
    )


BACKENDS = {"tensorflow": on_tensorflow, "jax": on_jax, "torch": on_torch}
