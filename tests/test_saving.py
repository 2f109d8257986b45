"""Saving, loading, the files that are refused, and runs that can be repeated."""

import errno
import hashlib
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from bad_files import BAD, Reduced, function, layer, payload, with_activation, with_config, with_layer
from click.testing import CliRunner
from conformance import Case, same, weights

from keras_cookbook import recipes
from keras_cookbook.cli import main
from keras_cookbook.recipes import _contract, saving
from keras_cookbook.recipes.saving import RefusedFile, check_file, files
from keras_cookbook.recipes.saving import config as config_file
from keras_cookbook.recipes.saving import weights as weights_file

CASES = [(name, kind) for name in recipes.list() for kind in recipes.get(name).recipe.data]
X, Y = np.random.default_rng(0).normal(size=(32, 6)).astype("float32"), np.arange(32) % 3


#: As the package registers its classes; tests of `cookbook copy` register copies under the same names.
REGISTERED = dict(keras.saving.get_custom_objects())


@pytest.fixture(scope="module", autouse=True)
def registry():
    keras.saving.get_custom_objects().update(REGISTERED)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file that loads."""
    path = tmp_path_factory.mktemp("good") / "good.keras"
    model = recipes.mlp((6,), 3, depth=1, width=8, seed=0)
    model.fit(X, Y, verbose=0)
    recipes.save(model, path)
    return path


@pytest.fixture
def mark(tmp_path):
    """The file that every payload makes if it runs."""
    return tmp_path / "it-ran"


@pytest.fixture
def seen(monkeypatch):
    """The files that Keras has been given to load."""
    files, load = [], keras.saving.load_model
    monkeypatch.setattr(keras.saving, "load_model", lambda file, *a, **k: files.append(file) or load(file, *a, **k))
    return files


@pytest.mark.parametrize("bad", BAD)
def test_refused(bad, good, tmp_path, mark, seen, monkeypatch):
    make, reason = BAD[bad]
    (tmp_path / "planted.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Layer: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "bad.keras"
    make(path, good, mark)
    with pytest.raises(RefusedFile) as error:
        recipes.load(path)
    assert error.value.reason == reason, str(error.value)
    assert str(path) in str(error.value), "the error must name the file"
    assert f"({reason})" in str(error.value)
    assert not mark.exists(), "something ran"
    assert not seen, "Keras has been given the file"
    assert "planted" not in sys.modules
    with pytest.raises(RefusedFile, match=re.escape(reason)):
        check_file(path)


def test_payloads_are_real(good, tmp_path, mark):
    """Without the check they do run, so the tests above can fail."""
    path = tmp_path / "bad.keras"
    with_activation(payload)(path, good, mark)
    keras.saving.load_model(path, safe_mode=False)(X)
    assert mark.exists()
    mark.unlink()
    pickle.loads(pickle.dumps(Reduced(mark))).close()
    assert mark.exists()


def test_limits(good, tmp_path, monkeypatch):
    monkeypatch.setitem(config_file.LARGEST, "config.json", 100)
    with pytest.raises(RefusedFile, match="too large"):
        recipes.load(good)
    monkeypatch.undo()
    monkeypatch.setattr(weights_file, "MOST_OBJECTS", 5)
    with pytest.raises(RefusedFile, match="too many weights"):
        recipes.load(good)


def test_what_is_asked_for(good, tmp_path, seen):
    for path, told in (("gs://bucket/model.keras", "remote path"), (good.with_suffix(".zip"), "suffix")):
        if not isinstance(path, str):
            path.write_bytes(good.read_bytes())
        with pytest.raises(RefusedFile, match=told):
            recipes.load(path)
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'good\.keras'"):
        recipes.load(good.with_name("god.keras"))
    with pytest.raises(OSError, match="nowhere"):
        recipes.load(tmp_path / "nowhere" / "model.keras")
    with pytest.raises(RefusedFile, match="sha256") as error:
        recipes.load(good, "0" * 64)
    assert check_file(good).sha256 in str(error.value)
    with pytest.raises(ValueError, match="64 hexadecimal"):
        recipes.load(good, "abc")
    with pytest.raises(ValueError, match="allow must be"):
        recipes.load(good, allow="my_layers")
    with pytest.raises(ImportError, match="no_such_module"):
        recipes.load(good, allow=("no_such_module",))
    assert not seen


def test_every_reason_is_tested():
    source = "".join(path.read_text() for path in Path(saving.__file__).parent.glob("*.py"))
    reasons = set(re.findall(r'RefusedFile\(\s*"([^"]+)"', source)) | {"HDF5", "pickle", "SavedModel", "folder"}
    others = {"too large", "too many weights", "remote path", "suffix", "sha256"}
    assert reasons == {reason for _, reason in BAD.values()} | others


# Files that load.


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_recipe_loads(name, kind, tmp_path):
    case = Case(recipes.get(name), kind)
    smoothing = {"label_smoothing": 0.1} if case.entry.supervised else {}
    model = case.make(schedule="cosine", weight_decay=1e-3, **smoothing)
    model.fit(case.x, case.labels(), epochs=1, verbose=0)
    path = tmp_path / "models" / "model.keras"
    sha256 = recipes.save(model, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    found = check_file(path, sha256)
    assert found.recipe == json.loads(json.dumps(model.recipe))
    assert found.numbers >= sum(weight.size for weight in weights(model))
    again = recipes.load(path, sha256)
    assert again.recipe["name"] == name
    assert same(weights(again), weights(model))
    steps = [keras.ops.convert_to_numpy(each.optimizer.iterations) for each in (again, model)]
    assert steps[0] == steps[1] > 0
    np.testing.assert_allclose(again.predict(case.x, verbose=0), model.predict(case.x, verbose=0), rtol=1e-5, atol=1e-6)
    assert not recipes.load(path, compile=False).compiled
    assert not list(path.parent.glob(".*")), "something was left beside the file"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a model of texts needs TensorFlow")
def test_other_models_load(tmp_path):
    """Wrappers, operations, lookup tables, functions and half precision, of a model that no recipe made."""
    texts = keras.Input((), dtype="string")
    lookup = keras.layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])
    x = keras.layers.Embedding(4, 4)(lookup(texts)) + 1.0
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(x)
    x = keras.layers.TimeDistributed(keras.layers.Dense(2, activation=keras.activations.gelu))(x)
    x = keras.Sequential([keras.layers.Dense(2, kernel_regularizer="l2", dtype="mixed_bfloat16")])(keras.ops.mean(x, 1))
    x = keras.layers.Dense(2, dtype="bfloat16", kernel_constraint=keras.constraints.MaxNorm(2))(x)
    model = keras.Model(texts, x)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(schedule), "mse", ["mae", keras.metrics.mean_squared_error])
    recipes.save(model, tmp_path / "model.keras")
    again = recipes.load(tmp_path / "model.keras")
    texts = keras.ops.convert_to_tensor(["a b", "c a"])
    np.testing.assert_allclose(again.predict(texts, verbose=0), model.predict(texts, verbose=0), rtol=1e-5)


OWN = """
import keras
from keras_cookbook import recipes


