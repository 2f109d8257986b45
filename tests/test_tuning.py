"""Hyperparameter search, on models and data small enough for a test."""

import json
import random
import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import finish, start

from keras_cookbook import recipes, tuning
from keras_cookbook.recipes._kinds import Integer
from keras_cookbook.tuning.proposals import ORACLES
from keras_cookbook.tuning.space import Space, build_space

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(scope="module")
def iris():
    with pytest.warns(recipes.data.LeakWarning):
        return recipes.data.load("iris", validation=0.3)


def small(recipe, data, folder, **options):
    return tuning.search(
        recipe, data, folder=folder, **{"epochs": 3, "max_trials": 3, "width": (4, 16), "progress": False} | options
    )


FRESH = """
import sys, json, keras
from keras_cookbook import recipes, tuning
found = tuning.Search.load(sys.argv[1])
data = recipes.data.load("iris", validation=0.3)
logs = found.best_model().evaluate(data.validation, return_dict=True, verbose=0)
print(json.dumps([logs["accuracy"], found.best_score]))
"""


@pytest.mark.parametrize("algorithm", ORACLES)
def test_every_algorithm_finds_a_model_that_keeps_its_score(algorithm, iris, tmp_path):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    found = small(
        recipes.mlp, iris, tmp_path / "s", algorithm=algorithm, max_trials=None if algorithm == "hyperband" else 4
    )
    assert len(found.ranked) == len(found.trials) >= 4
    scores = [trial["score"] for trial in found.ranked]
    assert scores == sorted(scores, reverse=True)
    frame = found.leaderboard()
    assert frame["val_accuracy"].iloc[0] == found.best_score == max(scores)
    best = found.best_hyperparameters
    assert isinstance(best["width"], int)
    assert 4 <= best["width"] <= 16
    logs = found.best_model().evaluate(iris.validation, return_dict=True, verbose=0)
    assert logs["accuracy"] == pytest.approx(found.best_score, abs=1e-6)
    assert [path.name for path in (tmp_path / "s").glob("*.keras")] == ["best.keras"]
    if algorithm == "bayesian":  # and in a process that knows nothing
        (printed,) = finish(start(FRESH, tmp_path / "s"))
        again, told = json.loads(printed.splitlines()[-1])
        assert again == pytest.approx(told, abs=1e-6)


def test_hyperband_goes_on_with_the_better_half(iris, tmp_path):
    found = small(recipes.mlp, iris, tmp_path, algorithm="hyperband", max_trials=None, epochs=9, patience=20)
    lengths = {trial["epochs"] for trial in found.trials}
    assert len(lengths) > 1, "all trials ran equally long"
    later = [trial for trial in found.trials if trial["best_epoch"] > 3]
    assert later, "no trial was continued"
    assert max(trial["best_epoch"] for trial in found.trials) <= 9


def test_the_same_seed_finds_the_same(iris, tmp_path):
    """Whatever a program has drawn before; and what it draws afterwards is as if it had not searched."""

    def drawn():
        order = tf.data.Dataset.range(9).shuffle(9, seed=1)
        shuffled = [*order.as_numpy_iterator(), *np.array(tf.random.shuffle(tf.range(9)))]
        return random.random(), np.random.rand(), float(keras.random.uniform(())), shuffled

    results = []
    for number, seed in enumerate((3, 3, 4)):
        keras.utils.set_random_seed(number)
        expected = drawn()
        keras.utils.set_random_seed(number)
        results.append(small(recipes.mlp, iris, tmp_path / str(number), algorithm="random", seed=seed))
        assert drawn() == expected
    one, two, other = results
    assert [t["values"] for t in one.trials] == [t["values"] for t in two.trials]
    assert [t["values"] for t in one.trials] != [t["values"] for t in other.trials]
    np.testing.assert_allclose([t["curve"] for t in one.trials], [t["curve"] for t in two.trials], atol=1e-6)
    retrained = []
    for number in range(2):
        keras.utils.set_random_seed(number)
        retrained.append(one.retrain(iris, epochs=1).get_weights())
    for weight, again in zip(*retrained, strict=True):
        np.testing.assert_allclose(weight, again, atol=1e-6)


