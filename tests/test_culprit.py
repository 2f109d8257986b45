"""The rows that make a network's numbers infinite or NaN are found, kept and looked at again."""

import json

import keras
import numpy as np
import pytest

from keras_cookbook import callbacks
from keras_cookbook.callbacks.doctor import Culprit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(320, 6)).astype("float32")
Y = X[:, :3].argmax(axis=1)
L = keras.layers


def net(*layers, rate=1e-3):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), *layers, L.Dense(3, "softmax", name="last")])
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def plain():
    return net(L.Dense(8, "relu", name="one"), L.Dense(8, "relu", name="two"))


def growing():
    grow = L.Dense(8, "exponential", kernel_initializer=keras.initializers.RandomUniform(0.0, 0.3), name="grow")
    return net(L.Dense(8, "relu", name="one"), grow)


def holed(row=100, y=Y):
    x = X.copy()
    x[row, 2] = np.nan
    return x, y


def huge(row=77, size=1e4):
    x = X.copy()
    x[row] *= size
    return x, Y


def watched(model, *data, **fitting):
    doctor = callbacks.TrainingDoctor(tell=False)
    callbacks.fit(model, *data, **{"epochs": 2, "verbose": 0} | fitting, callbacks=[doctor])
    return doctor


def told(doctor):
    found = [finding for finding in doctor.findings if finding.code == "not_finite"]
    assert len(found) == 1
    json.dumps(found[0].as_dict())
    return found[0]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_row_with_nan(shuffle):
    doctor = watched(plain(), *holed(), batch_size=16, shuffle=shuffle)
    culprit, finding = doctor.culprit, told(doctor)
    assert (culprit.rows, culprit.part, culprit.layer) == ([100], "x", "one")
    assert culprit.x.shape == (1, 6)
    assert culprit.y.tolist() == [Y[100]]
    assert "x holds NaN or infinity in row 100 of the training data" in finding.message
    assert (finding.layer, finding.evidence["rows"], finding.remedy) == ("one", [100], {"x": "finite"})
    assert doctor.try_remedy(finding).cured


def test_a_label_with_nan():
    y = X[:, :1] * 2
    y[[5, 250]] = np.nan
    model = keras.Sequential([keras.Input((6,)), L.Dense(1)])
    model.compile("adam", "mse")
    doctor = watched(model, X, y)
    assert (doctor.culprit.rows, doctor.culprit.part, doctor.culprit.layer) == ([5, 250], "y", None)
    assert "rows 5, 250" in told(doctor).message


@pytest.mark.parametrize("row", [77, 0], ids=["not looked at", "looked at"])
def test_a_row_whose_exponential_overflows(row):
    doctor = watched(growing(), *huge(row))
    culprit, finding = doctor.culprit, told(doctor)
    assert (culprit.rows, culprit.part, culprit.layer, culprit.forward) == ([row], None, "grow", True)
    assert f"the answer of 'grow' is not finite for row {row}" in finding.message
    assert finding.layer == "grow"


def test_a_row_that_overflows_half_precision():
    """The scaled optimizer leaves such steps out, so that weights stay finite, and only the loss tells."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = plain()
    finally:
        keras.config.set_dtype_policy("float32")
    doctor = watched(model, *huge(size=6e4), epochs=1)
    assert doctor.culprit.rows == [77]
    assert "row 77" in told(doctor).message
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_too_high_a_rate_is_no_row():
    model = keras.Sequential([keras.Input((6,)), L.Dense(1)])
    model.compile(keras.optimizers.SGD(1e4), "mse")
    doctor = watched(model, X, X[:, :1], batch_size=16)
    assert "row" not in told(doctor).message
    assert doctor.culprit is None


class Batches(keras.utils.PyDataset):
    """Rows in order, 16 at a time."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 20

    def __getitem__(self, index):
        rows = slice(16 * index, 16 * index + 16)
        return self.x[rows], self.y[rows]


def dataset(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(320, seed=0).batch(16).prefetch(2)


@pytest.mark.parametrize("form", [Batches, dataset], ids=["PyDataset", "tf.data"])
@pytest.mark.parametrize("odd", [holed, huge])
def test_other_forms_of_data(form, odd):
    doctor = watched(plain() if odd is holed else growing(), form(*odd()))
    assert doctor.culprit.rows == [100 if odd is holed else 77]
    assert doctor.culprit.x.shape == (1, 6)


def test_a_generator_is_left_alone():
    def endless():
        while True:
            yield holed()

    doctor = watched(plain(), endless(), steps_per_epoch=2, validation_data=(X, Y))
    assert doctor.culprit is None
    assert told(doctor).layer == "one"


def test_rows_of_a_split_are_not_training_data():
    doctor = watched(plain(), *holed(row=310), validation_split=0.1)
    assert doctor.culprit is None


def test_it_is_kept_and_looked_at_again(tmp_path):
    doctor = watched(growing(), *huge())
    path = doctor.culprit.save(tmp_path / "rows.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["rows.npz"]
    again = Culprit.load(path)
    np.testing.assert_array_equal(again.x, doctor.culprit.x)
    assert (again.rows, again.layer, again.y.tolist()) == ([77], "grow", [Y[77]])
    model = growing()
    before = model.get_weights()
    for given in (path, str(path), doctor.culprit):
        look = callbacks.replay(model, given)
        assert look.broken[0] == "grow"
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="of other weights"):
        callbacks.replay(net(L.Dense(5)), path)
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        doctor.culprit.save(tmp_path / "rows.txt")


def test_inputs_by_name_are_kept(tmp_path):
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    model = keras.Model({"left": left, "right": right}, L.Dense(3, "softmax")(L.Concatenate()([left, right])))
    model.compile("adam", "sparse_categorical_crossentropy")
    doctor = watched(model, {"left": X, "right": holed()[0]}, Y)
    assert doctor.culprit.rows == [100]
    again = Culprit.load(doctor.culprit.save(tmp_path / "rows.npz"))
    assert set(again.x) == {"left", "right"}
    assert not np.isfinite(callbacks.replay(model, again).loss)