@keras.saving.register_keras_serializable("own")
class Registered(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


class Unregistered(Registered):
    pass


def halve(x):
    return x / 2


@recipes.recipe(data="rows")
def own_plain(input_shape: recipes.Shape, outputs: recipes.Size, task: recipes.Task = "multiclass"):
    inputs = keras.Input(input_shape)
    return recipes.head(inputs, keras.layers.Dense(4)(inputs), task, outputs)


def with_layer(layer):
    inputs = keras.Input((6,))
    return keras.Model(inputs, keras.layers.Dense(2, activation=halve)(layer(inputs)))
"""
LOAD = """
import json, sys
import numpy as np
from keras_cookbook import recipes
print(recipes.load("plain.keras").predict(np.ones((1, 6)), verbose=0).sum())
for name in ("registered", "unregistered"):
    try:
        recipes.load(name + ".keras")
        raise SystemExit("loaded")
    except recipes.saving.RefusedFile as error:
        print(error.reason)
assert "own_layers" not in sys.modules
for name in ("registered", "unregistered"):
    print(recipes.load(name + ".keras", allow=("own_layers",)).predict(np.ones((1, 6)), verbose=0).sum())
"""


def test_classes_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(_contract, "REGISTRY", dict(_contract.REGISTRY))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_layers.py").write_text(OWN)
    own = importlib.import_module("own_layers")
    models = {
        "plain": own.own_plain((6,), 3),
        "registered": own.with_layer(own.Registered()),
        "unregistered": own.with_layer(own.Unregistered()),
    }
    for name, model in models.items():
        recipes.save(model, f"{name}.keras")
    with pytest.raises(RefusedFile, match=re.escape("allow=('own_layers',)")):
        recipes.load("registered.keras")
    assert isinstance(recipes.load("registered.keras", allow=("own_layers",)).layers[1], own.Registered)
    # A program that knows neither the module nor its recipe.
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", LOAD]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    plain, *reasons, registered, unregistered = run.stdout.split("\n")[:5]
    assert float(plain) == pytest.approx(1, abs=1e-5)
    assert reasons == ["not registered", "module"]
    for answer, name in ((registered, "registered"), (unregistered, "unregistered")):
        assert float(answer) == pytest.approx(models[name].predict(np.ones((1, 6)), verbose=0).sum(), abs=1e-5)


def test_what_an_allowed_module_imports_is_not_allowed(good, tmp_path, monkeypatch):
    imports = "from os import system", "from shutil import rmtree", "from keras.utils import get_file"
    (tmp_path / "careless.py").write_text("\n".join(imports))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("system", "rmtree", "get_file"):
        with_activation(function(name, "careless"))(tmp_path / "bad.keras", good, None)
        with pytest.raises(RefusedFile, match=f"there is no {name}"):
            recipes.load(tmp_path / "bad.keras", allow=("careless",))


def test_newer_versions_are_told(good, tmp_path):
    def change(config, mark):
        config["config"]["recipe"]["versions"]["keras_cookbook"] = "99.1"

    with_config(change)(tmp_path / "newer.keras", good, None)
    with pytest.warns(UserWarning, match=r"newer\.keras was saved by keras_cookbook 99\.1, which is newer than"):
        assert recipes.load(tmp_path / "newer.keras").recipe["name"] == "mlp"
    with warnings.catch_warnings(action="error"):
        recipes.load(good)


def test_a_safe_file_that_does_not_fit_together(good, tmp_path):
    path = tmp_path / "odd.keras"
    with_layer(layer("Dense", units="many"))(path, good, None)
    with pytest.raises(ValueError, match="Keras cannot load it") as error:
        recipes.load(path)
    assert str(path) in str(error.value)
    assert not isinstance(error.value, RefusedFile)


def test_what_is_checked_is_what_is_loaded(good, tmp_path, mark, monkeypatch):
    path = tmp_path / "model.keras"
    shutil.copy(good, path)
    check = files.check_content

    def check_and_exchange(*arguments):
        found = check(*arguments)
        with_activation(payload)(path, good, mark)
        return found

    monkeypatch.setattr(files, "check_content", check_and_exchange)
    model = recipes.load(path)
    assert model.layers[-1].activation is keras.activations.softmax
    assert not mark.exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_save_leaves_the_earlier_file(error, good, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    shutil.copy(good, path)
    before = check_file(path).sha256
    model = recipes.load(path)

    def fail(self, file, *arguments, **settings):
        Path(file).write_bytes(good.read_bytes()[:1000])
        raise error

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(type(error)) as raised:
        recipes.save(model, path)
    if isinstance(error, OSError):
        assert str(path) in str(raised.value)
        assert "untouched" in str(raised.value)
    assert recipes.load(path, before).recipe["name"] == "mlp"
    assert os.listdir(tmp_path) == ["model.keras"]


def test_save_where_nothing_can_be_written(good, tmp_path):
    model = recipes.load(good)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"model\.keras"):
        recipes.save(model, tmp_path / "file" / "model.keras")
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        recipes.save(model, tmp_path / "model.h5")


def test_save_warns_of_what_cannot_be_loaded(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    path = tmp_path / "model.keras"
    with pytest.warns(UserWarning, match="Lambda"):
        sha256 = recipes.save(model, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(RefusedFile, match="foreign code"):
        recipes.load(path)


# The command.


def cookbook(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def test_check_command(good, tmp_path):
    sha256 = check_file(good).sha256
    text = cookbook("check", good, "--sha256", sha256)
    for told in ("is safe to load", "mlp", "width=8", f"keras {keras.__version__}", sha256, "keras.layers.Dense"):
        assert told in text
    found = json.loads(cookbook("check", good, "--json"))
    assert found["safe"] is True
    assert found["sha256"] == sha256
    assert found["recipe"]["arguments"]["width"] == 8
    assert "sha256" in cookbook("check", good, "--sha256", "0" * 64, code=1)
    bad = tmp_path / "bad.keras"
    with_layer(layer("Lambda\x1b[2J"))(bad, good, None)
    text = cookbook("check", bad, code=1)
    assert str(bad) in text
    assert "\x1b" not in text, "a file can write to the terminal"
    with_layer(layer("Lambda"))(bad, good, None)
    found = json.loads(cookbook("check", bad, "--json", code=1))
    assert found["reason"] == "foreign code"
    assert found["path"] == str(bad)
    assert "no model file" in cookbook("check", tmp_path / "none.keras", code=1)


# Runs that can be repeated.

TRAIN = """
import hashlib, sys
from keras_cookbook import recipes
if sys.argv[1] != "none":
    said = recipes.reproducible(int(sys.argv[1]))
import numpy as np
x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
data = recipes.data.load((x, np.arange(64) % 2), batch_size=16)
model = recipes.cnn(data.input_shape, data.outputs, data.task, depth=1, width=8, dropout=0.3)
model.fit(data.train, epochs=2, verbose=0)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
if sys.argv[1] != "none":
    print(said)
"""


def trained(seed):
    # Not forked: those would hash alike.
    run = subprocess.run([sys.executable, "-c", TRAIN, seed], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.split("\n", 1)


@pytest.mark.slow
def test_reproducible():
    (one, said), (two, _), (other, _), (none, _) = (trained(seed) for seed in ("7", "7", "8", "none"))
    assert one == two, "two runs give other weights"
    assert len({one, other, none}) == 3
    assert said.startswith(f"Seed 7, deterministic operations of {keras.backend.backend()}, ")
    assert ("PYTHONHASHSEED" in said) == ("PYTHONHASHSEED" not in os.environ)
    assert ("Dropout" in said) == (keras.backend.backend() == "torch")


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0", None, True])
def test_seeds_that_are_none(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0 to 4294967295"):
        recipes.reproducible(seed)
