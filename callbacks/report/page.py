"""The page of a training, made from what `report.json` holds and nothing else."""

from ..doctor.remedies import grouped
from . import plots
from .markup import cards, details, document, escape, facts, figure, figures, image, number, section, table, tables
from .verdict import NAMES, duration, percent, split_name

FOOT = "Made by keras_cookbook. The same as data: report.json beside this file."
SETTINGS = {"arguments": "Arguments of the recipe", "training": "Training settings"}


def training_page(report: dict) -> str:
    """The HTML of a training's report.

    Args:
        report: What `training_report` returned or `report.json` holds.
    """
    judged = report.get("evaluation")
    sections = [
        section("findings", "What looks wrong", *_findings(report.get("findings", []))),
        section("curves", "Curves", _curves(report), _epochs(report["log"])),
        section("scores", "Scores", *_scores(report)) if judged else ("", "", ""),
        section("classes", "Classes", *_classes(judged)) if judged and "classes" in judged else ("", "", ""),
        section("calibration", "Calibration", _calibration(judged)) if judged else ("", "", ""),
        section("errors", "Errors", *_errors(judged)) if judged and "points" in judged else ("", "", ""),
        section("mistakes", "Worst mistakes", _mistakes(report)),
        section("samples", "Samples", _samples(report.get("samples", {}))),
        section("reconstructions", "Reconstructions", _reconstructions(report.get("reconstructions", {}))),
        section("setup", "How it was made", *_setup(report)),
    ]
    foot = f"{report['created'][:16].replace('T', ' ')} UTC. {FOOT}"
    return document(report["title"], report["verdict"], cards(_summary(report)), sections, foot)


def _summary(report: dict) -> dict:
    training, judged = report["training"], report.get("evaluation", {})
    found = {}
    for name, value in list(judged.get("scores", {}).items())[:1] + [
        (name, value) for name, value in judged.get("scores", {}).items() if name in ("macro_f1", "r2", "ece", "rmse")
    ]:
        found[f"{NAMES[name]}, {judged['split']}"] = percent(value) if name == "accuracy" else float(value)
    if training.get("best_epoch"):
        found["best epoch"] = f"{training['best_epoch']} of {training['epochs']}"
    if training.get("seconds"):
        found["time"] = duration(training["seconds"])
    if training.get("parameters"):
        found["weights"] = training["parameters"]
    return found


def _names(log) -> list[str]:
    keys = dict.fromkeys(key for record in log for key in record)
    plain = [
        key
        for key in keys
        if key not in ("epoch", "time", "seconds", "findings") and not key.startswith("learning_rate")
    ]
    return sorted(dict.fromkeys(key.removeprefix("val_") for key in plain), key=lambda key: key != "loss")


def _findings(found: list[dict]):
    if found:
        rows = [[f["epoch"] or "before", f["title"], f["message"], f["advice"], _changes(f["remedy"])] for f in found]
        columns = ["epoch", "fault", "seen", "what to do", "arguments to try"]
        yield table("What the training doctor found, in order", columns, rows)


def _changes(remedy: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in grouped(remedy))


def _curves(report: dict) -> str:
    marks = [(f["epoch"], f["title"]) for f in report.get("findings", []) if f["epoch"]]
    log, best = report["log"], report["training"]["best_epoch"]
    if not log:
        return "<p>No epoch was finished.</p>"
    made = []
    for name in _names(log):
        known = [f"{key} {_last(log, key)}" for key in (name, f"val_{name}") if any(key in record for record in log)]
        label = f"{name} over {len(log)} epochs; at the end {', '.join(known)}"
        made.append(
            figure(
                plots.curves(log, name, best_epoch=best, marks=marks if name == "loss" else ()),
                f"curve-{len(made)}",
                label,
            )
        )
    if any(key.startswith("learning_rate") for record in log for key in record):
        label = f"learning rate over {len(log)} epochs"
        made.append(figure(plots.learning_rate(log), "learning-rate", label))
    return figures(*made)


def _last(log, key: str) -> str:
    return number(float([record[key] for record in log if key in record][-1]))


def _epochs(log) -> str:
    columns = list(dict.fromkeys(key for record in log for key in record if key != "time"))
    rows = [[_value(record.get(key)) for key in columns] for record in log]
    return details("All epochs as a table", table("Logs of each epoch", columns, rows)) if log else ""


