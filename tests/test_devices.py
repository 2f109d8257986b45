"""Devices and processes: what several give is what one gives."""

import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from processes import finish, start, wait

from keras_cookbook import callbacks, recipes, tuning
from keras_cookbook.callbacks.resume.signals import Agreement, Signals
from keras_cookbook.recipes.devices import spread

BACKEND = keras.backend.backend()
ROOT = Path(__file__).parent.parent
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="on TensorFlow")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="on JAX")
RNG = np.random.default_rng(0)
ROWS, CLASSES = RNG.normal(size=(70, 6)).astype("float32"), RNG.integers(0, 3, 70)


def free_addresses(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{found.getsockname()[1]}" for found in sockets]
    for found in sockets:
        found.close()
    return addresses


def lines(log):
    """What is in the whole lines of a log, which may be written now."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def far(left, right):
    return max(np.abs(a - b).max() for a, b in zip(left, right, strict=True))


TWO = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_cookbook import callbacks, recipes
two = ["CPU:0", "CPU:1"]
def far(left, right):
    return max(np.abs(a - b).max() for a, b in zip(left, right, strict=True))
"""


@on_tensorflow
def test_two_devices_give_the_weights_of_one():
    code = (
        TWO
        + """
rng = np.random.default_rng(0)
x, y = rng.normal(size=(160, 6)), rng.integers(0, 3, 160)  # enough for several steps in one execution
weights = {}
for kind, given in (("one", {}), ("data", {"devices": two})):
    spread = recipes.distribution(kind, **given)
    with spread.scope():
        model = recipes.mlp((6,), 3, dropout=0.0, seed=0)
        model.fit(x, y, batch_size=16, shuffle=False, epochs=3, verbose=0)
    weights[kind] = model.get_weights()
assert (spread.replicas, spread.devices) == (2, ("CPU:0", "CPU:1")) and spread.difference < 1e-6, spread
assert str(spread).startswith("data over 2 devices: CPU:0, CPU:1; ten steps differ from one device's by "), spread
assert far(weights["one"], weights["data"]) < 1e-5
"""
    )
    finish(start(code))


@on_tensorflow
def test_the_doctor_watches_two_devices_and_leaves_no_trace():
    code = (
        TWO
        + """
rng = np.random.default_rng(0)
x = rng.normal(size=(256, 6)).astype("float32")
def trained(rate, *watch):
    keras.utils.set_random_seed(1)
    with recipes.distribution("data", devices=two, check=False).scope():
        model = recipes.mlp((6,), 3, width=16, dropout=0.2, learning_rate=rate, seed=0)
        model.fit(x, x[:, :3].argmax(1), batch_size=32, epochs=3, verbose=0, callbacks=list(watch))
    return model.get_weights()
doctor = callbacks.TrainingDoctor(every=8, tell=False)
assert far(trained(0.01), trained(0.01, doctor)) == 0
assert [look.step for look in doctor.looks] == [1, 2, 4, 8, 16, 24] and doctor.findings == []
trained(1e4, doctor)
assert doctor.findings[0].category == "learning rate"
"""
    )
    finish(start(code))


@on_tensorflow
def test_a_pipeline_over_two_devices(tmp_path):
    code = (
        TWO
        + """
rng = np.random.default_rng(0)
x, y = rng.normal(size=(50, 5, 2)), rng.integers(0, 3, 50)
given = {"optimizer": "sgd", "depth": 2, "width": 8, "heads": 2, "dropout": 0.0, "word_dropout": 0.0, "seed": 0}
model = recipes.transformer_encoder((5, 2), 3, **given)
pipe = recipes.pipeline(model, devices=two, micro_batches=3)
for each in (model, pipe):
    each.fit(x, y, batch_size=16, shuffle=False, epochs=3, verbose=0)
assert far(model.get_weights(), pipe.get_weights()) < 1e-5
for stage, device in zip(pipe.stages, two):
    assert stage.count_params() > model.count_params() / 4
    assert all(variable.value.device.endswith(device) for variable in stage.variables)
recipes.save(pipe, sys.argv[1])
np.testing.assert_allclose(recipes.load(sys.argv[1]).predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
"""
    )
    finish(start(code, tmp_path / "pipe.keras"))


@pytest.mark.parametrize("micro_batches", [1, 3, 16])
def test_micro_batches_give_the_step_of_the_whole_batch(micro_batches):
    model = recipes.mlp((6,), 3, depth=3, dropout=0.0, optimizer="sgd", seed=0)
    pipe = recipes.pipeline(model, stages=3, micro_batches=micro_batches)
    assert len(pipe.stages) == 3
    assert pipe.recipe["name"] == "mlp"
    for each in (model, pipe):
        # The last batch has 6 examples: fewer than 16 micro-batches.
        each.fit(ROWS, CLASSES, batch_size=16, shuffle=False, epochs=2, verbose=0)
    assert far(model.get_weights(), pipe.get_weights()) < 1e-5
    np.testing.assert_allclose(model.predict(ROWS, verbose=0), pipe.predict(ROWS, verbose=0), atol=1e-5)


def test_a_pipeline_normalizes_as_its_model_does():
    x = np.random.default_rng(0).normal(900, 200, (8, 5)).astype("float32")
    normalize = keras.layers.Normalization()
    normalize.adapt(x)
    model = keras.Sequential([keras.Input((5,)), normalize, keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    answers = [m.predict(x, verbose=0) for m in (model, recipes.pipeline(model, stages=2, micro_batches=2))]
    np.testing.assert_allclose(*answers, rtol=1e-5)


def test_a_pipeline_is_cut_where_one_tensor_passes():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4)(inputs)
    residual = keras.layers.Add()([x, keras.layers.Dense(4)(keras.layers.Dense(4)(x))])
    model = keras.Model(inputs, keras.layers.Dense(2)(residual))
    pipe = recipes.pipeline(model, stages=2, micro_batches=2)
    np.testing.assert_allclose(pipe.predict(ROWS[:, :4], verbose=0), model.predict(ROWS[:, :4], verbose=0), atol=1e-6)
    assert [len(stage.layers) for stage in recipes.pipeline(model, stages=3).stages] == [2, 4, 2]
    first, *_, last = [layer.name for layer in model.layers if layer.name.startswith(("dense", "add"))][:-1]
    with pytest.raises(ValueError, match=rf"cannot be cut into 5 stages.* passes only behind {first}, {last}\."):
        recipes.pipeline(model, stages=5)


@pytest.mark.parametrize(
    ("make", "given", "told"),
    [
        (lambda: "mlp", {}, "must be a keras.Model, not str"),
        (lambda: recipes.mlp((6,), 3), {"stages": 1}, "mlp: stages must be"),
        (lambda: recipes.mlp((6,), 3), {"micro_batches": 0}, "mlp: micro_batches must be"),
        (lambda: recipes.gan((8, 8, 1), width=4), {}, "functional or Sequential model with one input"),
        (lambda: recipes.mlp((6,), 3), {"devices": ["GPU:7"]}, "devices"),
        (lambda: recipes.mlp((6,), 3), {"devices": ["GPU:7", "GPU:8"]}, "no device 'GPU:7'|on TensorFlow alone"),
    ],
)
def test_what_cannot_be_a_pipeline(make, given, told):
    with pytest.raises(ValueError, match=told):
        recipes.pipeline(make(), **given)


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("dats", {}, "Did you mean 'data'"),
        ("one", {"devices": ["CPU:0"]}, "devices= is for kind='data' or 'model', not 'one'"),
        ("data", {"shards": 2}, "shards= is for kind='model'"),
        ("model", {"shards": 1}, "shards must be"),
        ("workers", {"workers": ["a:1", "b:1"]}, "workers= and index= belong together"),
    ],
)
def test_wrong_arguments(kind, given, told):
    with pytest.raises(ValueError, match=told):
        recipes.distribution(kind, **given)


