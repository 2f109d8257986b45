"""What becomes of a single trial: models used again, pruning, the doctor, seeds, warm starts."""

import math

import keras
import numpy as np
import pytest
import search_to_kill
from conformance import fingerprint

from keras_cookbook import recipes, tuning
from keras_cookbook.recipes import _contract
from keras_cookbook.tuning.trials.pruning import behind_halving, behind_median
from keras_cookbook.tuning.trials.warm import WarmModels

TENSORFLOW = keras.backend.backend() == "tensorflow"
SPACE = {"width": [4, 8], "depth": 1, "activation": "relu", "dropout": 0.2, "batch_size": 64, "epochs": 3}


def small(folder, **options):
    return tuning.search(
        recipes.mlp, search_to_kill.data(), folder=folder, progress=False,
        **{"algorithm": "random", "max_trials": 4} | SPACE | options,
    )  # fmt: skip


# ---- models used again -----------------------------------------------------------------------------------------------


def trained(model, data):
    history = model.fit(data.train, validation_data=data.validation, epochs=2, verbose=0).history
    return history, [np.array(variable.numpy()) for variable in model.variables]


@pytest.mark.skipif(not TENSORFLOW, reason="on TensorFlow alone")
@pytest.mark.parametrize(
    ("factory", "shape", "options"),
    [
        (recipes.mlp, (6,), {"width": 8, "dropout": 0.3}),
        (recipes.mlp, (6,), {"width": 8, "optimizer": "sgd", "clip_norm": 1.0, "ema": 0.9}),
        (recipes.cnn, (8, 8, 1), {"width": 4, "depth": 1, "units": 8, "dropout": 0.2}),
        (recipes.recurrent, (5, 3), {"width": 4, "depth": 1}),
        (recipes.transformer_encoder, (5, 3), {"width": 4, "heads": 2, "depth": 1, "word_dropout": 0.1}),
        (recipes.vae, (8, 8, 1), {}),
    ],
)
def test_a_model_used_again_learns_as_a_new_one(factory, shape, options):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(320, *shape)).astype("float32")
    x = (x * 255).astype("uint8") if len(shape) == 3 else x
    data = recipes.data.load((x, rng.integers(0, 3, 320)), task="multiclass", validation=0.2, test=0, batch_size=32)
    arguments = factory.recipe.sizes(data) | options
    warm = WarmModels()
    first = warm.model(factory, arguments | {"learning_rate": 0.03}, seed=5)
    trained(first, data)
    arguments |= {"learning_rate": 0.01} | ({"dropout": 0.1} if "dropout" in factory.recipe.arguments else {})
    second = warm.model(factory, arguments, seed=5)
    assert second is first
    function = first.train_function
    again = trained(second, data.batched(4))
    new = WarmModels().model(factory, arguments, seed=5)
    assert second.train_function is not function, "for as many steps there are more in a call"
    fresh, plain = trained(new, data.batched(4)), trained(factory(**arguments, seed=5), data.batched(4))
    assert again[0] == fresh[0]
    for one, other, constant in zip(again[1], fresh[1], plain[1], strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, constant, rtol=1e-3, atol=1e-3)  # biases of keys: only noise moves them
    assert fingerprint(second) == fingerprint(new)
    assert second.recipe == new.recipe
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(second))
    assert fingerprint(again) == fingerprint(second)
    trained(warm.model(factory, arguments | {"learning_rate": 0.02}, seed=5), data)
    assert first.train_function is function, "it was traced anew"


@pytest.mark.skipif(not TENSORFLOW, reason="on TensorFlow alone")
def test_other_networks_seeds_and_settings_are_made_anew():
    warm = WarmModels()
    sizes = {"input_shape": (4,), "outputs": 3}
    one = warm.model(recipes.mlp, sizes | {"width": 8}, 0)
    assert warm.model(recipes.mlp, sizes | {"width": 16}, 0) is not one
    assert warm.model(recipes.mlp, sizes | {"width": 8}, 1) is not one
    assert warm.model(recipes.mlp, sizes | {"width": 8, "clip_norm": 1.0}, 0) is not one
    assert warm.model(recipes.mlp, sizes | {"width": 8, "dropout": 0.0}, 0) is not one
    assert warm.model(recipes.mlp, sizes | {"width": 8}, 0) is one
    assert warm.model(recipes.autoencoder, {"input_shape": (4,), "width": 8}, 0) is not one


