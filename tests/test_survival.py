"""A search that is killed, fails, or runs out of its budget."""

import json
import os
import random

import keras
import pytest
import search_to_kill
from processes import forked

from keras_cookbook import recipes, tuning

ALGORITHMS = ("random", "bayesian", "hyperband", "halving")


def searched(folder, **options):
    process = forked().Process(target=search_to_kill.run, args=(str(folder),), kwargs=options)
    process.start()
    return process


def killed_until_done(folder, kills, rng, longest, **options):
    """Searches in processes that are killed at random moments; returns how many were."""
    killed = 0
    while True:
        process = searched(folder, **options)
        if killed < kills:
            process.join(rng.uniform(0.2, longest))
        else:
            process.join()
        if process.exitcode is None:
            process.kill()
            process.join()
            killed += 1
            if folder.exists():  # what a kill leaves while `search.json` is written
                (folder / ".search.unfinished-1.json").touch()
            continue
        assert process.exitcode == 0
        return killed


def check_kills(tmp_path, kills, algorithm, longest, trials):
    options = {"algorithm": algorithm, "max_trials": trials}
    assert killed_until_done(tmp_path / "whole", 0, random.Random(0), longest, **options) == 0
    killed = killed_until_done(tmp_path / "killed", kills, random.Random(1), longest, **options)
    whole, again = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "killed"))
    assert again == whole
    numbers = [trial["trial"] for trial in again["trials"]]
    assert numbers == list(range(1, len(numbers) + 1)), "a trial is lost, or was run twice"
    assert sorted(os.listdir(tmp_path / "killed")) == ["best.keras", "result.json", "search.json"]
    return killed


def test_killed_now_and_then(tmp_path):
    assert check_kills(tmp_path, 2, "random", longest=3, trials=6) >= 1  # a quick machine may have done by the second


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_many_times(algorithm, tmp_path):
    """With KERAS_COOKBOOK_KILLS=50 that many kills in 30 trials of each."""
    kills = int(os.environ.get("KERAS_COOKBOOK_KILLS", "5"))
    assert check_kills(tmp_path, kills, algorithm, longest=3, trials=max(16, min(30, kills))) >= kills // 2  # as above


@pytest.mark.parametrize("workers", [None, 2])
def test_a_killed_search_goes_on_with_its_trials(workers, tmp_path):
    """Also with workers, where the order of trials is theirs."""
    killed = killed_until_done(tmp_path, 1, random.Random(0), 12 if workers else 5, workers=workers, max_trials=12)
    found = tuning.Search.load(tmp_path)
    assert killed <= 1
    assert sorted(trial["trial"] for trial in found.trials) == list(range(1, 13))
    assert not found.running


# ---- failures --------------------------------------------------------------------------------------------------------


def test_trials_that_fail_do_not_end_the_search(tmp_path):
    rates = [(10_000 + number) / 1e6 for number in range(16)]
    found = tuning.search(
        recipes.mlp, search_to_kill.data(), folder=tmp_path, algorithm="grid", progress=False, max_trials=None,
        workers=2, epochs=2, callbacks=[search_to_kill.Fails()], width=8, depth=1, activation="relu", dropout=0.0,
        batch_size=64, learning_rate=rates,
    )  # fmt: skip
    assert len(found.trials) == 16
    ended = {round(trial["values"]["learning_rate"] * 1e6) - 10_000: trial["message"] for trial in found.trials}
    reasons = ("ValueError: it was told to fail", "MemoryError", "its process ended: killed", "FloatingPointError")
    for number, message in ended.items():
        assert reasons[number % 10] in message if number % 10 < 4 else message == ""
    accuracy = found.best_model().evaluate(search_to_kill.data().validation, return_dict=True, verbose=0)["accuracy"]
    assert accuracy == pytest.approx(found.best_score, abs=1e-6)


def failing():
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / 0)


def test_ten_failures_for_the_same_reason_end_it(tmp_path):
    with pytest.raises(RuntimeError, match=r"10 trials in a row failed.*ZeroDivisionError"):
        tuning.search(
            recipes.mlp, "iris", folder=tmp_path, algorithm="random", max_trials=30, epochs=1, progress=False,
            callbacks=lambda: [failing()],
        )  # fmt: skip
    assert len(tuning.Search.load(tmp_path).trials) == 10


def test_what_cannot_be_sent_to_workers_is_told(tmp_path):
    import threading

    class Locked(keras.callbacks.Callback):
        lock = threading.Lock()

        def __deepcopy__(self, memo):
            return self

    locked = Locked()
    locked.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"workers=.*cannot be"):
        tuning.search(recipes.mlp, "iris", folder=tmp_path, workers=1, callbacks=[locked], progress=False)


# ---- budgets ---------------------------------------------------------------------------------------------------------


def small(folder, **options):
    space = {"width": [4, 8], "depth": 1, "activation": "relu", "dropout": 0.0, "batch_size": 64, "epochs": 3}
    return tuning.search(
        recipes.mlp, search_to_kill.data(), folder=folder, progress=False,
        **{"algorithm": "random", "max_trials": 4} | space | options,
    )  # fmt: skip


def test_epochs_of_all_trials_together(tmp_path):
    found = small(tmp_path, max_trials=None, max_epochs=8)
    assert sum(trial["epochs"] for trial in found.trials) == 8
    assert [trial["epochs"] for trial in found.trials] == [3, 3, 2]
    assert "epochs" in found.ended


def test_a_target_ends_it(tmp_path):
    found = small(tmp_path, max_trials=50, target=0.5, epochs=20)
    assert "target" in found.ended
    assert found.best_score >= 0.5
    assert len(found.trials) < 50
    assert found.trials[-1]["curve"][-1] >= 0.5
    assert all(score < 0.5 for trial in found.trials for score in trial["curve"][:-1])


def test_larger_limits_go_on(tmp_path):
    first = small(tmp_path)
    again = small(tmp_path)
    assert again.trials == first.trials
    more = small(tmp_path, max_trials=6)
    assert more.trials[:4] == first.trials
    assert len(more.trials) == 6
    whole = small(tmp_path / "whole", max_trials=6)
    assert search_to_kill.told(whole.trials) == search_to_kill.told(more.trials)


def test_another_search_in_the_folder_is_told(tmp_path):
    small(tmp_path)
    with pytest.raises(ValueError, match="holds a search with seed=0, and this one has seed=1"):
        small(tmp_path, seed=1)


def test_the_best_models_are_kept_and_no_others(tmp_path):
    found = small(tmp_path, max_trials=6, keep=2)
    best = [f"trial-{trial['trial']}.keras" for trial in found.ranked[:2]]
    assert sorted(os.listdir(tmp_path)) == sorted(["best.keras", "search.json", *best])


def test_hours_count_over_interrupts(tmp_path):
    found = small(tmp_path)
    assert found.elapsed > 0
    again = small(tmp_path, max_trials=None, max_hours=found.elapsed / 3600)
    assert again.events == found.events
    assert again.ended == "The time is up."
    assert len(again.trials) == 4
