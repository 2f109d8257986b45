"""Plots of a search. Each takes `ax=` and returns its matplotlib figure, as those of `callbacks.plots` do."""

from keras_cookbook.callbacks.report import plots as drawing
from keras_cookbook.callbacks.report.plots import BLUE, GREY, ORANGE, SIZE

from . import analysis


def history(search, *, ax=None):
    """The score of each trial over the time spent, and the best so far.

    Args:
        search: a `Search`, or rows as `analysis.history` gives them.
        ax: where to draw.
    """
    rows = search if isinstance(search, list) else analysis.history(search)
    rows = [row for row in rows if row["score"] is not None]
    ax = drawing.axes(ax)
    longest = max((row["seconds"] for row in rows), default=0)
    divide, unit = (3600, "h") if longest > 7200 else (60, "min") if longest > 180 else (1, "s")
    time = [row["seconds"] / divide for row in rows]
    ax.plot(time, [row["score"] for row in rows], "o", color=BLUE, markersize=4, label="trial")
    ax.step(time, [row["best"] for row in rows], where="post", color=ORANGE, label="best so far")
    name = getattr(search, "objective", "score")
    return drawing.finish(ax, f"time in trials ({unit})", name, "score over time")


def importance(found, *, ax=None):
    """How much each hyperparameter mattered, with the standard deviation.

    Args:
        found: what `analysis.importance` returns.
        ax: where to draw.
    """
    rows = found["values"]
    ax = drawing.axes(ax, (SIZE[0], max(1.8, 0.9 + 0.3 * len(rows))))
    names = [drawing.shortened(row["name"], 18) for row in rows]
    ax.barh(range(len(rows)), [row["share"] for row in rows], xerr=[row["error"] for row in rows], color=BLUE,
            ecolor=GREY, height=0.6)  # fmt: skip
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(rows)), names, fontsize="small")
    ax.invert_yaxis()
    return drawing.finish(ax, "rise of the error when shuffled", "", "which hyperparameter mattered")


def parallel_coordinates(search, *, ax=None):
    """A line for each completed trial through its hyperparameters and its score; the best tenth stands out.

    Args:
        search: a `Search`.
        ax: where to draw.
    """
    lines, heights, best = analysis.coordinates(analysis.space_of(search), search.ranked, search.objective)
    ax = drawing.axes(ax, (max(SIZE[0], 1.2 * len(lines)), SIZE[1]))
    for place, line in reversed(list(enumerate(heights))):
        strong = {"color": ORANGE, "zorder": 3} if place < best else {"color": BLUE, "alpha": 0.35}
        ax.plot(range(len(lines)), line, linewidth=1.2, **strong)
    for place, entry in enumerate(lines):
        ax.axvline(place, color=GREY, linewidth=0.8)
        for value in entry.get("values", [entry.get("low"), entry.get("high")]):
            text = drawing.shortened(f"{value:.3g}" if isinstance(value, float) else str(value), 12)
            ax.text(place, analysis.position(entry, value), f" {text}", fontsize="x-small", va="center")
    ax.set_xticks(range(len(lines)), [drawing.shortened(entry["name"], 14) for entry in lines], fontsize="small")
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    drawing.finish(ax, title="trials; the best tenth in orange", legend=False)
    ax.grid(visible=False)
    return ax.figure
