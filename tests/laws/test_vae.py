"""Laws of the variational autoencoder."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cookbook import recipes
from keras_cookbook.recipes.parts import gaussian_kl

RNG = np.random.default_rng(0)
LETTERS = np.where(RNG.random((64, 4, 4, 1)) < RNG.random((1, 4, 4, 1)), 255, 0).astype("uint8")
ROWS = (RNG.normal(size=(256, 2)) @ [[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]] * [1, 10, 100] + [0, 5, -50]).astype("float32")


def small(**arguments):
    return recipes.vae((4, 4, 1), **{"depth": 1, "width": 16, "latent": 2, "seed": 0, **arguments})


def tables(**arguments):
    return recipes.vae((3,), **{"depth": 1, "width": 32, "latent": 2, "seed": 0, **arguments})


def number(value):
    return ops.convert_to_numpy(value)


def losses(model, x, repeats=1):
    """What `evaluate` says, averaged over draws of the noise."""
    logs = [model.evaluate(x, verbose=0, return_dict=True) for _ in range(repeats)]
    return {name: np.mean([log[name] for log in logs]) for name in logs[0]}


def log_normal(x, mean, variance):
    return -(np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance) / 2


def test_kl_is_zero_at_the_prior_and_only_there():
    assert number(gaussian_kl(np.zeros((3, 5)), np.zeros((3, 5)))).tolist() == [0, 0, 0]
    mean, log_variance = RNG.normal(size=(2, 100, 4)).astype("float32")
    assert (number(gaussian_kl(mean, log_variance)) > 0).all()


def test_kl_equals_sampling():
    mean, log_variance = np.array([[0.5, -1.0, 0.0], [0.0, 2.0, 0.3]]), np.array([[0.0, -1.5, 0.7], [-3.0, 0.0, 1.0]])
    z = mean + np.exp(log_variance / 2) * np.random.default_rng(1).normal(size=(200_000, 2, 3))
    sampled = (log_normal(z, mean, np.exp(log_variance)) - log_normal(z, 0, 1)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(number(gaussian_kl(mean, log_variance)), sampled, atol=0.02)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_loss_equals_the_slow_one(likelihood):
    beta = 3.0
    model = small(likelihood=likelihood, beta=beta)
    model.fit(LETTERS, epochs=5, verbose=0)
    mean, log_variance = model.encoder.predict(LETTERS, verbose=0)
    reconstruction, kl = [], []
    for _ in range(100):
        z = mean + np.exp(log_variance / 2) * RNG.normal(size=mean.shape)
        answer = model.decoder.get_layer("network").predict_on_batch(z.astype("float32")).astype("float64")
        x = LETTERS / 255
        if likelihood == "bernoulli":
            white = 1 / (1 + np.exp(-answer))
            log_p = np.log(np.where(x > 0, white, 1 - white))
        else:
            spread = model.decoder.get_layer("network").get_layer("spread")
            log_p = log_normal(x, answer, np.exp(spread.get_weights()[0]) + 1e-4)
        reconstruction.append(-log_p.sum(axis=(1, 2, 3)).mean())
        kl.append((log_normal(z, mean, np.exp(log_variance)) - log_normal(z, 0, 1)).sum(axis=1).mean())
    logs = losses(model, LETTERS, repeats=50)
    margin = 5 * np.std(reconstruction) * np.sqrt(1 / 100 + 1 / 50) + 1e-3
    np.testing.assert_allclose(logs["reconstruction"], np.mean(reconstruction), atol=margin)
    np.testing.assert_allclose(logs["kl"], np.mean(kl), atol=5 * np.std(kl) / 10 + 1e-3)
    np.testing.assert_allclose(logs["elbo"], -logs["reconstruction"] - logs["kl"], rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], logs["reconstruction"] + beta * logs["kl"], rtol=1e-5)


def test_without_beta_there_is_no_kl_in_the_loss():
    model = small(beta=0.0)
    logs = losses(model, LETTERS)
    assert logs["kl"] > 0
    np.testing.assert_allclose(logs["loss"], logs["reconstruction"], rtol=1e-6)


def test_more_beta_brings_the_code_nearer_to_the_prior():
    kl = []
    for beta in (0.0, 1.0, 100.0):
        model = small(beta=beta, learning_rate=0.01)
        model.fit(LETTERS, epochs=60, verbose=0)
        kl.append(losses(model, LETTERS)["kl"])
    assert kl[0] > 2 * kl[1]
    assert kl[1] > 2 * kl[2]


def test_more_samples_give_a_tighter_bound_up_to_the_truth():
    model = small()
    model.fit(LETTERS, epochs=20, verbose=0)
    # An encoder that is off by half a deviation gives a loose bound.
    layer = model.encoder.get_layer("mean")
    layer.set_weights([layer.get_weights()[0], layer.get_weights()[1] + 0.5])
    # log p(x) by adding up p(x|z) p(z) over a grid of z, which has two numbers.
    axis = np.linspace(-6, 6, 121)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    logits = model.decoder.get_layer("network").predict(z.astype("float32"), verbose=0)
    white = 1 / (1 + np.exp(-logits.reshape(len(z), -1).astype("float64")))
    x = LETTERS.reshape(len(LETTERS), -1) / 255
    joint = x @ np.log(white).T + (1 - x) @ np.log(1 - white).T + log_normal(z, 0, 1).sum(axis=1)
    truth = np.logaddexp.reduce(joint, axis=1) + 2 * np.log(axis[1] - axis[0])
    x = np.repeat(LETTERS, 100, axis=0)
    bounds = [model.elbo(x, samples, seed=0, batch_size=len(x)).mean() for samples in (1, 5, 50)]
    assert bounds[0] + 0.1 < bounds[1] < bounds[2] < truth.mean() + 0.01
    assert truth.mean() - bounds[2] < 0.2 * (truth.mean() - bounds[0])
    np.testing.assert_allclose(bounds[0], losses(model, LETTERS, repeats=50)["elbo"], atol=0.1)


def test_decoder_at_the_mean_is_the_prediction():
    for model, x in ((small(), LETTERS), (tables(), ROWS)):
        model.fit(x, verbose=0)
        mean, _ = model.encoder.predict(x, verbose=0)
        answer = model.decoder.predict(mean, verbose=0)
        np.testing.assert_allclose(answer, model.predict(x, verbose=0), rtol=1e-5, atol=1e-4)
        assert answer.shape == x.shape


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_gradients_reach_mean_and_variance(beta):
    # With p(x|z) made linear in z, the loss is known: its slope at the biases of mean and log variance is compared
    # with what one step of plain gradient descent does.
    model = tables(likelihood="gaussian", beta=beta, optimizer="sgd", momentum=0.0, learning_rate=1e-4, warmup=0.0,
                   schedule="constant", activation="linear")  # fmt: skip
    model.adapt(ROWS, None, None)
    # Little noise, so that a few hundred draws show the slope.
    model.encoder.get_layer("log_variance").set_weights([np.zeros((32, 2)), np.full(2, -3.0)])
    network = model.decoder.get_layer("network")
    hidden, last = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    matrix = hidden.get_weights()[0] @ last.get_weights()[0]
    variance = 1 + 1e-4
    rows = ROWS[ROWS[:, 0] > 1]  # over all rows the slope at the mean is zero
    mean, log_variance = model.encoder.predict(rows, verbose=0)
    x = (rows - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    slopes = {
        "mean": (mean @ matrix - x) @ matrix.T / variance + beta * mean,
        "log_variance": np.exp(log_variance) * (matrix**2).sum(axis=1) / variance / 2
        + beta * (np.exp(log_variance) - 1) / 2,
    }
    before = {name: model.encoder.get_layer(name).get_weights() for name in slopes}
    start, steps = model.get_weights(), {name: [] for name in slopes}
    for _ in range(400):
        model.set_weights(start)
        model.train_on_batch(rows)
        for name, step in steps.items():
            step.append((before[name][1] - model.encoder.get_layer(name).get_weights()[1]) / 1e-4)
    for name, slope in slopes.items():
        error = np.std(steps[name], axis=0) / 20
        assert (np.abs(np.mean(steps[name], axis=0) - slope.mean(axis=0)) < 5 * error + 0.02).all(), name
        assert (np.abs(slope.mean(axis=0)) > 6 * error).any(), f"{name}: the noise hides the slope"


def test_noise_differs_between_steps_and_is_seeded():
    histories = []
    for seed in (0, 0, 1):
        model = small(seed=seed, learning_rate=0.0)
        histories.append([losses(model, LETTERS)["loss"] for _ in range(3)])
    assert len(set(histories[0])) == 3
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-6)
    assert histories[0] != histories[2]
    model = small()
    assert (model.elbo(LETTERS, seed=1) == model.elbo(LETTERS, seed=1)).all()
    assert (model.elbo(LETTERS, seed=1) != model.elbo(LETTERS, seed=2)).any()
    with pytest.raises(ValueError, match="vae: samples must be"):
        model.elbo(LETTERS, samples=0)


def test_weights_of_examples_count():
    model = small(beta=0.0)
    weight = np.repeat([1.0, 0.0], 32)
    # Keras passes weights on only beside labels, which are ignored.
    logs = model.evaluate(LETTERS, weight, sample_weight=weight, batch_size=64, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], logs["reconstruction"] / 2, rtol=1e-5)
    assert abs(logs["kl"] - losses(model, LETTERS[:32])["kl"]) < 1e-3


def test_drawn_rows_have_the_covariance_of_the_table():
    # A linear one is factor analysis, which tells what the features share from what each has of its own. ("adam"
    # comes to the same later: it long remembers the large gradients of the first steps.)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(512, 1)) * [1, 20, -50] + rng.normal(size=(512, 3)) * [0.7, 20, 25] + [0, 5, -50]
    model = tables(latent=1, activation="linear", optimizer="rmsprop", learning_rate=0.01)
    model.fit(rows, epochs=60, verbose=0)
    drawn = model.sample(20_000, seed=0)
    np.testing.assert_allclose((drawn.mean(axis=0) - rows.mean(axis=0)) / rows.std(axis=0), np.zeros(3), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), rows.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(rows.T), atol=0.1)


def test_a_table_cannot_have_what_is_for_images():
    with pytest.raises(ValueError, match="vae: likelihood='bernoulli' is for images"):
        tables(likelihood="bernoulli")
    with pytest.raises(ValueError, match="vae: form='convolutional' is for images"):
        tables(form="convolutional")
    with pytest.raises(ValueError, match="vae: input_shape must have no None"):
        recipes.vae((None, None, 3))


def binary(x, seed):
    """A pixel of 0..255 becomes 255 with probability x / 255, and otherwise 0 (Salakhutdinov and Murray, 2008)."""
    return np.where(np.random.default_rng(seed).uniform(0, 255, x.shape) < x, 255, 0).astype("uint8")


@pytest.mark.slow
def test_elbo_on_mnist(real_data, monkeypatch):
    # Four passes over images drawn anew each time. Thirty passes, 260 seconds of one core, give -94.8 on the test set.
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
    data = recipes.data.load("mnist")
    train, test = data.arrays("train")[0], data.arrays("test")[0]
    model = recipes.vae((28, 28, 1), seed=0)
    drawn = np.concatenate([binary(train, seed) for seed in range(4)])
    model.fit(drawn, epochs=1, batch_size=128, verbose=0)
    elbo = model.evaluate(binary(test, 99), batch_size=500, return_dict=True, verbose=0)["elbo"]
    assert elbo > -112
