"""A budget of time, layers that begin to learn one after another, and curves while a model learns."""

import sys
import types

import keras
import numpy as np
import pytest
from interrupts import Interrupt, Interrupted
from keras import callbacks as kc

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks import stopping

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
FITTING = {"batch_size": 8, "shuffle": False, "verbose": 0}


# ---- a budget of time ------------------------------------------------------------------------------------------------


class Clock(kc.Callback):
    """A clock that moves by a second with each batch, and not otherwise."""

    def __init__(self):
        super().__init__()
        self.now, self.batches = 100.0, 0

    def monotonic(self):
        return self.now

    def on_train_batch_end(self, batch, logs=None):
        self.now += 1
        self.batches += 1

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopping, "time", clock)
    return clock


def small(**compiling):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", **compiling)
    return model


def test_a_training_stops_at_a_batch_when_its_time_is_up(clock, capsys):
    model = small()
    budget = callbacks.StopAfter(7)
    history = model.fit(X, Y, epochs=9, validation_data=(X, Y), callbacks=[budget, clock], **FITTING)
    assert clock.batches == 8  # the step that begins when the time is up is the last
    assert len(history.history["val_loss"]) == 2
    assert "The time is up (7 s): the training stops in epoch 2, after 3 batches" in capsys.readouterr().err
    assert "The time is up" not in capsys.readouterr().err
    model.fit(X, Y, epochs=2, callbacks=[budget, clock], **FITTING)  # a new training has all of it again
    assert clock.batches == 16


def test_time_that_is_up_between_epochs_begins_no_other(clock, capsys):
    clock.on_epoch_end = lambda epoch, logs=None: setattr(clock, "now", clock.now + 100)
    history = small().fit(X, Y, epochs=9, callbacks=[clock, callbacks.StopAfter(minutes=1)], **FITTING)
    assert len(history.epoch) == 1
    assert "(1 min): the training stops after epoch 1" in capsys.readouterr().err


def test_the_best_weights_are_restored_all_the_same(clock, tmp_path):
    model = small()
    kept = []
    worse = kc.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (logs.update(val_loss=1.0 + epoch), kept.append(model.get_weights()))
    )
    chosen = callbacks.standard(
        tmp_path, progress=False, tensorboard=False, extra=[worse, clock, callbacks.StopAfter(11)]
    )
    model.fit(X, Y, epochs=9, validation_data=(X, Y), callbacks=chosen, **FITTING)
    assert len(kept) == 3
    for a, b in zip(model.get_weights(), kept[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_time_is_counted_over_interrupted_runs(clock, tmp_path):
    def run(*interrupt):
        before = clock.batches
        resume = callbacks.Resume(tmp_path, every_steps=1)
        chosen = [clock, callbacks.StopAfter(12), *interrupt, resume]
        model = small()
        callbacks.fit(model, X, Y, epochs=9, callbacks=chosen, **FITTING)
        return int(keras.ops.convert_to_numpy(model.optimizer.iterations)), clock.batches - before

    with pytest.raises(Interrupted):
        run(Interrupt(9))
    iterations, batches = run()
    # 7 seconds are in the last state; 2 go by while batches of the second epoch are passed over.
    assert batches == 12 - 7
    assert iterations == 7 + batches - 2


def test_the_budget_must_be_above_zero(monkeypatch):
    with pytest.raises(ValueError, match="above 0"):
        callbacks.StopAfter()
    assert callbacks.StopAfter(30, minutes=1, hours=2).budget == 7290
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}')
    with pytest.raises(ValueError, match="same step"):
        callbacks.StopAfter(30).on_train_begin()
    monkeypatch.undo()
    found = [stopping.told(seconds) for seconds in (0.5, 45, 90, 60, 5400, 7200)]
    assert found == ["0.5 s", "45 s", "1 min 30 s", "1 min", "1 h 30 min", "2 h"]


# ---- gradual unfreezing ----------------------------------------------------------------------------------------------


def tower(optimizer="adamw", **compiling):
    keras.utils.set_random_seed(3)
    body = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, name="low"), keras.layers.BatchNormalization(name="norm")],
        name="body",
    )
    inputs = keras.Input((4,))
    middle = keras.layers.Dense(5, "tanh", name="middle")(body(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="head")(middle))
    kinds = {
        "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
        "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        "accumulated": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
        "clipped": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.01),
    }
    model.compile(kinds[optimizer](), "binary_crossentropy", **compiling)
    return model