def _value(value):
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _scores(report: dict):
    judged, rows = report["evaluation"], report.get("baselines", [])
    rows = sorted(rows, key=lambda row: -row["lead"]["value"], reverse=True)
    keys = list(judged["scores"])
    model = [report["title"].partition(" on ")[0] + " (this network)"]
    model += [_value(judged["scores"][key]) for key in keys]
    body = [[*model, *(["", ""] if rows else [])]]
    for row in rows:
        cut = f"{row['rows']:,} of {row['of']:,} rows" if row["rows"] < row["of"] else f"{row['rows']:,} rows"
        fewer = f", {row['features']:,} features" if row["features"] else ""
        body.append([row["name"], *(_value(row["scores"].get(key)) for key in keys), _lead(row["lead"]), cut + fewer])
    columns = ["model", *(NAMES.get(key, key).partition(" (")[0] for key in keys)]
    columns += ["network ahead by", "trained on"] if rows else []
    of = f" of {judged['of']:,}" if judged.get("of") and judged["of"] != judged["rows"] else ""
    means = "; precision, recall and F1 are means over classes" if "macro_f1" in keys else ""
    labels = f", {judged['labels']:,} labels" if "labels" in judged else ""
    yield table(f"On the {split_name(judged)}, {judged['rows']:,}{of} rows{labels}{means}", columns, body, ours=0)
    if rows:
        yield (
            '<p class="soft">Baselines are scikit-learn\'s, cut to take seconds. ± is the 95% interval of the '
            "difference on these rows, not of another training run.</p>"
        )


def _lead(lead: dict) -> str:
    if lead["of"] == "mae":
        return f"{lead['value']:+.4g} ± {lead['margin']:.2g} in absolute error".replace("+-", "-")
    return f"{100 * lead['value']:+.2f} ± {100 * lead['margin']:.2f} points of accuracy"


def _classes(judged: dict):
    rows, matrix = judged["classes"], judged.get("confusion_matrix")
    made = []
    if matrix and len(matrix) <= 100:
        names = [row["name"] for row in rows]
        right = sum(matrix[i][i] for i in range(len(matrix)))
        label = f"confusion matrix of {len(matrix)} classes; {right} of {sum(map(sum, matrix))} rows on the diagonal"
        caption = "Rows are true classes, columns predicted ones; the shade is the share of the row."
        made.append(figure(plots.confusion_matrix(matrix, names), "confusion", label, caption))
    lowest = min(rows, key=lambda row: row["f1"])
    label = f"precision and recall of each class; the lowest F1 is {lowest['f1']:.3f}, of {lowest['name']}"
    caption = "The class with the lowest F1 is at the top." + (" Only the lowest 30 are shown." * (len(rows) > 30))
    made.append(figure(plots.per_class(rows), "per-class", label, caption))
    yield figures(*made)
    confusions = ""
    if judged.get("confusions"):
        body = [[pair["true"], pair["predicted"], pair["rows"]] for pair in judged["confusions"]]
        confusions = table("Most frequent confusions", ("true", "predicted", "rows"), body)
    body = [[row["name"], row["precision"], row["recall"], row["f1"], row["support"]] for row in rows]
    whole = table("Scores by class", ("class", "precision", "recall", "F1", "rows"), body)
    whole = whole if len(rows) <= 20 else details(f"All {len(rows)} classes as a table", whole)
    yield tables(whole, confusions)


def _calibration(judged: dict) -> str:
    calibrated = judged.get("calibration")
    if calibrated is None or isinstance(calibrated["ece"], str):  # "NaN", of a network whose answers are
        return ""
    label = f"reliability diagram; expected calibration error {calibrated['ece']:.3f}"
    caption = (
        f"Among predictions made with some confidence, how many are right. ECE {calibrated['ece']:.3f}: confidence and "
        f"accuracy are that far apart on average ({len(calibrated['bins'])} bins; Guo et al., 2017, arXiv:1706.04599)."
    )
    return figures(figure(plots.reliability(calibrated), "reliability", label, caption))


def _errors(judged: dict):
    points = judged["points"]
    true, predicted = points["true"], points["predicted"]
    several = len(judged["outputs"]) > 1
    which = f" Of output {points['output']}, the one with the lowest R²." if several else ""
    few = f" {len(true):,} of {judged['rows']:,} rows are drawn." if len(true) < judged["rows"] else ""
    r2 = f"R² {number(_value(judged['scores']['r2']))}"
    yield figures(
        figure(plots.predicted_against_true(true, predicted), "parity", f"predicted against true values, {r2}",
               f"A perfect model lies on the line.{which}{few}"),
        figure(plots.residuals(true, predicted), "residuals", f"residuals over predictions, {r2}",
               "A trend or a funnel here is something that the network has not learnt."),
    )  # fmt: skip
    rows = [[f"{q['share']:.0%}", float(q["error"]), float(q["size"])] for q in judged["error_quantiles"]]
    columns = ("share of rows", "predicted - true below", "absolute error below")
    yield table("Quantiles of the error, in the units of the labels", columns, rows)
    if several:
        rows = [[row["name"], row["mae"], row["rmse"], _value(row["r2"])] for row in judged["outputs"]]
        yield table("Each output", ("output", "MAE", "RMSE", "R²"), rows)


