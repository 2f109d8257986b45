"""Trials of a model: what they find on constructed cases, and that nothing of them is left, to the last bit."""

import contextlib
import functools
import os
import random
import time

import keras
import numpy as np
import pytest
from keras import callbacks as kc

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.finders import batch_size, rows, rules
from keras_cookbook.callbacks.finders.learning_rate import judge

BACKEND = keras.backend.backend()
ROWS, FEATURES, CLASSES = 48, 4, 3
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype("float32")
Y = X[:, :CLASSES].argmax(1).astype("int32")
LOSS = "sparse_categorical_crossentropy"


def plain(optimizer="adam", dtype=None, **settings):
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(8, "relu", dtype=dtype),
            keras.layers.BatchNormalization(dtype=dtype),
            keras.layers.Dropout(0.3, dtype=dtype),
            keras.layers.Dense(CLASSES, "softmax", dtype="float32"),
        ],
    )
    settings = {"jit_compile": False, "metrics": ["accuracy"]} | settings
    model.compile(optimizer() if callable(optimizer) else optimizer, LOSS, **settings)
    return model


def network(**settings):
    settings = {"dropout": 0.3, "learning_rate": 0.02, "seed": 2, "jit_compile": False, "width": 8} | settings
    return recipes.mlp((FEATURES,), CLASSES, **settings)


def decaying():
    return keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5))


def averaged():
    return keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True, gradient_accumulation_steps=2)


def several():
    fast, slow = keras.optimizers.SGD(0.1, momentum=0.9), decaying()
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(fast, {".*kernel.*": slow}))


def scaled():
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**10)


MODELS = {
    "plain rate": plain,
    "schedule": functools.partial(plain, decaying),
    "accumulation and averages": functools.partial(plain, averaged),
    "MultiOptimizer": functools.partial(plain, several),
    "LossScaleOptimizer": functools.partial(plain, scaled),
    "XLA": functools.partial(plain, jit_compile=BACKEND != "torch"),
    "eager": functools.partial(plain, run_eagerly=True),
    "several steps a call": functools.partial(plain, steps_per_execution=1 if BACKEND == "torch" else 2),
    "mixed_bfloat16": functools.partial(plain, dtype="mixed_bfloat16"),
    "recipe, mixed_float16": functools.partial(network, precision="mixed_float16"),
    "recipe, schedule": functools.partial(network, schedule="cosine", warmup=0.2),
    "recipe, one cycle with momentum": functools.partial(network, schedule="one_cycle_momentum"),
}


def numbers(model):
    return [np.array(v.numpy()) for v in [*model.variables, *model.optimizer.variables]]


def outcome(make, trial=None, *, trained=False, epochs=2):
    """All that a training leaves behind, with or without a trial before it."""
    keras.utils.set_random_seed(7)
    model = make()
    settings = {"batch_size": 8, "verbose": 0}
    if trained:
        model.fit(X, Y, **settings)
    if trial:
        trial(model)
    history = model.fit(X, Y, epochs=epochs, **settings)
    drawn = random.random(), np.random.rand(), np.array(keras.ops.convert_to_numpy(keras.random.normal((2,))))
    return numbers(model), history.history, drawn


