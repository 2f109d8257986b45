"""Stochastic weight averaging against the obvious mean and against PyTorch."""

import keras
import numpy as np
import pytest
from interrupts import Interrupt, Interrupted
from keras import callbacks as kc

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.averaging import measure

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(2, 3, size=(40, 4)).astype("float32")
Y = (X[:, 0] > 2).astype("int32")


def network(norm=True, dropout=0.0, **compiling):
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(6), keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
    last = [keras.layers.Dropout(dropout, seed=1), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((4,)), *(layers if norm else layers[::2]), *last])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", **compiling)
    return model


class Snapshots(kc.Callback):
    """The weights after the last step of each epoch, before any mean is in the model."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def on_epoch_begin(self, epoch, logs=None):
        self.taken.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.taken[-1] = [keras.ops.convert_to_numpy(w).copy() for w in self.model.weights]


def slow_statistics(model, batches):
    """Mean over batches of mean and variance of what comes into the normalisation."""
    first = model.layers[0]
    before = [keras.ops.convert_to_numpy(first(batch)) for batch in batches]
    return np.mean([b.mean(0) for b in before], axis=0), np.mean([b.var(0) for b in before], axis=0)


@pytest.mark.parametrize("validate", [True, False])
def test_the_mean_is_the_obvious_one(validate):
    model, snapshots = network(), Snapshots()
    averaging = callbacks.StochasticWeightAveraging(0.5, validate=validate, data=X, batch_size=8)
    model.fit(X, Y, batch_size=8, epochs=5, callbacks=[snapshots, averaging], verbose=0)
    kernel, bias, gamma, beta, mean, variance, *head = model.get_weights()
    for found, place in zip([kernel, bias, gamma, beta, *head], [0, 1, 2, 3, 6, 7], strict=True):
        expected = np.mean([taken[place] for taken in snapshots.taken[3:]], axis=0, dtype="float64")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    slow = slow_statistics(model, [X[i : i + 8] for i in range(0, 40, 8)])
    np.testing.assert_allclose(mean, slow[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance, slow[1], rtol=1e-4, atol=1e-5)


def test_training_itself_is_as_without(tmp_path):
    """Dropout draws and statistics included: the mean only visits."""
    whole, snapshots = [], []
    for extra in ([], [callbacks.StochasticWeightAveraging(0.25, data=X)]):
        snapshots.append(Snapshots())
        model = network(dropout=0.3)
        fitting = {"validation_data": (X, Y), "batch_size": 8, "epochs": 4, "verbose": 0}
        whole.append(model.fit(X, Y, callbacks=[snapshots[-1], *extra], **fitting).history["loss"])
    for a, b in zip(snapshots[0].taken, snapshots[1].taken, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    assert whole[0] == whole[1]


def test_the_mean_is_what_is_validated_and_saved(tmp_path):
    model = recipes.mlp((4,), 1, "binary", seed=1, width=8, optimizer="sgd", learning_rate=0.3, dropout=0.0)
    averaging = callbacks.StochasticWeightAveraging(0.5)
    chosen = callbacks.standard(tmp_path, progress=False, tensorboard=False, patience=None, extra=[averaging])
    history = model.fit(X, Y, validation_data=(X, Y), batch_size=8, epochs=4, callbacks=chosen, verbose=0).history
    assert model.evaluate(X, Y, batch_size=8, verbose=0)[0] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    best = int(np.argmin(history["val_loss"]))
    saved = recipes.load(tmp_path / "best.keras")
    found = saved.evaluate(X, Y, batch_size=8, verbose=0)[0]
    assert found == pytest.approx(history["val_loss"][best], rel=1e-4)


def test_a_recipe_gives_the_data_itself():
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
    model = recipes.cnn((8, 8, 1), 2, width=4, seed=1)
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    averaging = callbacks.StochasticWeightAveraging(0.5)
    model.fit(
        images, np.arange(24) % 2, batch_size=8, epochs=2, validation_split=0.34, callbacks=[averaging], verbose=0
    )
    before = model.get_weights()
    measure(model, [images[:8], images[8:15]])
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    model = network()
    batches = [X[i : i + 8] for i in range(0, 40, 8)]
    measure(model, batches)
    kernel, bias, *_, mean, variance = model.get_weights()[:6]
    linear, norm = torch.nn.Linear(4, 6, device="cpu"), torch.nn.BatchNorm1d(6, device="cpu")
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(kernel.T.copy()))
        linear.bias.copy_(torch.from_numpy(bias))
    theirs = torch.nn.Sequential(linear, norm)
    torch.optim.swa_utils.update_bn([torch.from_numpy(batch) for batch in batches], theirs)
    np.testing.assert_allclose(mean, norm.running_mean.numpy(), rtol=1e-5, atol=1e-5)
    # PyTorch's running variance divides by the number of examples less one.
    np.testing.assert_allclose(variance, norm.running_var.numpy() * 7 / 8, rtol=1e-5)


def test_the_mean_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    model, snapshots = network(norm=False), Snapshots()
    averaging = callbacks.StochasticWeightAveraging(0.0)
    model.fit(X, Y, batch_size=8, epochs=3, callbacks=[snapshots, averaging], verbose=0)
    linear = torch.nn.Linear(4, 6, device="cpu")
    theirs = torch.optim.swa_utils.AveragedModel(linear)
    for taken in snapshots.taken:
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(taken[0].T.copy()))
        theirs.update_parameters(linear)
    np.testing.assert_allclose(model.get_weights()[0].T, theirs.module.weight.detach().numpy(), rtol=1e-5, atol=1e-6)


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


def loader():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(pairs, 8)


def dataset():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


@pytest.mark.parametrize("kind", [Pairs, loader, dataset])
def test_every_kind_of_data(kind):
    results = []
    for data in (X, kind()):
        model = network()
        averaging = callbacks.StochasticWeightAveraging(data=data, batch_size=8)
        model.fit(X, Y, batch_size=8, epochs=2, callbacks=[averaging], verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_frozen_statistics_stay():
    model = network()
    model.layers[1].trainable = False
    model.compile("sgd", "binary_crossentropy")
    model.fit(X, Y, epochs=2, callbacks=[callbacks.StochasticWeightAveraging()], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[4], 0)


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="start must be"):
        callbacks.StochasticWeightAveraging(1.0)
    with pytest.raises(ValueError, match=r"StochasticWeightAveraging\(data="):
        network().fit(X, Y, callbacks=[callbacks.StochasticWeightAveraging()], verbose=0)
    averaging = callbacks.StochasticWeightAveraging()
    model = recipes.mlp((4,), 2, ema=0.9)
    with pytest.raises(ValueError, match="use_ema"):
        model.fit(X, Y, validation_data=(X, Y), callbacks=callbacks.standard(extra=[averaging]), verbose=0)
    with pytest.raises(ValueError, match="early stopping would put the best"):
        callbacks.standard(extra=[callbacks.StochasticWeightAveraging(validate=False)])
    model = network(norm=False)
    stop = kc.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True))
    with pytest.warns(RuntimeWarning, match="before epoch 9"):
        model.fit(X, Y, epochs=10, callbacks=[averaging, stop], verbose=0)


@pytest.mark.parametrize("validate", [True, False])
def test_an_interrupted_training_has_the_same_mean(validate, tmp_path):
    def run(folder, *interrupt):
        model = network(dropout=0.3, jit_compile=False)
        averaging = callbacks.StochasticWeightAveraging(0.25, validate=validate, data=X)
        resume = callbacks.Resume(folder, every_steps=1)
        chosen = callbacks.standard(patience=None, progress=False, resume=resume, extra=[averaging, *interrupt])
        fitting = {"validation_data": (X, Y), "batch_size": 8, "epochs": 4, "verbose": 0}
        history = callbacks.fit(model, X, Y, callbacks=chosen, **fitting)
        return model.get_weights(), history.history

    expected, history = run(tmp_path / "whole")
    for step in (13, 4):
        with pytest.raises(Interrupted):
            run(tmp_path / "interrupted", Interrupt(step))
    for _ in range(2):  # then once more, when it is finished
        found, again = run(tmp_path / "interrupted")
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert again == history
