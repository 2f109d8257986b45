"""`cookbook report`: the report of a folder that a training or a search has left."""

import json
import warnings
from pathlib import Path

import click

from .commands import JSON, LOOSE, WORDS, main


@main.command(context_settings=LOOSE)
@click.argument("folder")
@click.argument("data", required=False)
@click.argument("words", metavar="[KEY=VALUE]...", **WORDS)
@JSON
def report(folder, data, words, as_json):
    """Write FOLDER's report anew: of a search, or of a training.

    With DATA, the best model of a training is judged on them. KEY is batch_size, seed, or an option of the data, as in
    `cookbook train`.
    """
    from .options import DATA_OPTIONS, load_data, parse

    options = parse(words, ["batch_size", "seed", "horizon", *DATA_OPTIONS])

    def load(seed):
        more = {"seed": seed} if seed is not None and "seed" not in options else {}
        more |= {name: options.pop(name) for name in ("batch_size", "seed") if name in options}
        return load_data(data, options, **more)[0]

    path = write(folder, load if data else None)
    click.echo(json.dumps({"report": str(path)}) if as_json else f"report: {path}")


def wanted(options):
    wanted = options.pop("report", True)
    if not isinstance(wanted, bool):
        raise ValueError(f"report must be true or false, not {wanted!r}.")
    return wanted


def path_in(folder, reported):
    path = Path(folder) / "report.html"
    return str(path) if reported and path.exists() else None


def write(folder, load=None):
    """Writes `report.html` and `report.json` into a folder, from what is there.

    Args:
        folder: of a search (`search.json`), or of a training (`report.json`, `log.jsonl`, `best.keras`).
        load: a function of a seed that loads the data to judge the training's best model on.

    Returns:
        The path of the HTML file.

    Raises:
        ValueError: if the folder is not there or holds none of these files.
    """
    from keras_cookbook.callbacks import write_text
    from keras_cookbook.callbacks.report import read_log, training_page, training_report, write_report
    from keras_cookbook.tuning.report import search_page, write_search_report

    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}.")
    if (folder / "search.json").exists():
        if load:
            raise ValueError(f"{folder} holds a search, whose report needs no data.")
        return write_search_report(folder)
    if load:
        return judge(folder, load)
    if (folder / "report.json").exists():
        report = read(folder / "report.json")
        page = search_page if report.get("kind") == "search" else training_page
        return write_text(page(report), folder / "report.html")
    log = read_log(folder)
    if not log:
        raise ValueError(
            f"{folder} holds nothing to report on: neither search.json nor report.json, nor a log.jsonl with an epoch."
        )
    return write_report(training_report(log, known(folder, log)), folder)


def write_for_search(folder):
    """The report of a search that has just ended; one that cannot be made is warned of."""
    from keras_cookbook.tuning.report import write_search_report

    try:
        if (Path(folder) / "search.json").exists():
            write_search_report(folder)
    except Exception as error:
        told = f"no report was written to {folder}: {type(error).__name__}: {error}"
        warnings.warn(f"{told}. The search itself is unharmed.", RuntimeWarning, stacklevel=2)


def judge(folder, load):
    """The report of a training with its best model judged on data."""
    from keras_cookbook import recipes
    from keras_cookbook.callbacks.report import read_log, training_report, write_report

    path = folder / "best.keras"
    if not path.exists():
        raise ValueError(f"{folder} holds no best.keras to judge on the data.")
    model, log = recipes.load(path), read_log(folder)
    # `cookbook train` gives one seed to the model and to the data.
    by_command = (folder / "result.json").exists()
    data = load((getattr(model, "recipe", None) or {}).get("seed") if by_command else None)
    report = training_report(log, known(folder, log) | {"restored": True}, model, data)
    before = read(folder / "report.json").get("data", {}) if (folder / "report.json").exists() else {}
    if before and prints(before) != prints(report.get("data", {})):
        report["notes"].append(
            "The data are not those of the earlier report: another seed cuts other splits, and rows that the model was "
            "trained on may be among those that judge it."
        )
    return write_report(report, folder)


def known(folder, log):
    """What there is to know of a training besides its log."""
    if (folder / "report.json").exists():
        before = read(folder / "report.json")["training"]
        return {key: before.get(key) for key in ("ended", "asked", "seconds", "monitor", "mode", "restored")}
    result = read(folder / "result.json") if (folder / "result.json").exists() else {}
    monitor = "val_loss" if any("val_loss" in record for record in log) else "loss"
    seconds = result.get("seconds") or round(sum(float(record.get("seconds", 0)) for record in log), 1)
    name = f"{result['recipe']} on {result['data']}" if {"recipe", "data"} <= result.keys() else "training"
    return {"seconds": seconds, "monitor": monitor, "mode": "min", "model": name}


def prints(data):
    """The fingerprints of the splits."""
    return {name: split.get("sha256") for name, split in data.get("splits", {}).items()}


def read(path):
    """A JSON file.

    Raises:
        ValueError: if it is not.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
