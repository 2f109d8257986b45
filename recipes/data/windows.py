"""Windows over a time series: steps to look back on, and the steps after them to forecast."""

import math
import numbers
import os
import pathlib

import numpy as np

from .._kinds import among
from .encoding import is_dates, is_frame
from .sources import read_frame
from .splits import SPLITS, Data, check_whole, gather


def windows(series, history, horizon=1, *, target=None, stride=1, validation=0.1, test=0.2, batch_size=64, seed=0):
    """Windows over a time series, for forecasting: `history` steps to look back on, then `horizon` steps to forecast.

    The steps are cut in the order of time: train, then validation, then test. No forecast step lies in two splits; the
    first windows of a later split look back into the one before. Columns of dates are left out.

    Args:
        series: The steps, in the order of time: numbers (steps, variables) or (steps,); a frame of numbers; the path
            of a CSV file (also compressed).
        history: Steps to look back on.
        horizon: Steps to forecast.
        target: Name of the variable to forecast, or a list of them; of an array, its number. By default, all.
        stride: Steps from one window to the next.
        validation: Share of the steps for validation, 0 <= validation < 1, or their number. With 0, none.
        test: Share of the steps for testing, 0 <= test < 1, or their number. With 0, none.
        batch_size: Windows per batch.
        seed: Seeds the order of the training windows, with TensorFlow's global seed where there is one.

    Returns:
        A `Data` of kind `"sequences"`, whose rows are windows, with batches `(x, y)`:
            x: float32 (batch, history, variables).
            y: float32 (batch, horizon, outputs), in the order of `target`.

    Raises:
        ValueError: for a series that is too short, has gaps, is not in the order of time or holds no numbers.
        FileNotFoundError: for a missing file.

    >>> windows(np.sin(np.arange(1000) / 9), history=48, horizon=12).sizes
    {'train': 641, 'validation': 89, 'test': 189}
    """
    for what, value in {"history": history, "horizon": horizon, "stride": stride, "batch_size": batch_size}.items():
        check_whole(what, value, 1)
    check_whole("seed", seed, 0)
    name, values, variables, columns = read_series(series)
    chosen = choose(target, columns, name)
    sizes = cut_steps(len(values), history, horizon, {"validation": validation, "test": test}, name)

    # One copy of the series for all splits, and another of the targets where they are not all of it.
    everything = frozen(values)
    goals = everything if chosen == [*range(len(columns))] else frozen(values[:, chosen])
    parts, end = {}, 0
    for split, size in sizes.items():
        first = max(0, end - history)
        end += size
        parts[split] = Windows(everything, goals, history, horizon, range(first, end - history - horizon + 1, stride))
    shape = (int(history), values.shape[1])
    return Data(name, "sequences", "regression", len(chosen), None, shape, batch_size, seed, variables, None, parts)


def frozen(values):
    import tensorflow as tf

    with tf.device("CPU"):
        return tf.constant(values)


class Windows:
    """A split of windows, that start at the steps `starts`; `arrays` are read-only views of the one series."""

    def __init__(self, series, goals, history, horizon, starts):
        self.series, self.goals, self.history, self.horizon, self.starts = series, goals, history, horizon, starts

    def __len__(self):
        return len(self.starts)

    @property
    def arrays(self):
        def view(values, offset, length):
            spans = np.lib.stride_tricks.sliding_window_view(np.asarray(values), length, axis=0)
            return spans[offset + self.starts.start :: self.starts.step][: len(self)].swapaxes(1, 2)

        return view(self.series, 0, self.history), view(self.goals, self.history, self.horizon)

    def batches(self, batch_size, seed, shuffle):
        import tensorflow as tf

        series, goals, starts = self.series, self.goals, self.starts
        past, future = np.arange(self.history), np.arange(self.history, self.history + self.horizon)

        def rows(index):
            start = (starts.start + index * starts.step)[:, None]
            return tf.gather(series, start + past), tf.gather(goals, start + future)

        row_bytes = self.history * series.shape[1] * series.dtype.size
        return gather(rows, len(self), batch_size, seed, shuffle, row_bytes)


