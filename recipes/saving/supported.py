"""Which recipe can be exported to which format: found out by exporting, and not written down."""

import tempfile
from pathlib import Path

from .._contract import REGISTRY, names
from .._kinds import Number
from .comparison import make
from .export import export
from .formats import FORMATS
from .network import input_specs

#: Kind of data -> the shape of a small example.
SHAPES = {"rows": (6,), "images": (8, 8, 3), "sequences": (6, 3), "text": (4,)}
#: What to ask for where a plain export is refused, the better one first.
OPTIONS = ({}, {"unroll": True}, {"batch_size": 1})
COLUMNS = [(name, precision) for name, form in FORMATS.items() for precision in form.tolerances]


def supported(recipes=None):
    """Exports the smallest model of each recipe, for each kind of data, to each format, and compares it.

    Args:
        recipes: names; None for all.

    Yields:
        (name, kind of data, part, cells): the part is the attribute that holds what is exported where it is not the
        model itself, else None; `cells` has for each of `COLUMNS` the options that the export needs, or None where
        there are none.
    """
    for name in recipes or names():
        for kind in REGISTRY[name].recipe.data:
            model = small(name, kind)
            for part in getattr(model, "names", [None]):
                network = getattr(model, part) if part else model
                yield name, kind, part, {column: needed(network, *column) for column in COLUMNS}


def small(name, kind):
    """A model of that recipe at the smallest size worth searching."""
    entry = REGISTRY[name].recipe
    sizes = {
        argument: known.kind.search[0]
        for argument, known in entry.arguments.items()
        if isinstance(known.kind, Number) and known.kind.search
    }
    return REGISTRY[name](SHAPES[kind], **({"outputs": 3} if entry.supervised else {}), **sizes, seed=0)


def needed(model, format, precision):
    """The options with which the model can be exported, {} where it needs none; None where it cannot be."""
    calibration = None
    if precision == "int8":
        calibration = make(model, input_specs(model), examples=32, free=32)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{FORMATS[format].suffix}"
        for options in OPTIONS:
            try:
                export(model, path, format, precision=precision, calibration=calibration, **options)
            except ValueError:
                continue
            return options
    return None


def table_row(name, kind, part, cells):
    """A row of the table in the README."""
    what = f"`{name}`" + (f", its `{part}`" if part else "")
    texts = (
        "no" if options is None else "yes" if not options else f"`{next(iter(options))}={next(iter(options.values()))}`"
        for options in cells.values()
    )
    return f"| {what} | {kind} | {' | '.join(texts)} |"


def table_head():
    titles = [
        FORMATS[name].title + (f" {precision}" if len(FORMATS[name].tolerances) > 1 else "")
        for name, precision in COLUMNS
    ]
    return f"| recipe | data | {' | '.join(titles)} |\n|{'---|' * (len(titles) + 2)}"


def table(recipes=None):
    """The table as Markdown."""
    return "\n".join([table_head(), *(table_row(*row) for row in supported(recipes))])
