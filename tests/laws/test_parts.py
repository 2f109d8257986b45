"""Laws of losses, layers, schedules and training settings."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cookbook import recipes
from keras_cookbook.recipes._training import OPTIMIZERS
from keras_cookbook.recipes.parts import (
    BatchNormalization,
    PlannedSchedule,
    SmoothedSparseCategoricalCrossentropy,
    Standardization,
)
from keras_cookbook.recipes.parts.schedules import SHAPES


def test_smoothed_loss_equals_the_one_on_one_hot_labels():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 5, (7, 4)), rng.dirichlet(np.ones(5), (7, 4)).astype("float32")
    for smoothing in (0.0, 0.1, 0.5):
        ours = SmoothedSparseCategoricalCrossentropy(smoothing)(y, p)
        keras_own = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)(np.eye(5)[y], p)
        np.testing.assert_allclose(float(ours), float(keras_own), rtol=1e-5)


def test_standardization_equals_numpy_whatever_the_batches():
    rng = np.random.default_rng(0)
    x = rng.normal(1e4, 3.0, size=(101, 4)).astype("float32")
    x[:, 2] = 7.0
    layer = Standardization()
    layer.build((None, 4))
    layer.adapt(x[i : i + 13] for i in range(0, 101, 13))
    expected = np.where(np.arange(4) == 2, 1.0, x.astype("float64").std(axis=0))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.deviation), expected, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)).mean(axis=0), 0, atol=1e-3)
    back = Standardization(invert=True)
    back.build((None, 4))
    back.set_weights(layer.get_weights())
    np.testing.assert_allclose(ops.convert_to_numpy(back(layer(x))), x, rtol=1e-6)


def rates(shape, steps=100, **settings):
    schedule = PlannedSchedule(2.0, shape, steps=steps, **settings)
    return np.array([float(schedule(step)) for step in range(steps + 1)])


def test_shapes_of_the_schedules():
    k = np.arange(101) / 100
    np.testing.assert_allclose(rates("constant"), 2.0)
    np.testing.assert_allclose(rates("linear"), 2 * (1 - k), atol=1e-6)
    np.testing.assert_allclose(rates("cosine"), 1 + np.cos(np.pi * k), atol=1e-6)
    np.testing.assert_allclose(rates("exponential"), 2 * 0.01**k, rtol=1e-5)
    np.testing.assert_allclose(rates("step")[[0, 49, 50, 74, 75, 100]], [2, 2, 0.2, 0.2, 0.02, 0.02], rtol=1e-5)
    np.testing.assert_allclose(rates("one_cycle")[[0, 45, 90, 100]], [0.2, 2, 0.2, 0], atol=1e-5)


def test_cosine_equals_that_of_keras():
    own = keras.optimizers.schedules.CosineDecay(2.0, 100)
    np.testing.assert_allclose(rates("cosine"), [float(own(step)) for step in range(101)], atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_warmup_rises_from_above_zero_to_where_the_shape_begins(shape):
    rising = rates(shape, warmup=0.2)
    assert 0 < rising[0] <= 0.2
    assert (np.diff(rising[:20]) > 0).all()
    assert rising[20] == pytest.approx(rates(shape)[0], rel=1e-5)


def test_the_schedule_spans_the_whole_of_fit():
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    model = recipes.mlp((3,), 1, "binary", schedule="linear", learning_rate=0.5)
    seen = []
    spy = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(model.optimizer.learning_rate))
    )
    model.fit(x, y, batch_size=10, epochs=5, callbacks=[spy], verbose=0)
    np.testing.assert_allclose(seen, [0.4, 0.3, 0.2, 0.1, 0.0], atol=1e-6)
    seen.clear()  # a second fit is a course of its own
    model.fit(x, y, batch_size=20, epochs=2, callbacks=[spy], verbose=0)
    np.testing.assert_allclose(seen, [0.25, 0.0], atol=1e-6)
    seen.clear()  # and initial_epoch stands in the middle of one
    model.fit(x, y, batch_size=20, epochs=4, initial_epoch=2, callbacks=[spy], verbose=0)
    np.testing.assert_allclose(seen, [0.125, 0.0], atol=1e-6)


def test_the_schedule_is_followed_by_the_weights_and_not_only_shown():
    # SGD without momentum on a loss of slope 1: each step moves the weight by the rate.
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    schedule = PlannedSchedule(1.0, "linear", steps=4)
    model.compile(keras.optimizers.SGD(schedule), loss=lambda y, p: ops.mean(p))
    model.fit(np.ones((4, 1)), np.ones((4, 1)), batch_size=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], -(1 + 0.75 + 0.5 + 0.25), rtol=1e-5)


def test_a_schedule_over_data_of_unknown_length_is_told():
    model = recipes.cnn((8, 8, 1), 2, width=4, schedule="cosine")
    endless = ((np.ones((4, 8, 8, 1)) * 255, np.ones(4)) for _ in iter(int, 1))
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(endless, epochs=2, verbose=0)
    model.fit(endless, epochs=2, steps_per_epoch=2, verbose=0)
    with pytest.raises(ValueError, match=r"mlp: .* generator"):
        recipes.mlp((3,), 2).fit(endless, steps_per_epoch=2, verbose=0)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_spares_biases_and_survives_saving(name, precision, tmp_path):
    model = recipes.mlp((3,), 1, "binary", optimizer=name, weight_decay=0.5, depth=1, precision=precision)
    model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0)
    model.save(tmp_path / "model.keras")
    for each in (model, keras.saving.load_model(tmp_path / "model.keras")):
        optimizer = getattr(each.optimizer, "inner_optimizer", each.optimizer)
        assert (optimizer is each.optimizer) == (precision == "float32")
        decayed = [w.path for w in each.trainable_weights if optimizer._use_weight_decay(w)]
        assert len(decayed) == 2
        assert all(path.endswith("kernel") for path in decayed)


def test_accumulated_batches_equal_a_large_one():
    x, y = np.random.default_rng(0).normal(size=(32, 3)).astype("float32"), np.arange(32) % 2
    one = recipes.mlp((3,), 1, "binary", dropout=0.0, seed=0)
    many = recipes.mlp((3,), 1, "binary", dropout=0.0, seed=0, accumulate=4)
    one.fit(x, y, batch_size=32, verbose=0)
    many.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 6, 7, 3), (8, 4), (1, 1, 1, 2)])
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_normalization_is_that_of_keras(shape, frozen):
    """After three steps of training: weights, moving statistics and answers are the same."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, size=(4, *shape)).astype("float32"), rng.normal(size=(4, *shape)).astype("float32")
    models = []
    for layer in (BatchNormalization, keras.layers.BatchNormalization):
        inputs = keras.Input(shape[1:])
        first = keras.layers.Dense(shape[-1], kernel_initializer="identity")(inputs)
        norm = layer(momentum=0.8, epsilon=1e-4, gamma_initializer="ones")
        model = keras.Model(inputs, norm(first))
        norm.trainable = not frozen
        model.compile(keras.optimizers.SGD(0.1), "mse")
        models.append(model)
    for batch, labels in zip(x, y, strict=True):
        losses = [model.train_on_batch(batch, labels) for model in models]
        np.testing.assert_allclose(*losses, rtol=1e-4)
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(*(model.predict(x[0], verbose=0) for model in models), rtol=2e-3, atol=1e-3)
