"""The callbacks: files that are whole or not there, conflicts told early, a tidy display, averaged weights."""

import copy
import errno
import fcntl
import importlib.util
import json
import math
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import textwrap
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import callbacks as kc

from keras_cookbook import callbacks
from keras_cookbook.callbacks.checks import Guard
from keras_cookbook.callbacks.monitor import direction

CLASSES, FEATURES = 3, 4


def data(rows=48, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, FEATURES)).astype("float32")
    return x, x[:, :CLASSES].argmax(1).astype("int32")


def network(optimizer=None, **compiled):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(CLASSES, "softmax")]
    )
    model.compile(
        optimizer or keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled
    )
    return model


def fit(model, chosen, epochs=2, verbose=0, validate=True, **options):
    x, y = data()
    options = {"batch_size": 16, "validation_data": data(24, 1) if validate else None} | options
    return model.fit(x, y, epochs=epochs, callbacks=chosen, verbose=verbose, **options).history


class Scripted(kc.Callback):
    """Puts given values of `score` into the logs, and keeps the weights of each epoch."""

    def __init__(self, *values):
        super().__init__()
        self.values, self.weights = values, []

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]
        self.weights.append(self.model.get_weights())


def same(left, right, **tolerance):
    return all(np.allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0})) for a, b in zip(left, right, strict=True))


def load(path):
    return keras.saving.load_model(path, compile=False)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_save_model_round_trip_leaves_nothing_else(tmp_path):
    model = network()
    path = callbacks.save_model(model, tmp_path / "new" / "model.keras")
    assert os.listdir(path.parent) == ["model.keras"]
    x, _ = data()
    np.testing.assert_allclose(load(path).predict(x, verbose=0), model.predict(x, verbose=0), 1e-6)
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        callbacks.save_model(model, tmp_path / "model.h5")


def half_written(self, path, **_):
    Path(path).write_bytes(b"half a model")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_failed_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    model = network()
    monkeypatch.setattr(keras.Model, "save", half_written)
    with pytest.raises(OSError, match="there is no earlier file") as caught:
        callbacks.save_model(model, path)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"good")
    with pytest.raises(OSError, match=r"No space left on device.*earlier file there is untouched; [\d,]+ bytes free"):
        callbacks.save_model(model, path)
    assert os.listdir(tmp_path) == ["model.keras"]
    assert path.read_bytes() == b"good"


def test_any_error_removes_the_unfinished_file(tmp_path, monkeypatch):
    def broken(self, path, **_):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save", broken)
    with pytest.raises(KeyboardInterrupt):
        callbacks.save_model(network(), tmp_path / "model.keras")
    assert os.listdir(tmp_path) == []


def test_failed_rename_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    path.write_bytes(b"good")

    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(PermissionError, match="earlier file there is untouched"):
        callbacks.save_model(network(), path)
    assert path.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["model.keras"]


def test_save_json_is_strict_and_atomic(tmp_path, monkeypatch):
    path = callbacks.save_json(
        {"a": np.float32(0.5), "b": [math.nan, -math.inf], "c": np.arange(2)}, tmp_path / "x.json"
    )
    assert strict_json(path.read_text()) == {"a": 0.5, "b": ["NaN", "-Infinity"], "c": [0, 1]}
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken disk")))
    with pytest.raises(OSError, match="broken disk"):
        callbacks.save_json({}, path)
    assert "0.5" in path.read_text()
    assert os.listdir(tmp_path) == ["x.json"]


def strict_json(text):
    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def script(body, *arguments, wait=True, **options):
    """Runs Python in another process, with a small `model` at hand."""
    head = """
        import os, sys, signal, time, warnings
        import numpy as np, keras
        from keras_cookbook import callbacks
        def network(units=8):
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
            return model
        x = np.ones((32, 4), "float32"); y = np.ones((32, 1), "float32")
    """
    source = textwrap.dedent(head) + textwrap.dedent(body)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": keras.backend.backend()}
    if not wait:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)


