"""What a monitor writes, and that it leaves no trace."""

import keras
import numpy as np
import pytest

from keras_cookbook import callbacks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 5)).astype("float32")
Y = X[:, :3].argmax(axis=1)


def trained(*watching):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "relu", name="one"), keras.layers.Dropout(0.2), keras.layers.Dense(3, name="two")]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks.fit(model, X, Y, batch_size=8, epochs=2, verbose=0, callbacks=list(watching))
    return [keras.ops.convert_to_numpy(variable) for variable in model.weights]


def test_looks_are_numbers_and_leave_no_trace(tmp_path):
    monitor = callbacks.Monitor(tmp_path, every=8)
    for left, right in zip(trained(), trained(monitor), strict=True):
        np.testing.assert_array_equal(left, right)
    assert [look.step for look in monitor.looks] == [1, 2, 4, 8, 16, 24]
    look = monitor.looks[-2]
    assert set(look.gradients) == set(look.updates) == set(look.weights) == {"one", "two"}
    # What a step of SGD moves is its rate times the gradient, of another batch: the same size.
    assert look.updates["one"] == pytest.approx(0.01 * look.gradients["one"] / look.weights["one"], rel=2.0)


def test_tensorboard_gets_scalars_and_histograms(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monitor = callbacks.Monitor(tmp_path, every=8)
    trained(monitor)
    # TensorFlow's second kind of summaries are tensors.
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    tags = set(events.Tags()["tensors"])
    kinds = ("gradient_norm", "weight_norm", "update", "gradients", "weights", "activations")
    assert tags >= {f"{kind}/{name}" for kind in kinds for name in ("one", "two")} | {"dead/one"}
    import tensorflow as tf

    written = {event.step: tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors("gradient_norm/one")}
    assert written == pytest.approx({look.step: look.gradients["one"] for look in monitor.looks}, rel=1e-6)
    buckets = tf.make_ndarray(events.Tensors("activations/two")[0].tensor_proto)
    assert buckets[:, 2].sum() == 64 * 3, "a number for each unit and example looked at"


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monitor = callbacks.Monitor(probe=(X[:8], Y[:8]))
    trained(monitor)
    assert monitor.looks
    assert not any(look.samples for look in monitor.looks)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "words"), [({"every": 0}, "every must be 1"), ({"probe": 3}, r"\(x, y\)")])
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        callbacks.Monitor(**arguments)
