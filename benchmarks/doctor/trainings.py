"""Small trainings of modern kinds, each healthy unless an argument makes it sick.

Each function states the measure by which a sick one differs.
"""

import keras
import numpy as np
from data import blobs, order
from learners import Experts, Pairs, Policy, Values
from networks import Positions

L = keras.layers


class Program:
    """A model, compiled, and what `fit` is called with.

    Args:
        call: Arguments of `fit`.
        measure: Function of a model, the more the better.
        rate, loss, last: What the rules of others ask for.
    """

    def __init__(self, model, call: dict, measure, *, rate, loss="own", last=None):
        self.model, self.call, self.measure = model, call, measure
        self.x, self.options = call["x"], {"rate": rate, "loss": loss, "last": last}

    def fitting(self) -> dict:
        return self.call | {"verbose": 0}

    def score(self, model=None) -> float:
        value = float(self.measure(model or self.model))
        return max(value, -1.0) if value == value else value

    def score_of(self, trial) -> float:
        """That of a `Trial`'s model."""
        return self.score(trial.model)


def right(x, y):
    """Measures accuracy."""
    return lambda model: _accuracy(_finite(model.predict(x, verbose=0)), y)


def explained(x, y):
    """Measures the share of the variance that is explained."""
    return lambda model: 1 - np.square(y - _finite(model.predict(x, verbose=0))).sum() / np.square(y - y.mean(0)).sum()


def _accuracy(answers, y):
    return np.mean(answers.argmax(1) == y) + 0 * answers.sum()  # NaN stays NaN


def _finite(answers):
    return answers if np.isfinite(answers).all() else np.full_like(answers, np.nan)


def dense(*units, shape, activation="relu"):
    *hidden, last = units
    return keras.Sequential([keras.Input((shape,)), *(L.Dense(n, activation) for n in hidden), L.Dense(last)])


# ---- for development -------------------------------------------------------------------------------------------------


def gan(rng, learning_rate=2e-3, rate_ratio=1.0):
    """A bright spot anywhere. Coverage (Naeem et al., 2020, arXiv:2002.09797): the share of real pictures near which,
    as near as their fifth neighbours, there is one that was made."""
    from keras_cookbook import recipes

    def spots(count):
        i, j = np.mgrid[:8, :8]
        row, column = rng.uniform(1, 6, (2, count, 1, 1))
        x = np.exp(-(np.square(i - row) + np.square(j - column)) / 2) * rng.uniform(150, 250, (count, 1, 1))
        return x.astype("float32")[..., None]

    def coverage(model):
        real, made = held.reshape(len(held), -1), model.sample(len(held), seed=0).reshape(len(held), -1)
        near = np.sort(np.linalg.norm(real[:, None] - real, axis=-1), axis=1)[:, 5]
        return (np.linalg.norm(real[:, None] - made, axis=-1).min(axis=1) < near).mean()

    x, held = spots(640), spots(200)
    settings = {"learning_rate": learning_rate, "rate_ratio": rate_ratio, "schedule": "constant"}
    model = recipes.gan((8, 8, 1), depth=2, width=16, latent=8, **settings)
    return Program(model, {"x": x, "batch_size": 32, "epochs": 25}, coverage, rate=learning_rate)


def float16(rng, scaled=True, normalized=True):
    """Regression in half precision with a loss that is counted in small units. Share of variance explained."""
    x = rng.normal(size=(1500, 8)).astype("float32")
    y = np.tanh(x[:, :1] + x[:, 1:2]) + 0.5 * np.abs(x[:, 2:3]) + 0.5 * x[:, 3:4]
    x = x * 40_000 + 200_000  # half precision ends at 65,504
    keras.config.set_dtype_policy("mixed_float16")
    first = L.Normalization(dtype="float32") if normalized else L.Identity(dtype="float32")
    if normalized:
        first.adapt(x)
    layers = [keras.Input((8,)), first, *(L.Dense(64, "relu", name=f"hidden_{n}") for n in range(2))]
    model = keras.Sequential([*layers, L.Dense(1, dtype="float32", name="last")])
    keras.config.set_dtype_policy("float32")
    model.compile(keras.optimizers.Adam(3e-3, epsilon=1e-10), "mse", loss_weights=[1e-8], auto_scale_loss=scaled)
    call = {"x": x[:1000], "y": y[:1000], "batch_size": 32, "epochs": 12, "validation_data": (x[1000:], y[1000:])}
    return Program(model, call, explained(x[1000:], y[1000:]), rate=3e-3, loss="mse", last="linear")


