"""All that a training's report says, as plain values: what `report.json` holds and the page is made from."""

from datetime import UTC, datetime

import numpy as np

from ..monitor import Best
from . import baselines, examples, facts, splits, tasks
from .verdict import verdict

#: Raised when the layout of report.json changes.
VERSION = 1


def training_report(log: list[dict], training: dict, model=None, data=None, findings=()) -> dict:
    """What is known of a training.

    Args:
        log: A record for each epoch, as `log.jsonl` holds them.
        training: What the callback knows: `monitor`, `mode`, `asked` (epochs), `ended`, `restored` (whether the best
            weights were put back), `seconds`.
        model: The trained model; without it there is the log alone.
        data: What the model is judged on: an object with `test` or `validation`, arrays (x, y), or batches; None or
            True for none.
        findings: What a training doctor has found.

    Returns:
        A dict of plain values. What could not be made is told in its `notes`.
    """
    data = None if data is True or data is False else data
    report = {
        "kind": "training",
        "version": VERSION,
        "title": _title(model, data, training),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": [],
        "training": dict(training) | best_of(log, training),
        "findings": [finding.as_dict() for finding in findings],
        "log": log,
        "notes": [],
    }
    if model is not None:
        report["training"] |= {"model": model.name, "parameters": model.count_params()}
        report["settings"] = facts.settings(model)
    if data is not None:
        _part(report, "data", lambda: facts.describe(data))
    if model is not None and data is not None:
        _judge(report, model, data)
    if model is not None:
        _part(report, "samples", lambda: examples.samples(model))
    report |= {"versions": facts.versions(), "hardware": facts.hardware()}
    report["verdict"] = verdict(report)
    return report


def best_of(log: list[dict], training: dict) -> dict:
    """`epochs` that were run, and `best_epoch` and `best` by the monitor, where it was logged."""
    best = Best(training["monitor"], training["mode"])
    for record in log:
        name = training["monitor"]
        best.update(record["epoch"], {name: float(record[name])} if name in record else None)
    return {"epochs": len(log), "best_epoch": best.epoch, "best": best.value}


def _title(model, data, training: dict) -> str:
    recipe = (getattr(model, "recipe", None) or {}).get("name")
    what = recipe or (model.name if model is not None else training.get("model", "training"))
    name = getattr(data, "name", None)
    return f"{what} on {name}" if isinstance(name, str) else what


def _part(report: dict, key: str, make) -> None:
    """Puts in what `make` gives; a part that fails costs a note, not the report."""
    try:
        found = make()
    except Exception as error:
        report["notes"].append(f"There is no section on {key}: {type(error).__name__}: {error}")
    else:
        if found:
            report[key] = found


def _judge(report: dict, model, data) -> None:
    name = splits.judged_name(data)
    if name is None:
        report["notes"].append("The data have no test and no validation split, so the model is not judged.")
        return
    seen = {}

    def evaluate():
        split = splits.read(data, name)
        answers = tasks.predict(model, split, getattr(data, "batch_size", None) or 128)
        seen.update(split=split, answers=answers)
        task = tasks.task_of(model, data, split.y, answers)
        if task is None:
            return None
        labels, answers, kept = tasks.in_one_form(model, task, split.y, answers)
        class_names = _class_names(data, task)
        seen.update(task=task, labels=labels, answers=answers, class_names=class_names)
        seen["rowwise"] = len(labels) == len(split)
        found = {"split": name, "rows": len(split), "of": split.rows, "task": task}
        if not kept.all() or not seen["rowwise"]:
            found["labels"] = int(kept.sum())
        return found | baselines.judge(task, labels, answers, class_names)

    _part(report, "evaluation", evaluate)
    if not seen:
        return
    _part(report, "reconstructions", lambda: _reconstructed(report, seen))
    if "evaluation" not in report or not seen["rowwise"]:
        return
    split, task = seen["split"], seen["task"]
    judged = splits.Split(name, split.x, seen["labels"], split.rows)
    names = seen["class_names"]
    features = getattr(data, "features", None)
    _part(report, "mistakes", lambda: examples.worst(judged, task, seen["answers"], names, features))
    if "train" in splits.names(data):
        _part(report, "baselines", lambda: _baselines(data, judged, task, seen))


def _reconstructed(report: dict, seen: dict) -> dict:
    answers = seen["answers"]
    if "evaluation" in report or not isinstance(answers, np.ndarray):
        return {}
    return examples.reconstructions(seen["split"].x, answers)


def _baselines(data, judged, task: str, seen: dict) -> list[dict]:
    train = splits.read(data, "train", baselines.MOST_ROWS)
    if train.y is None:
        return []
    one_hot = task == "multiclass" and train.y.size == len(train) * seen["answers"].shape[1]
    labels = train.y.reshape(len(train), -1).argmax(1) if one_hot else train.y
    train = splits.Split("train", train.x, labels, train.rows)
    return baselines.compare(train, judged, task, seen["answers"], seen["class_names"])


def _class_names(data, task: str):
    names = getattr(data, "class_names", None)
    if names is None or task == "regression":
        return None
    return [str(name) for name in names]
