"""The command `cookbook`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_cookbook import recipes, tuning
from keras_cookbook.cli import main
from keras_cookbook.cli.options import parse, value_of
from keras_cookbook.recipes import _contract


def cookbook(*words, code=0):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_contract, "REGISTRY", dict(_contract.REGISTRY))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("0.5", 0.5), ("1e-3", 1e-3), ("relu", "relu"), ("true", True), ("False", False), ("none", None),
        ("1..6", (1, 6)), ("1e-4..0.1", (1e-4, 0.1)), ("adam,sgd", ["adam", "sgd"]), ("8,16", [8, 16]), ("a b", "a b"),
    ],
)  # fmt: skip
def test_values(text, value):
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_words():
    assert parse(["depth=3", "--batch-size=64"], ["depth", "batch_size"]) == {"depth": 3, "batch_size": 64}
    with pytest.raises(ValueError, match="'depth'"):
        parse(["dept=3"], ["depth"])
    with pytest.raises(ValueError, match="key=value"):
        parse(["depth"], ["depth"])
    with pytest.raises(ValueError, match="twice"):
        parse(["depth=3", "depth=4"], ["depth"])


def test_list():
    assert [line.split()[0] for line in cookbook("list").splitlines()] == recipes.list()
    assert {e["name"] for e in json.loads(cookbook("list", "--json"))} == set(recipes.list())
    assert "mlp" not in cookbook("list", "--data", "images")


def test_show():
    text = cookbook("show", "resnet")
    assert re.search(r"depth +\* 18 +18, 34, 50 +one of 18, 34, 50, 101, 152", text)
    arguments = {a["name"]: a for a in json.loads(cookbook("show", "mlp", "--json"))["arguments"]}
    assert arguments["width"] == {
        "name": "width", "default": 128, "legal": "an integer from 1 to 65536", "search": [16, 512], "searched": True,
    }  # fmt: skip
    assert not arguments["optimizer"]["searched"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "resnt"), "Did you mean 'resnet'"),
        (("train", "mlp", "irs"), "'iris'"),
        (("train", "mlp", "iris", "dept=3"), "Did you mean 'depth'"),
        (("train", "mlp", "iris", "depth=0"), "mlp: depth must be an integer"),
        (("train", "mlp", "iris", "epochs=0"), "epochs must be an integer of at least 1, not 0"),
        (("train", "mlp", "iris", "task=binary"), "binary"),
        (("train", "cnn", "iris"), "cnn: input_shape must be"),
        (("train", "mlp", "missing.csv"), "missing.csv"),
        (("train", "missing.py", "iris"), "missing.py"),
        (("tune", "mlp", "iris", "algorithm=bayes"), "'bayesian'"),
        (("tune", "mlp", "iris", "width=big"), "mlp: width must be"),
        (("copy", "mlp", "mlp.py"), "my_mlp.py"),
        (("copy", "mlp", "a-b.py"), "named like a Python file"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, told, here):
    output = cookbook(*words, code=1)
    assert told in output
    assert "Traceback" not in output
    assert not list(here.rglob("*.keras"))


def test_train_json_and_the_python_that_does_the_same(here):
    words = ("train", "mlp", "breast_cancer", "epochs=3", "width=8", "folder=one", "seed=5", "--json")
    # In a process of its own, like the program below: TensorFlow's global seed, which other tests set, orders rows too.
    command = [Path(sys.executable).with_name("cookbook"), *words]
    result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert result["epochs"] == 3
    assert set(result["test"]) == {"loss", "accuracy"}
    model = keras.saving.load_model(here / result["model"])
    assert model.recipe["arguments"]["width"] == 8
    data = recipes.data.load("breast_cancer", seed=5)
    again = model.evaluate(data.test, return_dict=True, verbose=0)
    assert again["accuracy"] == pytest.approx(result["test"]["accuracy"], abs=1e-6)
    # The printed program gives the same model.
    code = result["python"].replace("'one'", "'two'")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True, env=environment)
    same = keras.saving.load_model(here / "two" / "best.keras")
    if keras.backend.backend() != "torch":  # whose dropout takes no seed
        for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_train_shows_what_it_does(here):
    output = cookbook("train", "mlp", "wine", "epochs=2", "depth=1")
    assert "recipes.mlp(data.input_shape, data.outputs, data.task, seed=0, depth=1)" in output
    assert len(re.findall(r"^epoch \d/2 ", output, re.M)) == 2
    assert re.search(r"^test: accuracy 0\.\d+", output, re.M) or re.search(r"^test: .*accuracy", output, re.M)
    (folder,) = (here / "runs").iterdir()
    assert {"best.keras", "log.jsonl", "result.json"} <= {path.name for path in folder.iterdir()}


def test_tune(here):
    words = ("tune", "mlp", "wine", "epochs=2", "width=4..16", "activation=relu,tanh", "max_trials=2", "folder=s")
    output = cookbook(*words)
    assert "tuning.search(recipes.mlp, data, epochs=2, width=(4, 16), activation=['relu', 'tanh']" in output
    assert "All 2 trials were run." in output
    result = json.loads((here / "s" / "result.json").read_text())
    found = tuning.Search.load(here / "s")
    assert found.best_hyperparameters == result["best_hyperparameters"]
    assert 4 <= found.best_hyperparameters["width"] <= 16
    result = json.loads(cookbook(*words[:-1], "folder=t", "--json"))
    assert len(result["trials"]) == 2


def test_a_table_with_a_target(here):
    rng = np.random.default_rng(0)
    rows = ["age,city,churn"] + [f"{rng.integers(20, 70)},{rng.choice(['Ulm', 'Rom'])},{i % 2}" for i in range(80)]
    (here / "customers.csv").write_text("\n".join(rows))
    result = json.loads(cookbook("train", "mlp", "customers.csv", "target=churn", "epochs=1", "--json"))
    assert result["data"] == "customers"
    assert "target" in cookbook("train", "mlp", "customers.csv", "target=chrun", code=1)


def test_a_copy_is_edited_and_run(here):
    assert "my_net" in cookbook("copy", "cnn", "my_net.py")
    assert "File exists" in cookbook("copy", "cnn", "my_net.py", code=1)
    source = (here / "my_net.py").read_text()
    (here / "my_net.py").write_text(
        source.replace("epochs=10", "epochs=1")
        .replace("width: Annotated", "breadth: Annotated")
        .replace("width *", "breadth *")
        .replace("    width: ", "    breadth: ")
    )
    result = json.loads(cookbook("train", "my_net.py", "digits", "breadth=4", "epochs=1", "units=16", "--json"))
    assert result["recipe"] == "my_net"
    assert "from my_net import my_net" in result["python"]
    run = subprocess.run([sys.executable, "my_net.py"], cwd=here, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "accuracy" in run.stdout


def test_every_recipe_can_be_copied(here):
    from keras_cookbook.cli.source import copy_recipe, find_recipe

    for name in recipes.list():
        copy_recipe(name, here / f"copied_{name}.py")
        factory = find_recipe(str(here / f"copied_{name}.py"))
        shape = {"rows": (8,), "images": (16, 16, 1), "sequences": (6, 2), "text": (6,)}[factory.recipe.data[0]]
        sizes = {"outputs": 2, "width": 4}
        sizes = {size: value for size, value in sizes.items() if size in factory.recipe.arguments}
        assert factory(shape, **sizes).name == f"copied_{name}"
    registered = keras.saving.get_registered_object("keras_cookbook>GAN")
    assert registered.__module__ == "keras_cookbook.recipes.generative.gan"
    assert keras.saving.get_registered_object("copied_gan>GAN").__module__ == "copied_gan"


def test_the_command_is_quiet_and_help_is_there(here):
    run = subprocess.run(
        [Path(sys.executable).with_name("cookbook"), "list"], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    for command in ((), ("train",), ("tune",), ("copy",), ("show",), ("list",)):
        assert "Usage" in cookbook(*command, "--help")
