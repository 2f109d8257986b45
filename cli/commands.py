"""The commands: list, show, train, tune, copy. `report` has a file of its own."""

import contextlib
import inspect
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
WORDS = {"nargs": -1, "type": click.UNPROCESSED}
#: So that `--depth=3` is read like `depth=3`.
LOOSE = {"ignore_unknown_options": True}
#: Arguments of `tuning.search` that are not written as words.
OF_PYTHON = ("recipe", "data", "callbacks", "progress", "space")


class Commands(click.Group):
    """Errors that a user can mend are told in a sentence, without a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except click.exceptions.Exit:  # a RuntimeError, raised by --help
            raise
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            if os.environ.get("COOKBOOK_TRACEBACK"):
                raise
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-cookbook")
def main():
    """Keras recipes from the command line.

    Options of a recipe are written key=value, in any order. COOKBOOK_TRACEBACK=1 shows where an error came from.
    """
    with quiet():
        import keras_cookbook.tuning  # noqa: F401 - everything heavy, once


@contextlib.contextmanager
def quiet():
    """TensorFlow tells of its build before it can be told not to: held back unless importing fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@main.command("list")
@click.option("--data", help='Only those for one kind of data, such as "images".')
@click.option("--markdown", is_flag=True, help="As the table in the README.")
@JSON
def list_recipes(data, markdown, as_json):
    """Name the recipes."""
    from keras_cookbook import recipes

    entries = [recipes.get(name).recipe for name in recipes.list(data)]
    if as_json:
        rows = [{"name": e.name, "data": list(e.data), "summary": e.summary, "paper": e.paper} for e in entries]
        click.echo(json.dumps(rows))
    elif markdown:
        click.echo("| recipe | data | what it is | source |\n|---|---|---|---|")
        for e in entries:
            click.echo(f"| `{e.name}` | {', '.join(e.data)} | {e.summary} | {e.paper} |")
    else:
        for e in entries:
            click.echo(f"{e.name:<20} {', '.join(e.data):<16} {e.summary}")


@main.command()
@click.argument("recipe")
@JSON
def show(recipe, as_json):
    """Explain RECIPE and its arguments."""
    from keras_cookbook.recipes._kinds import Number
    from keras_cookbook.tuning.space import build_space, tunable

    from .source import find_recipe

    entry = find_recipe(recipe).recipe
    known, searched = tunable(entry), build_space(entry, {})[1]
    if as_json:
        rows = [
            {
                "name": name,
                "default": argument.default,
                "legal": str(argument.kind),
                "search": list(argument.kind.search) if argument.kind.search else None,
                "searched": name in searched,
            }
            for name, argument in known.items()
        ]
        click.echo(json.dumps({"name": entry.name, "data": list(entry.data), "paper": entry.paper, "arguments": rows}))
        return
    click.echo(f"{inspect.getdoc(entry.build)}\n\nSource: {entry.paper}\n")
    click.echo(f"{'argument':<20} {'default':<12} {'worth searching':<24} legal")
    for name, argument in known.items():
        mark = "*" if name in searched else " "
        between = ".." if isinstance(argument.kind, Number) else ", "
        worth = between.join(map(str, argument.kind.search or ()))
        click.echo(f"{name:<19}{mark} {argument.default!s:<12} {worth:<24} {argument.kind}")
    click.echo("\n* searched by `cookbook tune` unless fixed; every other argument is searched when given a range.")


def named(factory, file):
    """How Python names a recipe, and the line that imports it."""
    if file.endswith(".py"):
        return factory.recipe.name, f"from {factory.recipe.name} import {factory.recipe.name}\n"
    return f"recipes.{factory.recipe.name}", ""


@main.command(context_settings=LOOSE)
@click.argument("recipe")
@click.argument("data")
@click.argument("words", metavar="[KEY=VALUE]...", **WORDS)
@JSON
def train(recipe, data, words, as_json):
    """Train RECIPE (or FILE.py) on DATA and judge it on the test split.

    DATA is a name (digits, mnist, ...), a CSV file (with target=COLUMN; text=COLUMN where it is text that is read;
    history=STEPS and horizon=STEPS where it is a series to forecast) or a folder of images. KEY is an argument of the
    recipe (see `cookbook show`), or epochs, batch_size, patience, seed, folder, target, text, task, validation, test,
    image_size, history, stride; or report=false for no report. The same command with the same folder continues a
    training that was interrupted.
    """
    from keras_cookbook import callbacks
    from keras_cookbook.tuning.result import run_folder
    from keras_cookbook.tuning.space import tunable

    from . import reports
    from .options import DATA_OPTIONS, arguments, described, load_data, parse
    from .source import find_recipe

    factory = find_recipe(recipe)
    known = tunable(factory.recipe)
    options = parse(words, [*known, "patience", "seed", "folder", "report", *DATA_OPTIONS])
    reported = reports.wanted(options)
    seed, patience = options.pop("seed", 0), options.pop("patience", 10)
    fitting = {
        name: known[name].check(options.pop(name, known[name].default), name) for name in ("epochs", "batch_size")
    }
    folder = options.pop("folder", None)
    resumed = folder is not None  # otherwise each command has a folder of its own
    data, loading = load_data(data, options, batch_size=fitting["batch_size"], seed=seed)
    folder = Path(folder or run_folder(factory.recipe.name, data.name))
    sizes = factory.recipe.sizes(data)
    model = factory(**sizes, seed=seed, **options)
    monitor = "loss" if data.validation is None else "val_loss"
    name, importing = named(factory, recipe)
    more = ", report=data" * reported + ", resume=True" * resumed
    python = f"""{importing}from keras_cookbook import callbacks, recipes

{loading}
model = {name}({described(sizes)}, seed={seed}{arguments(options)})
watch = callbacks.standard({str(folder)!r}, monitor={monitor!r}, patience={patience}{more})
model.fit(data.train, validation_data=data.validation, epochs={fitting["epochs"]}, callbacks=watch)
model.evaluate(data.test)"""
    if not as_json:
        click.echo(f"{data!r}\n\n{python}\n")
    watch = callbacks.standard(
        folder,
        monitor=monitor,
        patience=patience,
        report=data if reported else None,
        resume=resumed,
        progress=not as_json,
    )
    started = time.monotonic()
    history = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=fitting["epochs"],
        callbacks=watch,
        verbose=0 if as_json else "auto",
    )
    result = {
        "recipe": factory.recipe.name,
        "data": data.name,
        "epochs": len(history.epoch),
        "seconds": round(time.monotonic() - started, 1),
        "test": test_scores(model, data),
        "model": str(folder / "best.keras"),
        "report": reports.path_in(folder, reported),
        "python": python,
    }
    tell(result, folder, as_json)