def test_a_write_that_the_system_cuts_short(tmp_path):
    """A real failure in the middle of writing: the system lets no file grow over 100 kB."""
    done = script(
        """
        import resource
        path = sys.argv[1]
        callbacks.save_model(network(), path)
        before = open(path, "rb").read()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            callbacks.save_model(network(20_000), path)
        except OSError as error:
            print("told:", error)
        assert open(path, "rb").read() == before
        assert os.listdir(os.path.dirname(path)) == ["m.keras"], os.listdir(os.path.dirname(path))

        # The same in training: it goes on, and tells.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            best = callbacks.BestModel(path, "loss")
            network(20_000).fit(x, y, epochs=2, callbacks=[best], verbose=0)
        texts = [str(w.message) for w in caught if w.category is RuntimeWarning]
        assert "Training goes on" in texts[0] and "NOT ON DISK" in texts[-1], texts
        assert open(path, "rb").read() == before
        assert os.listdir(os.path.dirname(path)) == ["m.keras"]
        print("survived")
        """,
        tmp_path / "m.keras",
    )
    assert "told:" in done.stdout, done.stderr[-3000:]
    assert "untouched" in done.stdout
    assert "survived" in done.stdout, done.stderr[-3000:]


def test_a_full_disk(tmp_path):
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", tmp_path], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"no small disk to fill: {mount.stderr.strip()}")
    try:
        path = callbacks.save_model(network(), tmp_path / "best.keras")
        good = path.read_bytes()
        large = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(20_000)])
        large.compile("sgd", "sparse_categorical_crossentropy")
        with pytest.raises(OSError, match=r"too little space .* needed \(three times"):
            fit(large, [callbacks.BestModel(path, "loss")], validate=False)
        with pytest.raises(OSError, match=r"No space left.*untouched"):
            callbacks.save_model(large, path)
        assert path.read_bytes() == good
        assert os.listdir(tmp_path) == ["best.keras"]
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_kill_in_the_middle_of_writing(tmp_path):
    path = tmp_path / "m.keras"
    process = script(
        """
        model = network()
        callbacks.save_model(model, sys.argv[1])
        def slow(path):
            with open(path, "wb") as file:
                file.write(b"half a model")
                file.flush()
                print("writing", flush=True)
                time.sleep(60)
        model.save = slow
        callbacks.save_model(model, sys.argv[1])
        """,
        path,
        wait=False,
    )
    assert process.stdout.readline() == "writing\n"
    assert len(os.listdir(tmp_path)) == 2
    process.kill()
    process.wait()
    load(path)
    # The next run clears up.
    fit(network(), [callbacks.BestModel(path)], epochs=1)
    assert os.listdir(tmp_path) == ["m.keras"]


# ---- the best model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        ("loss", "min"), ("val_loss", "min"), ("val_head_loss", "min"), ("dice_loss", "min"), ("val_mae", "min"),
        ("root_mean_squared_error", "min"), ("sparse_categorical_crossentropy", "min"), ("kl_divergence", "min"),
        ("brier_score", "min"), ("accuracy", "max"), ("val_acc", "max"), ("auc_1", "max"), ("val_f1", "max"),
        ("f1_score", "max"), ("mean_io_u", "max"), ("cosine_similarity", "max"), ("r2_score", "max"),
        ("sparse_top_k_categorical_accuracy", "max"), ("episode_return", "max"), ("precision_2", "max"),
    ],
)  # fmt: skip
def test_direction(monitor, expected):
    assert direction(monitor) == expected
    assert direction(monitor, "max") == "max"


@pytest.mark.parametrize(("monitor", "mode"), [("surprise", "auto"), ("val_losses_of_games", "auto"), ("loss", "up")])
def test_unknown_direction(monitor, mode, tmp_path):
    for build in (callbacks.standard, callbacks.Progress, lambda **k: callbacks.BestModel(tmp_path / "a.keras", **k)):
        with pytest.raises(ValueError, match="mode"):
            build(monitor=monitor, mode=mode)


