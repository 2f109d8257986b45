"""Resume: a training that was interrupted, and continued by the same command, is the one that was not interrupted."""

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import time

import keras
import numpy as np
import pytest
import training_to_kill
from interrupts import Interrupt, Interrupted
from keras import callbacks as kc
from processes import forked
from training_to_kill import log

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.resume import generations
from keras_cookbook.callbacks.resume.state import pack, unpack

BACKEND = keras.backend.backend()
ROWS, FEATURES, CLASSES, BATCH = 44, 4, 3, 8  # six batches, the last one smaller
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype("float32")
Y = X[:, :CLASSES].argmax(1).astype("int32")


class Counting(kc.Callback):
    """A callback of a user's own, with a state in its attributes and numbers drawn from Python's and NumPy's."""

    def __init__(self):
        super().__init__()
        self.batches, self.drawn, self.table = 0, [], {"last": None}

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.drawn.append((random.random(), np.random.rand()))
        self.table["last"] = np.float32(self.batches) * np.ones(2)


def network(**settings):
    settings = {"dropout": 0.3, "learning_rate": 0.02, "seed": 2, "jit_compile": False, "width": 16} | settings
    return recipes.mlp((FEATURES,), CLASSES, **settings)


def plain(optimizer="adam"):
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def arrays(**fitting):
    return {"x": X, "y": Y, "batch_size": BATCH} | fitting


def loaded(**fitting):
    data = recipes.data.load((X, Y), task="multiclass", batch_size=BATCH, seed=1, test=0)
    return {"x": data.train, "validation_data": data.validation} | fitting


def pipeline(change=None, **fitting):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(ROWS, seed=4).batch(BATCH)
    return {"x": change(data) if change else data.prefetch(2)} | fitting


class Pairs(keras.utils.PyDataset):
    """Batches that this data set itself puts in a new order for each epoch, if `shuffling`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.order = np.arange(ROWS)

    def __len__(self):
        return -(-ROWS // BATCH)

    def __getitem__(self, index):
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return X[rows], Y[rows]


class Shuffling(Pairs):
    def on_epoch_end(self):
        self.order = np.random.permutation(self.order)


class Telling(Shuffling):
    def get_state(self):
        return {"order": self.order}

    def set_state(self, state):
        self.order = state["order"]


def torch_loader():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return {"x": torch.utils.data.DataLoader(pairs, BATCH, shuffle=True)}


def fit(folder, make, fitting, interrupt=None, epochs=3, resume=None, extra=(), **options):
    """A training as its command would do it: everything is made anew."""
    keras.utils.set_random_seed(7)
    model, counting = make(), Counting()
    chosen = callbacks.standard(
        folder,
        monitor="loss",
        patience=None,
        progress=False,
        tensorboard=False,
        resume=resume or callbacks.Resume(folder, every_steps=1),
        extra=[counting, *([interrupt] if interrupt else []), *extra],
        **options,
    )
    history = callbacks.fit(model, **fitting(), epochs=epochs, callbacks=chosen, verbose=0)
    return model, history, counting


def outcome(folder, model, history, counting):
    values = [np.array(v.numpy()) for v in [*model.variables, *model.optimizer.variables]]
    return values, history.history, history.epoch, counting.batches, counting.drawn, counting.table, log(folder)


def assert_same(left, right):
    for a, b in zip(left[0], right[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(left[1:5], right[1:5], strict=True):
        assert a == b
    np.testing.assert_array_equal(left[5]["last"], right[5]["last"])
    assert left[6] == right[6]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of a training that nothing interrupts; the same one is done once."""

    @functools.cache
    def run(make, fitting, epochs=3, **options):
        folder = tmp_path_factory.mktemp("whole")
        return outcome(folder, *fit(folder, make, fitting, epochs=epochs, **options))

    return run


def gan():
    return recipes.gan((8, 8, 1), latent=4, width=8, depth=1, seed=2, jit_compile=False)


# ---- exactness -------------------------------------------------------------------------------------------------------

one = functools.partial(network, steps_per_execution=1)
two = functools.partial(network, steps_per_execution=2)