@main.command(context_settings=LOOSE)
@click.argument("recipe")
@click.argument("data")
@click.argument("words", metavar="[KEY=VALUE]...", **WORDS)
@click.option("--resume", is_flag=True, help="Go on with the last search of RECIPE on DATA in runs/.")
@JSON
def tune(recipe, data, words, resume, as_json):
    """Search the hyperparameters of RECIPE (or FILE.py, or several with commas between) on DATA.

    KEY is an argument of the recipe: a value fixes it (width=64), a list gives the values to try
    (optimizer=adam,sgd), a range the lowest and highest (width=16..256); or an argument of `tuning.search`: algorithm
    (bayesian, random, grid, hyperband, halving, tpe), max_trials, max_hours, max_epochs, target, objective, patience,
    pruning, doctor, executions_per_trial, workers, seed, strategy, folder, keep, warm_start; an option of the data, as
    in `train`; or report=false for no report. The same command with the same folder, or with --resume, goes on with a
    search that was interrupted.
    """
    from keras_cookbook import tuning
    from keras_cookbook.tuning.result import run_folder
    from keras_cookbook.tuning.space import tunable

    from . import reports
    from .options import DATA_OPTIONS, arguments, load_data, parse
    from .source import find_recipe

    factories = [find_recipe(word) for word in recipe.split(",")]
    of_search = [name for name in inspect.signature(tuning.search).parameters if name not in OF_PYTHON]
    known = dict.fromkeys(key for factory in factories for key in tunable(factory.recipe))
    options = parse(words, [*known, *of_search, "report", *DATA_OPTIONS])
    options.setdefault("seed", 0)
    reported = reports.wanted(options)
    data, loading = load_data(data, options, seed=options["seed"])
    folder = run_folder(" or ".join(factory.recipe.name for factory in factories), data.name)
    options.setdefault("folder", str(last_search(folder) if resume else folder))
    called, lines = zip(*(named(*pair) for pair in zip(factories, recipe.split(","), strict=True)), strict=True)
    name, importing = called[0] if len(called) == 1 else f"[{', '.join(called)}]", "".join(lines)
    python = f"""{importing}from keras_cookbook import recipes, tuning

{loading}
found = tuning.search({name}, data{arguments(options)})
print(found.leaderboard())
{"found.write_report()" + chr(10) if reported else ""}model = found.best_model()"""
    if not as_json:
        click.echo(f"{data!r}\n\n{python}\n")
    try:
        found = tuning.search(factories, data, progress=not as_json, **options)
    finally:  # also of a search that failures have ended
        if reported:
            reports.write_for_search(options["folder"])
    result = found.to_dict() | {
        "best_hyperparameters": found.best_hyperparameters,
        "test": test_scores(found.best_model(), data),
        "model": str(found.best_path),
        "report": reports.path_in(found.folder, reported),
        "python": python,
    }
    tell(result, found.folder, as_json)


@main.command()
@click.argument("recipe")
@click.argument("file")
def copy(recipe, file):
    """Write the source of RECIPE to FILE.py, to edit and to run."""
    from .source import copy_recipe

    new = copy_recipe(recipe, file)
    click.echo(f"Wrote {file} with the recipe {new!r}. Edit it, then: python {file}, or cookbook train {file} DATA")


def last_search(folder):
    """The newest folder of the same recipe and data that holds a search."""
    alike = folder.name.rsplit("-", 2)[0]
    found = sorted(path.parent for path in folder.parent.glob(f"{alike}-????????-??????/search.json"))
    if not found:
        raise click.UsageError(f"--resume: there is no search in {folder.parent}/{alike}-*; leave it out to begin one.")
    return found[-1]


def test_scores(model, data):
    return {} if data.test is None else model.evaluate(data.test, verbose=0, return_dict=True)


def tell(result, folder, as_json):
    """Writes the result to `result.json`, and tells it."""
    from keras_cookbook.callbacks import save_json
    from keras_cookbook.callbacks.checkpoint import strict

    save_json(result, folder / "result.json")
    if as_json:
        click.echo(json.dumps(strict(result), allow_nan=False))
        return
    scores = "  ".join(f"{name} {value:.4f}" for name, value in result["test"].items())
    click.echo(f"test: {scores or 'there is no test split'}\nmodel: {result['model']}")
    if result["report"]:
        click.echo(f"report: {result['report']}")