@on_tensorflow
def test_what_does_nothing_on_tensorflow_is_refused():
    with pytest.raises(ValueError, match=r"ModelParallel does nothing on TensorFlow.*recipes\.pipeline"):
        recipes.distribution("model")
    with pytest.raises(ValueError, match="there is no device 'GPU:9'"):
        recipes.distribution("data", devices=["GPU:9", "CPU:0"])
    with pytest.raises(ValueError, match="list of different names"):
        recipes.distribution("data", devices=["CPU:0", "CPU:0"])
    with pytest.raises(ValueError, match="needs the addresses of at least two processes"):
        recipes.distribution("workers")
    with pytest.raises(ValueError, match="workers must be a list of addresses"):
        recipes.distribution("workers", workers="localhost:1", index=0)
    with pytest.raises(ValueError, match="index must be"):
        recipes.distribution("workers", workers=["localhost:1", "localhost:2"], index=2)


@on_jax
def test_what_jax_does_not_have_is_refused():
    with pytest.raises(ValueError, match="no kind='workers' on jax"):
        recipes.distribution("workers", workers=["a:1", "b:1"], index=0)


@pytest.mark.skipif(BACKEND != "torch", reason="on PyTorch")
def test_pytorch_has_one_device():
    assert recipes.distribution().kind == "one"
    with pytest.raises(ValueError, match=r"no kind='data' on torch.*DistributedDataParallel"):
        recipes.distribution("data")