@pytest.mark.skipif(not TENSORFLOW, reason="on TensorFlow alone")
def test_a_rate_that_is_more_than_one_of_dropout_is_made_anew(monkeypatch):
    monkeypatch.setattr(_contract, "REGISTRY", dict(_contract.REGISTRY))

    @recipes.recipe(data="rows")
    def own(input_shape: recipes.Shape, outputs: recipes.Size, task: recipes.Task, *, share: recipes.Rate = 0.2):
        inputs = keras.Input(input_shape)
        return recipes.head(inputs, keras.layers.Dropout(share)(inputs), task, outputs)

    warm, arguments = WarmModels(), {"input_shape": (4,), "outputs": 3, "task": "multiclass"}
    one = warm.model(own, arguments, 0)
    other = warm.model(own, arguments | {"share": 0.4}, 0)
    assert other is not one
    assert [layer.rate for layer in other.layers if isinstance(layer, keras.layers.Dropout)] == [0.4]
    assert warm.model(own, arguments | {"share": 0.4, "learning_rate": 0.1}, 0) is other


# ---- trials that end early -------------------------------------------------------------------------------------------


def test_the_median_rule_against_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        peers = [list(rng.uniform(size=rng.integers(1, 8))) for _ in range(rng.integers(0, 12))]
        curve = list(rng.uniform(size=rng.integers(1, 6)))
        reached = [max(peer[: len(curve)]) for peer in peers if len(peer) >= len(curve)]
        expected = len(reached) >= 5 and max(curve) < np.median(reached)
        assert behind_median(curve, peers, "max") == expected
        flipped = [[-v for v in peer] for peer in peers]
        assert behind_median([-v for v in curve], flipped, "min") == expected


