"""Plots of a training and of a model's predictions. Each takes `ax=` and returns its matplotlib figure.

Without `ax` a plot makes a figure of its own; nothing is kept in pyplot, so no figure has to be closed. To look at one
outside a notebook: `plots.curves(history).savefig("curves.png")`.

>>> from keras_cookbook.callbacks import plots
>>> figure = plots.curves({"loss": [0.9, 0.5], "val_loss": [0.8, 0.7]}, best_epoch=2)
>>> [line.get_label() for line in figure.axes[0].lines]
['training', 'validation', 'best epoch: 2']
"""

import io

import numpy as np

BLUE, ORANGE, GREEN, RED, GREY = "#1f6fd0", "#c2570c", "#1b7f4b", "#c62828", "#808080"
SIZE = 4.6, 3.1  # inches; in a page it is scaled to the column


def axes(ax=None, size=SIZE):
    """`ax`, or the axes of a new figure of that size in inches."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")

    def picture():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        return file.getvalue()

    # A notebook shows it, as it does what pyplot makes.
    figure._repr_png_ = picture
    return figure.subplots()


def finish(ax, xlabel="", ylabel="", title="", legend=True):
    """Labels, a faint grid and a frame of two sides; returns the figure."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, fontsize="medium")
    ax.grid(alpha=0.5, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if legend and ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax.figure


def series(log, name: str):
    """Epochs and values of one log, as two lists, without the epochs that lack it.

    Args:
        log: Keras' `History`, its `history` dict, or records such as `log.jsonl` holds (`epoch` counts from 1).
        name: A log's name.
    """
    log = getattr(log, "history", log)
    if isinstance(log, dict):
        log = [{"epoch": i + 1, name: value} for i, value in enumerate(log.get(name, []))]
    pairs = [(record["epoch"], float(record[name])) for record in log if name in record]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def curves(log, name: str = "loss", *, best_epoch: int | None = None, marks=(), ax=None):
    """A log over the epochs, training and validation, with the best epoch marked.

    Args:
        log: As for `series`.
        name: The log's name without `val_`.
        best_epoch: Counted from 1.
        marks: Epochs at which something was found, counted from 1, with a few words each.
        ax: Where to draw.
    """
    ax = axes(ax)
    for prefix, label, colour in (("", "training", BLUE), ("val_", "validation", ORANGE)):
        epochs, values = series(log, prefix + name)
        if epochs:
            ax.plot(epochs, values, color=colour, label=label, marker="o", markersize=2 if len(epochs) > 30 else 4)
    if best_epoch is not None:
        ax.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch: {best_epoch}")
    for epoch, words in marks:
        ax.axvline(epoch, color=RED, linestyle="--", linewidth=1, label=f"epoch {epoch}: {words}")
    _whole_epochs(ax)
    return finish(ax, "epoch", name, name)


def learning_rate(log, *, ax=None):
    """The learning rate at the end of each epoch, on a logarithmic scale where it varies by more than tenfold."""
    ax = axes(ax)
    log = getattr(log, "history", log)
    records = [log] if isinstance(log, dict) else log
    names = dict.fromkeys(name for record in records for name in record if name.startswith("learning_rate"))
    for name, colour in zip(names, (BLUE, ORANGE, GREEN, RED, GREY), strict=False):
        epochs, values = series(log, name)
        ax.plot(epochs, values, color=colour, marker="o", markersize=4, label=name if len(names) > 1 else None)
        if min(values) > 0 and max(values) > 10 * min(values):
            ax.set_yscale("log")
    _whole_epochs(ax)
    return finish(ax, "epoch", "learning rate", "learning rate")


def _whole_epochs(ax):
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def confusion_matrix(matrix, class_names=None, *, ax=None):
    """Counts of true classes (rows) and predicted ones (columns); the shade is the share of the row.

    Args:
        matrix: (classes, classes) counts, as `confusion_matrix` of this package gives them.
        class_names: A name for each class.
        ax: Where to draw.
    """
    from matplotlib.colors import to_rgb

    matrix = np.asarray(matrix)
    count = len(matrix)
    names = [shortened(str(name), 14) for name in (class_names or range(count))]
    side = min(max(3.4, 1.2 + 0.33 * count), 9)
    ax = axes(ax, (side + 0.4, side))
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    picture = np.empty((count, count, 4))
    picture[..., :3], picture[..., 3] = to_rgb(BLUE), 0.75 * share
    ax.imshow(picture, interpolation="none")
    if count <= 20:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            size = 9 if matrix.max() < 1000 and count <= 12 else 7
            ax.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=size)
    step = -(-count // 25)
    long = max(map(len, names)) > 3 or count > 12
    ax.set_xticks(range(0, count, step), names[::step], rotation=90 if long else 0, fontsize="small")
    ax.set_yticks(range(0, count, step), names[::step], fontsize="small")
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    ax.grid(which="minor", alpha=0.4, linewidth=0.4)
    ax.tick_params(which="minor", length=0)
    return ax.figure


def reliability(calibrated: dict, *, ax=None):
    """A reliability diagram: accuracy against confidence, with the share of the predictions in each bin.

    Args:
        calibrated: What `calibration` of this package returns.
        ax: Where to draw.
    """
    ax = axes(ax)
    bins = [entry for entry in calibrated["bins"] if entry["count"]]
    total = max(sum(entry["count"] for entry in bins), 1)
    low = min((entry["low"] for entry in bins), default=0)
    ax.bar(
        [(entry["low"] + entry["high"]) / 2 for entry in bins],
        [entry["count"] / total for entry in bins],
        width=[0.9 * (entry["high"] - entry["low"]) for entry in bins],
        color=GREY, alpha=0.35, label="share of predictions",
    )  # fmt: skip
    ax.plot([low, 1], [low, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    sure, right = [entry["confidence"] for entry in bins], [entry["accuracy"] for entry in bins]
    ax.plot(sure, right, color=BLUE, marker="o", markersize=4, label="model")
    ax.set(xlim=(low - 0.01, 1.01), ylim=(0, 1.03))
    return finish(ax, "confidence", "accuracy", f"ECE {calibrated['ece']:.3f}")


def per_class(classes: list[dict], *, ax=None):
    """Precision and recall of each class, the class with the lowest F1 at the top.

    Args:
        classes: Dicts with `name`, `precision`, `recall` and `f1`; the 30 with the lowest F1 are shown.
        ax: Where to draw.
    """
    rows = sorted(classes, key=lambda row: row["f1"])[:30]
    ax = axes(ax, (SIZE[0], max(2.2, 0.9 + 0.26 * len(rows))))
    place = np.arange(len(rows))
    for key, colour, marker in (("precision", BLUE, "o"), ("recall", ORANGE, "D")):
        ax.plot([row[key] for row in rows], place, marker, color=colour, markersize=5, label=key)
    ax.hlines(place, [min(r["precision"], r["recall"]) for r in rows], [max(r["precision"], r["recall"]) for r in rows],
              color=GREY, linewidth=1, zorder=0)  # fmt: skip
    ax.set_yticks(place, [shortened(str(row["name"]), 18) for row in rows], fontsize="small")
    ax.invert_yaxis()
    ax.set_xlim(right=1.01)
    return finish(ax, "score", "", "precision and recall by class")


def predicted_against_true(true, predicted, *, ax=None):
    """Predictions over true values, (rows,) each; a perfect model lies on the line."""
    ax = axes(ax)
    ax.plot(true, predicted, ".", color=BLUE, alpha=0.5, markersize=5, rasterized=False)
    ends = [min(*true, *predicted), max(*true, *predicted)]
    ax.plot(ends, ends, color=GREY, linestyle=":", label="perfect")
    return finish(ax, "true", "predicted", "predicted against true")


def residuals(true, predicted, *, ax=None):
    """Errors (predicted - true) over predictions, (rows,) each; a pattern in them is something not yet learnt."""
    ax = axes(ax)
    error = np.asarray(predicted, "float64") - np.asarray(true, "float64")
    ax.plot(predicted, error, ".", color=BLUE, alpha=0.5, markersize=5)
    ax.axhline(0, color=GREY, linestyle=":")
    return finish(ax, "predicted", "error", "residuals: predicted - true")


def image_grid(images, titles=None, *, columns: int = 6, ax=None):
    """Pictures side by side.

    Args:
        images: (images, height, width) or (..., channels), 0 to 255, or 0 to 1 for floats.
        titles: A line for each.
        columns: How many in a row.
        ax: Where to draw.
    """
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    high, wide, channels = images.shape[1:]
    count, columns = len(images), min(columns, len(images))
    lines = -(-count // columns)
    ax = axes(ax, (1.1 * columns, (1.35 if titles else 1.1) * lines))
    scale = 255 if images.dtype.kind in "ui" or images.max() > 1.5 else 1
    gap = 0.3 if titles else 0.06
    for place, image in enumerate(np.clip(images / scale, 0, 1)):
        left, top = place % columns * 1.06, place // columns * (1 + gap)
        image = image[..., :3] if channels >= 3 else image[..., 0]
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(left, left + 1, top + 1, top), interpolation="nearest")
        if titles:
            ax.text(left + 0.5, top - 0.06, titles[place], ha="center", va="bottom", fontsize="x-small")
    ax.set(xlim=(0, columns * 1.06 - 0.06), ylim=(lines * (1 + gap) - gap, -gap), aspect=high / wide)
    ax.axis("off")
    return ax.figure


def shortened(text: str, most: int) -> str:
    """The text as it is, an ellipsis in place of what is beyond `most` characters; a dollar sign begins no formula."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")


def lines(values, *, ax=None):
    """A few series over their steps, as small as a thumbnail.

    Args:
        values: (series, steps).
        ax: Where to draw.
    """
    ax = axes(ax, (2.6, 1.6))
    for one, colour in zip(values, (BLUE, ORANGE, GREEN, RED), strict=False):
        ax.plot(one, color=colour, linewidth=1)
    return finish(ax, "step", "", "")
