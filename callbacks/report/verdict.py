"""The first paragraph of a report: what was trained, how good it is, and what to do about it, in plain words."""

import math

NAMES = {
    "accuracy": "accuracy", "exact_match": "rows with every label right", "roc_auc": "ROC AUC",
    "macro_precision": "precision (mean of classes)", "macro_recall": "recall (mean of classes)",
    "macro_f1": "F1 (mean of classes)", "log_loss": "log loss (nats)", "ece": "calibration error (ECE)",
    "mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²",
}  # fmt: skip
SPLITS = {"given": "data given to the report"}


def verdict(report: dict) -> list[str]:
    """The sentences of the first paragraph, from a report's other parts."""
    return [
        sentence for part in (_trained, _diagnosed, _scored, _compared, _course, _trusted) for sentence in part(report)
    ]


def split_name(evaluation: dict) -> str:
    """How the judged split is spoken of."""
    return SPLITS.get(evaluation["split"], f"{evaluation['split']} split")


def percent(value: float) -> str:
    """0.9876 as "98.8%"; two digits after the point where the first would only say 100%."""
    text = f"{value:.1%}"
    return f"{value:.2%}" if text == "100.0%" and value < 1 else text


def _trained(report):
    training = report["training"]
    epochs, asked = training["epochs"], training.get("asked")
    size = f", {training['parameters']:,} weights," if training.get("parameters") else ""
    of = f" of {asked}" if asked and asked != epochs else ""
    plural = "epoch" if epochs == 1 and not of else "epochs"
    yield f"{report['title']}{size} was trained for {epochs}{of} {plural}{_in(training.get('seconds'))}."


def _diagnosed(report):
    grave = [finding for finding in report.get("findings", []) if finding["severity"] == "error"]
    if grave:
        yield f"{grave[0]['title']}: {grave[0]['message']}"


def _in(seconds) -> str:
    return "" if not seconds else f" in {duration(seconds)}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as one would say it."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5940 else f"{seconds / 3600:.1f} h"


def _scored(report):
    judged = report.get("evaluation")
    if not judged:
        return
    scores, where = judged["scores"], f"On the {split_name(judged)} ({judged['rows']:,} rows)"
    if judged["task"] == "regression":
        r2 = float(scores["r2"])
        told = f"; they explain {percent(r2)} of the variance (R² {r2:.3f})" if r2 >= 0 else f" (R² {r2:.3f})"
        yield f"{where} its predictions are off by {scores['mae']:.4g} on average{told}."
    elif judged["task"] == "multilabel":
        yield f"{where} {percent(scores['accuracy'])} of the labels are right, F1 {scores['macro_f1']:.3f}."
    else:
        yield f"{where} its accuracy is {percent(scores['accuracy'])}."


def best_baseline(report: dict) -> dict | None:
    """The baseline that comes closest to the model or is furthest ahead of it."""
    return min(report.get("baselines") or [], key=lambda row: row["lead"]["value"], default=None)


def _compared(report):
    row = best_baseline(report)
    if row is None:
        return
    lead = row["lead"]
    of, value = ("mean absolute error", f"{row['scores']['mae']:.4g}") if lead["of"] == "mae" else (
        "accuracy", percent(row["scores"]["accuracy"])
    )  # fmt: skip
    few = f", trained on {row['rows']:,} of the {row['of']:,} rows," if row["rows"] < row["of"] else ","
    yield f"The best simple model, {row['name']}{few} has {_article(of)} {of} of {value}."
    if lead["value"] > lead["margin"]:
        return
    if lead["value"] < -lead["margin"]:
        yield f"So this network is worse than {row['name']}: use that, or find out what is wrong."
    else:
        yield f"So this network is no better than {row['name']}, as far as this many rows can tell."


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _course(report):
    training, log = report["training"], report["log"]
    monitor, best, last = training["monitor"], training["best_epoch"], log[-1]["epoch"] if log else 0
    bad = next((r["epoch"] for r in log if "loss" in r and not math.isfinite(float(r["loss"]))), None)
    if bad:
        yield f"The loss is not a finite number in epoch {bad}: lower the learning rate, or look for bad rows."
    if best is None:
        return
    held = ", and its weights were put back at the end" if training.get("restored") and best != last else ""
    yield f"The best epoch by {monitor} ({training['best']:.4g}) is {best}{held}."
    if training.get("ended") == "early":
        yield f"Training stopped early, after {last - best} epochs without a better one."
    elif training.get("ended") == "interrupted":
        yield "Training was interrupted."
    validation = [float(r["val_loss"]) for r in log if "val_loss" in r]
    losses = [float(r["loss"]) for r in log if "loss" in r]
    if len(validation) == len(log) > 2 and all(map(math.isfinite, validation + losses)):
        lowest = validation.index(min(validation))
        if validation[-1] > 1.05 * validation[lowest] and losses[-1] < losses[lowest]:
            yield (
                f"val_loss rises after epoch {log[lowest]['epoch']} while the loss still falls: the network learns its "
                "training rows by heart. More data, more regularisation or a smaller network would help."
            )
    rates = [record["learning_rate"] for record in log if isinstance(record.get("learning_rate"), float)]
    spent = bool(rates) and rates[-1] < 0.05 * max(rates)  # a schedule has come to its end: there is nothing to go on
    if best == last and len(log) > 1 and training.get("ended") != "early" and not spent:
        yield f"{monitor} was still improving when training ended: train longer."


def _trusted(report):
    judged = report.get("evaluation", {})
    if "calibration" not in judged or judged["calibration"]["ece"] <= 0.05:
        return
    accuracy = judged["scores"]["accuracy"]
    gap = judged["calibration"]["mean_confidence"] - accuracy
    if abs(gap) > 0.03:
        way = "too sure" if gap > 0 else "less sure than it could be"
        sure = percent(judged["calibration"]["mean_confidence"])
        yield f"It is {way} of itself: {sure} confident on average, {percent(accuracy)} right."
