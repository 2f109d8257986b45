"""Laws of the autoencoder."""

import keras
import numpy as np
import pytest

from keras_cookbook import recipes

RNG = np.random.default_rng(0)
#: Six features of any scale that come from two hidden numbers, and a little noise.
HIDDEN = RNG.normal(size=(256, 2))
ROWS = HIDDEN @ RNG.normal(size=(2, 6)) + 0.3 * RNG.normal(size=(256, 6))
ROWS = (ROWS * [1, 10, 100, 1, 0.1, 5] + [0, 50, -300, 0, 2, 7]).astype("float32")
IMAGES = RNG.integers(0, 256, size=(32, 7, 10, 1)).astype("uint8")


def tables(**arguments):
    return recipes.autoencoder((6,), **{"depth": 1, "width": 16, "latent": 2, "seed": 0, **arguments})


def test_linear_one_is_pca():
    # Baldi and Hornik (1989): the least error of a linear map through a code is that of the principal components.
    x = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    values = np.linalg.svd(x, compute_uv=False) ** 2
    least = values[2:].sum() / x.size
    model = tables(activation="linear", learning_rate=0.01)
    model.fit(ROWS, epochs=150, verbose=0)
    loss = model.evaluate(ROWS, verbose=0, return_dict=True)["loss"]
    assert least * 0.999 < loss < least * 1.02
    # ... and what it restores are the projections onto them.
    restored = (model.predict(ROWS, verbose=0) - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    axes = np.linalg.svd(x, full_matrices=False)[2][:2]
    assert np.square(restored - x @ axes.T @ axes).mean() < 0.02 * least


def test_loss_equals_the_slow_one():
    images = recipes.autoencoder((7, 10, 1), depth=1, width=16, latent=3)
    expected = np.mean((images.predict(IMAGES, verbose=0) / 255.0 - IMAGES / 255.0) ** 2, axis=(1, 2, 3))
    logs = images.evaluate(IMAGES, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(logs["mae"], np.abs(images.predict(IMAGES, verbose=0) - IMAGES).mean(), rtol=1e-5)
    np.testing.assert_allclose(images.errors(IMAGES), expected, rtol=1e-4)

    rows = tables()
    rows.fit(ROWS, epochs=2, verbose=0)
    expected = np.mean(((rows.predict(ROWS, verbose=0) - ROWS) / ROWS.std(axis=0)) ** 2, axis=1)
    np.testing.assert_allclose(rows.evaluate(ROWS, verbose=0, return_dict=True)["loss"], expected.mean(), rtol=1e-4)
    np.testing.assert_allclose(rows.errors(ROWS), expected, rtol=1e-3)


def test_weights_of_examples_count():
    model = tables()
    model.fit(ROWS, verbose=0)
    weight = np.repeat([1.0, 0.0], 128)
    # Keras passes weights on only beside labels, which are ignored.
    loss = model.evaluate(ROWS, weight, sample_weight=weight, batch_size=256, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, model.errors(ROWS)[:128].sum() / 256, rtol=1e-4)


@pytest.mark.parametrize("form", ["dense", "convolutional"])
def test_decoder_after_encoder_is_the_prediction(form):
    model = recipes.autoencoder((7, 10, 1), form=form, width=16, latent=5, noise=0.2)
    model.fit(IMAGES, verbose=0)
    code = model.encoder.predict(IMAGES, verbose=0)
    assert code.shape == (32, 5)
    answer = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(model.decoder.predict(code, verbose=0), answer, rtol=1e-4, atol=1e-3)
    assert answer.shape == IMAGES.shape
    assert 0 <= answer.min() < answer.max() <= 255


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 2), (105, 105, 3)])
def test_images_of_any_size(shape):
    model = recipes.autoencoder(shape, form="convolutional", depth=3, width=8)
    assert model.predict(np.zeros((1, *shape)), verbose=0).shape == (1, *shape)