def experts(rng, balance=0.02, favour=0.0):
    """Groups of examples, each with a line of its own. Share of variance explained, of which one expert has little."""
    centers, slopes = rng.normal(size=(4, 6)) * 3, rng.normal(size=(4, 6))
    group = rng.integers(0, 4, 1200)
    x = centers[group] + rng.normal(size=(1200, 6))
    y = ((x - centers[group]) * slopes[group]).sum(1, keepdims=True).astype("float32")
    x = (x / 3).astype("float32")
    model = keras.Sequential([keras.Input((6,)), Experts(8, 1, balance, favour, name="experts")])
    model.compile(keras.optimizers.Adam(2e-2), "mse")
    call = {"x": x[:800], "y": y[:800], "batch_size": 32, "epochs": 15, "validation_data": (x[800:], y[800:])}
    return Program(model, call, explained(x[800:], y[800:]), rate=2e-2, loss="mse", last="linear")


def values(rng, rate=3e-3, follow=0.1, discount=0.9, ends=True):
    """A corridor with a reward at its end. Share of the variance of the true worth that is explained."""
    place = rng.uniform(0, 1, 1280)
    action = rng.integers(0, 2, 1280)

    def step(place, action):
        return np.clip(place + np.where(action == 1, 0.1, -0.1), 0, 1)

    after = step(place, action)
    end = (after >= 1).astype("float32")
    y = np.stack([action, end, end, after], 1).astype("float32")
    grid = np.linspace(0, 0.99, 100)
    steps = np.ceil((1 - grid) / 0.1 - 1e-9) - 1  # to go after the first one
    worth = (discount if ends else 0.9) ** steps

    network, slow = (dense(32, 32, 2, shape=1) for _ in range(2))
    slow.set_weights(network.get_weights())
    model = Values(network, slow, follow, discount, ends)
    model.compile(keras.optimizers.Adam(rate))
    x = place.astype("float32")[:, None]

    def true(model):
        q = _finite(model.predict(grid.astype("float32")[:, None], verbose=0)).max(1)
        return 1 - np.square(worth - q).sum() / np.square(worth - worth.mean()).sum()

    return Program(model, {"x": x, "y": y, "batch_size": 32, "epochs": 20}, true, rate=rate)


# ---- for the test ----------------------------------------------------------------------------------------------------


def vae(rng, beta=1.0):
    """Digits. Share of the pixels' variance that is restored from the code."""
    from sklearn.datasets import load_digits

    from keras_cookbook import recipes

    x = load_digits().data[rng.permutation(1797)].reshape(-1, 8, 8, 1).astype("float32") / 16 * 255
    model = recipes.vae((8, 8, 1), depth=1, width=64, latent=8, beta=beta, learning_rate=3e-3)
    return Program(model, {"x": x[:1200], "batch_size": 32, "epochs": 20}, explained(x[1200:], x[1200:]), rate=3e-3)


def siamese(rng, negatives=True):
    """Two noisy looks at each example. The deviation of unit-long embeddings, beside that of directions at random."""
    x, _ = blobs(rng, 900)

    def spread(model):
        unit = _finite(model.predict(x[640:], verbose=0))
        return min(1.0, unit.std(axis=0).mean() * np.sqrt(unit.shape[1]))

    model = Pairs(dense(32, 32, 8, shape=x.shape[1]), negatives)
    model.compile(keras.optimizers.Adam(3e-3))
    return Program(model, {"x": x[:640], "batch_size": 64, "epochs": 15}, spread, rate=3e-3)