def cut_steps(steps, history, horizon, wanted, name):
    """How many steps of the series each split has to forecast; those of train begin with a history."""
    for split, size in wanted.items():
        whole = isinstance(size, numbers.Integral) and not isinstance(size, bool) and size >= 0
        share = isinstance(size, numbers.Real) and not isinstance(size, numbers.Integral) and 0 <= size < 1
        if not whole and not share:
            raise ValueError(
                f"{split}= must be a share of the steps, 0 <= {split} < 1, or a number of steps; received {size!r}."
            )
        if whole and 0 < size < horizon:
            raise ValueError(f"{split}={size} steps cannot hold a window that forecasts horizon={horizon} steps.")
    shares = {split: size for split, size in wanted.items() if not isinstance(size, numbers.Integral) and size}
    numbered = {split: int(size) for split, size in wanted.items() if isinstance(size, numbers.Integral) and size}
    if sum(shares.values()) >= 1:
        raise ValueError(
            f"validation={wanted['validation']} and test={wanted['test']} must sum to less than 1: train is the rest."
        )
    held = {split: numbered.get(split) or round(steps * shares.get(split, 0)) for split in (*shares, *numbered)}
    sizes = {"train": steps - sum(held.values()), **{split: held[split] for split in SPLITS if split in held}}
    if sizes["train"] < history + horizon or any(size < horizon for size in held.values()):
        # Each rounded share may take half a step more from train.
        least = (history + horizon + sum(numbered.values()) + len(shares) / 2) / (1 - sum(shares.values()))
        least = math.ceil(max([least, *(horizon / share for share in shares.values())]))
        raise ValueError(
            f"{name!r} is too short: it has {steps} steps, which gives {sizes}. With history={history}, "
            f"horizon={horizon}, validation={wanted['validation']} and test={wanted['test']} it needs {least} steps."
        )
    return sizes


def choose(target, columns, name):
    """The numbers of the variables to forecast."""
    targets = columns if target is None else list(target) if isinstance(target, list | tuple) else [target]
    for wanted in targets:
        if wanted not in columns:
            raise ValueError(f"target= must name a variable of {name!r}; received {wanted!r}.{among(wanted, columns)}")
    if not targets or len(set(targets)) < len(targets):
        raise ValueError(f"target= must name different variables, one at least; received {target!r}.")
    return [columns.index(wanted) for wanted in targets]


def read_series(series):
    """The name of a series, its values as float32 (steps, variables), and the variables' names: to show, to choose."""
    name = "frame"
    if isinstance(series, str | os.PathLike):
        path = pathlib.Path(series).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {str(series)!r}.")
        name, series = path.name.split(".")[0], read_frame(path)
    elif hasattr(series, "to_frame") and not is_frame(series):  # a pandas series
        series = series.to_frame(*(["value"] if getattr(series, "name", None) is None else []))
    if is_frame(series):
        values, columns = read_columns(series, name)
        variables = [str(column) for column in columns]
    else:
        name, variables = "series", None
        try:
            values = np.asarray(series)
        except ValueError as error:  # steps of different lengths
            raise ValueError(f"A series must be an array of numbers: {error}") from None
        if values.dtype.kind not in "biuf":
            raise ValueError(f"A series must hold numbers; received {values.dtype}.")
        if values.ndim not in (1, 2) or 0 in values.shape:
            raise ValueError(f"A series must be (steps, variables) or (steps,); received {values.shape}.")
        values = values.reshape(len(values), -1)
        columns = list(range(values.shape[1]))
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what does not fit is infinite, and told
            bad = ~np.isfinite(values.astype("float32"))
        if bad.any():
            step, column = np.argwhere(bad)[0]
            raise ValueError(
                f"{name!r} holds {bad.sum()} values that are NaN or infinite, the first at step {step} of variable "
                f"{columns[column]!r}. Fill the gaps, such as by frame.interpolate(), or leave the variable out."
            )
    return name, values.astype("float32"), variables, columns


def read_columns(frame, name):
    """The columns of numbers of a frame, as float64 (steps, variables), and their names."""
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    if not frame.columns.is_unique:
        raise ValueError(f"The columns of a frame must have different names; received {list(frame.columns)}.")
    frame = frame.infer_objects()
    columns = []
    for column in frame:
        if is_datetime64_any_dtype(frame[column]) or is_dates(frame[column]):
            check_order(frame[column], f"column {column!r}", name)
        elif is_numeric_dtype(frame[column]):
            columns.append(column)
        else:
            raise ValueError(
                f"A series must hold numbers; column {column!r} of {name!r} is {frame[column].dtype}, the first: "
                f"{frame[column].iloc[:1].tolist()}. Drop it, or make numbers of it."
            )
    if is_datetime64_any_dtype(frame.index):
        check_order(frame.index.to_series(), "the index", name)
    if not columns or not len(frame):
        raise ValueError(f"{name!r} holds no numbers: its shape is {frame.shape}, its columns {list(frame.columns)}.")
    return frame[columns].to_numpy("float64", na_value=np.nan), columns


def check_order(dates, where, name):
    """Raises a `ValueError` if dates that can be read without doubt go back in time."""
    import pandas as pd

    # Others, such as 1/2/2024, may be read in two ways.
    times = pd.to_datetime(dates.astype(str), format="ISO8601", errors="coerce", utc=True)
    if times.notna().all() and not times.is_monotonic_increasing:
        row = int(np.flatnonzero(times.diff() < pd.Timedelta(0))[0])
        raise ValueError(
            f"The steps of {name!r} are not in the order of time: {where} goes back to {dates.iloc[row]} at row {row}. "
            "Sort the rows by time; of several series, load one."
        )