DATA = {
    "arrays": arrays,
    "arrays, validation split": functools.partial(arrays, validation_split=0.25),
    "arrays in order": functools.partial(arrays, shuffle=False),
    "class weights": functools.partial(arrays, class_weight={0: 1.0, 1: 2.0, 2: 0.5}),
    "recipes.data": loaded,
    "tf.data": pipeline,
    "tf.data, repeated": functools.partial(
        pipeline, lambda data: data.repeat().map(lambda x, y: (x, y)), steps_per_epoch=5
    ),
    "tf.data, unknown length": functools.partial(pipeline, lambda data: data.filter(lambda x, y: True)),
    "PyDataset": lambda: {"x": Pairs(), "shuffle": True},
    "PyDataset with workers": lambda: {"x": Pairs(workers=2), "shuffle": False},
    "PyDataset with a state": lambda: {"x": Telling(), "shuffle": False},
    "DataLoader": torch_loader,
}


@pytest.mark.parametrize("kind", DATA)
def test_every_kind_of_data(kind, tmp_path, uninterrupted):
    only = {"DataLoader": "torch", "tf.data, repeated": "tensorflow"}
    if only.get(kind, BACKEND) != BACKEND:
        pytest.skip("for another backend")
    fitting = DATA[kind]
    for step in (10, 4):  # in the second epoch; then again in it, before the first state of its own, or after
        with pytest.raises(Interrupted):
            fit(tmp_path, plain, fitting, Interrupt(step))
    assert_same(outcome(tmp_path, *fit(tmp_path, plain, fitting)), uninterrupted(plain, fitting))


def scaled():
    return plain(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**30))


def images(**fitting):
    pictures = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8, 1)).astype("uint8")
    return {"x": pictures, "batch_size": BATCH}


MODELS = {
    "averaged": functools.partial(one, ema=0.9),
    "accumulated": functools.partial(one, accumulate=4),
    "scheduled": functools.partial(one, schedule="cosine", warmup=0.2, optimizer="sgd"),
    "loss scale": scaled,
    "compiled": functools.partial(one, jit_compile=True),
    "half precision": functools.partial(one, precision="mixed_bfloat16"),
}
if BACKEND == "torch":
    del MODELS["compiled"]  # minutes
else:
    MODELS["two steps at once"] = two


@pytest.mark.parametrize("kind", MODELS)
def test_every_way_of_training(kind, tmp_path, uninterrupted):
    make = MODELS[kind]
    with pytest.raises(Interrupted):
        fit(tmp_path, make, loaded, Interrupt(6))
    assert_same(outcome(tmp_path, *fit(tmp_path, make, loaded)), uninterrupted(make, loaded))


def test_two_optimizers(tmp_path, uninterrupted):
    with pytest.raises(Interrupted):
        fit(tmp_path, gan, images, Interrupt(8))
    assert_same(outcome(tmp_path, *fit(tmp_path, gan, images)), uninterrupted(gan, images))


