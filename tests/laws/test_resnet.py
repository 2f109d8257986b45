"""Laws of residual networks."""

import importlib

import keras
import numpy as np
import pytest

from keras_cookbook import recipes

# The name of the family is that of its factory too, which comes first.
family = importlib.import_module("keras_cookbook.recipes.vision.resnet")


@pytest.mark.parametrize(
    ("depth", "published"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_published_number_of_weights(depth, published):
    model = recipes.resnet((224, 224, 3), 1000, depth=depth, compile=False)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == published


def test_same_answer_as_keras_applications():
    ours = recipes.resnet((224, 224, 3), 1000, depth=50, rescale=False, compile=False, seed=0)
    theirs = keras.applications.ResNet50(weights=None)
    random = np.random.default_rng(0)

    def weighted(model, kind):
        # The order of creation: ours makes the shortcut of a block first, as theirs does.
        layers = [layer for layer in model.layers if isinstance(layer, kind)]
        return sorted(layers, key=lambda layer: order(model, layer))

    def order(model, layer):
        path = layer.name
        if model is ours:
            return int(path.rsplit("_", 1)[1]) if path.rsplit("_", 1)[-1].isdigit() else 0
        if not path.startswith("conv"):
            return 0, 0, 0
        stage, rest = path[4], path.split("_")
        block, index = (int(rest[1][5:]), int(rest[2])) if rest[1].startswith("block") else (0, 0)
        return int(stage), block, index

    for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization):
        pairs = list(zip(weighted(ours, kind), weighted(theirs, kind), strict=True))
        assert len(pairs) == 53
        for a, b in pairs:
            values = [
                random.normal(1 if w.name in ("gamma", "moving_variance") else 0, 0.05, w.shape) for w in a.weights
            ]
            values = [abs(v) if w.name == "moving_variance" else v for v, w in zip(values, a.weights, strict=True)]
            a.set_weights(values)
            # Their convolutions have a bias, which the batch normalisation behind makes useless.
            b.set_weights([*values, np.zeros(b.filters)] if kind is keras.layers.Conv2D else values)
            if kind is keras.layers.BatchNormalization:
                b.epsilon = a.epsilon
    theirs.layers[-1].set_weights(ours.layers[-1].get_weights())
    x = random.normal(size=(2, 224, 224, 3)).astype("float32")
    a, b = ours.predict(x, verbose=0), theirs.predict(x, verbose=0)
    assert a.std() > 1e-5
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("block", "channels"), [("basic", 8), ("bottleneck", 32)])
def test_a_block_whose_last_scale_is_zero_passes_its_input_on(block, channels):
    inputs = keras.Input((6, 6, channels))
    model = keras.Model(inputs, family.BLOCKS[block](inputs, 8, 1))
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)][-1]
    last.gamma.assign(np.zeros(channels))
    x = np.random.default_rng(0).uniform(size=(2, 6, 6, channels)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), x, atol=1e-6)


def test_the_stem_follows_from_the_size_of_the_image():
    def first_convolution(shape, **arguments):
        model = recipes.resnet(shape, 2, width=4, compile=False, **arguments)
        return next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)).kernel_size

    assert first_convolution((32, 32, 3)) == (3, 3)
    assert first_convolution((224, 224, 3)) == (7, 7)
    assert first_convolution((None, None, 3)) == (7, 7)
    assert first_convolution((32, 32, 3), stem="imagenet") == (7, 7)


def test_padding_is_the_same_on_all_sides():
    # A mirrored image gives mirrored features, which padding on one side only would break at even sizes.
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, family.convolution(inputs, 1, 3, strides=2))
    assert model.output_shape == (None, 4, 4, 1)
    kernel = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernel.set_weights([np.ones((3, 3, 1, 1))])
    answer = model.predict(np.ones((1, 8, 8, 1)), verbose=0)[0, :, :, 0]
    np.testing.assert_allclose(answer[0, 0], 4, rtol=1e-4)
    np.testing.assert_allclose(answer[-1, -1], 9, rtol=1e-4)