def test_best_model_is_that_of_the_best_epoch(tmp_path):
    scripted, best = (
        Scripted(math.nan, 0.2, 0.5, math.nan, 0.4),
        callbacks.BestModel(tmp_path / "a" / "b.keras", "score"),
    )
    model = network()
    fit(model, [scripted, best], epochs=5)
    assert (best.best, best.best_epoch) == (0.5, 2)
    assert same(load(best.path).get_weights(), scripted.weights[2])
    # A second fit of the same model goes on from there; another model starts afresh.
    scripted.values = (0.45, 0.3)
    fit(model, [scripted, best])
    assert best.best == 0.5
    fit(network(), [scripted, best])
    assert best.best == 0.45


@pytest.mark.parametrize("space_returns", ["next epoch", "at the end", "never"])
def test_training_survives_a_failing_disk(tmp_path, monkeypatch, space_returns):
    save, failing, tries = keras.Model.save, [], []

    def sometimes(self, path, **options):
        tries.append(path)
        return half_written(self, path) if failing else save(self, path, **options)

    class Disk(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            failing[:] = [1] if epoch == 1 or (epoch > 1 and space_returns != "next epoch") else []

        def on_train_end(self, logs=None):
            failing[:] = [1] if space_returns == "never" else []

    monkeypatch.setattr(keras.Model, "save", sometimes)
    scripted, best = Scripted(0.1, 0.9, 0.5, 0.4), callbacks.BestModel(tmp_path / "best.keras", "score")
    model = network()
    with pytest.warns(RuntimeWarning) as told:
        fit(model, [scripted, Disk(), best], epochs=4)
    texts = [str(w.message) for w in told if "could not write" in str(w.message)]
    assert texts[0].startswith("epoch 2: ")
    assert len(texts) == (2 if space_returns == "never" else 1)
    assert ("NOT ON DISK" in texts[-1]) == (space_returns == "never")
    assert os.listdir(tmp_path) == ["best.keras"]
    on_disk = load(best.path).get_weights()
    assert same(on_disk, scripted.weights[0 if space_returns == "never" else 1])
    assert same(model.get_weights(), scripted.weights[3])  # training's own weights are as they were
    assert len(tries) == (3 if space_returns == "next epoch" else 5)  # two best, then until it is written


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    scripted = Scripted(1, 2)
    for callback in (
        callbacks.BestModel(tmp_path / "file" / "b.keras", "loss"),
        callbacks.JSONLog(tmp_path / "file" / "l"),
    ):
        with pytest.raises(OSError, match="file"):
            fit(network(), [scripted, callback])
    assert scripted.weights == []


# ---- logs ------------------------------------------------------------------------------------------------------------


def test_learning_rate_plain_and_scheduled():
    history = fit(network(keras.optimizers.SGD(0.25)), [callbacks.LogLearningRate()])
    assert history["learning_rate"] == [0.25, 0.25]
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 6, end_learning_rate=0.0)
    history = fit(network(keras.optimizers.SGD(schedule)), [callbacks.LogLearningRate()])  # 3 steps an epoch
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.0], atol=1e-6)


def test_learning_rate_inside_other_optimizers():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25))
    assert fit(network(scaled), [callbacks.LogLearningRate()], epochs=1)["learning_rate"] == [0.25]
    each = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.25, name="slow"))
    each[".*kernel"] = keras.optimizers.SGD(0.5, name="fast")
    history = fit(network(keras.optimizers.MultiOptimizer(each)), [callbacks.LogLearningRate()], epochs=1)
    assert history["learning_rate_slow"] + history["learning_rate_fast"] == [0.25, 0.5]


