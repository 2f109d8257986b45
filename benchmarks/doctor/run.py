"""How often the training doctor is right: sick programs and healthy ones that look sick.

    python benchmarks/doctor/run.py dev --processes 2 --out results.jsonl
    python benchmarks/doctor/run.py test --seeds 5 --remedies 1 --out results.jsonl
    python benchmarks/doctor/run.py --table results.jsonl

Tier A are programs that people asked about (real.py), B and C faults and symptoms that are injected into base programs
(programs.py, faults.py), D what goes wrong in modern trainings (modern.py). Each has a part for development, on which
alone thresholds are chosen, and one for the test: by question, by family, by kind.

A sick program counts where its score is below that of its healthy twin by 0.05 or more, where `fit` fails, or where its
fault is one that a score does not show; a healthy one where it is not below by 0.15 or more.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
import warnings

from results import table

HALVES = ("dev", "test")


def entries(half):
    """A module, a family's name and a `Case`, of each program."""
    import modern
    import programs
    import real

    for module in (real, programs, modern):
        yield from ((module, family, case) for family, case in module.names(half))


def names(half):
    """Pairs of the names of a family and of a case."""
    for _, family, case in entries(half):
        yield family, case.name


def find(family, name):
    for half in HALVES:
        for module, own, case in entries(half):
            if (own, case.name) == (family, name):
                return module, case
    raise ValueError(f"there is no {name!r} of {family!r}")


def run(job):
    """Trains one program with the doctor; a dict of what came out."""
    family, name, seed, remedies = job
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    import keras
    import numpy as np
    from baselines import ALL, Watched

    from keras_cookbook import callbacks
    from keras_cookbook.callbacks.doctor.findings import by_severity

    _quicker()
    keras.backend.clear_session()
    module, case = find(family, name)
    program = module.program(family, case, seed)
    doctor = callbacks.TrainingDoctor(tell=False)
    history, failed, began = {}, None, time.monotonic()
    try:
        history = callbacks.fit(program.model, **program.fitting(), callbacks=[doctor]).history
    except Exception as error:  # labels that do not fit: TensorFlow's own words
        failed = f"{type(error).__name__}: {error}"[:200]
    seconds = time.monotonic() - began
    measured = program.score()
    found = by_severity(f for f in doctor.findings if f.severity != "note")
    watched = Watched(program, doctor.looks, history, measured)
    record = {
        "family": family, "case": name, "tier": case.tier, "seed": seed, "silent": case.silent, "failed": failed,
        "score": measured, "seconds": seconds, "categories": case.categories, "where": case.where,
        "found": [[f.code, f.category, f.layer, f.argument, f.epoch, f.step, f.severity, f.confidence] for f in found],
        "alarms": {name: bool(rule(watched)) for name, rule in ALL.items()},
        "loss": [float(v) for v in history.get("loss", [])],
        "val_loss": [float(v) for v in history.get("val_loss", [])],
    }  # fmt: skip
    if remedies and found and case.tier != "H":
        try:
            trial = doctor.try_remedy()
            record["remedy"] = {name: str(value) for name, value in trial.changes.items()}
            record["after"] = program.score_of(trial)
        except Exception as error:
            record["remedy_failed"] = f"{type(error).__name__}: {error}"[:200]
    return json.loads(json.dumps(record, default=lambda value: np.asarray(value).tolist()))


def _quicker():
    """Leaves out what takes TensorFlow longer than it saves with small programs: graphs are not rewritten, and Keras'
    pipelines are not tuned, for which the end of an epoch may wait."""
    import tensorflow as tf
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    from keras_cookbook.recipes.data.splits import untuned

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    tuned = ArrayDataAdapter.get_tf_dataset
    if tuned.__name__ == "get_tf_dataset":
        ArrayDataAdapter.get_tf_dataset = lambda self: untuned(tuned(self))


def attempt(job):
    try:
        return run(job)
    except Exception:
        return {"family": job[0], "case": job[1], "seed": job[2], "broken": traceback.format_exc()[-1500:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", nargs="?", choices=HALVES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", default="doctor.jsonl")
    parser.add_argument("--only", default="", help="words in the name of the family or case")
    parser.add_argument("--tiers", default="ABCD", help="such as AD; healthy twins come along")
    parser.add_argument("--remedies", type=int, metavar="N", help="are tried for the first N seeds only")
    parser.add_argument("--no-remedies", action="store_const", const=0, dest="remedies")
    parser.add_argument("--table", metavar="FILE", help="prints the table of results, and runs nothing")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    if given.table:
        return table(given.table, given.verbose)
    if not given.half:
        parser.error("say dev or test")
    chosen = list(_chosen(given.half, given.only, given.tiers))
    tried = given.seeds if given.remedies is None else given.remedies
    with open(given.out, "a", encoding="utf-8") as out:  # what is done is not done again
        done = _done(given.out)
        jobs = [(*name, seed, seed < tried) for seed in range(given.seeds) for name in chosen]
        jobs = [job for job in jobs if job[:3] not in done]
        context = multiprocessing.get_context("spawn")
        with context.Pool(given.processes, maxtasksperchild=40) as pool:
            for number, record in enumerate(pool.imap(attempt, jobs)):
                out.write(json.dumps(record) + "\n")
                out.flush()
                print(f"\r{number + 1} of {len(jobs)}", end="", file=sys.stderr)
    return table(given.out, given.verbose)


def _chosen(half, words, tiers):
    """Names of programs, with the healthy twins of those that are asked for."""
    found = list(entries(half))
    asked = {family for _, family, case in found if case.tier in tiers}
    wanted = [
        (family, case.name)
        for _, family, case in found
        if (case.tier in tiers or (case.tier == "H" and family in asked)) and (words in family or words in case.name)
    ]
    families = {family for family, _ in wanted}
    twins = [(family, "as it is") for _, family, case in found if case.name == "as it is" and family in families]
    return dict.fromkeys([*twins, *wanted])


def _done(path) -> set:
    with open(path, encoding="utf-8") as lines:
        return {(r["family"], r["case"], r["seed"]) for r in map(json.loads, lines)}


if __name__ == "__main__":
    main()
