"""Numbers from labels and predictions: what is right, what is taken for what, how far probabilities can be trusted."""

import numpy as np

#: Above this many classes the confusion matrix is too large to read or to keep; its largest entries are kept alone.
MOST_CLASSES = 100
MOST_POINTS = 800


def confusion_matrix(labels, predicted, classes: int) -> np.ndarray:
    """How often class i (row) was taken for class j (column): integers (classes, classes)."""
    pairs = np.asarray(labels, "int64") * classes + np.asarray(predicted, "int64")
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_scores(matrix) -> list[dict]:
    """`precision`, `recall`, `f1` and `support` (rows) of each class, out of a confusion matrix.

    What has no rows to divide by counts as 0.
    """
    matrix = np.asarray(matrix)
    return _scores(np.diag(matrix), matrix.sum(0), matrix.sum(1))


def _scores(hits, predicted, support) -> list[dict]:
    def share(part, whole):
        return np.divide(part, whole, out=np.zeros(len(hits)), where=np.asarray(whole) > 0)

    columns = share(hits, predicted), share(hits, support), share(2 * hits, predicted + support)
    return [
        {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for p, r, f, n in zip(*columns, support, strict=True)
    ]


def calibration(confidence, correct, bins: int = 15) -> dict:
    """How confidence and accuracy agree: `ece` (0 to 1) and the `bins` of a reliability diagram.

    The expected calibration error is the mean over all predictions of |accuracy - confidence| of their bin, with bins
    of equal width, each without its lower edge (Guo et al., 2017, arXiv:1706.04599, eq. 3; the paper has 15 bins).

    Args:
        confidence: (rows,) The probability of the class that is predicted, 0 to 1.
        correct: (rows,) Whether that class is right.
        bins: How many bins.
    """
    confidence, correct = np.asarray(confidence, "float64"), np.asarray(correct, "float64")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = np.maximum(counts, 1)
    sure = np.bincount(place, confidence, bins) / filled
    right = np.bincount(place, correct, bins) / filled
    return {
        "ece": float((counts * abs(right - sure)).sum() / max(len(confidence), 1)),
        "mean_confidence": float(confidence.mean()) if len(confidence) else 0.0,
        "bins": [
            {"low": float(low), "high": float(high), "count": int(n), "confidence": float(s), "accuracy": float(r)}
            for low, high, n, s, r in zip(edges, edges[1:], counts, sure, right, strict=False)
        ],
    }


def roc_auc(labels, scores) -> float:
    """The probability that a row of class 1 scores above one of class 0; ties count half. NaN with one class alone."""
    labels = np.asarray(labels).astype(bool)
    positive, negative = labels.sum(), (~labels).sum()
    if not positive or not negative:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[place][labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def log_loss(labels, probabilities) -> float:
    """The mean of -ln(probability of the true class), in nats, with probabilities (rows, classes) that sum to 1."""
    probabilities = np.asarray(probabilities, "float64")
    probabilities = probabilities / probabilities.sum(-1, keepdims=True)
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-15)).mean())


def classification(labels, probabilities, class_names=None) -> dict:
    """All numbers for classes that exclude each other.

    Args:
        labels: (rows,) int class numbers.
        probabilities: (rows, classes).
        class_names: A name for each class; its number without.
    """
    probabilities = np.asarray(probabilities, "float64")
    classes = probabilities.shape[1]
    names = _names(class_names, classes)
    predicted = probabilities.argmax(1)
    matrix = confusion_matrix(labels, predicted, classes)
    rows = class_scores(matrix)
    scores = {"accuracy": float((predicted == labels).mean())}
    if classes == 2:
        scores["roc_auc"] = roc_auc(labels, probabilities[:, 1])
    scores |= _macro(rows)
    calibrated = calibration(probabilities.max(1), predicted == labels)
    scores |= {"log_loss": log_loss(labels, probabilities), "ece": calibrated["ece"]}
    wrong = matrix - np.diag(np.diag(matrix))
    largest = [index for index in np.argsort(-wrong, axis=None, kind="stable")[:10] if wrong.flat[index]]
    return {
        "scores": scores,
        "classes": [{"name": name} | row for name, row in zip(names, rows, strict=True)],
        "confusions": [
            {"true": names[i // classes], "predicted": names[i % classes], "rows": int(wrong.flat[i])} for i in largest
        ],
        "confusion_matrix": matrix.tolist() if classes <= MOST_CLASSES else None,
        "calibration": calibrated,
    }


def multilabel(labels, probabilities, class_names=None) -> dict:
    """All numbers for labels that may hold together; a label is predicted from a probability of 0.5 on.

    `accuracy` counts single labels, `exact_match` rows with every label right.

    Args:
        labels: (rows, labels) of 0 and 1.
        probabilities: (rows, labels).
        class_names: A name for each label; its number without.
    """
    probabilities, labels = np.asarray(probabilities, "float64"), np.asarray(labels).astype(bool)
    predicted = probabilities >= 0.5
    rows = _scores((predicted & labels).sum(0), predicted.sum(0), labels.sum(0))
    calibrated = calibration(np.maximum(probabilities, 1 - probabilities).ravel(), (predicted == labels).ravel())
    flat = np.stack([1 - probabilities.ravel(), probabilities.ravel()], 1)
    scores = {
        "accuracy": float((predicted == labels).mean()),
        "exact_match": float((predicted == labels).all(1).mean()),
    }
    scores |= _macro(rows) | {"log_loss": log_loss(labels.ravel().astype(int), flat), "ece": calibrated["ece"]}
    names = _names(class_names, labels.shape[1])
    return {
        "scores": scores,
        "classes": [{"name": name} | row for name, row in zip(names, rows, strict=True)],
        "calibration": calibrated,
    }


def regression(true, predicted, names=None) -> dict:
    """All numbers for a regression; errors are predicted - true, in the units of the labels.

    R² is 1 - (sum of squared errors) / (sum of squares about the mean of these rows), averaged over the outputs; it is
    NaN where the labels do not vary.

    Args:
        true, predicted: (rows,) or (rows, outputs).
        names: A name for each output; its number without.
    """
    true, predicted = (np.asarray(a, "float64").reshape(len(a), -1) for a in (true, predicted))
    error = predicted - true
    spread = ((true - true.mean(0)) ** 2).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - (error**2).sum(0) / spread, np.nan)
    mae, rmse = abs(error).mean(0), np.sqrt((error**2).mean(0))
    outputs = [
        {"name": name, "mae": float(a), "rmse": float(b), "r2": float(c)}
        for name, a, b, c in zip(_names(names, true.shape[1]), mae, rmse, r2, strict=True)
    ]
    shown = int(np.argmin(np.nan_to_num(r2)))
    points = np.unique(np.linspace(0, len(true) - 1, min(len(true), MOST_POINTS)).astype(int))
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {
        "scores": {"mae": float(mae.mean()), "rmse": float(np.sqrt((error**2).mean())), "r2": float(r2.mean())},
        "outputs": outputs,
        "error_quantiles": [
            {"share": share, "error": float(np.quantile(error, share)), "size": float(np.quantile(abs(error), share))}
            for share in shares
        ],
        "points": {
            "output": outputs[shown]["name"],
            "true": _rounded(true[points, shown]),
            "predicted": _rounded(predicted[points, shown]),
        },
    }


def _macro(rows) -> dict:
    return {f"macro_{key}": float(np.mean([row[key] for row in rows])) for key in ("precision", "recall", "f1")}


def _names(names, count: int) -> list[str]:
    return (
        [str(name) for name in names] if names is not None and len(names) == count else [str(i) for i in range(count)]
    )


def _rounded(values) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
