"""The contract around recipes: registry, signatures, help, and what `@recipe` refuses."""

import inspect
import os
import pydoc
import subprocess
import sys
from typing import Annotated

import keras
import numpy as np
import pytest

from keras_cookbook import recipes
from keras_cookbook.recipes import Choice, Integer, Real, Shape, Size, _contract, recipe


def test_names_and_nearest_names():
    assert recipes.list() == sorted(recipes.list())
    assert {"cnn", "mlp", "resnet"} <= set(recipes.list())
    assert "mlp" not in recipes.list("images")
    assert recipes.get("mlp") is recipes.mlp
    with pytest.raises(ValueError, match=r"no recipe 'resnt'\. Did you mean 'resnet'"):
        recipes.get("resnt")
    with pytest.raises(ValueError, match="'images'"):
        recipes.list("imagse")


SWITCH = "TF_ENABLE_ONEDNN_OPTS"


def printed(code, **environment):
    """What a Python without the switch prints."""
    unset = {name: value for name, value in os.environ.items() if name != SWITCH} | environment
    return subprocess.run([sys.executable, "-c", code], env=unset, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("parts", ["callbacks, recipes", "tuning"])
def test_onednn_is_on_where_nobody_has_said_otherwise(parts):
    """Whatever is imported first."""
    run = printed(f"import os; from keras_cookbook import {parts}; print(os.environ['{SWITCH}'])")
    assert run.stdout.split()[-1] == "1"
    assert "RuntimeWarning" not in run.stderr
    assert os.environ[SWITCH]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="kernels of TensorFlow")
def test_tensorflow_that_came_before_is_told():
    code = """
import platform, tensorflow as tf
from tensorflow.python.util._pywrap_util_port import IsMklEnabled
print(IsMklEnabled() or platform.machine() not in ("x86_64", "AMD64") or bool(tf.config.list_physical_devices("GPU")))
from keras_cookbook import recipes
"""
    run = printed(code)
    fine = run.stdout.split()[-1] == "True"
    assert (f"or set the environment variable {SWITCH}=1" in run.stderr) != fine
    assert fine or "<string>:5: RuntimeWarning" in run.stderr
    assert "RuntimeWarning" not in printed(code, **{SWITCH: "0"}).stderr


def test_a_duplicate_raises():
    with pytest.raises(ValueError, match=r"'mlp' already, in keras_cookbook\.recipes\.tabular\.mlp"):

        @recipe(data="rows")
        def mlp(input_shape: Shape, outputs: Size):
            pass


def test_an_argument_without_a_kind_raises():
    with pytest.raises(ValueError, match="'width' has no kind"):

        @recipe(data="rows")
        def net(input_shape: Shape, outputs: Size, *, width: int = 3):
            pass


def test_an_illegal_default_raises(monkeypatch):
    monkeypatch.setattr(_contract, "REGISTRY", {})
    with pytest.raises(ValueError, match="from 1 to 3, not 4"):

        @recipe(data="rows")
        def net(input_shape: Shape, outputs: Size, *, width: Annotated[int, Integer(1, 3)] = 4):
            pass


def test_a_plain_model_raises(monkeypatch):
    monkeypatch.setattr(_contract, "REGISTRY", {})

    @recipe(data="rows")
    def net(input_shape: Shape, outputs: Size):
        return keras.Sequential()

    with pytest.raises(TypeError, match="RecipeModel"):
        net((3,), 2)


def test_help_is_pleasant():
    text = pydoc.plain(pydoc.render_doc(recipes.mlp))
    assert "    depth: 1..6 = 2,\n" in text
    assert "    learning_rate: 0.0001..0.1 = 0.001,\n" in text
    assert "Annotated" not in text
    assert "Multi-layer perceptron" in text
    assert max(map(len, text.splitlines())) < 150


def test_the_signature_can_be_asked_by_tools():
    parameters = inspect.signature(recipes.resnet).parameters
    assert list(parameters)[:4] == ["input_shape", "outputs", "task", "depth"]
    assert parameters["depth"].default == 18
    assert parameters["optimizer"].default == "sgd", "the recipe's own training default"
    assert recipes.mlp.__module__ == "keras_cookbook.recipes.tabular.mlp"


