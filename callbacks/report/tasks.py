"""What a model answers, in one form: its task, its labels as numbers, its predictions as probabilities."""

import keras
import numpy as np

TASKS = ("binary", "multiclass", "multilabel", "regression")


def task_of(model, data, labels, answers) -> str | None:
    """The task, from the data, the recipe, the loss, or the shapes; None where there is nothing to compare with.

    Args:
        model: A Keras model.
        data: What the report was given; its `task` is believed.
        labels: (rows, ...), or None.
        answers: What `predict` gave.
    """
    if not isinstance(labels, np.ndarray) or not isinstance(answers, np.ndarray) or len(labels) != len(answers):
        return None
    arguments = (getattr(model, "recipe", None) or {}).get("arguments", {})
    for told in (getattr(data, "task", None), arguments.get("task")):
        if told in TASKS:
            return told
    loss = getattr(model, "loss", None)
    name = (loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")) or ""
    width = answers.shape[-1] if answers.ndim > 1 else 1
    if "categorical" in name:
        return "multiclass"
    if "binary" in name:
        return "binary" if width == 1 else "multilabel"
    if name:
        return "regression" if labels.dtype.kind in "fiu" else None
    if labels.dtype.kind in "iub" and width > 1 and labels.size * width == answers.size:
        return "multiclass"
    return None


def in_one_form(model, task: str, labels, answers):
    """Labels and answers as the numbers want them; a label for each step of a sequence counts as a row.

    Returns:
        `labels` and `answers`: for classes int (rows,) and probabilities (rows, classes), two classes for `"binary"`;
        for `"multilabel"` and `"regression"` (rows, outputs) each. And which of those rows have a label: a negative
        class number is none.

    Raises:
        ValueError: Labels and answers do not fit each other.
    """
    answers = np.asarray(answers, "float64")
    if task in ("multiclass", "binary"):
        classes = answers.shape[-1] if task == "multiclass" else 1
        answers = answers.reshape(-1, classes)
        if labels.size == answers.size and classes > 1:  # one-hot
            labels = labels.reshape(-1, classes).argmax(1)
        labels = labels.ravel()
        if len(labels) != len(answers):
            raise ValueError(f"{len(labels)} labels do not fit {len(answers)} predictions")
        answers = _probabilities(model, task, answers)
        if task == "binary":
            labels = (labels > 0.5) * 1
            answers = np.concatenate([1 - answers, answers], 1)
        kept = labels >= 0
        return labels.astype("int64")[kept], answers[kept], kept
    if labels.size != answers.size:
        raise ValueError(f"labels {labels.shape} do not fit predictions {answers.shape}")
    answers = answers.reshape(len(labels), -1)
    answers = _probabilities(model, task, answers) if task == "multilabel" else answers
    return labels.reshape(len(labels), -1), answers, np.ones(len(labels), bool)


def _probabilities(model, task: str, answers):
    if not getattr(getattr(model, "loss", None), "from_logits", False):
        return np.clip(answers, 0, 1)
    if task == "multiclass":
        powers = np.exp(answers - answers.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)
    return 1 / (1 + np.exp(-np.clip(answers, -500, 500)))


def predict(model, split, batch_size: int = 128):
    """`model.predict` on the rows of a split, without a word; text goes in as tensors."""
    x = split.x
    if keras.backend.backend() == "tensorflow" and any(part.dtype.kind in "OSU" for part in keras.tree.flatten(x)):
        import tensorflow as tf

        x = tf.data.Dataset.from_tensor_slices(keras.tree.map_structure(_strings, x)).batch(batch_size)
        # One structure, which is x: fit would take a pair for (x, y).
        x = x.map(lambda part: (part,))
        return model.predict(x, verbose=0)
    return model.predict(x, batch_size=batch_size, verbose=0)


def _strings(part):
    return part.astype(str) if part.dtype.kind in "OU" and not isinstance(part.flat[0], bytes) else part
