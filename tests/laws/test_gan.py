"""Laws of the generative adversarial network."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_cookbook import recipes
from keras_cookbook.recipes.generative.gan import LOSSES, gradient_penalty, mean_nearest_distance
from keras_cookbook.recipes.parts import SpectralNormalization

BACKEND = keras.backend.backend()
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 6, 5, 1)).astype("uint8")


def make(**arguments):
    # Not compiled by XLA, which takes longer than a few steps.
    settings = {
        "depth": 2,
        "width": 4,
        "latent": 3,
        "schedule": "constant",
        "seed": 0,
        "jit_compile": False,
        **arguments,
    }
    return recipes.gan(IMAGES.shape[1:], **settings)


def arrays(weights):
    return [np.array(ops.convert_to_numpy(weight)) for weight in weights]


def moved(before, weights):
    return [not np.array_equal(old, new) for old, new in zip(before, arrays(weights), strict=True)]


def derivative(fn, weights):
    """The derivative of `fn()` by weights, by the backend's own means; None where it does not depend on them."""
    if BACKEND == "jax":
        import jax

        def of(values):
            with keras.StatelessScope(list(zip(weights, values, strict=True))):
                return fn()

        return arrays(jax.grad(of)([weight.value for weight in weights]))
    if BACKEND == "torch":
        import torch

        return arrays(torch.autograd.grad(fn(), [weight.value for weight in weights]))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = fn()
    return arrays(tape.gradient(value, [weight.value for weight in weights]))


@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_one_loss_has_the_gradients_of_two(loss, spectral):
    model = make(loss=loss, spectral_normalization=spectral)
    judge, maker = model.discriminator, model.generator
    of_discriminator, of_generator = LOSSES[loss]
    weights, noise = arrays(model.weights), arrays([model.random.state])[0]

    def begin():
        model.set_weights(weights)
        model.random.state.assign(noise)

    def one():
        return model.compute_loss(IMAGES, y_pred=model(IMAGES, training=True), training=True)

    def first():
        score = judge(IMAGES, training=True)
        fake = ops.stop_gradient(maker(keras.random.normal((16, 3), seed=model.random), training=True))
        value = of_discriminator(score, judge(fake))
        if loss == "wasserstein":
            share = keras.random.uniform((16, 1, 1, 1), seed=model.random)
            value += 10 * gradient_penalty(judge, share * ops.cast(IMAGES, "float32") + (1 - share) * fake)
        return value

    def second():
        judge(IMAGES, training=True)
        return of_generator(judge(maker(keras.random.normal((16, 3), seed=model.random), training=True)))

    found = []
    for fn, group in (
        (one, model.trainable_weights),
        (first, judge.trainable_weights),
        (second, maker.trainable_weights),
    ):
        begin()
        found.append(derivative(fn, group))
    whole, *players = found
    assert max(np.abs(gradient).max() for gradient in whole) > 1e-3
    for weight, a, b in zip(model.trainable_weights, whole, [g for player in players for g in player], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-5, err_msg=weight.path)


def test_losses_equal_the_formulas_of_the_papers():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 50, 1)) * 2

    def probability(score):
        return 1 / (1 + np.exp(-score))

    expected = {
        "non_saturating": (
            -np.log(probability(real)).mean() - np.log(1 - probability(fake)).mean(),
            -np.log(probability(fake)).mean(),
        ),
        "hinge": (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
    }
    assert expected.keys() == LOSSES.keys()
    for name, (of_discriminator, of_generator) in LOSSES.items():
        found = arrays([of_discriminator(real, fake), of_generator(fake)])
        np.testing.assert_allclose(found, expected[name], rtol=1e-5)


def test_a_judge_that_cannot_tell_pays_two_log_two():
    zero = np.zeros((4, 1), "float32")
    np.testing.assert_allclose(ops.convert_to_numpy(LOSSES["non_saturating"][0](zero, zero)), 2 * np.log(2), rtol=1e-6)


def test_gradient_penalty_of_a_plane():
    direction = np.random.default_rng(0).normal(size=(6, 5, 1)).astype("float32")
    direction = ops.convert_to_tensor(direction / np.linalg.norm(direction))
    images, slope = IMAGES[:4].astype("float32"), keras.Variable(1.0)

    def penalty():
        return gradient_penalty(lambda x: slope * ops.sum(x * (direction / 127.5), axis=(1, 2, 3)), images)

    for value in (1.0, 3.0, 0.25):
        slope.assign(value)
        np.testing.assert_allclose(ops.convert_to_numpy(penalty()), (value - 1) ** 2, atol=1e-5)
        np.testing.assert_allclose(derivative(penalty, [slope])[0], 2 * (value - 1), atol=1e-5)


def test_gradient_penalty_equals_finite_differences():
    judge = make(loss="wasserstein").discriminator
    images = IMAGES[:3].astype("float32")
    slope = np.zeros((3, 30))
    for pixel in range(30):
        step = np.zeros(30, "float32")
        step[pixel] = 0.5
        step = step.reshape(6, 5, 1)
        slope[:, pixel] = (
            127.5 * (judge.predict(images + step, verbose=0) - judge.predict(images - step, verbose=0))[:, 0]
        )
    expected = np.mean((np.linalg.norm(slope, axis=1) - 1) ** 2)
    np.testing.assert_allclose(ops.convert_to_numpy(gradient_penalty(judge, images)), expected, rtol=2e-2)


@pytest.mark.parametrize(
    "make", [keras.layers.Dense, functools.partial(keras.layers.Conv2D, kernel_size=2, use_bias=False)]
)
def test_spectral_normalization(make):
    # One direction stands out, which the iteration finds for sure.
    layer = make(6, kernel_initializer=keras.initializers.RandomNormal(1.0, seed=0))
    normalized = SpectralNormalization(layer)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    normalized(x)
    kernel = arrays([layer.kernel])[0]
    largest = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)[0]
    for _ in range(100):
        found = normalized(x, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(layer(x)) / largest, atol=1e-5)
    np.testing.assert_array_equal(arrays([layer.kernel])[0], kernel)
    still = arrays([normalized.direction])[0]
    np.testing.assert_allclose(ops.convert_to_numpy(normalized(x)), ops.convert_to_numpy(found), atol=1e-6)
    np.testing.assert_array_equal(arrays([normalized.direction])[0], still)
    # Only the direction of a kernel matters: along itself the gradient is zero.
    (gradient,) = derivative(lambda: ops.sum(normalized(x) ** 2), [layer.kernel])
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(np.sum(gradient * kernel), 0, atol=1e-4)