@pytest.mark.parametrize(
    ("kind", "legal", "illegal"),
    [
        (Integer(1, 6), [1, 6, np.int64(3)], [0, 7, 1.5, 2.0, True, "3", None]),
        (Real(0, 1, below=True), [0, 0.5, np.float32(0.1)], [1, 1.0, -0.1, float("nan"), float("inf"), "0.5", True]),
        (Choice("a", "b"), ["a", "b"], ["c", 1, None]),
        (Choice(True, False), [True, False], [0, 1, "True"]),
        (recipes._kinds.DATA["images"], [(8, 8, 3), [8, 8, 1], (None, None, 3)], [(8, 8), (8, 8, None), (8, 8, 0), 8]),
        (recipes._kinds.DATA["rows"], [(8,), (8, 8, 1)], [(), (None,), (0,), "8"]),
    ],
)
def test_kinds(kind, legal, illegal):
    for value in legal:
        kind.check(value)
    for value in illegal:
        with pytest.raises(ValueError, match="must be"):
            kind.check(value)


def test_checked_values_are_plain():
    # They are written to JSON with the model.
    assert type(Integer(1).check(np.int64(3))) is int
    assert type(Real(0).check(np.float32(0.5))) is float
    assert type(Choice("a").check(np.str_("a"))) is str


def test_what_a_recipe_clips_need_not_be_clipped():
    assert recipes.resnet((8, 8, 3), 2).optimizer.global_clipnorm == 1.0
    assert recipes.resnet((8, 8, 3), 2, clip_norm=None).optimizer.global_clipnorm is None
    with pytest.raises(ValueError, match="learning_rate must be a number"):
        recipes.resnet((8, 8, 3), 2, learning_rate=None)


def test_how_many_steps_a_call_takes():
    """By default up to 32 on TensorFlow, at least four calls an epoch; 1 for a large network or another backend."""
    x, y = np.zeros((320, 3), "float32"), np.zeros(320, int)
    one_by_one = keras.backend.backend() != "tensorflow"
    model = recipes.mlp((3,), 2, width=4, seed=0)
    for batch_size, steps in ((1, 32), (10, 8), (100, 1), (10, 8)):
        model.fit(x, y, batch_size=batch_size, verbose=0)
        assert model.steps_per_execution == (1 if one_by_one else steps)
        # What was compiled for other steps is made anew.
        assert model.predict(x, batch_size=7, verbose=0).shape == (320, 2)
        whole = model.evaluate(x[:100], y[:100], batch_size=7, verbose=0)
        np.testing.assert_allclose(model.evaluate(x[:100], y[:100], batch_size=100, verbose=0), whole, rtol=1e-4)
    assert int(model.optimizer.iterations) == 320 + 32 + 4 + 32
    large = recipes.mlp((3,), 2, depth=2, width=1500)
    large.fit(x, y, batch_size=10, verbose=0)
    assert large.steps_per_execution == 1
    if not one_by_one:
        chosen = recipes.mlp((3,), 2, width=4, steps_per_execution=3)
        chosen.fit(x, y, batch_size=10, verbose=0)
        assert chosen.steps_per_execution == 3


def test_a_missing_argument_is_named():
    with pytest.raises(ValueError, match="mlp: missing a required argument: 'outputs'"):
        recipes.mlp((3,))


def test_without_a_seed_the_global_one_decides():
    keras.utils.set_random_seed(3)
    one = recipes.mlp((3,), 2)
    two = recipes.mlp((3,), 2)
    keras.utils.set_random_seed(3)
    three = recipes.mlp((3,), 2)
    assert one.recipe["seed"] == three.recipe["seed"] != two.recipe["seed"]
    np.testing.assert_array_equal(one.get_weights()[3], three.get_weights()[3])


def test_a_model_in_the_hands_of_keras():
    model = recipes.mlp((3,), 2, seed=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = np.ones((2, 3))
    np.testing.assert_allclose(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    bigger = keras.Model(model.inputs, keras.layers.Dense(2)(model.outputs[0]))
    assert bigger.predict(np.zeros((1, 3)), verbose=0).shape == (1, 2)
    assert "mlp" in repr(model)
