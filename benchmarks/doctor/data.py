"""The data of the base programs: small, some of scikit-learn's, most made here."""

import numpy as np


def examples(name: str, rows: int, seed: int):
    """x and y of training and of validation."""
    rng = np.random.default_rng(seed)
    x, y = DATA[name](rng, rows * 3 // 2)
    order = rng.permutation(len(x))
    cut = len(x) * 2 // 3
    return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


def standardized(y):
    return ((y - y.mean()) / y.std()).astype("float32")[:, None]


# ---- tables ----------------------------------------------------------------------------------------------------------


def blobs(rng, rows):
    centers = rng.normal(size=(3, 10)) * 1.2
    y = rng.integers(0, 3, rows)
    return (centers[y] + rng.normal(size=(rows, 10))).astype("float32"), y


def friedman(rng, rows):
    """Friedman (1991), doi:10.1214/aos/1176347963, scaled."""
    x = rng.uniform(size=(rows, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y + rng.normal(size=rows) - 14.4) / 5
    return (x * 2 - 1).astype("float32"), y.astype("float32")[:, None]


def circles(rng, rows):
    y = rng.integers(0, 2, rows)
    angle, radius = rng.uniform(0, 2 * np.pi, rows), 1.0 + y + rng.normal(size=rows) * 0.2
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("float32"), y


def tags(rng, rows):
    """Five answers of yes or no to each row, of which some go together."""
    x = rng.normal(size=(rows, 12))
    directions = rng.normal(size=(12, 5)) / np.sqrt(12)
    scores = x @ directions
    scores[:, 3] = scores[:, 0] + scores[:, 1]
    scores[:, 4] = np.abs(x[:, 0]) + np.abs(x[:, 1]) - 1.5
    return x.astype("float32"), (scores + rng.normal(size=scores.shape) * 0.05 > 0).astype("float32")


def prices(rng, rows):
    """Features with long tails, as amounts and areas have them; a smooth target."""
    amounts, changes = rng.lognormal(size=(rows, 4)), rng.standard_t(3, size=(rows, 4))
    y = np.log(amounts[:, 0]) + 0.7 * np.log(amounts[:, 1] + amounts[:, 2]) + np.tanh(changes[:, 0])
    y += 0.6 * (changes[:, 1] > 0) + rng.normal(size=rows) * 0.1
    return np.concatenate([amounts, changes], 1).astype("float32"), standardized(y)


def _sklearn(name):
    def load(rng, rows):
        from sklearn import datasets

        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        chosen = rng.permutation(len(x))[:rows]
        x, y = x[chosen].astype("float32"), y[chosen]
        if name == "digits":
            x = x.reshape(-1, 8, 8, 1)
        return x, ((y - 152) / 77).astype("float32")[:, None] if name == "diabetes" else y.astype("int64")

    return load


# ---- sequences -------------------------------------------------------------------------------------------------------


def waves(rng, rows):
    y = rng.integers(0, 3, rows)
    time, phase = np.arange(20), rng.uniform(0, 2 * np.pi, rows)
    x = np.sin(time[None] * np.array([0.3, 0.7, 1.3])[y][:, None] + phase[:, None])
    return (x + rng.normal(size=x.shape) * 0.3).astype("float32")[:, :, None], y


def swings(rng, rows):
    """Swings of any frequency that fade; the next value is wanted."""
    frequency, phase = rng.uniform(0.3, 1.0, (rows, 1)), rng.uniform(0, 2 * np.pi, (rows, 1))
    time = np.arange(17)[None]
    x = np.exp(-0.03 * time) * np.sin(frequency * time + phase)
    noisy = x[:, :-1] + rng.normal(size=(rows, 16)) * 0.03
    return noisy.astype("float32")[:, :, None], standardized(x[:, -1])


def words(rng, rows):
    y = rng.integers(0, 2, rows)
    x = rng.integers(20, 200, (rows, 15))
    for row, good in zip(x, y, strict=True):
        row[rng.choice(15, 3, replace=False)] = rng.integers(1, 9, 3) + 9 * good
    return x, y


def order(rng, rows):
    """Tokens 1, 2 and 3 are somewhere among others: which of them comes first?"""
    x = rng.integers(4, 20, (rows, 10))
    y = np.empty(rows, "int64")
    for number, row in enumerate(x):
        places = rng.choice(10, 3, replace=False)
        row[places] = [1, 2, 3]
        y[number] = places.argmin()
    return x, y


# ---- pictures --------------------------------------------------------------------------------------------------------


def textures(rng, rows):
    y = rng.integers(0, 4, rows)
    i, j = np.mgrid[:12, :12]
    grids = np.stack([np.sin(i * 1.5), np.sin(j * 1.5), np.sin((i + j) * 1.1), np.sin(i * 1.5) * np.sin(j * 1.5)])
    x = grids[y] * rng.uniform(0.4, 1, (rows, 1, 1)) + rng.normal(size=(rows, 12, 12)) * 0.5
    return np.clip(x * 50 + 128, 0, 255).astype("uint8")[..., None], y


def shapes(rng, rows):
    """A disc, a square's outline, a cross or two bars, of any size, anywhere."""
    y = rng.integers(0, 4, rows)
    i, j = np.mgrid[:14, :14]
    row, column = rng.uniform(5, 8, (2, rows, 1, 1))
    size = rng.uniform(3, 5, (rows, 1, 1))
    down, across = np.abs(i - row), np.abs(j - column)
    far = np.maximum(down, across)
    within = far <= size
    kinds = np.stack([
        np.hypot(down, across) <= size,
        within & (far > size - 1.2),
        within & (np.minimum(down, across) < 0.8),
        within & (down > size - 1.6),
    ])  # fmt: skip
    x = kinds[y, np.arange(rows)] * rng.uniform(80, 200, (rows, 1, 1)) + rng.normal(size=(rows, 14, 14)) * 15 + 30
    return np.clip(x, 0, 255).astype("uint8")[..., None], y


DATA = {
    "blobs": blobs, "friedman": friedman, "circles": circles, "waves": waves, "textures": textures, "words": words,
    "digits": _sklearn("digits"), "cancer": _sklearn("breast_cancer"), "diabetes": _sklearn("diabetes"),
    "wine": _sklearn("wine"), "swings": swings, "order": order, "shapes": shapes, "tags": tags, "prices": prices,
}  # fmt: skip