def _mistakes(report: dict) -> str:
    judged = report.get("evaluation")
    if judged and "mistakes" not in report and "labels" not in judged and judged["task"] != "regression":
        return f"<p>None on {judged['rows']:,} rows.</p>" if judged["scores"]["accuracy"] == 1 else ""
    if report.get("mistakes") and all("values" in entry for entry in report["mistakes"]):
        return _mistaken_rows(report["mistakes"])
    items, wide = [], ""
    for place, entry in enumerate(report.get("mistakes", [])):
        sure = f" ({percent(entry['probability'])})" if "probability" in entry else ""
        label = f"true {entry['true']}, predicted {entry['predicted']}{sure}"
        shown = ""
        if "image" in entry:
            shown = image(entry["image"], f"row {entry['row']}: {label}")
        elif "text" in entry:
            shown, wide = f"<blockquote>{escape(entry['text'])}</blockquote>", " wide"
        elif "lines" in entry:
            drawn = plots.lines(entry["lines"])
            shown, wide = figure(drawn, f"mistake-{place}", f"row {entry['row']}, {label}"), " wide"
        told = f"true <b>{escape(entry['true'])}</b><br>predicted <b>{escape(entry['predicted'])}</b>{escape(sure)}"
        items.append(f"<li><figure>{shown}<figcaption>{told}</figcaption></figure></li>")
    if not items or not judged:
        return ""
    by = "largest absolute error" if judged["task"] == "regression" else "lowest probability of the truth"
    told = f'<p class="soft">The {len(items)} with the {by}, the worst first.</p>'
    return f'{told}<ul class="pictures{wide}">{"".join(items)}</ul>'


def _mistaken_rows(entries) -> str:
    sure = "probability" in entries[0]
    columns = ["row", "true", "predicted", *(["probability"] if sure else []), *(k for k, _ in entries[0]["values"])]
    rows = [
        [entry["row"], entry["true"], entry["predicted"], *([percent(entry["probability"])] if sure else [])]
        + [value for _, value in entry["values"]]
        for entry in entries
    ]
    return table("The worst first", columns, rows)


def _samples(found: dict) -> str:
    if "rows" in found:
        rows = [[i + 1, *row] for i, row in enumerate(found["rows"])]
        return table("Samples", ("sample", *range(len(found["rows"][0]))), rows)
    shown = [image(png, f"sample {i + 1}") for i, png in enumerate(found.get("images", []))]
    shown += [f"<blockquote>{escape(text)}</blockquote>" for text in found.get("texts", [])]
    kind = "small" if "images" in found else "wide"
    return f'<ul class="pictures {kind}">{"".join(f"<li>{one}</li>" for one in shown)}</ul>' if shown else ""


def _reconstructions(found: dict) -> str:
    if not found:
        return ""
    pairs = [
        f'<li><figure><div class="pair">{image(a, f"original {i + 1}")}{image(b, f"reconstruction {i + 1}")}</div>'
        "</figure></li>"
        for i, (a, b) in enumerate(found.get("pairs", []))
    ]
    told = f"<p>Each original on the left; root mean squared error {number(found['rmse'])}.</p>"
    return told + (f'<ul class="pictures">{"".join(pairs)}</ul>' if pairs else "")


def _setup(report: dict):
    training = {key: value for key, value in report["training"].items() if key != "best"}
    settings = dict(report.get("settings", {}))
    for key in ("recipe", "seed"):
        if key in settings:
            training[key] = settings.pop(key)
    yield tables(
        facts("Training", training),
        *(
            facts(SETTINGS.get(name, name), value if isinstance(value, dict) else {name: value})
            for name, value in settings.items()
        ),
        facts("Versions", report.get("versions", {})),
        facts("Hardware", report.get("hardware", {})),
    )
    yield from _data(report.get("data", {}))
    if report["notes"]:
        yield "<h3>Notes</h3><ul>" + "".join(f"<li>{escape(note)}</li>" for note in report["notes"]) + "</ul>"


def _data(data: dict):
    splits = data.get("splits", {})
    if splits:
        rows = [[name, *(found.get(key) for key in ("rows", "x", "y", "sha256"))] for name, found in splits.items()]
        name = f"Data: {data['name']}" if "name" in data else "Data"
        yield table(f"{name}; the fingerprint is of 1,000 rows", ("split", "rows", "x", "y", "SHA-256"), rows)
    counts = {name: found["class_counts"] for name, found in splits.items() if "class_counts" in found}
    if counts:
        labels = list(dict.fromkeys(label for found in counts.values() for label in found))
        body = [[label, *(found.get(label, 0) for found in counts.values())] for label in labels]
        yield details("Rows of each class", table("Rows of each class", ("class", *counts), body))
