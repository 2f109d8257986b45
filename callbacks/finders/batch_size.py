"""The batch sizes that fit in memory, and how fast each is."""

import gc
import itertools
import sys
import time
from dataclasses import dataclass

import keras
import numpy as np

from ..report.plots import BLUE, GREEN, axes, finish
from .restored import check_model, restored
from .rows import check_count, read
from .steps import OneByOne, single_steps, train

#: What backends and drivers say when memory is short.
_SIGNS = (
    "resource_exhausted", "resource exhausted", "out of memory", "out_of_memory", "oom when allocating", "memoryerror",
    "can't allocate memory", "not enough memory", "unable to allocate",
)  # fmt: skip
#: A size is timed for so many seconds or steps, whichever is over first, and two steps at least.
_SECONDS, _STEPS = 1.0, 10
#: Bytes that are little.
_LITTLE = 2**26


@dataclass(frozen=True)
class BatchSizes:
    """What `find_batch_size` found.

    Attributes:
        largest: The largest size that was tried and fits.
        suggestion: The smallest size from which doubling no longer gives 10% more examples a second.
        throughput: Size -> examples a second, of the sizes that fit.
        too_large: The size for which memory was short; None where the limit came first.
    """

    largest: int
    suggestion: int
    throughput: dict[int, float]
    too_large: int | None

    def __str__(self):
        speeds = ", ".join(f"{size}: {speed:,.0f}" for size, speed in self.throughput.items())
        end = f"{self.too_large} does not fit" if self.too_large else "no larger one was tried"
        return f"Batch size {self.suggestion}; the largest that fits is {self.largest} ({end}). Examples/s: {speeds}."

    def plot(self, ax=None):
        """Examples a second over the size; returns the matplotlib figure."""
        ax = axes(ax)
        ax.plot(list(self.throughput), list(self.throughput.values()), color=BLUE, marker="o", markersize=4)
        ax.axvline(self.suggestion, color=GREEN, linestyle=":", label=f"suggestion {self.suggestion}")
        ax.set_xscale("log", base=2)
        ax.set_ylim(bottom=0)
        return finish(ax, "batch size", "examples/s", "throughput")


def find_batch_size(model: keras.Model, x, y=None, *, start: int = 16, limit: int = 4096) -> BatchSizes:
    """The largest batch that fits in memory, of doubled sizes, and the examples a second of each.

    Examples are used again where there are fewer than a batch takes. Afterwards the model, its optimizer and the random
    generators are as they were, to the last bit. On a CPU the system may end a process that takes too much memory,
    rather than tell it: give a `limit` there. A larger batch wants another learning rate, and can generalise less
    well: the suggestion is about speed only.

    Args:
        model: A compiled model with weights.
        x: Inputs, or a `tf.data.Dataset`, PyDataset or DataLoader of batches.
        y: Labels, where `x` is inputs.
        start: The first size.
        limit: The largest size that is tried.

    Returns:
        The sizes, their throughput, and a suggestion.

    Raises:
        ValueError: A model without weights or not compiled, an argument out of its bounds.
        MemoryError: Not even `start` fits.
    """
    check_model(model)
    check_count("start", start)
    check_count("limit", limit, start)
    speeds, size, too_large = {}, start, None
    with restored(model):
        rows = read(x, y, most=limit)
        single_steps(model)
        while size <= limit and too_large is None:
            try:
                speeds[size] = _throughput(model, rows, size)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                too_large = size
            size *= 2
        # Outside of the handler the error, and with it all that its frames hold, is gone.
        model.train_function = None
        _free()
    if not speeds:
        raise MemoryError(f"a batch of start={start} examples does not fit in memory: try a smaller one")
    return BatchSizes(max(speeds), best_size(speeds), speeds, too_large)


def best_size(throughput: dict[int, float]) -> int:
    """The first size after which doubling gives no more than 10% more examples a second."""
    sizes = sorted(throughput)
    for size, larger in itertools.pairwise(sizes):
        if throughput[larger] <= 1.1 * throughput[size]:
            return size
    return sizes[-1]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that memory was short, on any backend."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError"):
            return True
        # TensorFlow, JAX and PyTorch wrap what comes from below in errors of these kinds.
        told = isinstance(error, RuntimeError) or type(error).__name__ in ("InternalError", "UnknownError")
        if told and any(sign in str(error).lower() for sign in _SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _throughput(model, rows, size: int) -> float:
    """Examples a second, without the first two steps, which compile."""
    times = []

    def after(step, logs):
        times.append(time.perf_counter())
        return step >= 3 and times[-1] - times[1] > _SECONDS

    batch = np.arange(size) % len(rows)
    # As many batches an epoch as are little beside the step itself; an epoch begins with a pause.
    bytes_each = sum(part[:1].nbytes for part in keras.tree.flatten(rows.parts)) * size
    batches = min(2 + _STEPS, max(1, _LITTLE // max(bytes_each, 1)))
    train(model, rows, [batch] * batches, OneByOne(after), epochs=-(-(2 + _STEPS) // batches))
    return size * (len(times) - 2) / max(times[-1] - times[1], 1e-9)


def _free():
    gc.collect()
    if keras.backend.backend() == "torch" and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.empty_cache()
