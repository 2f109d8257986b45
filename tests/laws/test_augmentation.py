"""Images that training changes at random."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cookbook import recipes, tuning
from keras_cookbook.recipes.parts import ShiftAndFlip


def moved(image, down, right, flip):
    """The slow, obvious version: padded by its reflection and cut out again."""
    height, width, _ = image.shape
    padded = np.pad(image, ((height - 1,) * 2, (width - 1,) * 2, (0, 0)), mode="reflect")
    part = padded[height - 1 + down :, width - 1 + right :][:height, :width]
    return part[:, ::-1] if flip else part


@pytest.mark.parametrize(("shift", "flip"), [(0.25, True), (0.25, False), (0.0, True)])
def test_each_image_is_moved_and_mirrored_at_random(shift, flip):
    image = np.random.default_rng(0).uniform(0, 255, size=(8, 12, 3)).astype("float32")
    layer = ShiftAndFlip(shift, flip, seed=1)
    seen = ops.convert_to_numpy(layer(np.repeat(image[None], 600, axis=0), training=True))
    ways = [
        (down, right, mirrored)
        for down in range(-int(8 * shift), int(8 * shift) + 1)
        for right in range(-int(12 * shift), int(12 * shift) + 1)
        for mirrored in ((False, True) if flip else (False,))
    ]
    # Whether it is mirrored before or after it moves is the same set of images.
    possible = np.stack([moved(image, *way) for way in ways])
    found = [np.flatnonzero((possible == one).all(axis=(1, 2, 3))) for one in seen]
    assert all(len(places) == 1 for places in found), "an image that is none of these"
    counts = np.bincount(np.concatenate(found), minlength=len(ways))
    expected = len(seen) / len(ways)
    # Chi-square: its mean is the number of ways less one, its deviation the root of twice that.
    assert ((counts - expected) ** 2 / expected).sum() < len(ways) + 4 * np.sqrt(2 * len(ways))
    again = ops.convert_to_numpy(layer(np.repeat(image[None], 600, axis=0), training=True))
    assert (again != seen).any(), "each step draws anew"
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(image[None], training=False))[0], image)


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_recipes_train_with_it_and_answer_without(name, tmp_path):
    x, y = np.random.default_rng(0).uniform(0, 255, size=(16, 16, 16, 3)), np.arange(16) % 3
    # JAX compiles anyway, and on PyTorch it takes minutes.
    compiled = True if keras.backend.backend() == "tensorflow" else "auto"
    model = recipes.get(name)((None, None, 3), 3, width=4, augmentation="shift_flip", jit_compile=compiled, seed=0)
    plain = recipes.get(name)((None, None, 3), 3, width=4, seed=0)
    assert model.count_params() == plain.count_params()
    model.fit(x, y, batch_size=8, verbose=0)
    answers = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), answers)
    recipes.save(model, tmp_path / "model.keras")
    np.testing.assert_allclose(recipes.load(tmp_path / "model.keras").predict(x, verbose=0), answers, atol=1e-6)


def test_digits_in_other_places_are_known_to_who_saw_them_moved():
    data = recipes.data.load("digits", seed=0)
    x, y = data.arrays("test")
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1)]
    shifted = np.stack([moved(image, *steps[index % 4], flip=False) for index, image in enumerate(x)])
    found = {}
    for augmentation in ("none", "shift"):
        model = recipes.cnn(data.input_shape, 10, depth=1, width=16, augmentation=augmentation, seed=0)
        keras.utils.set_random_seed(0)
        model.fit(data.train, epochs=8, verbose=0)
        found[augmentation] = model.evaluate(shifted, y, verbose=0, return_dict=True)["accuracy"]
    assert found["shift"] > found["none"] + 0.1, found


def test_it_is_a_hyperparameter(tmp_path):
    rng = np.random.default_rng(0)
    found = tuning.search(
        recipes.cnn,
        recipes.data.load((rng.uniform(0, 255, size=(40, 8, 8, 1)), np.arange(40) % 2), validation=0.25, test=0),
        augmentation=["none", "flip"],
        batch_size=[8, 16],
        algorithm="grid",
        max_trials=4,
        epochs=1,
        depth=1,
        width=4,
        kernel_size=3,
        dropout=0.0,
        activation="relu",
        units=8,
        learning_rate=1e-3,
        folder=tmp_path,
        progress=False,
    )
    tried = {(trial["values"]["augmentation"], trial["values"]["batch_size"]) for trial in found.trials}
    assert tried == {("none", 8), ("none", 16), ("flip", 8), ("flip", 16)}


def test_what_is_no_augmentation():
    with pytest.raises(ValueError, match=r"cnn: augmentation must be one of .* Did you mean 'shift_flip'"):
        recipes.cnn((8, 8, 1), 2, augmentation="shiftflip")
    with pytest.raises(ValueError, match="shift must be a share"):
        ShiftAndFlip(shift=4)
