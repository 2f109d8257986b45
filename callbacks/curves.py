"""Learning curves while a model learns."""

import os
import sys
from pathlib import Path

import keras

from .report import plots
from .workers import is_chief


class LiveCurves(keras.callbacks.Callback):
    """Draws the learning curves anew at each epoch's end: in a notebook in one place, and into a file if a path is
    given.

    There is a plot for each log with its validation, and one for the learning rate where it is logged, as `standard`
    does. Elsewhere than in a notebook and without a path nothing happens. It needs Matplotlib.

    Args:
        path: A PNG file; parent folders are created.
        names: The logs to draw, without `val_`; None draws all.

    Raises:
        ImportError: When training begins: Matplotlib is not installed.
        OSError: The file cannot be written.
    """

    def __init__(self, path: str | os.PathLike | None = None, names=None):
        super().__init__()
        self.path, self.names = None if path is None else Path(path), names
        self._records, self._place = [], None

    def on_train_begin(self, logs=None):
        import matplotlib  # noqa: F401  # missing, it is better missed now than after an epoch

        self._records, self._place = [], None

    def on_epoch_end(self, epoch, logs=None):
        # TensorFlow's and JAX's numbers are not plain.
        self._records.append({"epoch": epoch + 1} | {name: float(value) for name, value in (logs or {}).items()})
        in_notebook = is_in_notebook()
        if not is_chief() or not (in_notebook or self.path):
            return
        figure = self.figure()
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever looks meanwhile sees the one before, whole.
            draft = self.path.with_name(self.path.name + ".new")
            figure.savefig(draft, format="png", dpi=110)
            os.replace(draft, self.path)
        if in_notebook:
            self._show(figure)

    def figure(self):
        """The Matplotlib figure of the epochs so far."""
        logged = dict.fromkeys(name.removeprefix("val_") for record in self._records for name in record)
        rate = any(name.startswith("learning_rate") for name in logged)
        names = self.names or [name for name in logged if name != "epoch" and not name.startswith("learning_rate")]
        panels = [*names, *(["learning rate"] if rate and not self.names else [])]
        columns = min(3, len(panels))
        lines = -(-len(panels) // columns)
        figure = plots.axes(size=(plots.SIZE[0] * columns, plots.SIZE[1] * lines)).figure
        figure.clear()
        places = figure.subplots(lines, columns, squeeze=False).flatten()
        for place, name in zip(places, names, strict=False):
            plots.curves(self._records, name, ax=place)
        if len(panels) > len(names):
            plots.learning_rate(self._records, ax=places[len(names)])
        for place in places[len(panels) :]:
            place.axis("off")
        return figure

    def get_state(self):
        return {"records": list(self._records)}

    def set_state(self, state):
        self._records = state["records"]

    def _show(self, figure):
        from IPython.display import display

        if self._place is None:
            self._place = display(figure, display_id=True)
        else:
            self._place.update(figure)


def is_in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, and not in a script or a terminal."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")