def assert_same(left, right):
    assert len(left[0]) == len(right[0])
    for a, b in zip(left[0], right[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert left[1] == right[1]
    for a, b in zip(left[2], right[2], strict=True):
        np.testing.assert_array_equal(a, b)


def find_rate(model):
    callbacks.find_learning_rate(model, X, Y, steps=20, seeds=2, batch_size=8)


def find_size(model):
    callbacks.find_batch_size(model, X, Y, start=8, limit=16)


def overfit(model):
    callbacks.overfit_one_batch(model, X, Y, batch_size=8, steps=5)


def smoke(model):
    chosen = [kc.EarlyStopping(monitor="loss")]
    callbacks.smoke_run(model, X, Y, validation_data=(X[:9], Y[:9]), callbacks=chosen, batch_size=8)


TRIALS = {"learning rate": find_rate, "batch size": find_size, "one batch": overfit, "smoke run": smoke}


@functools.cache
def untouched(kind, trained):
    return outcome(MODELS[kind], trained=trained)


# ---- nothing is left -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_nothing_is_left_of_a_sweep(kind):
    assert_same(outcome(MODELS[kind], find_rate), untouched(kind, False))


@pytest.mark.parametrize("kind", ["plain rate", "schedule", "MultiOptimizer", "recipe, schedule"])
def test_nothing_is_left_in_a_trained_model(kind):
    assert_same(outcome(MODELS[kind], find_rate, trained=True), untouched(kind, True))


@pytest.mark.parametrize("kind", ["plain rate", "LossScaleOptimizer", "XLA"])
def test_nothing_is_left_of_other_trials(kind):
    def others(model):
        for trial in list(TRIALS.values())[1:]:
            trial(model)

    assert_same(outcome(MODELS[kind], others), untouched(kind, False))


def test_a_compiled_schedule_is_planned_anew():
    """JAX may take one compiled step for another: that of a trial has the course of a trial."""
    make = functools.partial(network, schedule="cosine", warmup=0.2, jit_compile=BACKEND != "torch")
    assert_same(outcome(make, overfit), outcome(make))


@pytest.mark.parametrize("trial", list(TRIALS)[1:])
def test_nothing_is_left_of_a_trial_of_a_recipe(trial):
    assert_same(outcome(MODELS["recipe, schedule"], TRIALS[trial]), untouched("recipe, schedule", False))


def test_nothing_is_left_of_all_trials_of_a_trained_model():
    def all_of_them(model):
        for trial in TRIALS.values():
            trial(model)

    kind = "recipe, schedule"
    assert_same(outcome(MODELS[kind], all_of_them, trained=True), untouched(kind, True))


def test_nothing_is_left_of_a_trial_that_fails():
    class Failing(kc.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise OSError("the disk is gone")

    def fail(model):
        with pytest.raises(OSError, match="gone"), callbacks.restored(model):
            model.fit(X, Y, verbose=0, callbacks=[Failing()])

    for kind in ("plain rate", "recipe, schedule"):
        assert_same(outcome(MODELS[kind], fail), untouched(kind, False))


def test_every_attribute_comes_back():
    model = network(schedule="cosine")
    schedule, before = model.optimizer._learning_rate, dict(vars(model))
    course, layers = (schedule.start, schedule.steps), [layer.trainable for layer in model.layers]
    with callbacks.restored(model):
        model.fit(X, Y, verbose=0)
        model.stop_training, model.note = True, "new"
        model.layers[-1].trainable = False
        model.compile("sgd", LOSS)
        np.random.seed(3)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert not model.optimizer.built
    assert (schedule.start, schedule.steps) == course
    assert [layer.trainable for layer in model.layers] == layers
    assert all(weight.trainable for weight in model.layers[-1].trainable_weights)
    assert not [layer for layer in model.layers if getattr(layer, "adapted", False)]


def test_the_optimizer_keeps_its_slots_and_its_rate():
    model = plain(decaying)
    model.fit(X, Y, verbose=0, batch_size=8)
    schedule, before, function = model.optimizer._learning_rate, numbers(model), model.train_function
    names = [v.path for v in model.optimizer.variables]
    find_rate(model)
    assert model.optimizer._learning_rate is schedule
    assert model.train_function is function
    assert [v.path for v in model.optimizer.variables] == names
    for a, b in zip(before, numbers(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_cannot_be_tried():
    for model, message in (
        ("model", "model must be a compiled keras.Model, got str"),
        (keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), "compiled with an optimizer"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.find_learning_rate(model, X)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no weights yet"):
        callbacks.smoke_run(model, X, Y)


# ---- the rules -------------------------------------------------------------------------------------------------------

STEPS = 100
RATES = np.geomspace(1e-7, 10, STEPS)
PLACE = np.log10(RATES)


def bowl(middle=-3.0, width=0.25, explode=-1.0, noise=0.0, seed=0, depth=2.0):
    """A loss that falls along a logistic curve around 10**middle and explodes at 10**explode."""
    fall = depth / (1 + np.exp(-(PLACE - middle) / width))
    losses = 2.5 - fall + np.exp(np.minimum((PLACE - explode) * 8, 50))
    losses += noise * np.random.default_rng(seed).normal(size=STEPS)
    done = next((i for i in range(1, STEPS + 1) if rules.has_diverged(losses[:i], STEPS)), STEPS)
    return losses[:done]


@pytest.mark.parametrize("middle", [-5.0, -3.5, -2.0])
def test_rules_find_the_middle_of_a_logistic_fall(middle):
    losses = bowl(middle, explode=middle + 2)
    found = rules.answers(RATES[: len(losses)], losses, STEPS)
    assert np.log10(found["steepest"]) == pytest.approx(middle, abs=0.1)
    assert np.log10(found["valley"]) == pytest.approx(middle, abs=0.2)


def test_a_tenth_of_the_rate_of_the_minimum():
    losses = 1 + (PLACE + 2) ** 2 / 10  # a parabola, least at 0.01
    assert np.log10(rules.answers(RATES, losses, STEPS)["minimum/10"]) == pytest.approx(-3, abs=0.05)


def test_a_straight_fall_has_its_middle_as_valley():
    losses = np.interp(PLACE, [-7, -4, -2, 1], [2, 2, 1, 3])
    assert np.log10(rules.answers(RATES, losses, STEPS)["valley"]) == pytest.approx(-3, abs=0.15)


def test_the_steepest_descent_of_two():
    losses = np.interp(PLACE, [-7, -5, -4, -3, -2, 0, 1], [3, 3, 2.8, 2.8, 1, 1, 4])
    assert -3 <= np.log10(rules.answers(RATES, losses, STEPS)["steepest"]) <= -2


def test_smoothing_moves_nothing():
    line = np.linspace(3, 1, STEPS)
    np.testing.assert_allclose(rules.smooth(line, STEPS)[15:-15], line[15:-15])
    peak = np.zeros(STEPS)
    peak[40] = 1
    assert rules.smooth(peak, STEPS).argmax() == 40
    np.testing.assert_allclose(rules.smooth(np.full(7, 2.0), STEPS), 2)


def test_divergence():
    assert rules.has_diverged([1.0, np.nan], STEPS)
    assert rules.has_diverged([1.0] * 20 + [2.0, 9.0, 50.0, 300.0], STEPS)
    assert not rules.has_diverged([1.0] * 20 + [300.0], STEPS), "one bad batch"
    assert not rules.has_diverged(list(np.random.default_rng(0).exponential(0.01, 60)), STEPS)
    assert not rules.has_diverged([-5.0] * 20 + [-1.0] * 3, STEPS), "a loss below zero"


def test_a_clear_curve_gives_a_sure_answer():
    found = judge(RATES, [bowl(noise=0.05, seed=seed) for seed in range(3)])
    assert found.low <= found.suggestion <= found.high
    assert 1e-4 < found.suggestion < 1e-2
    assert found.confidence >= 0.8
    assert found.reason == ""
    assert {len(rates) for rates in found.rules.values()} == {3}
    assert str(found).startswith(f"Learning rate {found.suggestion:.2g}, between")


def test_confidence_falls_when_orders_disagree():
    sure = judge(RATES, [bowl(-3), bowl(-3), bowl(-3)]).confidence
    unsure = judge(RATES, [bowl(-5, explode=-3), bowl(-3), bowl(-1, explode=0.5)]).confidence
    assert unsure < 0.5 < sure
    one_silent = judge(RATES, [bowl(-3), bowl(-3), np.ones(STEPS)])
    assert one_silent.suggestion
    assert one_silent.confidence <= 2 / 3


NOISE = np.random.default_rng(1).normal(size=(3, STEPS))
SILENT = {
    "flat": 2 + 0.001 * NOISE[0],
    "only falling": 2.5 - 2 / (1 + np.exp(-(PLACE + 1) / 0.5)) + 0.01 * NOISE[0],
    "noisy": 2 + 0.8 * NOISE[0],
    "only rising": np.append(1.0 + 0.003 * NOISE[0][:60], np.geomspace(1, 50, 12)),
    "diverging": [2.0, 5.0, 80.0, np.inf],
}


@pytest.mark.parametrize("kind", SILENT)
def test_no_answer_where_there_is_none(kind):
    found = judge(RATES, [SILENT[kind]] * 3)
    assert (found.suggestion, found.low, found.high, found.confidence) == (None, None, None, 0)
    assert found.reason.startswith(kind)
    assert str(found).startswith("No learning rate can be told: " + kind)
    assert found.plot().axes[0].get_title() == "no answer: " + kind


def test_plots_draw_where_they_are_told():
    figure = judge(RATES, [bowl(seed=seed, noise=0.05) for seed in range(2)]).plot()
    assert figure.axes[0].get_xscale() == "log"
    other = batch_size.BatchSizes(32, 16, {16: 100.0, 32: 105.0}, 64).plot(ax=figure.axes[0])
    assert other is figure


# ---- the learning rate -----------------------------------------------------------------------------------------------


def test_the_rates_that_are_used_are_those_of_the_sweep():
    """With a linear loss of one weight each step moves it by the rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for rate in (0.5, schedule):
        model.compile(keras.optimizers.SGD(rate), lambda y, p: -keras.ops.mean(p), jit_compile=False)
        ones = np.ones((40, 1), "float32")
        found = callbacks.find_learning_rate(model, ones, ones, low=0.01, high=0.1, steps=20, seeds=1, batch_size=4)
        # The loss of a step is minus the sum of the rates before it.
        want = -np.append(0, np.cumsum(np.geomspace(0.01, 0.1, 20)))[:20]
        np.testing.assert_allclose(found.curve["losses"][0], want, rtol=1e-5)


def test_several_optimizers_keep_their_proportions():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    both = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.2), {".*bias": keras.optimizers.SGD(0.1)})
    model.compile(keras.optimizers.MultiOptimizer(both), lambda y, p: -keras.ops.mean(p), jit_compile=False)
    ones = np.ones((40, 1), "float32")
    found = callbacks.find_learning_rate(model, ones, ones, low=0.01, high=0.1, steps=20, seeds=1, batch_size=4)
    want = -1.5 * np.append(0, np.cumsum(np.geomspace(0.01, 0.1, 20)))[:20]
    np.testing.assert_allclose(found.curve["losses"][0], want, rtol=1e-5)


def test_a_rate_acts_once_with_accumulated_gradients():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = keras.optimizers.SGD(0.2, gradient_accumulation_steps=3)
    model.compile(optimizer, lambda y, p: -keras.ops.mean(p), jit_compile=False)
    ones = np.ones((40, 1), "float32")
    found = callbacks.find_learning_rate(model, ones, ones, low=0.01, high=0.1, steps=20, seeds=1, batch_size=4)
    want = -np.append(0, np.cumsum(np.geomspace(0.01, 0.1, 20)))[:20]
    np.testing.assert_allclose(found.curve["losses"][0], want, rtol=1e-5)


def test_a_model_learns_at_the_rate_that_is_found():
    x = np.random.default_rng(0).normal(size=(512, FEATURES)).astype("float32")
    y = x[:, :CLASSES].argmax(1)
    keras.utils.set_random_seed(0)
    model = plain("adam")
    found = callbacks.find_learning_rate(model, x, y, low=1e-5, steps=60, seeds=2)
    assert found.low <= found.suggestion <= found.high
    assert 1e-3 < found.suggestion < 0.3
    assert found.confidence > 0.3
    model.optimizer.learning_rate = found.suggestion
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * np.log(CLASSES)


def test_labels_that_cannot_be_learnt_give_no_answer():
    y = np.random.default_rng(3).integers(0, CLASSES, ROWS * 8)
    x = np.zeros((len(y), FEATURES), "float32")
    found = callbacks.find_learning_rate(plain("sgd"), x, y, steps=40, seeds=2)
    assert found.suggestion is None
    assert found.reason


def test_a_loss_that_is_never_finite():
    found = callbacks.find_learning_rate(plain(), X * np.nan, Y, steps=20, seeds=1)
    assert found.reason.startswith("diverging")


BAD = {
    "steps": ({"steps": 5}, "steps must be a whole number, 20 or more, got 5"),
    "seeds": ({"seeds": 0}, "seeds must be a whole number, 1 or more, got 0"),
    "batch_size": ({"batch_size": 2.5}, "batch_size must be a whole number, 1 or more, got 2.5"),
    "low": ({"low": 0}, "low and high must be rates with 0 < low < high, got low=0 and high=10.0"),
    "high": ({"high": float("inf")}, "got low=1e-07 and high=inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message.replace("(", "\\(")):
        callbacks.find_learning_rate(plain(), X, Y, **arguments)


# ---- data ------------------------------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[index * 8 :][:8], Y[index * 8 :][:8], np.ones(8, "float32")


def test_every_form_of_data():
    import tensorflow as tf

    forms = {"PyDataset": Batches(), "tf.data": tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)}
    for form, data in forms.items():
        found = rows.read(data, most=20)
        assert (len(found), found.batch_size) == (24, 8), form
        np.testing.assert_array_equal(found.arguments(np.arange(24))["x"], X[:24])
    assert list(forms["PyDataset"].__getitem__(0)[2]) == list(
        rows.read(Batches(), most=1).arguments([0] * 8)["sample_weight"]
    )
    both = rows.read({"a": X, "b": [X, X]}, (Y, Y), most=1)
    assert both.arguments([1])["x"]["b"][1].shape == (1, FEATURES)
    callbacks.find_learning_rate(plain(), forms["tf.data"], steps=20, seeds=1)


def test_data_that_cannot_be_read():
    for arguments, message in (
        ((iter([X]),), "x must be data that can be read again, got a generator"),
        ((X, Y[:3]), "as many as each other; got 3 and 48"),
        ((X[:0], Y[:0]), "at least one example"),
        ((Batches(), Y), "y must be None where x is a Batches"),
        (([1, 2], Y), "got single numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            rows.read(*arguments, most=8)


# ---- the batch size --------------------------------------------------------------------------------------------------


def shortage():
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    if BACKEND == "torch":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 10 bytes.")


class Greedy(keras.layers.Layer):
    """Takes no more than so many examples."""

    def __init__(self, most, error, **kwargs):
        super().__init__(**kwargs)
        self.most, self.error = most, error

    def call(self, inputs):
        if inputs.shape[0] is not None and inputs.shape[0] > self.most:
            raise self.error
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def greedy(most, error):
    model = keras.Sequential([keras.Input((FEATURES,)), Greedy(most, error), keras.layers.Dense(CLASSES, "softmax")])
    model.compile("adam", LOSS, run_eagerly=True)
    return model


@pytest.mark.parametrize("make", [shortage, MemoryError])
def test_the_largest_batch_that_fits(make):
    found = callbacks.find_batch_size(greedy(70, make()), X, Y, start=16, limit=512)
    assert (found.largest, found.too_large) == (64, 128)
    assert list(found.throughput) == [16, 32, 64]
    assert all(speed > 0 for speed in found.throughput.values())
    assert found.suggestion in found.throughput
    assert "128 does not fit" in str(found)


def test_a_limit_ends_the_search():
    found = callbacks.find_batch_size(plain(), X, Y, start=8, limit=40)
    assert (found.largest, found.too_large) == (32, None)


def test_no_batch_fits():
    with pytest.raises(MemoryError, match="start=16"):
        callbacks.find_batch_size(greedy(3, MemoryError()), X, Y)


def test_other_errors_are_not_taken_for_a_shortage():
    with pytest.raises((ArithmeticError, RuntimeError), match="no memory of this"):  # Keras may wrap it
        callbacks.find_batch_size(greedy(3, ArithmeticError("no memory of this")), X, Y)
    assert not batch_size.is_out_of_memory(ValueError("out of memory is not what this says"))
    assert batch_size.is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))


def test_what_remains_right_after_a_shortage():
    def run_short(model):
        with contextlib.suppress(MemoryError), callbacks.restored(model):
            model.fit(X, Y, verbose=0)
            raise MemoryError

    assert_same(outcome(plain, run_short), untouched("plain rate", False))


@pytest.mark.parametrize(
    ("speeds", "best"),
    [({16: 100, 32: 190, 64: 300, 128: 320}, 64), ({16: 100, 32: 105, 64: 300}, 16), ({16: 1, 32: 2}, 32)],
)
def test_the_size_from_which_larger_ones_are_hardly_faster(speeds, best):
    assert batch_size.best_size(speeds) == best


def test_bad_sizes():
    with pytest.raises(ValueError, match="limit must be a whole number, 16 or more, got 4"):
        callbacks.find_batch_size(plain(), X, Y, limit=4)


# ---- one batch by heart ----------------------------------------------------------------------------------------------


def test_a_sound_model_learns_a_batch():
    model = plain(lambda: keras.optimizers.Adam(0.03))
    found = callbacks.overfit_one_batch(model, X, Y, batch_size=16)
    assert found
    assert found.learnt
    assert found.advice == []
    assert found.first == found.losses[0]
    assert len(found.losses) == len(found.accuracies) < 300
    assert "learnt one batch by heart" in str(found)
    assert found.plot().axes[0].get_title() == "one batch: learnt"


def test_a_frozen_model_does_not():
    model = plain()
    model.trainable = False
    model.compile("sgd", "mse", jit_compile=False)
    with pytest.warns(UserWarning, match="trainable") if BACKEND != "jax" else pytest.MonkeyPatch.context():
        found = callbacks.overfit_one_batch(model, X, np.eye(CLASSES)[Y], steps=4)
    assert not found
    assert len(found.losses) == 4
    assert "none is trainable" in found.advice[0]


def test_the_same_example_with_two_labels():
    found = callbacks.overfit_one_batch(plain(), np.zeros((8, FEATURES), "float32"), np.arange(8) % CLASSES, steps=20)
    assert not found
    assert any("labels" in line for line in found.advice)
    assert "did not learn" in str(found)
    assert any("dropout" in line for line in found.advice)


def test_a_rate_that_explodes_is_named():
    found = callbacks.overfit_one_batch(plain(lambda: keras.optimizers.SGD(1e9), metrics=[]), X * 1e6, Y, steps=30)
    assert not found
    assert found.advice[0].startswith(("numbers", "the learning rate"))


def test_augmentation_rests():
    pictures = np.random.default_rng(0).random((8, 6, 6, 1)).astype("float32")

    def make():
        keras.utils.set_random_seed(1)
        parts = [keras.layers.RandomTranslation(0.4, 0.4), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
        model = keras.Sequential([keras.Input((6, 6, 1)), *parts])
        model.compile("sgd", "mse", jit_compile=False)
        return model

    model = make()
    rest = float(np.mean((model.predict(pictures, verbose=0) - 1) ** 2))
    found = callbacks.overfit_one_batch(model, pictures, np.ones((8, CLASSES)), steps=3)
    assert found.first == pytest.approx(rest, rel=1e-5)
    assert "call" not in vars(model.layers[0])
    assert model.train_on_batch(pictures, np.ones((8, CLASSES))) != pytest.approx(rest, rel=1e-5)


# ---- a smoke run -----------------------------------------------------------------------------------------------------


class Counting(kc.Callback):
    def __init__(self):
        super().__init__()
        self.batches, self.seen = 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.seen.append(batch)


def test_a_smoke_run_tries_everything_and_leaks_nothing(tmp_path):
    counting = Counting()
    chosen = [
        counting,
        kc.ModelCheckpoint(tmp_path / "best.keras"),
        kc.CSVLogger(str(tmp_path / "log.csv")),
        *callbacks.standard(tmp_path / "run", progress=False, tensorboard=False, resume=True),
    ]
    began = time.perf_counter()
    tried = callbacks.smoke_run(plain(), X, Y, validation_data=(X, Y), callbacks=chosen)
    assert [one.stage for one in tried] == [
        "one batch of predictions", "one batch of validation", "2 batches of training", "saving and loading",
    ]  # fmt: skip
    assert 0 < sum(one.seconds for one in tried) < time.perf_counter() - began
    assert "without Resume" in tried[2].note
    assert str(tried[0]).startswith("one batch of predictions: ")
    assert (counting.batches, counting.seen) == (0, [])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_cannot_be_copied_is_told():
    class Locked(kc.Callback):
        def __init__(self):
            super().__init__()
            self.file = open(os.devnull)  # noqa: SIM115

    locked = Locked()
    tried = callbacks.smoke_run(plain(), X, Y, callbacks=[locked, None, [Counting()]])
    locked.file.close()
    assert "without Locked, which cannot be copied" in tried[1].note


class Forgetful(keras.layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {"name": self.name}


def test_the_stage_that_fails_is_named():
    class Failing(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("val_f1")

    with pytest.raises(RuntimeError, match="2 batches of training: KeyError: 'val_f1'"):
        callbacks.smoke_run(plain(), X, Y, callbacks=[Failing()])
    with pytest.raises(RuntimeError, match="one batch of predictions"):
        callbacks.smoke_run(plain(), X[:, :2], Y)
    with pytest.raises(RuntimeError, match="one batch of validation"):
        callbacks.smoke_run(plain(), X, Y, validation_data=(X[:, :2], Y))
    keras.saving.register_keras_serializable("tests")(Forgetful)
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES), Forgetful(3.0)])
    model.compile("adam", "mse")
    with pytest.raises(RuntimeError, match=r"saving and loading: .*get_config"):
        callbacks.smoke_run(model, X, np.eye(CLASSES)[Y])


def test_bad_arguments_of_a_smoke_run():
    for arguments, message in (
        ({"epochs": 3}, "epochs must be an argument of fit that a smoke run leaves alone"),
        ({"bath_size": 3}, "bath_size must be an argument of fit"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"validation_data": iter([X])}, "validation_data must be data that can be read again"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.smoke_run(plain(), X, Y, **arguments)