def test_learning_rate_of_another_callback_stays():
    class Other(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["learning_rate"] = 7.0

    assert fit(network(), [Other(), callbacks.LogLearningRate()], epochs=1)["learning_rate"] == [7.0]


def test_json_log(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    model, scripted = network(), Scripted(math.nan, math.inf, 0.5)
    fit(model, [scripted, callbacks.JSONLog(path)], epochs=2)
    with open(path, "a") as file:
        file.write('{"epoch": 3, "lo')  # torn by a kill
    fit(model, [scripted, callbacks.JSONLog(path)], epochs=3, initial_epoch=2)
    lines = [strict_json(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["score"] for line in lines] == ["NaN", "Infinity", 0.5]
    assert list(lines[0])[:3] == ["epoch", "time", "seconds"]
    assert isinstance(lines[0]["val_accuracy"], float)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", lines[0]["time"])


def test_json_log_is_on_disk_when_its_epoch_is_over(tmp_path):
    path, seen = tmp_path / "log.jsonl", []
    look = kc.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(path.read_text().count("\n")))
    fit(network(), [callbacks.JSONLog(path), look])
    assert seen == [1, 2]


def test_json_log_that_cannot_be_written_does_not_stop_training(tmp_path):
    path = tmp_path / "log.jsonl"

    def block(epoch, logs):
        if path.is_file():
            path.unlink()
            path.mkdir()

    with pytest.warns(RuntimeWarning, match="epoch 1 is missing"):
        history = fit(network(), [callbacks.JSONLog(path), kc.LambdaCallback(on_epoch_begin=block)])
    assert len(history["loss"]) == 2


# ---- conflicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 3, "reduce_lr": 3}, "patience must be greater"),
        ({"patience": 1, "reduce_lr": True}, "patience must be greater"),
        ({"patience": 5, "extra": [kc.ReduceLROnPlateau(patience=8)]}, "patience must be greater"),
        ({"patience": -1}, "patience must be 0 or more"),
        ({"reduce_lr": -2}, "reduce_lr must be 1 or more"),
        ({"mode": "up"}, "mode must be"),
        ({"extra": [kc.EarlyStopping()]}, "two EarlyStopping"),
        ({"extra": [kc.TerminateOnNaN()]}, "two TerminateOnNaN"),
        ({"extra": [kc.ProgbarLogger()]}, "two ProgbarLogger"),
        ({"reduce_lr": 2, "extra": [kc.LearningRateScheduler(lambda e, r: r)]}, "both set the learning rate"),
        ({"tensorboard": True}, "needs a folder"),
        ({"folder": "run", "extra": [callbacks.JSONLog("run/log.jsonl")]}, "same file"),
        ({"folder": "run", "model_name": "best.h5"}, "must end in .keras"),
    ],
)
def test_conflicts_at_the_call(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.standard(**arguments)


def steps_until_error(model, chosen, message, **options):
    """How many steps had begun and ended when the error came, before any validation."""
    begun, ended, validations = [], [], []

    class Count(kc.Callback):
        async_safe = True

        def on_train_batch_begin(self, batch, logs=None):
            begun.append(batch)

        def on_train_batch_end(self, batch, logs=None):
            ended.append(batch)

        def on_test_begin(self, logs=None):
            validations.append(1)

    with pytest.raises(ValueError, match=message):
        fit(model, [*chosen, Count()], **options)
    assert not validations
    return len(begun), len(ended)


@pytest.mark.parametrize("wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer])
@pytest.mark.parametrize(
    "extra",
    [{"reduce_lr": 2}, {"extra": [kc.LearningRateScheduler(lambda epoch, rate: rate)]}],
    ids=["plateau", "scheduler"],
)
def test_schedule_with_a_callback_that_sets_the_rate(extra, wrap):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    chosen = callbacks.standard(**copy.deepcopy(extra))
    model = network(wrap(keras.optimizers.SGD(schedule)))
    assert steps_until_error(model, chosen, "is a schedule, which .* cannot set") == (0, 0)
    fit(network(wrap(keras.optimizers.SGD(0.1))), chosen)


@pytest.mark.parametrize("monitor", ["val_acuracy", "acuracy"])
def test_a_misspelt_monitor_after_the_first_batch(monitor):
    chosen = callbacks.standard(monitor=monitor, mode="max")
    nearest = monitor.replace("acu", "accu")
    message = f"EarlyStopping monitor '{monitor}', which is never logged.*accuracy, .*Did you mean '{nearest}'"
    assert steps_until_error(network(), chosen, message) == (1, 1)


one_step_an_execution = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="steps_per_execution must be 1 on PyTorch"
)


@one_step_an_execution
def test_a_misspelt_monitor_with_one_long_execution():
    """The whole epoch is one execution: told before validation, not after the second epoch."""
    model = network(steps_per_execution=10)
    assert steps_until_error(model, callbacks.standard(monitor="val_acuracy", mode="max"), "Did you mean")[1] == 1


def test_no_validation_data():
    message = "monitor 'val_loss', but there is no validation data.*or monitor 'loss'"
    begun, _ = steps_until_error(network(), callbacks.standard(), message, validate=False, epochs=3)
    assert begun == 3  # the steps of one epoch
    fit(network(), callbacks.standard(monitor="loss"), validate=False)
    chosen = callbacks.standard(validation_freq=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' early stopping warns in epochs without validation
        fit(network(), chosen, validation_freq=2)


def test_a_log_that_an_extra_callback_adds_can_be_monitored(tmp_path):
    scripted = Scripted(0.1, 0.3, 0.2)
    model = network()
    chosen = callbacks.standard(tmp_path, monitor="score", patience=None, tensorboard=False, extra=[scripted])
    fit(model, chosen, epochs=3)
    assert same(load(tmp_path / "best.keras").get_weights(), scripted.weights[1])
    chosen = callbacks.standard(monitor="scorn", mode="max", extra=[Scripted(0.1, 0.2)])
    with pytest.raises(ValueError, match="Did you mean 'score'"):
        fit(network(), chosen)


# ---- the standard bundle ---------------------------------------------------------------------------------------------


def test_standard_stops_early_with_the_best_weights(tmp_path):
    scripted = Scripted(0.1, 0.3, 0.2, 0.1, 0.9)
    model = network()
    chosen = callbacks.standard(tmp_path, monitor="score", patience=2, reduce_lr=1, tensorboard=False, extra=[scripted])
    history = fit(model, chosen, epochs=5)
    assert len(history["loss"]) == 4
    assert same(model.get_weights(), scripted.weights[1])
    assert same(load(tmp_path / "best.keras").get_weights(), scripted.weights[1])
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.01, 0.01, 0.001], rtol=1e-5)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4
    assert sorted(os.listdir(tmp_path)) == ["best.keras", "log.jsonl"]