def test_what_callbacks_remember(tmp_path, uninterrupted):
    """Early stopping ends the training, and gives back weights that an earlier process has seen."""

    def slow():
        return one(learning_rate=0.5)

    def run(folder, interrupt=None):
        keras.utils.set_random_seed(7)
        model, counting = slow(), Counting()
        chosen = callbacks.standard(
            folder,
            patience=3,
            reduce_lr=2,
            progress=False,
            tensorboard=False,
            report=True,
            resume=callbacks.Resume(folder, every_steps=1),
            extra=[counting, *([interrupt] if interrupt else [])],
        )
        history = model.fit(**loaded(), epochs=30, callbacks=chosen, verbose=0)
        kinds = {type(callback).__name__: callback for callback in chosen}
        stopping, plateau, best = (kinds[n] for n in ("EarlyStopping", "ReduceLROnPlateau", "BestModel"))
        remembered = (
            stopping.best,
            stopping.best_epoch,
            stopping.stopped_epoch,
            plateau.best,
            best.best,
            best.best_epoch,
        )
        report = json.loads((folder / "report.json").read_text())
        return outcome(folder, model, history, counting), remembered, report["curves" if "curves" in report else "log"]

    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    expected = run(whole)
    epochs = len(expected[0][2])
    assert 4 <= epochs < 30, "early stopping must have ended it"
    steps = len(expected[0][4]) // epochs
    for step in (2 * steps + 2, steps):
        with pytest.raises(Interrupted):
            run(interrupted, Interrupt(step))
    found = run(interrupted)
    assert_same(found[0], expected[0])
    assert found[1] == expected[1]
    assert len(found[2]) == len(expected[2])
    before = recipes.load(whole / "best.keras").get_weights()
    for a, b in zip(recipes.load(interrupted / "best.keras").get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_number_that_stays_the_same_is_no_improvement(tmp_path):
    """Keras turns the sign of `min_delta` when an epoch ends first; turned twice, a plateau would seem to improve."""

    class Constant(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = 1.0

    def run(interrupt=None):
        stopping = kc.EarlyStopping(patience=3, min_delta=0.1)
        fit(tmp_path, plain, arrays, interrupt, epochs=20, extra=[Constant(), stopping])
        return stopping

    with pytest.raises(Interrupted):
        run(Interrupt(9))
    with pytest.raises(Interrupted):
        run(Interrupt(6))
    stopping = run()
    assert (stopping.best_epoch, stopping.stopped_epoch) == (0, 3)


# ---- killed ----------------------------------------------------------------------------------------------------------


def killed_until_done(folder, kills, epochs, chance):
    """Trains in processes that are killed at random moments; returns how they ended."""
    context = forked()
    ended = []
    while True:
        counter = context.Value("i", 0)
        left = kills - len(ended)
        # Every third one dies in the middle of a write, by its own hand.
        dies = chance.randint(1, 3) if left > 0 and len(ended) % 3 == 1 else 0
        process = context.Process(target=training_to_kill.train, args=(folder, counter, epochs, dies))
        process.start()
        if left > 0 and not dies:
            steps, moment = chance.randint(0, 3), chance.uniform(0, 0.02)
            while counter.value < steps and process.is_alive():
                time.sleep(0.001)
            time.sleep(moment if steps else chance.uniform(0, 2))
            process.kill()
        process.join()
        if process.exitcode == 0:
            return ended
        assert process.exitcode == -signal.SIGKILL
        ended.append("in a write" if dies else "at a moment")


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="two steps at once")
def test_killed_many_times(tmp_path):
    """40 kills take ten minutes: KERAS_COOKBOOK_KILLS=40."""
    kills = int(os.environ.get("KERAS_COOKBOOK_KILLS", "9"))
    epochs = max(3, kills // 2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert killed_until_done(whole, 0, epochs, random.Random(0)) == []
    ended = killed_until_done(killed, kills, epochs, random.Random(5))
    assert len(ended) == kills, f"it was finished after {len(ended)} kills"
    assert "in a write" in ended
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, killed)]
    assert results[0] == results[1]
    assert [record["epoch"] for record in results[1]["log"]] == list(range(1, epochs + 1))
    assert sorted(os.listdir(killed)) == ["best.keras", "log.jsonl", "result.json", "resume"]
    assert len(os.listdir(killed / "resume")) == 2


# ---- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)], ids=["SIGTERM", "SIGINT"]
)
def test_signals_save_and_end(number, raised, tmp_path, uninterrupted, capfd):
    before = signal.getsignal(number)
    interrupt = Interrupt(9, lambda: os.kill(os.getpid(), number))
    with pytest.raises(raised) as caught:
        fit(tmp_path, plain, arrays, interrupt, resume=callbacks.Resume(tmp_path))
    assert raised is KeyboardInterrupt or caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(number) == before
    assert interrupt.steps == 9
    assert "before epoch 2, batch 3; the same command continues there" in capfd.readouterr().err
    found = outcome(tmp_path, *fit(tmp_path, plain, arrays, resume=callbacks.Resume(tmp_path)))
    assert "continues at epoch 2, batch 3" in capfd.readouterr().err
    assert_same(found, uninterrupted(plain, arrays))
    assert signal.getsignal(number) == before


def test_a_signal_during_validation_ends_it_at_once(tmp_path, uninterrupted):
    class Late(kc.Callback):
        seen = 0

        def on_test_batch_begin(self, batch, logs=None):
            Late.seen += 1
            if Late.seen == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    make = functools.partial(one, dropout=0.2)
    with pytest.raises(SystemExit):
        fit(tmp_path, make, loaded, extra=[Late()])
    assert Late.seen == 2
    assert_same(outcome(tmp_path, *fit(tmp_path, make, loaded)), uninterrupted(make, loaded))


def test_a_failure_of_the_training_gives_everything_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for step in (8, 3):  # the second time while batches are skipped
        keras.utils.set_random_seed(7)
        model = plain()
        chosen = [Interrupt(step), callbacks.Resume(tmp_path, every_steps=1)]
        with pytest.raises(Interrupted):
            callbacks.fit(model, **arrays(), epochs=3, callbacks=chosen, verbose=0)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        weights = model.get_weights()
        model.fit(X, Y, verbose=0)  # from its first epoch, and with every step
        assert any(np.any(a != b) for a, b in zip(weights, model.get_weights(), strict=True))


# ---- files -----------------------------------------------------------------------------------------------------------


def states(folder):
    return generations.Generations(folder / "resume").paths()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied"])