def test_the_grid_is_tried_whole_and_no_point_twice(iris, tmp_path):
    found = small(
        recipes.mlp, iris, tmp_path, algorithm="grid", max_trials=None, epochs=1,
        width=[4, 8], depth=[1, 2], activation="relu", dropout=0.1, learning_rate=0.01, batch_size=32,
    )  # fmt: skip
    points = [(trial["values"]["width"], trial["values"]["depth"]) for trial in found.trials]
    assert sorted(points) == [(4, 1), (4, 2), (8, 1), (8, 2)]
    assert "nothing left" in found.ended


@pytest.mark.parametrize("algorithm", ["random", "bayesian"])
def test_all_trials_asked_for_are_run(algorithm, iris, tmp_path):
    found = small(recipes.mlp, iris, tmp_path, algorithm=algorithm, max_trials=12, epochs=1, depth=1)
    assert len(found.trials) == 12, "KerasTuner's own default is 10"


def test_batch_size_and_epochs_are_searched_like_others(iris, tmp_path):
    found = small(recipes.mlp, iris, tmp_path, algorithm="random", epochs=[1, 2, 3], batch_size=[16, 48], max_trials=5)
    assert {t["values"]["batch_size"] for t in found.trials} == {16, 48}
    assert len({t["values"]["epochs"] for t in found.trials}) > 1
    assert all(t["epochs"] == t["values"]["epochs"] for t in found.trials)


def test_time_budget_ends_the_running_trial_and_keeps_it(iris, tmp_path):
    started = time.monotonic()
    found = small(recipes.mlp, iris, tmp_path, epochs=100_000, patience=100_000, max_trials=None, max_hours=6 / 3600)
    assert time.monotonic() - started < 60
    assert "time" in found.ended
    assert found.ranked[0]["epochs"] < 100_000
    assert found.best_model().evaluate(iris.validation, return_dict=True, verbose=0)["accuracy"] == pytest.approx(
        found.best_score, abs=1e-6
    )


def test_a_failed_trial_does_not_end_the_search(tmp_path):
    data = recipes.data.load("digits", batch_size=256)
    # 8 pixels can be halved three times.
    found = small(
        recipes.cnn, data, tmp_path, algorithm="grid", max_trials=4, epochs=1,
        width=4, units=4, kernel_size=3, activation="relu", dropout=0.0, depth=[1, 4, 2], learning_rate=0.01,
        batch_size=256,
    )  # fmt: skip
    status = {trial["values"]["depth"]: trial["status"] for trial in found.trials}
    assert status == {1: "completed", 2: "completed", 4: "failed"}
    failed = found.leaderboard().iloc[-1]
    assert failed["depth"] == 4
    assert "can be halved 3 times" in failed["message"]


def test_regression_minimises_the_loss(tmp_path):
    found = small(recipes.mlp, recipes.data.load("diabetes"), tmp_path, max_trials=2)
    assert (found.objective, found.direction) == ("val_loss", "min")
    assert found.best_score == min(trial["score"] for trial in found.trials)


def test_the_space_is_that_of_the_signature():
    fixed, searched = build_space(recipes.resnet.recipe, {})
    assert fixed == {"epochs": 20}
    assert list(searched) == ["depth", "width", "dropout", "learning_rate", "batch_size"]
    space = Space([recipes.resnet], {}).hyperparameters()
    assert space.get("learning_rate") == 0.05, "the recipe's own default"
    fixed, searched = build_space(
        recipes.mlp.recipe, {"width": 7, "weight_decay": (1e-6, 1e-2), "optimizer": ["sgd", "adam"]}
    )
    assert fixed["width"] == 7
    assert "width" not in searched
    assert searched["weight_decay"].kind.search == (1e-6, 1e-2)
    assert searched["optimizer"].default == "adam"
    assert recipes.mlp.recipe.settings["weight_decay"].kind.search is None, "the recipe itself is unchanged"