def test_standard_is_fresh_copies_and_fits_twice(tmp_path):
    extra = Scripted(*[0.5] * 9)
    first = callbacks.standard(tmp_path, extra=[extra])
    second = callbacks.standard(tmp_path / "2")
    assert not {id(c) for c in first} & {id(c) for c in second}
    copied = copy.deepcopy(first)
    assert [type(c) for c in copied] == [type(c) for c in first]
    assert not {id(c) for c in first} & {id(c) for c in copied}
    assert next(c for c in copied if isinstance(c, Guard)).callbacks is copied  # the guard watches the copies
    model = network()
    for _ in range(2):
        fit(model, copied)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4
    copy.deepcopy(copied)


def test_tensorboard_is_optional(tmp_path, monkeypatch):
    fit(network(), callbacks.standard(tmp_path, tensorboard=True), epochs=1)
    assert list((tmp_path / "tensorboard").rglob("events*"))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    assert not any(isinstance(c, kc.TensorBoard) for c in callbacks.standard(tmp_path))
    with pytest.raises(ImportError, match=r"pip install keras-cookbook\[tensorboard\]"):
        callbacks.standard(tmp_path, tensorboard=True)


def test_nan_stops_training_and_the_best_weights_return():
    class Poison(kc.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])

    model = network()
    history = fit(model, [*callbacks.standard(), Poison()], epochs=9, batch_size=4)
    assert len(history["loss"]) == 3
    assert np.isnan(history["loss"][2])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_nan_is_acted_upon_within_a_step():
    steps = []

    class Poison(kc.Callback):
        async_safe = True

        def on_train_batch_begin(self, batch, logs=None):
            steps.append(batch)
            if batch == 2:
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])

        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.01)  # so that threads that compute logs keep up

    x, y = data(400)
    chosen = callbacks.standard(monitor="loss", extra=[Poison()])
    network().fit(x, y, batch_size=4, verbose=0, callbacks=chosen)
    assert 3 <= len(steps) < 50


