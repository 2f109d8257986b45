"""A search whose trials run on the workers of a Dask cluster, as on several machines."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import search_to_kill
from test_survival import searched

from keras_cookbook import recipes, tuning

distributed = pytest.importorskip("distributed")


def test_an_address_without_a_scheduler(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"workers=.*no scheduler.*dask scheduler"):
        tuning.search(recipes.mlp, "iris", workers="127.0.0.1:x", folder=tmp_path, progress=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "keras_cookbook.tuning.trials.hosts", raising=False)
    with pytest.raises(ImportError, match=r"keras-cookbook\[dask\]"):
        tuning.search(recipes.mlp, "iris", workers="tcp://127.0.0.1:1", folder=tmp_path, progress=False)


def told(folder):
    """What came out of each trial, by its number."""
    trials = json.loads((folder / "search.json").read_text())["trials"]
    return {trial["trial"]: (trial["values"], trial["score"], trial["message"]) for trial in trials}


def dask(role, *arguments, **options):
    command = [sys.executable, "-m", f"distributed.cli.dask_{role}", *arguments, "--no-dashboard"]
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, **options)


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and two workers that have no folder in common."""
    begun = tmp_path / "scheduler.json"
    scheduler = dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(begun))
    until = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.05)
    address = json.loads(begun.read_text())["address"]
    one_trial = [address, "--nthreads", "1"]
    # Without a nanny, which would begin another in place of one that was killed.
    workers = [
        dask("worker", *one_trial, "--no-nanny", "--local-directory", str(tmp_path / f"host-{number}"))
        for number in range(2)
    ]
    with distributed.Client(address) as client:
        client.wait_for_workers(2, timeout=120)
    yield address, workers
    for process in [scheduler, *workers]:
        process.kill()
        process.wait()


def ended(folder):
    try:
        return len(json.loads((folder / "search.json").read_text())["trials"])
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_workers_and_the_search_itself_are_killed(cluster, tmp_path):
    """Nothing is lost, and each trial comes out as in one process that was never interrupted."""
    address, workers = cluster
    options = {"algorithm": "random", "max_trials": 16}
    search_to_kill.run(tmp_path / "whole", **options)
    folder = tmp_path / "search"

    def until(count, process):
        while ended(folder) < count:
            assert process.is_alive() or ended(folder) >= count, "the search ended"
            time.sleep(0.02)

    first = searched(folder, workers=address, **options)
    until(3, first)
    workers[0].kill()
    until(7, first)
    first.kill()
    first.join()
    assert ended(folder) < 16
    again = searched(folder, workers=address, **options)
    again.join()
    assert again.exitcode == 0
    assert told(folder) == told(tmp_path / "whole")
    found = tuning.Search.load(folder)
    assert sorted(trial["trial"] for trial in found.trials) == list(range(1, 17))
    assert sorted(os.listdir(folder)) == ["best.keras", "result.json", "search.json"]
    accuracy = found.best_model().evaluate(search_to_kill.data().validation, return_dict=True, verbose=0)["accuracy"]
    assert accuracy == pytest.approx(found.best_score, abs=1e-6)
    with distributed.Client(address) as client:
        (plugins,) = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
        assert not [name for name in plugins if name.startswith("keras_cookbook")]


def test_trials_that_fail_do_not_end_the_search(tmp_path):
    """On a cluster of threads of this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address=None
    ) as local:
        found = tuning.search(
            recipes.mlp, search_to_kill.data(), folder=tmp_path, algorithm="grid", progress=False, max_trials=None,
            workers=local.scheduler_address, epochs=2, callbacks=[search_to_kill.Fails()], width=8, depth=1,
            activation="relu", dropout=0.0, batch_size=64, learning_rate=[0.01, 0.010001, 0.010005, 0.010003],
        )  # fmt: skip
    messages = [trial["message"] for trial in sorted(found.trials, key=lambda trial: trial["values"]["learning_rate"])]
    expected = ["ValueError: it was told to fail", "MemoryError", "FloatingPointError", ""]
    assert all(part in message for part, message in zip(expected, messages, strict=True))
    assert messages[3] == ""
    assert found.best_path.exists()
