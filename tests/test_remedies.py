"""A remedy is tried: the same training anew with what a finding says should change."""

import contextlib
import random
import sys

import keras
import numpy as np
import pytest

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.doctor.findings import Finding
from keras_cookbook.callbacks.doctor.remedies import again, check_changes, grouped, prescribe, trial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 6)).astype("float32")
Y = X[:, :3].argmax(axis=1)
T = X @ RNG.normal(size=(6, 1)).astype("float32")
L = keras.layers


def net(*layers, loss="sparse_categorical_crossentropy", optimizer="adam", rate=0.01, inputs=6):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(inputs if isinstance(inputs, tuple) else (inputs,)), *layers])
    model.compile(keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate}}), loss)
    return model


def watched(model, x=X, y=Y, **fitting):
    doctor = callbacks.TrainingDoctor(tell=False)
    with contextlib.suppress(RuntimeError):  # PyTorch refuses some labels that do not fit
        callbacks.fit(model, x, y, **{"batch_size": 16, "epochs": 8, "verbose": 0} | fitting, callbacks=[doctor])
    return doctor


def holed():
    x = X.copy()
    x[7, 2] = np.nan
    return x


#: What is sick -> model, data, the finding to cure, and the score from which it is.
SICK = {
    "sigmoids": (
        lambda: net(*[L.Dense(12, "sigmoid") for _ in range(7)], L.Dense(3, "softmax")), X, Y, "vanishing_gradient",
        0.7,
    ),
    "a rate": (lambda: net(L.Dense(16, "relu"), L.Dense(3, "softmax"), rate=3.0), X, Y, "learning_rate_range", 0.7),
    "zeros": (
        lambda: net(L.Dense(16, "relu", kernel_initializer="zeros"), L.Dense(3, "softmax")), X, Y, "symmetric_weights",
        0.8,
    ),
    "softmax over one unit": (
        lambda: net(L.Dense(16, "relu"), L.Dense(1, "softmax"), loss="binary_crossentropy"), X, Y > 0,
        "one_unit_softmax", 0.8,
    ),
    "no softmax": (lambda: net(L.Dense(16, "relu"), L.Dense(3)), X, Y, "loss_and_activation", 0.8),
    "a ReLU at the end": (
        lambda: net(L.Dense(16, "relu"), L.Dense(1, "relu"), loss="mse"), X, T, "label_range", 0.9,
    ),
    "NaN": (lambda: net(L.Dense(16, "relu"), L.Dense(3, "softmax")), holed(), Y, "not_finite_input", 0.8),
    "unscaled": (
        lambda: net(L.Dense(16, "tanh"), L.Dense(3, "softmax")), X * 200 + 900, Y, "input_scale", 0.8,
    ),
    "frozen": (
        lambda: net(L.Dense(16, "relu", trainable=False), L.Dense(3, "softmax", trainable=False)), X, Y,
        "nothing_trainable", 0.8,
    ),
    "large targets": (
        lambda: net(L.Dense(16, "relu"), L.Dense(1), loss="mse"), X, T * 100 + 500, "initial_loss", 0.9,
    ),
    "classes from 1": (
        lambda: net(L.Dense(16, "relu"), L.Dense(1, "sigmoid"), loss="binary_crossentropy"), X, (Y > 0) + 1.0,
        "label_range", 0.8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_a_remedy_cures(name):
    if name == "classes from 1" and keras.backend.backend() == "torch":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("PyTorch ends the use of a GPU at such a label")
    make, x, y, code, least = SICK[name]
    doctor = watched(make(), x, np.asarray(y) * 1)
    finding = next(finding for finding in doctor.findings if finding.code == code)
    trial = doctor.try_remedy(finding)
    assert trial.cured, trial
    assert trial.after >= least, trial
    assert not trial.before >= trial.after, trial
    assert f"{code} is cured" in str(trial)


def test_a_recipe_is_called_anew():
    model = recipes.mlp((6,), 3, depth=1, width=8, dropout=0.0, learning_rate=5.0, seed=3)
    doctor = callbacks.TrainingDoctor(tell=False)
    model.fit(X, Y, epochs=6, batch_size=16, validation_split=0.25, verbose=0, callbacks=[doctor])
    trial = doctor.try_remedy()
    assert set(trial.changes) <= {"learning_rate", "clip_norm"}
    assert trial.model.recipe["training"]["learning_rate"] < 1
    assert trial.cured, trial
    assert trial.after > 0.7


def test_the_classes_that_came_in_order_are_mixed():
    order = np.argsort(Y)
    doctor = watched(net(L.Dense(16, "relu"), L.Dense(3, "softmax")), X[order], Y[order], validation_split=0.3)
    trial = doctor.try_remedy(next(finding for finding in doctor.findings if finding.code == "sorted_labels"))
    assert trial.after > trial.before + 0.1


def test_what_was_trained_is_left_alone():
    model = net(L.Dense(8, "sigmoid"), L.Dropout(0.2), L.Dense(3, "softmax"), rate=3.0)
    doctor = watched(model)
    weights, found = model.get_weights(), list(doctor.findings)
    keras.utils.set_random_seed(5)
    expected = np.random.rand(), random.random(), float(keras.random.uniform(()))
    keras.utils.set_random_seed(5)
    trial = doctor.try_remedy()
    assert trial.model is not model
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(weights, model.get_weights(), strict=True))
    assert doctor.findings == found
    assert (np.random.rand(), random.random(), float(keras.random.uniform(()))) == expected


def test_changes_of_ones_own():
    doctor = watched(net(L.Dense(8, "relu", name="one"), L.Dense(3, "softmax")), epochs=2)
    trial = doctor.try_remedy(changes={"one.activation": "tanh", "learning_rate": 0.02, "clip_norm": 1.0, "epochs": 1})
    assert trial.model.get_layer("one").activation is keras.activations.tanh
    optimizer = trial.model.optimizer
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(0.02)
    assert optimizer.global_clipnorm == 1.0
    assert len(trial.model.history.epoch) == 1


def test_frozen_layers_keep_their_weights():
    model = net(L.Dense(8, "relu", trainable=False, name="base"), L.Dense(3, "softmax", name="top"))
    model.get_layer("base").set_weights([np.full((6, 8), 0.3, "float32"), np.ones(8, "float32")])
    new = again(model, {"learning_rate": 0.1})
    np.testing.assert_array_equal(*(m.get_layer("base").get_weights()[0] for m in (model, new)))


def test_what_normalizes_goes_on_as_it_has_learnt():
    normalize = L.Normalization(name="normal")
    normalize.adapt(X * 200 + 900)
    model = net(normalize, L.Dense(3, "softmax", name="top"))
    new = again(model, {"learning_rate": 0.1})
    new.get_layer("top").set_weights(model.get_layer("top").get_weights())
    answers = [m.predict(X * 200 + 900, verbose=0) for m in (model, new)]
    np.testing.assert_allclose(*answers, rtol=1e-5)


def test_what_cannot_be_tried_is_told():
    doctor = watched(net(L.Dense(8, "relu"), L.Dense(3, "softmax")), epochs=1)
    doctor.findings = []
    with pytest.raises(ValueError, match="nothing to try"):
        doctor.try_remedy()
    plain = net(L.Dense(8, "relu"), L.Dense(3, "softmax"), rate=3.0)
    unseen = callbacks.TrainingDoctor(tell=False)
    plain.fit(X, Y, verbose=0, callbacks=[unseen])
    with pytest.raises(ValueError, match=r"callbacks\.fit"):
        unseen.try_remedy()

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = L.Dense(3, "softmax")

        def call(self, x):
            return self.layer(x)

    own = Own()
    own.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Own is a class of one's own"):
        again(own, {"learning_rate": 0.1})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rat": 0.1}, "'learning_rat' is nothing of this training. Did you mean 'learning_rate'\\?"),
        ({"one.activatoin": "relu"}, "Did you mean 'one.activation'"),
        ({"on.units": 3}, "Did you mean 'one.units'"),
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"x": "standardised"}, "x can be 'standardized' or 'finite'"),
    ],
)
def test_a_change_that_is_nothing_of_this_training(changes, words):
    model = net(L.Dense(8, "relu", name="one"), L.Bidirectional(L.LSTM(2), name="both"), inputs=(4, 6))
    with pytest.raises(ValueError, match=words):
        check_changes(model, changes)
    check_changes(model, {"one.units": 3, "both.units": 2, "both.merge_mode": "sum", "clip_norm": 1.0, "shuffle": True})