@pytest.mark.parametrize(
    "compiled", [pytest.param({"steps_per_execution": 2}, marks=one_step_an_execution), {"jit_compile": True}]
)
def test_standard_in_other_ways_of_compiling(tmp_path, compiled):
    if compiled.get("jit_compile") and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a C++ compiler and a minute")
    history = fit(network(**compiled), callbacks.standard(tmp_path, reduce_lr=True))
    assert len(history["learning_rate"]) == 2


def test_all_is_asynchronous():
    """On JAX and PyTorch no step waits for its logs: every callback declares it or has no batch-end hook."""
    for callback in callbacks.standard("run", reduce_lr=True):
        hooks = (callback.on_train_batch_end, callback.on_batch_end, callback.on_test_batch_end)
        assert getattr(callback, "async_safe", False) or all(getattr(h, "_is_default", False) for h in hooks), callback


# ---- averaged weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer])
@pytest.mark.parametrize(("scores", "best"), [((0.1, 0.2, 0.3), 2), ((0.3, 0.9, 0.1, 0.1, 0.1, 0.1), 1)])
def test_average_is_evaluated_saved_and_kept(tmp_path, scores, best, wrap):
    """Against an average computed by hand from the raw weights after each step."""
    momentum, raw, average, averages = 0.8, [], [], []

    class ByHand(kc.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights = self.model.get_weights()
            raw.append(weights)
            for i, w in enumerate(weights):
                if len(raw) == 1:
                    average.append(w.copy())
                average[i] = momentum * average[i] + (1 - momentum) * w

        def on_epoch_end(self, epoch, logs=None):
            averages.append(copy.deepcopy(average))

    def optimizer():
        return wrap(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=momentum))

    model, scripted = network(optimizer()), Scripted(*scores)
    chosen = callbacks.standard(tmp_path, monitor="score", patience=2, tensorboard=False, extra=[ByHand(), scripted])
    history = fit(model, chosen, epochs=len(scores))
    tight = {"rtol": 0, "atol": 2e-6}
    assert same(scripted.weights[best], averages[best], **tight)
    assert same(model.get_weights(), averages[best], **tight)
    assert not same(model.get_weights(), raw[3 * (best + 1) - 1], rtol=0, atol=1e-3)
    assert same(load(tmp_path / "best.keras").get_weights(), model.get_weights())
    # What was evaluated is what was kept.
    measured = model.evaluate(*data(24, 1), verbose=0, return_dict=True)
    np.testing.assert_allclose(measured["loss"], history["val_loss"][best], rtol=1e-5)
    # A second fit starts from the weights kept, and averages on from them.
    kept, fresh = model.get_weights(), Scripted(0.1)
    start = []
    begin = kc.LambdaCallback(on_train_batch_begin=lambda b, logs: start or start.append(model.get_weights()))
    for again in (chosen, callbacks.standard(monitor="score", extra=[fresh])):
        start.clear()
        model.set_weights(kept)
        fit(model, [*again, begin], epochs=1)
        assert same(start[0], kept)


def test_average_goes_on_from_the_weights_kept():
    """With a learning rate of 0 nothing may move: neither the model nor its average."""
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9)
    model = network(optimizer)
    scores = Scripted(0.9, 0.1, 0.1, 0.1)
    fit(model, callbacks.standard(monitor="score", patience=2, extra=[scores]), epochs=9)
    kept = model.get_weights()
    optimizer.learning_rate = 0.0
    fit(model, callbacks.standard())
    assert same(model.get_weights(), kept, rtol=0, atol=1e-6)


# ---- progress --------------------------------------------------------------------------------------------------------


