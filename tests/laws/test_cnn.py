"""Laws of the small convolutional network."""

import keras
import numpy as np
import pytest

from keras_cookbook import recipes


def trunk(model):
    """The layers up to the last feature map."""
    maps = [layer for layer in model.layers if len(layer.output.shape) == 4]
    return keras.Model(model.inputs, maps[-1].output)


def test_a_shifted_image_shifts_the_features():
    # Two stages halve the image twice, so a shift of 4 pixels is one of 1 in the features, away from the border.
    model = trunk(recipes.cnn((32, 32, 1), 2, width=4, seed=0))
    image = np.full((1, 32, 32, 1), 127.5, "float32")
    image[:, 8:20, 8:20] = np.random.default_rng(0).uniform(0, 255, size=(1, 12, 12, 1))
    features, shifted = model.predict(image, verbose=0), model.predict(np.roll(image, 4, axis=2), verbose=0)
    assert features.std() > 0.01
    np.testing.assert_allclose(shifted, np.roll(features, 1, axis=2), atol=1e-5)


def test_each_stage_halves_the_image_and_doubles_the_filters():
    for depth in (1, 2, 3):
        model = trunk(recipes.cnn((24, 16, 3), 2, depth=depth, width=8))
        assert model.output_shape == (None, 24 // 2**depth, 16 // 2**depth, 8 * 2 ** (depth - 1))


def test_weights_counted_by_hand():
    # 3x3x1x32 and 3x3x32x64 kernels, two numbers a filter for batch normalisation, two dense layers.
    model = recipes.cnn((28, 28, 1), 10)
    expected = 9 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == expected


def test_an_image_too_small_for_its_stages():
    with pytest.raises(ValueError, match=r"cnn: depth=4 halves .* Use depth=3"):
        recipes.cnn((8, 8, 1), 10, depth=4)


def test_images_of_any_size():
    model = recipes.cnn((None, None, 3), 2, width=4)
    assert model.predict(np.zeros((1, 20, 31, 3)), verbose=0).shape == (1, 2)


def test_pixels_that_are_scaled_already_are_told():
    model = recipes.cnn((8, 8, 1), 2, width=4)
    with pytest.warns(UserWarning, match="rescale=False"):
        model.fit(np.random.default_rng(0).uniform(size=(8, 8, 8, 1)), np.zeros(8), verbose=0)
