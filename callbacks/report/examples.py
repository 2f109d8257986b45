"""Examples to look at: the worst mistakes, what a generative model makes, and what an autoencoder gives back."""

import base64
import io

import keras
import numpy as np

from . import splits

MISTAKES, SAMPLES, PAIRS = 18, 36, 8
LARGEST_SIDE = 96  # pixels
MOST_TEXT, MOST_VALUES, MOST_STEPS = 400, 12, 100


def worst(split, task: str, answers, class_names=None, features=None) -> list[dict]:
    """The rows that the model is most wrong about, the worst first; only such as it has wrong.

    Worst is the lowest probability of the true class, or the largest absolute error.

    Args:
        split: The `Split` that was judged.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        answers: (rows, classes) probabilities, or (rows, outputs) numbers.
        class_names: A name for each class.
        features: A name for each column of x.

    Returns:
        A dict for each: `row` (its number in the split), `true`, `predicted`, for classes `probability` (of the
        predicted one), and the row itself as one of `image` (PNG, base64), `text`, `values` or `lines`.
    """
    labels, answers = np.asarray(split.y).reshape(len(split), -1), np.asarray(answers, "float64")

    def name(number):
        number = int(number)
        return str(class_names[number]) if class_names and number < len(class_names) else str(number)

    if task == "regression":
        order = np.argsort(-abs(answers - labels).max(1), kind="stable")[:MISTAKES]
    elif task == "multilabel":
        wrong = ((answers >= 0.5) != (labels >= 0.5)).any(1)
        order = np.argsort(-abs(answers - labels).max(1) * wrong, kind="stable")[: min(MISTAKES, wrong.sum())]
    else:
        true = labels[:, 0].astype(int)
        right = answers[np.arange(len(true)), true] - 2 * (answers.argmax(1) != true)
        order = np.argsort(right, kind="stable")[: min(MISTAKES, (right < 0).sum())]
    found = []
    for row in order:
        entry = {"row": int(row)}
        if task == "regression":
            entry |= {"true": _numbers(labels[row]), "predicted": _numbers(answers[row])}
        elif task == "multilabel":
            entry |= {
                "true": ", ".join(map(name, np.flatnonzero(labels[row] >= 0.5))) or "none",
                "predicted": ", ".join(map(name, np.flatnonzero(answers[row] >= 0.5))) or "none",
            }
        else:
            guess = answers[row].argmax()
            entry |= {"true": name(labels[row, 0]), "predicted": name(guess), "probability": float(answers[row, guess])}
        found.append(entry | show(split.x, row, features))
    return found


def show(x, row: int, features=None) -> dict:
    """One row of x, as something to look at; empty for what cannot be shown."""
    if not isinstance(x, np.ndarray):
        return {}
    value = x[row]
    if splits.is_text(x):
        return {"text": _glance(" ".join(splits.text(part) for part in np.ravel(value)))}
    if is_images(x):
        return {"image": picture(value, scale(x[:64]))}
    if x.ndim == 2:
        names = features if features and len(features) == x.shape[1] else [f"x{i}" for i in range(x.shape[1])]
        shown = list(zip(names, value, strict=True))[:MOST_VALUES]
        more = [["…", f"{x.shape[1] - MOST_VALUES} more"]] if x.shape[1] > MOST_VALUES else []
        return {"values": [[str(key), f"{number:.4g}"] for key, number in shown] + more}
    if x.ndim == 3 and x.dtype.kind == "f":
        step = -(-len(value) // MOST_STEPS)
        return {"lines": [[float(f"{v:.4g}") for v in value[::step, channel]] for channel in range(min(4, x.shape[2]))]}
    return {}


def _glance(text: str) -> str:
    """No more of a text than can be read at a glance."""
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"


def is_images(x) -> bool:
    """Whether an array is likely to hold pictures: (rows, height, width, 1, 3 or 4), or bytes (rows, height, width)."""
    sized = x.ndim in (3, 4) and min(x.shape[1:3]) >= 4
    return sized and (x.shape[-1] in (1, 3, 4) if x.ndim == 4 else x.dtype == np.uint8)


def scale(images) -> tuple[float, float]:
    """The lowest and the highest value that pixels may have, guessed from some: 0..255, 0..1 or -1..1."""
    if images.dtype == np.uint8 or np.nanmax(images) > 1.5:
        return 0.0, 255.0
    return (-1.0, 1.0) if np.nanmin(images) < -0.01 else (0.0, 1.0)


def picture(image, ends=(0.0, 255.0)) -> str:
    """An image (height, width) or (height, width, channels) as a small PNG in base64.

    Args:
        image: Pixels between the two ends.
        ends: What is black and what is white.
    """
    from PIL import Image

    image = np.nan_to_num(np.asarray(image, "float32"))
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    pixels = np.clip((image - ends[0]) / (ends[1] - ends[0]) * 255, 0, 255).round().astype("uint8")
    made = Image.fromarray(pixels)
    made.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    made.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def samples(model, seed: int = 0) -> dict:
    """What `model.sample(n, seed=...)` gives, for a model that has it: `images`, or a table of `rows`; else empty."""
    if not callable(getattr(model, "sample", None)):
        return {}
    made = np.asarray(keras.ops.convert_to_numpy(model.sample(SAMPLES, seed=seed)))
    if splits.is_text(made):
        return {"texts": [_glance(splits.text(value)) for value in made.ravel()]}
    if is_images(made):
        ends = scale(made)
        return {"images": [picture(image, ends) for image in made]}
    rows = made.reshape(len(made), -1)[:MISTAKES, :MOST_VALUES]
    return {"rows": [[f"{value:.4g}" for value in row] for row in rows]}


def reconstructions(x, given_back) -> dict:
    """Originals beside what the model makes of them, where `predict` gives back arrays of the shape of x."""
    given_back = np.asarray(given_back)
    if not isinstance(x, np.ndarray) or splits.is_text(x) or given_back.shape != x.shape or x.ndim < 2:
        return {}
    x, given_back = x[:PAIRS], given_back[:PAIRS]
    error = float(np.sqrt(np.mean((given_back.astype("float64") - x) ** 2)))
    if not is_images(x):
        return {"rmse": error}
    ends = scale(x)
    return {"rmse": error, "pairs": [[picture(a, ends), picture(b, ends)] for a, b in zip(x, given_back, strict=True)]}


def _numbers(values) -> str:
    told = ", ".join(f"{value:.4g}" for value in values[:4])
    return told + ", …" if len(values) > 4 else told