def test_plain_lines(capsys):
    history = fit(network(), callbacks.standard(monitor="val_accuracy"), epochs=10, verbose="auto")
    shown = capsys.readouterr().out
    assert "\r" not in shown
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert len(lines) == 11
    number = r"[\d.e+-]+"
    for epoch, line in enumerate(lines[:10]):
        values = [history[name][epoch] for name in ("loss", "accuracy", "val_loss", "val_accuracy")]
        fields = re.fullmatch(
            rf"epoch {epoch + 1:>2}/10  loss ({number})  accuracy ({number})  val_loss ({number})  "
            rf"val_accuracy ({number})  lr 0.01 +[\d.]+ s  ([* ]) best ({number})",
            line,
        )
        assert fields, line
        np.testing.assert_allclose([float(f) for f in fields.groups()[:4]], values, atol=6e-5)
        so_far = history["val_accuracy"][: epoch + 1]
        assert (fields[5] == "*") == (so_far[-1] > max([-1, *so_far[:-1]]))
        np.testing.assert_allclose(float(fields[6]), max(so_far), atol=6e-5)
    assert lines[10].startswith("10 of 10 epochs in ")
    assert "best val_accuracy" in lines[10]


def test_silent_when_asked(capsys):
    fit(network(), callbacks.standard(), verbose=0)
    shown = capsys.readouterr()
    assert shown.out == ""


def test_steps_unknown_and_no_validation(capsys):
    x, y = data()

    def batches():
        for i in range(3):
            yield x[16 * i : 16 * i + 16], y[16 * i : 16 * i + 16]

    model = network()
    model.fit(batches(), epochs=1, callbacks=[callbacks.Progress()])
    assert re.match(r"epoch 1/1  loss [\d.]+  accuracy [\d.]+ +[\d.]+ s\n1 of 1 epochs in", capsys.readouterr().out)


def test_evaluate_and_predict_alone_are_as_in_keras(capsys):
    x, y = data()
    progress, model = callbacks.Progress(), network()
    fit(model, [progress], epochs=1, verbose=0)
    for call in (lambda **k: model.evaluate(x, y, **k), lambda **k: model.predict(x, **k)):
        capsys.readouterr()
        call(callbacks=[progress], verbose=1)
        assert "2/2" in capsys.readouterr().out
        call(callbacks=[progress], verbose=0)
        assert capsys.readouterr().out == ""


class Screen:
    """What a terminal would show: just enough of one for a display that moves up, erases and returns."""

    def __init__(self, width):
        self.width, self.lines, self.row, self.column = width, [""], 0, 0
        self.erased = 0

    def feed(self, text):
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[^\x1b]", text):
            if token == "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif token == "\r":
                self.column = 0
            elif token == "\x1b[2K":
                self.lines[self.row], self.erased = "", self.erased + 1
            elif match := re.fullmatch(r"\x1b\[(\d*)A", token):
                self.row -= int(match[1] or 1)
            elif token[0] != "\x1b":
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + token + line[self.column + 1 :]
                self.column += 1
                assert self.column <= self.width, f"wider than the terminal: {self.lines[self.row]!r}"


def on_terminal(body, width=100):
    """Runs a script in a pseudo-terminal; returns what was written, and the status."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    source = f"import os; os.environ.update(TERM='xterm-256color', COLUMNS='{width}', LINES='40')\n" + textwrap.dedent(
        body
    )
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": keras.backend.backend()}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=follower, stdout=follower, stderr=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    written, deadline = b"", time.monotonic() + 90
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 1)[0]:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            written += piece
    os.close(leader)
    error = process.stderr.read().decode()
    return written.decode(), process.wait(10), error


TRAINING = """
    import sys, time, numpy as np, keras
    from keras_cookbook import callbacks
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.ones((60, 4), "float32"), np.zeros(60, "int32")
    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.1)
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                print("somebody prints")
    options = dict(epochs=3, batch_size=10, validation_split=0.2)
    print("before")