def test_convolution_halves_and_doubles():
    model = recipes.autoencoder((28, 20, 1), form="convolutional", depth=2, width=32)
    shapes = [layer.output.shape[1:] for part in (model.encoder, model.decoder) for layer in part.layers
              if type(layer).__name__.startswith("Conv")]  # fmt: skip
    assert shapes == [(14, 10, 4), (7, 5, 8), (14, 10, 4), (28, 20, 1)]


def test_noise_is_there_in_training_only():
    clean, noisy = tables(learning_rate=0.0), tables(learning_rate=0.0, noise=0.5)
    clean.adapt(ROWS, None, None)
    noisy.set_weights(clean.get_weights())
    np.testing.assert_allclose(clean.predict(ROWS, verbose=0), noisy.predict(ROWS, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(clean.evaluate(ROWS, verbose=0), noisy.evaluate(ROWS, verbose=0), rtol=1e-5)
    trained = [noisy.fit(ROWS, verbose=0).history["loss"][0] for _ in range(2)]
    assert trained[0] != trained[1]
    assert min(trained) > clean.fit(ROWS, verbose=0).history["loss"][0]


def test_with_noise_it_learns_to_remove_noise():
    # A code as large as the input lets a plain one copy whatever comes, noise included.
    rng = np.random.default_rng(1)
    spoilt = ROWS + (0.5 * rng.normal(size=ROWS.shape) * ROWS.std(axis=0)).astype("float32")
    errors = []
    for noise in (0.0, 0.5):
        model = tables(latent=6, width=32, noise=noise, learning_rate=0.01)
        model.fit(ROWS, epochs=60, verbose=0)
        restored = model.predict(spoilt, verbose=0)
        errors.append(np.mean(((restored - ROWS) / ROWS.std(axis=0)) ** 2))
    assert errors[1] < 0.8 * errors[0]


def test_sparsity_keeps_the_largest_numbers_of_a_code():
    dense, sparse = tables(latent=12), tables(latent=12, sparsity=0.75)
    code, kept = dense.encoder.predict(ROWS, verbose=0), sparse.encoder.predict(ROWS, verbose=0)
    assert (np.count_nonzero(kept, axis=1) == 3).all()
    for row, expected in zip(kept, code, strict=True):
        largest = np.argsort(-np.abs(expected))[:3]
        np.testing.assert_allclose(row[largest], expected[largest], rtol=1e-4, atol=1e-6)
    sparse.fit(ROWS, epochs=3, verbose=0)
    assert (np.count_nonzero(sparse.encoder.predict(ROWS, verbose=0), axis=1) == 3).all()


def test_an_anomaly_has_a_large_error():
    model = tables(learning_rate=0.01)
    model.fit(ROWS, epochs=40, verbose=0)
    # Each feature lies in its range, but not with the others.
    rng = np.random.default_rng(2)
    mixed = np.stack([rng.permutation(column) for column in ROWS.T], axis=1)
    assert np.median(model.errors(mixed)) > 4 * np.median(model.errors(ROWS))


def test_code_of_its_own_size():
    assert recipes.autoencoder((6,)).encoder.output_shape == (None, 3)
    assert recipes.autoencoder((28, 28, 1), width=8).encoder.output_shape == (None, 32)


def test_convolutions_are_for_images():
    with pytest.raises(ValueError, match="autoencoder: form='convolutional' is for images"):
        tables(form="convolutional")
    with pytest.raises(ValueError, match="autoencoder: input_shape must have no None"):
        recipes.autoencoder((None, None, 3))


def test_it_is_saved_with_its_parts(tmp_path):
    model = tables(sparsity=0.5, noise=0.1)
    model.fit(ROWS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.encoder.predict(ROWS, verbose=0), model.encoder.predict(ROWS, verbose=0))
    np.testing.assert_array_equal(again.errors(ROWS), model.errors(ROWS))