def test_a_change_that_is_nothing_of_this_recipe():
    doctor = watched(recipes.mlp((6,), 3, width=8), epochs=1)
    for changes, words in (
        ({"dropuot": 0.1}, "Did you mean 'dropout'"),
        ({"dense.activation": "relu"}, "nothing of this training"),
        ({"x": "standardized"}, "x can be 'finite'"),
    ):
        with pytest.raises(ValueError, match=words):
            doctor.try_remedy(changes=changes)


@pytest.mark.parametrize("form", ["numbers", "one-hot", "column", "batches"])
def test_classes_are_balanced(form, monkeypatch):
    y = np.where(np.arange(240) % 12 < 9, 0, np.where(np.arange(240) % 12 < 11, 1, 2))
    loss = "categorical_crossentropy" if form == "one-hot" else "sparse_categorical_crossentropy"
    labels = {"one-hot": np.eye(3)[y], "column": y[:, None]}.get(form, y)
    data = (X, labels)
    if form == "batches":
        import tensorflow as tf

        data = (tf.data.Dataset.from_tensor_slices(data).batch(16), None)
    given = {}
    monkeypatch.setattr(trial, "fit", lambda model, **call: given.update(call) or callbacks.fit(model, **call))
    doctor = callbacks.TrainingDoctor(tell=False)
    model = net(L.Dense(8, "relu"), L.Dense(3, "softmax"), loss=loss)
    callbacks.fit(model, *data, verbose=0, callbacks=[doctor])
    doctor.try_remedy(changes={"class_weight": "balanced"})
    assert given["class_weight"] == pytest.approx({0: 4 / 9, 1: 2.0, 2: 4.0})