def test_diversity():
    flat = IMAGES.reshape(16, -1) / 127.5
    distance = np.linalg.norm(flat[:, None] - flat, axis=-1) + 1e9 * np.eye(16)
    np.testing.assert_allclose(ops.convert_to_numpy(mean_nearest_distance(IMAGES)), distance.min(1).mean(), rtol=1e-4)
    model = make()
    kernel = model.generator.get_layer("generator_dense").kernel
    kernel.assign(kernel * 100)
    healthy = model.evaluate(IMAGES, verbose=0, return_dict=True)["diversity"]
    kernel.assign(kernel * 0)
    collapsed = model.evaluate(IMAGES, verbose=0, return_dict=True)["diversity"]
    assert collapsed < 0.01 < 0.1 < healthy


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("resting", ["discriminator", "generator"])
def test_each_player_has_an_optimizer(resting, loaded, tmp_path):
    model = make()
    if loaded:
        model.fit(IMAGES, verbose=0)
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    optimizers = {optimizer.name: optimizer for optimizer in model.optimizer.optimizers}
    assert optimizers.keys() == {"discriminator", "generator"}
    optimizers[resting].learning_rate = 0.0
    before = {name: arrays(getattr(model, name).trainable_weights) for name in optimizers}
    model.fit(IMAGES, verbose=0)
    for name in optimizers:
        assert set(moved(before[name], getattr(model, name).trainable_weights)) == {name != resting}


def test_rate_ratio_and_critic_steps():
    model = make(rate_ratio=0.0, critic_steps=3, learning_rate=0.01)
    rates = {o.name: float(ops.convert_to_numpy(o.learning_rate)) for o in model.optimizer.optimizers}
    assert rates == {"discriminator": 0.0, "generator": pytest.approx(0.01)}
    for step in range(1, 7):
        before = arrays(model.trainable_weights)
        model.fit(IMAGES, verbose=0)
        changes = moved(before, model.trainable_weights)
        judged = len(model.discriminator.trainable_weights)
        assert set(changes[:judged]) == {False}
        assert set(changes[judged:]) == {step % 3 == 0}


def test_a_loaded_model_continues_as_if_nothing_had_been(tmp_path):
    model = make(critic_steps=2, loss="wasserstein", spectral_normalization=True)
    model.fit(IMAGES, batch_size=4, epochs=2, verbose=0)
    model.fit(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config().keys() == model.get_config().keys()
    assert again.evaluate(IMAGES, verbose=0) == pytest.approx(model.evaluate(IMAGES, verbose=0), rel=1e-4)
    logs = [m.fit(IMAGES, batch_size=4, epochs=2, shuffle=False, verbose=0).history for m in (model, again)]
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=1e-5)
    for a, b in zip(arrays(model.weights), arrays(again.weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_players_must_be_told_apart():
    parts = {"discriminator": keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="score")])}
    with pytest.raises(ValueError, match="name its part, 'discriminator'"):
        recipes.ComposedModel(parts)


@pytest.mark.parametrize("shape", [(7, 10, 3), (1, 4, 1)])
def test_any_size_of_image(shape):
    model = recipes.gan(shape, width=4, depth=3)
    assert model.sample(2).shape == (2, *shape)
    with pytest.raises(ValueError, match="one size"):
        recipes.gan((None, 8, 1))


def test_the_last_batch_may_be_one_image():
    logs = make().fit(IMAGES[:9], batch_size=8, validation_data=(IMAGES[:1],), verbose=0).history
    assert np.isfinite([values[-1] for values in logs.values()]).all()


@pytest.mark.slow
def test_a_classifier_recognises_all_ten_digits(real_data, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
    data = recipes.data.load("mnist")
    classifier = recipes.cnn(data.input_shape, data.outputs, width=16, seed=0)
    classifier.fit(data.train.take(400), verbose=0)
    model = recipes.gan(data.input_shape, seed=0)
    logs = model.fit(data.train, epochs=2, verbose=0).history
    answer = classifier.predict(model.sample(2000, seed=0), verbose=0)
    shares = np.bincount(answer.argmax(axis=1), minlength=10) / 2000
    # Eight epochs are more even (8% to 14% a digit), and confident for 75%.
    assert shares.min() > 0
    assert shares.max() < 0.4
    assert np.mean(answer.max(axis=1) > 0.9) > 0.1
    assert logs["diversity"][0] < logs["diversity"][-1]
    assert logs["diversity"][-1] > 0.4