def test_a_damaged_state(damage, tmp_path, uninterrupted):
    with pytest.raises(Interrupted):
        fit(tmp_path, plain, arrays, Interrupt(10))
    older, newest = states(tmp_path)
    if damage == "flipped":
        flip(newest)
    else:
        os.truncate(newest, newest.stat().st_size // 2 if damage == "cut" else 0)
    with pytest.warns(RuntimeWarning, match=f"{newest.name} is damaged .*continues from .*{older.name}"):
        found = fit(tmp_path, plain, arrays)
    assert_same(outcome(tmp_path, *found), uninterrupted(plain, arrays))


def test_two_damaged_states_are_told(tmp_path):
    with pytest.raises(Interrupted):
        fit(tmp_path, plain, arrays, Interrupt(10))
    for path in states(tmp_path):
        flip(path)
    with pytest.raises(ValueError, match=r"is damaged .* is damaged .*To start anew, remove"):
        fit(tmp_path, plain, arrays)


def test_no_object_is_ever_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    with pytest.raises(TypeError, match="cannot hold a Trap"):
        pack({"a": [Trap()]}, [])
    with pytest.raises(TypeError, match="cannot hold a ndarray"):
        pack(np.array([Trap()], object), [])
    with pytest.raises(Interrupted):
        fit(tmp_path, plain, arrays, Interrupt(4))
    for path in states(tmp_path):  # with a good checksum
        path.unlink()
    store, savez = generations.Generations(tmp_path / "resume"), np.savez
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "savez", lambda file, document: savez(file, document=np.array([Trap()], object)))
        store.write({}, [])
    with pytest.raises(ValueError, match=r"is damaged .*allow_pickle"):
        store.newest()
    assert not (tmp_path / "sprung").exists()


def test_plain_values_come_back_as_they_were():
    value = {
        "a": [1, 2.5, None, True, "text", float("inf")],
        (1, 2): (np.float32(3.5), np.int64(4)),
        3: {"empty": (), "array": np.arange(6).reshape(2, 3), "scalar": np.array(2.0), "words": np.array(["a", "bc"])},
    }
    stored = []
    text = json.dumps(pack(value, stored))
    back = unpack(json.loads(text), stored)
    assert repr(back) == repr(value)
    half = keras.ops.convert_to_numpy(keras.ops.ones((2, 3), "bfloat16"))
    stored = []
    packed = pack({"x": half, "one": half[0, 0]}, stored)
    assert all(array.dtype.isbuiltin == 1 for array in stored)
    back = unpack(packed, stored)
    np.testing.assert_array_equal(back["x"], half)
    assert back["x"].dtype == half.dtype
    assert back["one"] == 1


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", folder]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"no small disk to fill: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_in_trouble(trouble, small_disk, tmp_path, uninterrupted):
    """States fail from the eighth step on; training goes on, and the last good one continues it later."""
    folder, ballast = small_disk / "run", small_disk / "ballast"

    def spoil():
        if trouble == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            return
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    last = Interrupt(14)
    with pytest.warns(RuntimeWarning) as told, pytest.raises(Interrupted):
        fit(folder, plain, arrays, last, extra=[Interrupt(8, spoil)])
    assert last.steps == 14
    said = "No space left" if trouble == "full" else "Read-only file system"
    assert [str(w.message) for w in told if f"{said}" in str(w.message) and "Training goes on" in str(w.message)]
    if trouble == "read-only":
        with pytest.raises(OSError, match="Read-only file system"):
            fit(folder, plain, arrays)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    else:
        ballast.unlink()
    assert states(folder)
    assert not [name for name in os.listdir(folder / "resume") if "unfinished" in name]
    found = fit(folder, plain, arrays)
    assert_same(outcome(folder, *found), uninterrupted(plain, arrays))


def test_writing_does_not_hold_up_the_steps(tmp_path, monkeypatch):
    """The first file is not written before five more steps have ended: were they held up, that would never be."""
    savez, during = np.savez, []
    ticks = Interrupt(0)

    def slow(file, **stored):
        began, given_up = ticks.steps, time.monotonic() + 60
        while not during and ticks.steps < began + 5 and time.monotonic() < given_up:
            time.sleep(0.01)
        during.append(ticks.steps - began)
        savez(file, **stored)

    monkeypatch.setattr(np, "savez", slow)
    fit(tmp_path, plain, arrays, ticks, epochs=20, resume=callbacks.Resume(tmp_path, every_seconds=0.01))
    assert during[0] >= 5
    assert len(during) == 2, "the first, and at the end: the next would have come too soon"


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_a_finished_training_is_not_done_again(tmp_path, capfd):
    model, history, counting = fit(tmp_path, plain, arrays)
    before = log(tmp_path)
    interrupt = Interrupt(1)
    again, history_again, counting_again = fit(tmp_path, plain, arrays, interrupt)
    assert "is finished" in capfd.readouterr().err
    assert interrupt.steps == 0
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history_again.history == history.history
    assert history_again.epoch == history.epoch
    assert counting_again.batches == counting.batches
    assert log(tmp_path) == before