@pytest.mark.parametrize(
    ("labels", "activation", "loss"),
    [(Y, "softmax", "sparse_categorical_crossentropy"), (np.eye(4)[Y], "sigmoid", "binary_crossentropy")],
)
def test_labels_from_0_are_the_same_for_validation(labels, activation, loss, monkeypatch):
    """Where it lacks the first class, and where a row has several labels."""
    held, given = np.flatnonzero(Y > 0), {}
    monkeypatch.setattr(trial, "fit", lambda model, **call: given.update(call) or callbacks.fit(model, **call))
    judged = X[held], labels[held] + 1
    doctor = watched(net(L.Dense(4, activation), loss=loss), X, labels + 1, validation_data=judged, epochs=1)
    doctor.try_remedy(changes={"y": "from 0"})
    np.testing.assert_array_equal(given["y"], labels)
    np.testing.assert_array_equal(given["validation_data"][1], labels[held])


def test_weights_of_examples_stay_with_them():
    doctor = watched(net(L.Dense(8, "relu"), L.Dense(3, "softmax")), holed(), sample_weight=np.ones(240), epochs=2)
    assert doctor.try_remedy(changes={"x": "finite"}).after > 0


def test_each_finding_is_prescribed_for_once(monkeypatch):
    asked = []
    module = sys.modules["keras_cookbook.callbacks.doctor.remedies.prescriptions"]
    monkeypatch.setattr(module, "prescribe", lambda finding, *_: asked.append(finding) or finding.remedy)
    doctor = watched(net(L.Dense(8, "sigmoid"), L.Dense(3, "softmax"), rate=3.0))
    assert len(asked) == len(doctor.findings) > 0


def test_a_recipe_is_given_no_layers_of_others():
    model = recipes.mlp((6,), 3, width=8)
    assert prescribe(Finding("symmetric_weights", "", layer="dense"), model, {}) == {}
    assert prescribe(Finding("still_falling", ""), model, {"epochs": 5}) == {"epochs": 20}


def test_layers_that_change_alike_are_told_together():
    changes = {"a.activation": "relu", "b.activation": "relu", "c.activation": "relu", "d.rate": 0.1, "epochs": 3}
    assert grouped(changes) == [("a..c.activation", "relu"), ("d.rate", 0.1), ("epochs", 3)]