"""


def test_terminal():
    body = TRAINING + (
        "    model.fit(x, y, callbacks=callbacks.standard(extra=[Slow()]), **options); print('after')\n"
        "    os.environ['COLUMNS'] = '120'\n"
        "    model.fit(x, y, callbacks=callbacks.standard(), **options | {'batch_size': 1}); print('after')\n"
    )
    written, status, error = on_terminal(body, 60)
    assert status == 0, error[-3000:]
    narrow, wide = written.split("after", 1)
    for width, part in ((60, narrow + "after"), (120, wide)):
        screen = Screen(width)
        screen.feed(part)
        lines = [line.rstrip() for line in screen.lines if line.strip()]
        if width == 60:
            assert lines.pop(0) == "before"
            assert lines.pop(1) == "somebody prints"
            assert screen.erased >= 6
        assert screen.erased <= 70  # of 15 slow steps, and of 144 fast ones
        assert [line[:9] for line in lines[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        assert all("loss" in line and "best" in line for line in lines[:3])
        assert all(("accuracy" in line) == (width == 120) for line in lines[:3])
        assert lines[3].startswith("3 of 3 epochs")
        assert lines[4:] == ["after"]
    assert "━" in written
    assert "step" not in written  # Keras' own bar
    assert "\x08" not in written
    # The cursor is never left hidden.
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")


def test_terminal_verbose_two_and_zero():
    body = TRAINING + "    for v in (2, 0): model.fit(x, y, callbacks=callbacks.standard(), verbose=v, **options)"
    written, status, error = on_terminal(body)
    assert status == 0, error[-3000:]
    assert "\x1b" not in written
    assert written.count("epoch ") == 4  # three lines and the summary, of the first fit alone


def test_terminal_after_an_interrupt():
    # The signal comes in the middle of an epoch and not of a write to the terminal, whose rest would then be missing.
    body = TRAINING + (
        "    import signal\n"
        "    class ControlC(keras.callbacks.Callback):\n"
        "        def on_epoch_begin(self, epoch, logs=None): self.epoch = epoch\n"
        "        def on_train_batch_begin(self, batch, logs=None):\n"
        "            if (self.epoch, batch) == (1, 3): signal.raise_signal(signal.SIGINT)\n"
        "    before = sys.stdout, sys.stderr\n"
        "    try:\n"
        "        model.fit(x, y, callbacks=callbacks.standard(extra=[Slow(), ControlC()]), **options)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', (sys.stdout, sys.stderr) == before)\n"
        "    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        # TensorFlow, interrupted in a step, may crash when Python takes it down: end without that.
        "    sys.stdout.flush(); os._exit(0)\n"
    )
    written, status, error = on_terminal(body)
    assert status == 0, error[-3000:]
    screen = Screen(100)
    screen.feed(written)
    lines = [line.rstrip() for line in screen.lines if line.strip()]
    assert lines[0] == "before"
    assert lines[1].startswith("epoch 1/3")
    assert lines[-2:] == ["interrupted True", "True"]
    assert not any("━" in line for line in lines)
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")


def test_terminal_after_an_error():
    """An error that leaves fit tells no callback; the next fit, or the end of the process, puts things right."""
    body = TRAINING + (
        "    class Bad(keras.callbacks.Callback):\n"
        "        def on_train_batch_begin(self, batch, logs=None):\n"
        "            if batch == 2: raise RuntimeError('broken')\n"
        "    progress = callbacks.Progress()\n"
        "    try: model.fit(x, y, callbacks=[progress, Bad()], **options)\n"
        "    except RuntimeError: pass\n"
        "    model.fit(x, y, callbacks=[progress], **options)\n"
        "    model.fit(x, y, callbacks=[progress, Bad()], **options)\n"
    )
    written, status, error = on_terminal(body)
    assert status == 1
    screen = Screen(100)
    screen.feed(written)
    lines = [line.rstrip() for line in screen.lines if line.strip()]
    assert [line[:9] for line in lines[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "broken" in error + written
    assert not any("━" in line or "──" in line for line in lines)
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")