CHANGES = {
    "epochs was 3, and is 4": lambda folder: fit(folder, plain, arrays, epochs=4),
    "variable 0 of the model was .*8.*16": lambda folder: fit(folder, network, arrays),
    r"optimizer.learning_rate was 0\.00\d+, and is 0\.5": lambda folder: fit(
        folder, lambda: plain(keras.optimizers.Adam(0.5)), arrays
    ),
    "optimizer.class_name was Adam, and is SGD": lambda folder: fit(folder, lambda: plain("sgd"), arrays),
    "data.examples was 44, and is 40": lambda folder: fit(
        folder, plain, lambda: {"x": X[:40], "y": Y[:40], "batch_size": BATCH}
    ),
    "data.batch_size was 8, and is 9": lambda folder: fit(folder, plain, functools.partial(arrays, batch_size=9)),
}


@pytest.fixture(scope="module")
def interrupted_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(Interrupted):
        fit(folder, plain, arrays, Interrupt(3))
    return folder


@pytest.mark.parametrize("message", CHANGES)
def test_another_training_is_refused(message, interrupted_once):
    with pytest.raises(ValueError, match=f"holds another training: .*{message}.*to start anew, remove"):
        CHANGES[message](interrupted_once)


def test_other_data_of_the_same_size_are_told(tmp_path):
    with pytest.raises(Interrupted):
        fit(tmp_path, plain, arrays, Interrupt(3))
    with pytest.warns(RuntimeWarning, match="begin with other examples"):
        fit(tmp_path, plain, lambda: {"x": X + 1, "y": Y, "batch_size": BATCH})


REFUSED = {
    "a generator, cannot be saved.*tf.data.Dataset": lambda: {
        "x": ((X[:8], Y[:8]) for _ in range(99)),
        "steps_per_epoch": 4,
    },
    "order of Shuffling cannot be saved: it changes between epochs.*get_state": lambda: {
        "x": Shuffling(),
        "shuffle": False,
    },
    "steps_per_epoch=4 cuts a data set of 6 batches": functools.partial(arrays, steps_per_epoch=4),
}


@pytest.mark.parametrize("message", REFUSED)
def test_data_without_a_position_are_refused(message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, plain, REFUSED[message])


def test_conflicts_are_told(tmp_path):
    with pytest.raises(ValueError, match="Resume and BackupAndRestore both"):
        fit(tmp_path, plain, arrays, extra=[kc.BackupAndRestore(str(tmp_path / "backup"))])
    with pytest.raises(ValueError, match="append=True"):
        fit(tmp_path, plain, arrays, extra=[kc.CSVLogger(str(tmp_path / "log.csv"))])
    with pytest.raises(ValueError, match="two Resume"):
        callbacks.check([callbacks.Resume(tmp_path), callbacks.Resume(tmp_path)])
    with pytest.raises(ValueError, match=r"write callbacks\.fit\(model"):
        plain().fit(X, Y, callbacks=[callbacks.Resume(tmp_path)], verbose=0)
    if BACKEND == "tensorflow":  # elsewhere fit has built it by then
        model = keras.Sequential([keras.layers.Dense(2)])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="needs a model with weights"):
            callbacks.fit(model, X, X[:, :2], callbacks=[callbacks.Resume(tmp_path)], verbose=0)
    for wrong in ({"every_seconds": 0}, {"every_steps": -1}):
        with pytest.raises(ValueError, match="must be above 0, or None"):
            callbacks.Resume(tmp_path, **wrong)
    with pytest.raises(ValueError, match="resume=True needs a folder"):
        callbacks.standard(resume=True)


def test_standard_puts_it_last(tmp_path):
    chosen = callbacks.standard(tmp_path, resume=True)
    assert isinstance(chosen[-1], callbacks.Resume)
    assert chosen[-1].folder == tmp_path / "resume"
    given = callbacks.Resume(tmp_path / "elsewhere")
    assert callbacks.standard(tmp_path, resume=given)[-1] is given
    assert not any(isinstance(callback, callbacks.Resume) for callback in callbacks.standard(tmp_path))