def test_callbacks_are_fresh_for_each_trial(iris, tmp_path):
    class Counter(keras.callbacks.Callback):
        seen = 0

        def on_epoch_end(self, epoch, logs=None):
            self.seen += 1
            logs["seen"] = self.seen

    given = Counter()
    found = small(recipes.mlp, iris, tmp_path, callbacks=[given], max_trials=2)
    assert given.seen == 0
    assert all(trial["logs"]["seen"] <= 3 for trial in found.trials)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widht": 3}, "mlp has no argument 'widht'.*'width'"),
        ({"width": 0}, "mlp: width must be an integer"),
        ({"width": (16, 4)}, "width must range over"),
        ({"width": []}, "no value"),
        ({"activation": ("relu", "gelu")}, "no order"),
        ({"activation": ["relu", "gelo"]}, "'gelu'"),
        ({"algorithm": "bayes"}, "algorithm must be one of.*'bayesian'"),
        ({"strategy": "random"}, "algorithm="),
        ({"objective": "val_acuracy"}, "'val_accuracy'"),
        ({"max_trials": 0}, "max_trials must be"),
        ({"max_hours": -1}, "max_hours must be"),
        ({"seed": "a"}, "seed must be"),
        ({"algorithm": "hyperband", "epochs": [1, 2]}, "hyperband"),
        (
            {"activation": "relu", "depth": 1, "width": 4, "dropout": 0.1, "learning_rate": 0.1, "batch_size": 8},
            "nothing",
        ),
    ],
)
def test_bad_input_is_told_before_anything_starts(options, words, iris, tmp_path):
    with pytest.raises(ValueError, match=words):
        tuning.search(recipes.mlp, iris, folder=tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_bad_recipe_and_data(iris, tmp_path):
    with pytest.raises(ValueError, match="'mlp'"):
        tuning.search("mpl", iris)
    with pytest.raises(ValueError, match="recipe must be"):
        tuning.search(len, iris)
    with pytest.raises(ValueError, match="cnn: input_shape"):
        tuning.search(recipes.cnn, iris, folder=tmp_path / "s")
    with pytest.raises(ValueError, match="validation"):
        tuning.search(recipes.mlp, recipes.data.load("wine", validation=0))
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        tuning.search(recipes.mlp, iris, folder=tmp_path)
    (tmp_path / "search.json").write_text(json.dumps(dict.fromkeys(("recipe", "data", "objective", "direction"), "")))
    with pytest.raises(ValueError, match="holds a search with recipe=None, and this one has recipe=mlp"):
        tuning.search(recipes.mlp, iris, folder=tmp_path)


@pytest.mark.skipif(not TENSORFLOW, reason="tf.distribute spreads TensorFlow only")
def test_a_trial_spread_over_two_devices_scores_like_on_one(tmp_path):
    # Devices must be split before TensorFlow starts, so in a process of its own.
    code = """
import sys, tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_cookbook import recipes, tuning
data = recipes.data.load("wine", validation=0.3)
scores = []
for name, strategy in (("one", None), ("two", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))):
    found = tuning.search(recipes.mlp, data, strategy=strategy, folder=f"{sys.argv[1]}/{name}", max_trials=1, epochs=4,
                          dropout=0.0, width=[64], batch_size=32, depth=1, activation="relu", learning_rate=0.01,
                          progress=False)
    scores.append(found.trials[0]["logs"]["val_loss"])
# The rows come in another order, so the losses differ a little.
assert max(scores) < 0.4 and abs(scores[0] - scores[1]) < 0.05, scores
"""
    finish(start(code, tmp_path))


def test_an_integer_range_without_a_factor_of_two():
    space = Space([recipes.mlp], {"width": (16, 20)}).hyperparameters()
    assert space.space[0].name == "depth"
    assert isinstance(recipes.mlp.recipe.arguments["width"].kind, Integer)


def test_lines_without_a_terminal(iris, tmp_path, capsys):
    small(recipes.mlp, iris, tmp_path, progress=True, max_trials=2)
    output = capsys.readouterr().out
    assert "All 2 trials were run." in output
    lines = re.findall(r"^trial +\d.*", output, re.M)
    assert len(lines) == 2
    assert all("val_accuracy" in line and "width=" in line for line in lines)