@pytest.mark.skipif(BACKEND == "torch", reason="not on PyTorch")
@pytest.mark.parametrize(("kind", "told"), [("data", "needs several devices"), ("tpu", "there is no TPU")])
def test_what_is_not_here_is_replaced_by_one_device(kind, told):
    with pytest.warns(RuntimeWarning, match=rf"{told}.*: one device is used"):
        found = recipes.distribution(kind)
    assert (found.kind, len(found.devices), found.replicas) == ("one", 1, 1)
    with found.scope():
        recipes.mlp((6,), 3).fit(ROWS, CLASSES, verbose=0)


@on_tensorflow
@pytest.mark.parametrize("outcome", [0.1, np.nan, ZeroDivisionError("no device")])
def test_a_failed_self_test(monkeypatch, outcome):
    def largest_difference(_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(spread, "largest_difference", largest_difference)
    found = spread.Distribution("data", ("CPU:0", "CPU:1"))
    with pytest.warns(RuntimeWarning, match="one device is used"):
        assert spread.tested(found, "tensorflow").kind == "one"
    with pytest.raises(RuntimeError, match=r"self-test|differ from"):
        spread.tested(spread.Distribution("workers", ("CPU:0", "CPU:1")), "tensorflow")


def test_a_search_takes_a_distribution(tmp_path):
    data = recipes.data.load((ROWS, CLASSES), validation=0.2)
    given = {"max_trials": 1, "epochs": 1, "width": [4, 8], "progress": False}
    found = tuning.search(recipes.mlp, data, strategy=recipes.distribution("one"), folder=tmp_path / "a", **given)
    assert found.trials[0]["status"] == "completed"
    with pytest.raises(ValueError, match=r"strategy .*Did you mean 'data'"):
        tuning.search(recipes.mlp, data, strategy="date", **given)


TABLE = """
import sys
import numpy as np
from keras_cookbook import recipes, tuning
rng = np.random.default_rng(0)
x = rng.normal(size=(320, 6)).astype("float32")
data = recipes.data.load((x, x[:, :3].argmax(1)), validation=0.2, batch_size=32, seed=0)
"""


SEARCH = (
    TABLE
    + """
def scores(kind, **given):
    spread = recipes.distribution(kind, check=False, **given)
    assert spread.replicas == (2 if kind == "data" else 1)
    found = tuning.search(
        recipes.mlp, data, algorithm="random", strategy=spread, folder=sys.argv[1] + kind, max_trials=4, epochs=2,
        depth=1, width=8, dropout=0.0, activation="relu", batch_size=32, objective="val_loss", progress=False,
        learning_rate=(1e-3, 1e-2),
    )
    assert all(trial["status"] == "completed" for trial in found.trials), found.leaderboard()
    return [trial["score"] for trial in found.trials]
np.testing.assert_allclose(scores("data", devices=devices), scores("one"), rtol=1e-4)
"""
)


SEARCHED = (
    """
import sys
from keras_cookbook import recipes
folder, index, *addresses = sys.argv[1:]
given = {"workers": addresses, "index": int(index)} if addresses else {}
spread = recipes.distribution("workers" if addresses else "one", check=False, **given)  # before any tensor is made
"""
    + TABLE
    + """
# All rows in one batch: several processes read them in another order.
tuning.search(
    recipes.mlp, data, algorithm="bayesian", strategy=spread, folder=folder, max_trials=4, epochs=3, depth=1, width=8,
    dropout=0.0, activation="relu", batch_size=256, objective="val_loss", progress=False, learning_rate=(1e-3, 1e-2),
)
"""
)


@on_tensorflow
@pytest.mark.slow
def test_two_processes_search_together(tmp_path):
    """Each trial by both; one is killed, both are begun again, and nothing is lost."""
    folder, alone = tmp_path / "together", tmp_path / "alone"

    def both():
        addresses = free_addresses(2)
        return [start(SEARCHED, folder, index, *addresses) for index in range(2)]

    def trials(folder):
        try:
            return json.loads((folder / "search.json").read_text())["trials"]
        except FileNotFoundError:
            return []

    running = both()
    wait(running, lambda: len(trials(folder)) >= 2)
    for process in running:
        process.kill()
        process.join()
    assert len(trials(folder)) < 4, "it was over before it was killed"
    finish(*both())
    finish(start(SEARCHED, alone, 0))
    assert [trial["trial"] for trial in trials(folder)] == [1, 2, 3, 4]
    for left, right in zip(trials(folder), trials(alone), strict=True):
        assert left["score"] == pytest.approx(right["score"], rel=1e-3)
        assert left["values"]["learning_rate"] == pytest.approx(right["values"]["learning_rate"], rel=1e-3)
    best = tuning.Search.load(folder).best_model()
    assert best.recipe["name"] == "mlp"
    assert sorted(path.name for path in folder.iterdir()) == ["best.keras", "search.json"]


def test_a_search_by_several_processes_that_cannot_be_is_told(tmp_path, monkeypatch):
    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    for options, words in [
        ({}, "folder= must be given"),
        ({"folder": tmp_path, "algorithm": "hyperband"}, "hyperband"),
        ({"folder": tmp_path, "workers": 2}, "workers="),
        ({"folder": tmp_path, "max_hours": 1}, "clocks differ"),
    ]:
        with pytest.raises(ValueError, match=words):
            tuning.search(recipes.mlp, (ROWS, CLASSES), **options)


@on_jax
def test_a_search_on_jax_spreads_each_trial_over_two_devices(tmp_path):
    code = "devices = ['cpu:0', 'cpu:1']" + SEARCH
    finish(start(code, tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=2"))


JAX = """
import sys
import jax, keras, numpy as np
from keras_cookbook import callbacks, recipes
def far(left, right):
    return max(np.abs(a - b).max() for a, b in zip(left, right, strict=True))
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 6)), rng.integers(0, 3, 64)
def train(**given):
    spread = recipes.distribution(**given)
    with spread.scope():
        model = recipes.mlp((6,), 3, depth=2, width=64, dropout=0.0, seed=0)
        model.fit(x, y, batch_size=16, shuffle=False, epochs=3, verbose=0)
    return spread, model
def share(weight):
    return weight.value.addressable_shards[0].data.size / weight.value.size
_, one = train(kind="one")
for given, kernel in (
    ({"kind": "data"}, 1), ({"kind": "model"}, 1 / 4), ({"kind": "model", "shards": 2}, 1 / 2),
    ({"kind": "model", "devices": ["cpu:0", "cpu:1"], "layout": {".*kernel": ("model", None)}}, 1 / 2),
):
    spread, model = train(**given)
    assert spread.kind == given["kind"] and spread.difference < 1e-6, spread
    assert far(one.get_weights(), model.get_weights()) < 1e-5, given
    kernels = [share(weight) for weight in model.trainable_weights if weight.shape == (64, 64)]
    assert kernels == [kernel], (given, kernels)
"""


@on_jax
def test_four_devices_of_jax_give_the_weights_of_one():
    finish(start(JAX, XLA_FLAGS="--xla_force_host_platform_device_count=4"))


WORKER = """
import sys
import numpy as np
from keras_cookbook import recipes
index, path, *addresses = sys.argv[1:]
given = {"workers": addresses, "index": int(index)} if addresses else {}
spread = recipes.distribution("workers" if addresses else "one", **given)
import tensorflow as tf
rng = np.random.default_rng(0)
x, y = rng.normal(size=(256, 6)).astype("float32"), rng.integers(0, 3, 256)
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
with spread.scope():
    model = recipes.mlp((6,), 3, dropout=0.0, seed=0)
    model.fit(data, epochs=3, validation_data=data, verbose=0)
    answers = model.predict(data, verbose=0)
    assert np.isfinite(answers).all()
    try:
        recipes.mlp((6,), 3, steps_per_execution=2).fit(data, verbose=0)
    except ValueError as error:
        assert addresses and "steps_per_execution=2: over several devices Keras takes one" in str(error)
    else:
        assert not addresses
np.savez(path, *model.get_weights())
"""


@on_tensorflow
def test_two_processes_give_the_weights_of_one(tmp_path):
    addresses = free_addresses(2)
    finish(*(start(WORKER, index, tmp_path / f"{index}.npz", *addresses) for index in (0, 1)))
    finish(start(WORKER, 0, tmp_path / "one.npz"))
    first, second, one = (list(np.load(tmp_path / f"{name}.npz").values()) for name in ("0", "1", "one"))
    assert far(first, second) == 0
    assert far(first, one) < 1e-5


@on_tensorflow
@pytest.mark.slow
def test_the_guide_to_two_machines(tmp_path):
    code = (ROOT / "examples" / "two_machines.py").read_text(encoding="utf-8")
    addresses = free_addresses(2)
    printed = finish(*(start(code, index, *addresses, cwd=tmp_path) for index in (0, 1)))
    assert all("workers over 2 devices" in text for text in printed)
    folder = tmp_path / "runs" / "two_machines"
    data = recipes.data.load("digits")
    assert recipes.load(folder / "best.keras").evaluate(data.test, verbose=0, return_dict=True)["accuracy"] > 0.93
    epochs = [line["epoch"] for line in lines(folder / "log.jsonl")]
    assert epochs == list(range(1, len(epochs) + 1))


RESUMED = """
import os, sys
folder, kind, index, *addresses = sys.argv[1:]
if kind == "data":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
from keras_cookbook import callbacks, recipes
given = {"workers": {"workers": addresses, "index": int(index)}, "data": {"devices": ["CPU:0", "CPU:1"]}}.get(kind, {})
spread = recipes.distribution(kind, check=False, **given)
rng = np.random.default_rng(0)
data = recipes.data.load((rng.normal(size=(320, 6)), rng.integers(0, 3, 320)), batch_size=32, test=0.0, validation=0.2)
with spread.scope():
    model = recipes.mlp((6,), 3, dropout=0.2, seed=0)
    resume = callbacks.Resume(folder, every_steps=2)
    watch = callbacks.standard(folder, patience=None, resume=resume, progress=False, tensorboard=False)
    model.fit(data.train, validation_data=data.validation, epochs=EPOCHS, verbose=0, callbacks=watch)
np.savez(f"{folder}/{index}.npz", *model.get_weights())
"""


def interrupted_and_continued(tmp_path, kind, interrupts, processes=1, epochs=6):
    """Trains without an interrupt; and with each, a signal and the process it goes to, when an epoch more is logged."""
    code = RESUMED.replace("EPOCHS", str(epochs))

    def run(folder):
        addresses = free_addresses(processes) if processes > 1 else []
        return [start(code, folder, kind, index, *addresses) for index in range(processes)]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    finish(*run(whole))
    log = broken / "log.jsonl"
    for sent, to in interrupts:
        before, running = len(lines(log)), run(broken)
        wait(running, lambda before=before: len(lines(log)) > before)
        os.kill(running[to].pid, sent)
        for process in running:
            if sent == signal.SIGKILL:  # the others would wait for this one
                process.kill()
            process.join(120)
            told = process.printed()
            assert sent == signal.SIGKILL or "the same command continues there" in told, told[-2000:]
            assert process.exitcode in (-sent, 128 + sent)
        assert not (broken / "0.npz").exists(), "it was over before it was interrupted"
    printed = finish(*run(broken))
    assert all("The training continues at epoch" in text for text in printed)
    logged, expected = lines(log), lines(whole / "log.jsonl")
    for line in [*logged, *expected]:
        del line["time"], line["seconds"]
    if processes == 1:
        assert logged == expected
    else:  # metrics of the epoch that was interrupted are added up otherwise
        for line, other in zip(logged, expected, strict=True):
            assert line == pytest.approx(other, rel=1e-6)
    assert len(logged) == epochs
    for index in range(processes):
        left, right = (list(np.load(folder / f"{index}.npz").values()) for folder in (whole, broken))
        assert far(left, right) == 0


@on_tensorflow
@pytest.mark.slow
def test_a_killed_training_on_two_devices_continues_exactly(tmp_path):
    interrupted_and_continued(tmp_path, "data", [(signal.SIGKILL, 0)], epochs=4)


@on_tensorflow
@pytest.mark.slow
def test_two_processes_continue_exactly_after_a_signal_to_either_and_a_kill(tmp_path):
    interrupts = [(signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGKILL, 0)]
    interrupted_and_continued(tmp_path, "workers", interrupts, processes=2)


def test_processes_leave_before_the_same_batch(tmp_path):
    """Of two that take turns at random, within a batch of each other, as those that add up gradients are."""
    rng = random.Random(0)
    for trial in range(50):
        (tmp_path / "leave.txt").write_text(f"{rng.randrange(1, 6)} 15")  # of an earlier training
        both = [Agreement(tmp_path, Signals()) for _ in range(2)]
        left, heard = [None, None], {rng.randrange(2), rng.randrange(2)}
        asked, at = [0, 0], {who: rng.randrange(1, 20) for who in heard}
        if rng.random() < 0.5:
            both[1].reached()  # the second may begin before the first has tidied up
            asked[1] = 1
        both[0].forget()
        while None in left:
            able = [who for who in range(2) if left[who] is None and asked[who] <= asked[1 - who]]
            assert able, f"one waits for the other, in trial {trial}"
            who = rng.choice(able)
            if who in heard and asked[who] >= at[who]:
                both[who].signals.came = both[who].signals.came or (signal.SIGTERM, None)
            if both[who].reached():
                left[who] = asked[who]
            asked[who] += 1
        assert left[0] == left[1] >= min(at.values())
        assert all(each.signals.came[0] == signal.SIGTERM for each in both)


@on_jax
@pytest.mark.parametrize("kind", ["data", "model"])
def test_a_killed_training_on_several_devices_of_jax_continues_exactly(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    monkeypatch.setattr(
        sys.modules[__name__], "RESUMED", RESUMED.replace('kind == "data"', "False").replace('"CPU:', '"cpu:')
    )
    interrupted_and_continued(tmp_path, kind, [(signal.SIGKILL, 0)])


def test_the_first_of_several_processes_writes(tmp_path, monkeypatch):
    def files(index):
        task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(task))
        watch = callbacks.standard(tmp_path, resume=True)
        return {type(callback).__name__ for callback in watch}

    chief, other = files(0), files(1)
    assert {"BestModel", "JSONLog", "Progress", "Resume"} <= chief
    assert {"BestModel", "Resume"} <= other
    assert not {"JSONLog", "Progress", "EpochTensorBoard"} & other
    with pytest.raises(ValueError, match="report= would judge in one process"):
        callbacks.standard(tmp_path, report=True)
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match="TF_CONFIG is no JSON"):
        callbacks.standard(tmp_path)
