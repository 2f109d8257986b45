"""Quiet TensorFlow, a picture backend without a screen, and the folder with real data where there is one."""

import gc
import os
import signal
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores, or more: further threads only wait for one another.
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(threads, "1")

# Programs here are many and small: to make them fast takes longer than to run them, and many are the same.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "keras-cookbook-jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import keras
import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in its background ignore it
gc.set_threshold(50_000, 20, 50)  # rather once at the end of each test

ROOT = Path(__file__).parent.parent


def pytest_configure(config):
    if keras.backend.backend() == "tensorflow" and "not slow" in config.option.markexpr:
        import tensorflow as tf

        # Nor are graphs rewritten; the slow tests train for long enough to gain by it.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(scope="session")
def real_data():
    """The folder of prepared real data sets: KERAS_COOKBOOK_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("KERAS_COOKBOOK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no prepared data in {folder}; set KERAS_COOKBOOK_DATA")
    return folder


@pytest.fixture(autouse=True)
def seeded():
    """A test that fails fails again, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def frozen():
    """What TensorFlow keeps of a test is not looked through again, which takes longer with each test."""
    yield
    gc.collect()
    gc.freeze()
