"""Spaces of several recipes, and of hyperparameters that matter only beside others."""

import random

import pytest
import search_to_kill

from keras_cookbook import recipes, tuning
from keras_cookbook.tuning.proposals import ORACLES, Proposals, build_oracle
from keras_cookbook.tuning.space import Space, tunable

CONDITIONAL = {
    "width": [16, 32], "dropout": [0.0, 0.2], "learning_rate": [1e-3, 1e-2], "batch_size": 32, "depth": [1, 2],
    "optimizer": ["adam", "sgd"], "momentum": tuning.when("optimizer", "sgd", [0.5, 0.9]),
}  # fmt: skip


def space_of(*factories):
    return Space(list(factories), {"epochs": 4} | CONDITIONAL)


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe"])
def test_they_learn_what_is_better(algorithm):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    options = {"epochs": 4} | CONDITIONAL | {"learning_rate": (1e-4, 1.0), "dropout": (0.0, 0.5)}
    trials = proposed(algorithm, Space([recipes.mlp, recipes.cnn], options), 60)
    late = [trial["values"]["width"] for trial in trials[30:]]
    assert late.count(32) > 0.7 * len(late)


def proposed(algorithm, space, count, warm=()):
    """What is asked, of an oracle that is told a score for each trial; and how the trials go on."""
    oracle = build_oracle(algorithm, "val_accuracy", None, 3, space)
    proposals, rng, found = Proposals(oracle, space), random.Random(0), []
    proposals.learn(warm)
    for number in range(1, count + 1):
        asked = proposals.begin(number)
        if isinstance(asked, str):
            break
        values, halving = asked
        score = (values["width"] == 32) + 0.1 * values.get("momentum", 0) + rng.random() / 100
        found.append({"trial": number, "values": values, "goes_on": halving.get("trial_id"), "score": score})
        proposals.end(number, score)
    return found


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("algorithm", ORACLES)
def test_conditions_hold_and_nothing_is_tried_twice(algorithm, several):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    space = space_of(*([recipes.mlp, recipes.cnn] if several else [recipes.mlp]))
    trials = proposed(algorithm, space, 30)
    assert len(trials) == 30 or algorithm == "hyperband"
    new = [trial["values"] for trial in trials if not trial["goes_on"]]
    for values in new:
        assert ("momentum" in values) == (values["optimizer"] == "sgd")
        assert ("recipe" in values) == several
        assert values["depth"] in (1, 2)
        assert values["epochs"] == 4
        assert values["width"] in (16, 32)
        assert isinstance(values["width"], int)
    assert len({repr(sorted(values.items())) for values in new}) == len(new)
    assert {"adam", "sgd"} == {values["optimizer"] for values in new}
    if several and algorithm != "grid":  # which takes one after the other
        assert {"mlp", "cnn"} == {values["recipe"] for values in new}


def test_a_space_that_is_used_up_ends():
    space = Space(
        [recipes.mlp],
        {"epochs": 1, "width": 8, "depth": 1, "dropout": 0.0, "activation": "relu", "learning_rate": 0.01}
        | {"batch_size": 32, "optimizer": ["adam", "sgd"], "momentum": tuning.when("optimizer", ["sgd"], [0.5, 0.9])},
    )
    for algorithm in ("grid", "random"):
        found = [trial["values"] for trial in proposed(algorithm, space, 10)]
        assert sorted(values.get("momentum", 0) for values in found) == [0, 0.5, 0.9]


@pytest.mark.parametrize("algorithm", ["bayesian", "random", "tpe"])
def test_trials_of_earlier_searches_are_taken_in(algorithm):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    space = space_of(recipes.mlp, recipes.cnn)
    earlier = proposed("random", space, 12)
    elsewhere = [{"values": trial["values"] | {"recipe": "resnet"}, "score": 1.0} for trial in earlier]
    proposals = Proposals(build_oracle(algorithm, "val_accuracy", None, 3, space), space)
    assert proposals.learn([*earlier, *elsewhere]) == 12
    again = proposed(algorithm, space, 12, earlier)
    assert not [trial for trial in again if trial["values"] in [old["values"] for old in earlier]]


def test_a_search_over_two_recipes(tmp_path):
    data = recipes.data.load("digits", validation=0.3)
    options = {"algorithm": "random", "epochs": 2, "progress": False, "batch_size": 128, "width": [8, 16], "depth": 1}
    found = tuning.search([recipes.mlp, "cnn"], data, folder=tmp_path, max_trials=3, **options)
    assert found.recipe == "mlp or cnn"
    again = tuning.search(["mlp", recipes.cnn], data, folder=tmp_path, max_trials=5, **options)
    assert again.trials[:3] == found.trials
    assert {trial["values"]["recipe"] for trial in again.trials} == {"mlp", "cnn"}
    for trial in again.trials:
        own = tunable(recipes.get(trial["values"]["recipe"]).recipe)
        assert trial["values"].keys() <= {"recipe", *own}
    model = again.best_model()
    assert model.recipe["name"] == again.best_hyperparameters["recipe"]
    accuracy = model.evaluate(data.validation, return_dict=True, verbose=0)["accuracy"]
    assert accuracy == pytest.approx(again.best_score, abs=1e-6)
    assert "recipe" in again.leaderboard()
    assert {"name": "recipe", "values": ["mlp", "cnn"]} in tuning.Search.load(tmp_path).space
    assert again.retrain(data, epochs=1).recipe["name"] == model.recipe["name"]
    page = again.write_report().read_text()
    assert "mlp or cnn" in page


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        ([recipes.mlp, recipes.mlp], {}, "each recipe must be given once, not mlp, mlp"),
        ([recipes.mlp, recipes.gan], {}, "must all learn from labels, or all without"),
        ([recipes.mlp, recipes.resnet], {}, "resnet"),
        (recipes.mlp, {"momentum": tuning.when("optimiser", "sgd", [0.5, 0.9])}, "Did you mean 'optimizer'"),
        (recipes.mlp, {"optimizer": ["sgd", "adam"], "momentum": tuning.when("optimizer", "sgt", [0.5])}, "'sgd'"),
        (recipes.mlp, {"optimizer": ["sgd", "adam"], "momentum": tuning.when("optimizer", "sgd", 0.9)}, "a range"),
        (recipes.mlp, {"momentun": tuning.when("optimizer", "sgd", [0.5])}, "Did you mean 'momentum'"),
    ],
)
def test_bad_spaces_are_told_before_anything_starts(recipe, options, words, tmp_path):
    defaults = {"optimizer": ["sgd", "adam"]} if "Did you mean 'optimizer'" in words else {}
    with pytest.raises(ValueError, match=words):
        tuning.search(recipe, search_to_kill.data(), folder=tmp_path, progress=False, **(defaults | options))
    assert not list(tmp_path.iterdir())