def transformer(rng, rate=2e-3, warmed=True, scale=1.0):
    """Blocks normalized after each part (Vaswani et al., 2017, arXiv:1706.03762) that say which token is first.
    Accuracy."""
    x, y = order(rng, 1500)
    tokens = keras.Input((x.shape[1],), dtype="int32")
    h = Positions()(L.Embedding(20, 24)(tokens))
    for number in range(2):
        begun = keras.initializers.VarianceScaling(scale, "fan_avg", "uniform")
        look = L.MultiHeadAttention(2, 12, kernel_initializer=begun, name=f"attention_{number}")
        h = L.LayerNormalization()(L.Add()([h, look(h, h)]))
        h = L.LayerNormalization()(L.Add()([h, L.Dense(24)(L.Dense(48, "relu", name=f"hidden_{number}")(h))]))
    model = keras.Model(tokens, L.Dense(3, "softmax", name="last")(L.GlobalAveragePooling1D()(h)))
    steps = 12 * -(-1000 // 32)
    warm = keras.optimizers.schedules.CosineDecay(1e-6, steps * 4 // 5, warmup_target=rate, warmup_steps=steps // 5)
    model.compile(keras.optimizers.Adam(warm if warmed else rate), "sparse_categorical_crossentropy")
    call = {"x": x[:1000], "y": y[:1000], "batch_size": 32, "epochs": 12, "validation_data": (x[1000:], y[1000:])}
    loss = "sparse_categorical_crossentropy"
    return Program(model, call, right(x[1000:], y[1000:]), rate=rate, loss=loss, last="softmax")


def normalization(rng, frozen=False):
    """Eight small layers that only batch normalization keeps alive. Accuracy."""
    x, y = blobs(rng, 2000)
    layers = [keras.Input((x.shape[1],))]
    for number in range(8):
        begun = keras.initializers.RandomNormal(stddev=0.05)
        layers += [
            L.Dense(24, use_bias=False, kernel_initializer=begun, name=f"hidden_{number}"),
            L.BatchNormalization(momentum=0.9, trainable=not frozen, name=f"norm_{number}"),
            L.Activation("relu"),
        ]
    model = keras.Sequential([*layers, L.Dense(3, "softmax", name="last")])
    model.compile(keras.optimizers.SGD(0.03, momentum=0.9), "sparse_categorical_crossentropy")
    call = {"x": x[:1400], "y": y[:1400], "batch_size": 32, "epochs": 6, "validation_data": (x[1400:], y[1400:])}
    loss = "sparse_categorical_crossentropy"
    return Program(model, call, right(x[1400:], y[1400:]), rate=0.03, loss=loss, last="softmax")


def policy(rng, rate=1e-2, bonus=0.01, baseline=True):
    """Three actions, of which the state tells the best. What the likeliest actions are rewarded with, beside the best
    ones."""
    x = rng.normal(size=(1280, 4)).astype("float32")
    y = 1 / (1 + np.exp(-3 * x @ rng.normal(size=(4, 3)))) + 1.0

    def earned(model):
        chosen = _finite(model.predict(x[960:], verbose=0))
        kept = np.take_along_axis(y[960:], chosen.argmax(1)[:, None], 1).mean() - y[960:].mean()
        return kept / (y[960:].max(1).mean() - y[960:].mean()) + 0 * chosen.sum()

    model = Policy(dense(24, 3, shape=4, activation="tanh"), bonus, baseline)
    model.compile(keras.optimizers.Adam(rate))
    call = {"x": x[:960], "y": y[:960].astype("float32"), "batch_size": 32, "epochs": 15}
    return Program(model, call, earned, rate=rate)