def test_the_halving_rule_keeps_the_best_third_at_rungs():
    peers = [[score] * 9 for score in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert not behind_halving([0.45], peers, "max"), "second of six"
    assert behind_halving([0.35], peers, "max"), "third of six"
    assert not behind_halving([0.35, 0.35], peers, "max"), "2 epochs are no rung"
    assert behind_halving([0.35] * 3, peers, "max")
    assert not behind_halving([0.15], peers, "min")
    assert behind_halving([math.nan], peers, "max")
    assert not behind_halving([0.1], [], "max"), "the first trial is not behind anyone"


def test_pruned_trials_say_so(tmp_path):
    found = small(tmp_path, max_trials=12, epochs=6, patience=20, algorithm="halving", learning_rate=(1e-5, 1e-1))
    pruned = [trial for trial in found.trials if trial["message"]]
    assert pruned
    assert all("halving" in trial["message"] and trial["epochs"] < 6 for trial in pruned)
    assert all(trial["epochs"] in (1, 3) for trial in pruned)
    assert found.ranked[0] not in pruned


def test_sick_trials_are_stopped(tmp_path):
    found = small(tmp_path, doctor=True, algorithm="grid", max_trials=None, epochs=12, patience=20, width=8,
                  optimizer="sgd", learning_rate=[0.05, 500.0])  # fmt: skip
    well, sick = found.trials
    assert well["message"] == ""
    assert well["epochs"] == 12
    assert "stopped after epoch" in sick["message"]
    assert sick["epochs"] < 6


# ---- several seeds, earlier searches, other samplers -----------------------------------------------------------------


def test_the_score_of_several_executions_is_their_mean(tmp_path):
    found = small(tmp_path, executions_per_trial=3, max_trials=2)
    for trial in found.trials:
        assert len(trial["scores"]) == 3
        assert trial["score"] == pytest.approx(np.mean(trial["scores"]))
    spread = found.leaderboard()["spread"].iloc[0]
    assert spread == pytest.approx(np.std(found.ranked[0]["scores"], ddof=1))


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "tpe"])
def test_warm_start_tries_no_point_again(algorithm, tmp_path):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    grid = {"learning_rate": [0.001, 0.01, 0.1]}
    earlier = small(tmp_path / "1", max_trials=4, **grid)
    later = small(tmp_path / "2", algorithm=algorithm, max_trials=2, warm_start=earlier, **grid)
    points = [(t["values"]["width"], t["values"]["learning_rate"]) for t in earlier.trials + later.trials]
    assert len(set(points)) == 6
    both = [tmp_path / "1", tmp_path / "2"]
    done = small(tmp_path / "3", algorithm=algorithm, max_trials=None, warm_start=both, **grid)
    assert done.trials == []
    assert "nothing left" in done.ended


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe"])
def test_the_defaults_come_first(algorithm, tmp_path):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    options = {"width": [8, 24], "learning_rate": (1e-4, 1e-2), "batch_size": (16, 48), "dropout": (0.3, 0.6)}
    found = small(tmp_path, algorithm=algorithm, max_trials=2, **options)
    first, second = (trial["values"] for trial in found.trials)
    nearest = {"width": 24, "learning_rate": 1e-3, "dropout": 0.3}
    assert {name: first[name] for name in nearest} == pytest.approx(nearest)
    assert first != second


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe"])
def test_warm_start_guides(algorithm, tmp_path):
    if algorithm == "tpe":
        pytest.importorskip("optuna")
    options = {"width": 8, "learning_rate": (1e-6, 1e-1)}
    earlier = small(tmp_path / "1", max_trials=12, **options)
    later = small(tmp_path / "2", algorithm=algorithm, max_trials=3, warm_start=earlier, **options)
    rates = [trial["values"]["learning_rate"] for trial in earlier.trials]
    chosen = [trial["values"]["learning_rate"] for trial in later.trials]
    assert np.median(chosen) > 100 * np.median(rates), "most rates are too low to learn anything"


def test_tpe_finds_the_better_half_and_goes_on(tmp_path):
    pytest.importorskip("optuna")
    whole = small(tmp_path / "1", algorithm="tpe", max_trials=8)
    small(tmp_path / "2", algorithm="tpe", max_trials=4)
    again = small(tmp_path / "2", algorithm="tpe", max_trials=8)
    assert search_to_kill.told(again.trials) == search_to_kill.told(whole.trials)


def test_trials_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = small(tmp_path, max_trials=2, tensorboard=True)
    for trial in found.trials:
        seen = EventAccumulator(str(tmp_path / "tensorboard" / f"trial-{trial['trial']}"))
        seen.Reload()
        assert len(seen.Tensors("epoch_val_accuracy")) == trial["epochs"]
        assert "_hparams_/session_start_info" in seen.summary_metadata


def test_the_winner_is_retrained_on_all(tmp_path):
    data = search_to_kill.data()
    found = small(tmp_path)
    model = found.retrain(data)
    assert (tmp_path / "retrained.keras").exists()
    rows = np.concatenate([data.arrays("train")[0], data.arrays("validation")[0]])
    again = keras.saving.load_model(tmp_path / "retrained.keras")
    np.testing.assert_allclose(model.predict(rows, verbose=0), again.predict(rows, verbose=0), atol=1e-6)
    assert model.count_params() == found.ranked[0]["parameters"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pruning": "medain"}, "pruning must be.*'median'"),
        ({"doctor": 3}, "doctor must be"),
        ({"workers": 0}, "workers must be"),
        ({"keep": 0}, "keep must be"),
        ({"max_epochs": 0}, "max_epochs must be"),
        ({"target": "high"}, "target must be"),
        ({"executions_per_trial": 0}, "executions_per_trial must be"),
        ({"workers": 1, "strategy": object()}, "with workers= strategy"),
        ({"algorithm": "grid", "warm_start": "runs/1"}, "warm_start= is for"),
    ],
)
def test_bad_input_is_told_before_anything_starts(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        small(tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()
