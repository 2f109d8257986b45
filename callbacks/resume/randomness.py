"""The random generators of a process: their state, which a file can hold, and a part of a program that leaves no trace
in them."""

import contextlib
import random
import sys

import keras
import numpy as np


def random_state() -> dict:
    """The states of the random generators of Python, NumPy, PyTorch and TensorFlow, of those that are in use.

    Seed generators of Keras are variables of the model. Draws of `tf.random.*` without a generator, and of
    `keras.random.*` without a seed, have a state that cannot be read.
    """
    states = {"python": random.getstate(), "numpy": np.random.get_state()}
    if keras.backend.backend() == "torch":
        torch = sys.modules["torch"]
        states["torch"] = torch.get_rng_state().numpy()
        if torch.cuda.is_available():
            states["cuda"] = [state.numpy() for state in torch.cuda.get_rng_state_all()]
    if keras.backend.backend() == "tensorflow":
        states["tensorflow"] = sys.modules["tensorflow"].random.get_global_generator().state.numpy()
    return states


def set_random_state(states: dict):
    """Puts the generators back into these states."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    if "torch" in states:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(states["torch"]))
        if "cuda" in states:
            torch.cuda.set_rng_state_all([torch.from_numpy(state) for state in states["cuda"]])
    if "tensorflow" in states:
        sys.modules["tensorflow"].random.get_global_generator().reset(states["tensorflow"])


#: Seed -> all generators, as setting it left them.
_BEGINNINGS = {}


@contextlib.contextmanager
def seeded(seed: int):
    """What is computed within follows from the seed, and what is drawn afterwards is as if it had not been.

    TensorFlow mixes the seed of an operation, as that of a shuffle in `tf.data`, with a global one: only with both it
    is the same everywhere. When its global seed changes it forgets the kernels of all that is compiled: what is seeded
    again and again should stand within another `seeded` of the same seed.
    """
    with generators_restored():
        context = _of_tensorflow()
        if seed in _BEGINNINGS and context is not None and context._seed == seed:
            _set_generators(_BEGINNINGS[seed])
        else:
            keras.utils.set_random_seed(int(seed))
            _BEGINNINGS[seed] = _generators()
        yield


@contextlib.contextmanager
def generators_restored():
    """Afterwards all generators and global seeds are as they were: those of Python, NumPy, Keras, and TensorFlow or
    PyTorch."""
    found = _generators()
    try:
        yield
    finally:
        _set_generators(found)


def _generators():
    return random_state(), _seeds()


def _set_generators(found):
    states, seeds = found
    set_random_state(states)
    _set_seeds(seeds)


def _seeds():
    """What has no public name: Keras' global seed, the generator that `keras.random` draws from without a seed and its
    state; TensorFlow's global seed, and its generator of seeds for operations."""
    kept, names = _of_keras()
    seed, generator = map(kept.get_global_attribute, names)
    found = {"keras": (seed, generator, None if generator is None else np.array(generator.state.numpy()))}
    if (context := _of_tensorflow()) is not None:
        own = getattr(context, "_rng", None)
        found["tensorflow"] = context._seed, own.getstate() if isinstance(own, random.Random) else None
    return found


def _set_seeds(found):
    kept, names = _of_keras()
    *values, state = found["keras"]
    for name, value in zip(names, values, strict=True):
        kept.set_global_attribute(name, value)
    if state is not None:
        values[1].state.assign(state)
    if "tensorflow" in found:
        context, (seed, state) = _of_tensorflow(), found["tensorflow"]
        if context._seed != seed:
            context._set_global_seed(seed)
        if state is not None:
            context._rng.setstate(state)


def _of_keras():
    """Where Keras keeps what is global, and the names of its seed and of its generator."""
    seeds = sys.modules[keras.utils.set_random_seed.__module__]
    generators = sys.modules[keras.random.SeedGenerator.__module__]
    return generators.global_state, (seeds.GLOBAL_RANDOM_SEED, generators.GLOBAL_SEED_GENERATOR)


def _of_tensorflow():
    if "tensorflow" not in sys.modules:
        return None
    from tensorflow.python.eager import context

    return context.context()