GROUPS = ["head", "middle", "body"]


class Watch(kc.Callback):
    """The weights by name at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen = [self.values()]

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.values())

    def values(self):
        return {w.path: keras.ops.convert_to_numpy(w).copy() for w in self.model.weights}

    def moved(self, epoch):
        before, after = self.seen[epoch - 1], self.seen[epoch]
        return {path.split("/")[-2] for path in before if not np.array_equal(before[path], after[path])}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "accumulated", "clipped"])
def test_layers_begin_from_the_head_downwards(optimizer):
    model, watch = tower(optimizer), Watch()
    model.fit(X, Y, epochs=4, callbacks=[callbacks.GradualUnfreezing(GROUPS, [1, 2, 4]), watch], **FITTING)
    assert watch.moved(1) == {"head"}
    assert watch.moved(2) == watch.moved(3) == {"head", "middle"}
    assert watch.moved(4) == {"head", "middle", "low", "norm"}
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "accumulated", "clipped"])
def test_it_is_the_obvious_way(optimizer):
    """A model made anew for each epoch with other layers frozen, its weights and optimizer slots carried over."""
    model = tower(optimizer)
    fitting = FITTING | {"batch_size": 10}
    model.fit(X, Y, epochs=3, callbacks=[callbacks.GradualUnfreezing(GROUPS)], **fitting)
    weights, slots = tower(optimizer).get_weights(), {}
    for epoch in range(3):
        slow = tower(optimizer)
        slow.set_weights(weights)
        for name in GROUPS[epoch + 1 :]:
            slow.get_layer(name).trainable = False
        slow.optimizer.build(slow.trainable_variables)
        for variable in slow.optimizer.variables:
            if (name := variable.path.split("/", 1)[-1]) in slots:
                variable.assign(slots[name])
        slow.fit(X, Y, **fitting)
        weights = [keras.ops.convert_to_numpy(w) for w in slow.weights]
        slots |= {v.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(v) for v in slow.optimizer.variables}
    order = {w.path: value for w, value in zip(slow.weights, weights, strict=True)}
    for w in model.weights:
        np.testing.assert_allclose(keras.ops.convert_to_numpy(w), order[w.path], rtol=1e-4, atol=1e-6)


def test_what_is_saved_between_and_fitted_again_has_all_layers_trainable(tmp_path):
    model = recipes.mlp((4,), 1, "binary", seed=1, width=8, dropout=0.0)
    chosen = callbacks.standard(
        tmp_path, monitor="loss", progress=False, tensorboard=False, extra=[callbacks.GradualUnfreezing()]
    )
    model.fit(X, Y, epochs=2, callbacks=chosen, **FITTING)
    saved = recipes.load(tmp_path / "best.keras")
    for each in (saved, model):
        before = [keras.ops.convert_to_numpy(w).copy() for w in each.trainable_weights]
        assert len(before) == len(model.trainable_weights) > 2
        each.fit(X, Y, **FITTING)
        for a, b in zip(before, each.trainable_weights, strict=True):
            assert not np.array_equal(a, keras.ops.convert_to_numpy(b))


def test_an_error_leaves_a_recipe_trainable():
    model = recipes.mlp((4,), 1, "binary", seed=1, width=8)
    with pytest.raises(Interrupted):
        model.fit(X, Y, epochs=2, callbacks=[callbacks.GradualUnfreezing(), Interrupt(2)], **FITTING)
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    model.fit(X, Y, **FITTING)
    assert all(not np.array_equal(a, w) for a, w in zip(before, model.get_weights(), strict=False) if a.ndim == 2)


def test_an_interrupted_unfreezing_goes_on_exactly(tmp_path):
    def run(folder, *interrupt):
        model = tower(jit_compile=False)
        resume = callbacks.Resume(folder, every_steps=1)
        chosen = [callbacks.GradualUnfreezing(GROUPS), *interrupt, resume]
        callbacks.fit(model, X, Y, epochs=4, batch_size=8, callbacks=chosen, verbose=0)
        return [keras.ops.convert_to_numpy(v) for v in [*model.variables, *model.optimizer.variables]]

    expected = run(tmp_path / "whole")
    for step in (14, 3, 4):  # in the third epoch, again in it, and then in the fourth
        with pytest.raises(Interrupted):
            run(tmp_path / "interrupted", Interrupt(step))
    for a, b in zip(run(tmp_path / "interrupted"), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_unfrozen_is_told():
    with pytest.raises(ValueError, match="begin with 1"):
        callbacks.GradualUnfreezing(GROUPS, [2, 1, 3])
    with pytest.raises(ValueError, match="2 epochs for 3 groups"):
        callbacks.GradualUnfreezing(GROUPS, [1, 2])
    with pytest.raises(ValueError, match=r"no layer 'neck'; there are .*head"):
        tower().fit(X, Y, callbacks=[callbacks.GradualUnfreezing(["head", "neck"])], **FITTING)
    model = tower()
    model.get_layer("body").trainable = False
    with pytest.raises(ValueError, match="'body' has nothing to train"):
        model.fit(X, Y, callbacks=[callbacks.GradualUnfreezing(GROUPS)], **FITTING)
    if BACKEND == "jax":
        model = recipes.mlp((4,), 2, ema=0.9)
        with pytest.raises(ValueError, match="on JAX"):
            model.fit(X, Y, callbacks=[callbacks.GradualUnfreezing()], **FITTING)


# ---- curves ----------------------------------------------------------------------------------------------------------


def test_curves_are_drawn_into_a_file_at_each_epoch(tmp_path):
    pytest.importorskip("matplotlib")
    path, sizes = tmp_path / "new" / "curves.png", []
    curves = callbacks.LiveCurves(path)
    watch = kc.LambdaCallback(on_epoch_end=lambda epoch, logs: sizes.append(path.read_bytes()))
    chosen = callbacks.standard(progress=False, extra=[curves, watch])
    small(metrics=["accuracy"]).fit(X, Y, validation_data=(X, Y), epochs=3, callbacks=chosen, **FITTING)
    assert all(data.startswith(b"\x89PNG") for data in sizes)
    assert len(set(sizes)) == 3
    assert [p.name for p in path.parent.iterdir()] == ["curves.png"]
    titles = [ax.get_title() for ax in curves.figure().axes if ax.axison]
    assert titles == ["accuracy", "loss", "learning rate"]
    assert [len(line.get_xdata()) for line in curves.figure().axes[0].lines] == [3, 3]
    only = callbacks.LiveCurves(names=["loss"])
    small().fit(X, Y, callbacks=[only], **FITTING)
    assert len(only.figure().axes) == 1


def test_a_notebook_shows_them_in_one_place(monkeypatch):
    pytest.importorskip("matplotlib")
    shown = []

    class Place:
        def update(self, figure):
            shown.append(("update", figure._repr_png_()[:4]))

    def display(figure, display_id):
        shown.append(("display", figure._repr_png_()[:4]))
        return Place()

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0)))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    small().fit(X, Y, epochs=3, callbacks=[callbacks.LiveCurves()], **FITTING)
    assert shown == [("display", b"\x89PNG"), ("update", b"\x89PNG"), ("update", b"\x89PNG")]


def test_curves_of_a_continued_training_are_whole(tmp_path):
    pytest.importorskip("matplotlib")

    def run(*interrupt):
        curves = callbacks.LiveCurves()
        chosen = [curves, *interrupt, callbacks.Resume(tmp_path, every_steps=1)]
        callbacks.fit(small(), X, Y, epochs=4, callbacks=chosen, **FITTING)
        return [record["epoch"] for record in curves._records]

    with pytest.raises(Interrupted):
        run(Interrupt(12))
    assert run() == [1, 2, 3, 4]
