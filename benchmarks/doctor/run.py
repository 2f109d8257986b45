"""How often the training doctor is right: sick programs and healthy ones that look sick.

    python benchmarks/doctor/run.py dev --seeds 1 --processes 2 --out results.jsonl
    python benchmarks/doctor/run.py test --seeds 5 --out results.jsonl
    python benchmarks/doctor/run.py --table results.jsonl

A sick program counts where its validation score is below that of its healthy twin by 0.05 or more, where `fit` fails,
or where its fault is one that a score does not show; a healthy one where it is not below by 0.15 or more. Thresholds
were chosen on the half "dev" alone.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
import traceback
import warnings

#: How far below its twin's a score is worse.
MARGIN = 0.05


def names(half):
    from faults import HEALTHY, SICK
    from programs import DEFAULTS, FAMILIES, HALVES

    for family, own in FAMILIES.items():
        if HALVES[family] == half:
            for case in [*HEALTHY, *SICK]:
                if case.fits(DEFAULTS | own):
                    yield family, case.name


def run(job):
    """Trains one program with the doctor; a dict of what came out."""
    family, name, seed, remedies = job
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    import keras
    import numpy as np
    from baselines import ALL, Watched
    from faults import HEALTHY, SICK
    from programs import DEFAULTS, FAMILIES, Program

    from keras_cookbook import callbacks
    from keras_cookbook.callbacks.doctor.findings import by_severity
    from keras_cookbook.callbacks.doctor.remedies import score

    keras.backend.clear_session()
    case = next(case for case in [*HEALTHY, *SICK] if case.name == name)
    program = Program(family, case.options(DEFAULTS | FAMILIES[family]), seed)
    doctor = callbacks.TrainingDoctor(tell=False)
    history, failed, began = {}, None, time.monotonic()
    try:
        history = callbacks.fit(program.model, **program.fitting(), callbacks=[doctor]).history
    except Exception as error:  # labels that do not fit: TensorFlow's own words
        failed = f"{type(error).__name__}: {error}"[:200]
    seconds = time.monotonic() - began
    measured = score(program.model, program.x_val, program.y_val)
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
            record["after"] = trial.after
        except Exception as error:
            record["remedy_failed"] = f"{type(error).__name__}: {error}"[:200]
    return json.loads(json.dumps(record, default=lambda value: np.asarray(value).tolist()))


def attempt(job):
    try:
        return run(job)
    except Exception:
        return {"family": job[0], "case": job[1], "seed": job[2], "broken": traceback.format_exc()[-1500:]}


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson, 1927, doi:10.1080/01621459.1927.10502953)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle, spread = share + z * z / 2 / count, z * math.sqrt(share * (1 - share) / count + z * z / 4 / count**2)
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def share(hits) -> str:
    hits = list(hits)
    low, high = wilson(sum(hits), len(hits))
    told = f"{sum(hits) / len(hits):.1%}" if hits else "none"
    return f"{told} ({low:.0%} to {high:.0%}; {sum(hits)} of {len(hits)})"


def judge(records):
    """The records that count, each with `sick`."""
    twins = {(r["family"], r["seed"]): r["score"] for r in records if r.get("case") == "as it is"}
    for record in records:
        twin = twins.get((record["family"], record["seed"]))
        if "broken" in record or twin is None:
            continue
        record["twin"] = twin
        value = record["score"]
        worse = value is None or value != value or value < twin - MARGIN
        record["sick"] = record["tier"] != "H"
        shows = worse or record["silent"] or record["failed"]
        if shows if record["sick"] else value is not None and value >= twin - 3 * MARGIN:
            yield record


def located(record) -> bool:
    _, _, layer, argument, *_ = record["found"][0]
    hidden = "hidden" in record["where"] and str(layer).startswith("hidden")
    return hidden or layer in record["where"] or argument in record["where"]


def table(path, verbose):
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    counted = list(judge(records))
    broken = [r for r in records if "broken" in r]
    sick, healthy = [r for r in counted if r["sick"]], [r for r in counted if not r["sick"]]
    seen = [r for r in sick if r["found"]]
    print(f"{len(records)} runs; {len(sick)} sick and {len(healthy)} healthy ones count; {len(broken)} broke.\n")
    print("| | sick: alarm | healthy: alarm |\n|---|---|---|")
    print(f"| the doctor | {share(bool(r['found']) for r in sick)} | {share(bool(r['found']) for r in healthy)} |")
    for name in sick[0]["alarms"]:
        print(f"| {name} | {share(r['alarms'][name] for r in sick)} | {share(r['alarms'][name] for r in healthy)} |")
    right = [bool(r["found"]) and r["found"][0][1] in r["categories"] for r in sick]
    print(f"\nRight category first: {share(right)}")
    print(f"Located: {share(bool(r['found']) and located(r) for r in sick)}")
    curable = [r for r in sick if not r["silent"]]
    cured = [
        r.get("after") is not None and r["after"] == r["after"] and r["after"] >= r["twin"] - MARGIN for r in curable
    ]
    tried = any("after" in r for r in curable)
    print(f"Cured by the first remedy: {share(cured) if tried else 'not tried'}")
    epochs = sorted(min(f[4] or 0 for f in r["found"]) for r in seen)
    print(f"Median epoch of the first finding (0 is before training): {epochs[len(epochs) // 2]}")
    for tier in "BC":
        print(f"Tier {tier}: {share(bool(r['found']) for r in sick if r['tier'] == tier)}")
    if verbose:
        _tell(healthy, sick, right, curable, cured, broken, records, counted)


def _tell(healthy, sick, right, curable, cured, broken, records, counted):
    def lines(title, chosen, what):
        print(f"\n{title}")
        for r in chosen:
            print(f"  {r['family']:9} {r['case']:36} {r['seed']} {what(r)}")

    def codes(r):
        return [f"{f[0]}@{f[4]}" for f in r["found"]]

    lines("False alarms", [r for r in healthy if r["found"]], codes)
    lines("Missed", [r for r in sick if not r["found"]], lambda r: (r["score"], r["twin"], r["loss"][-3:]))
    wrong = [r for r, fine in zip(sick, right, strict=True) if r["found"] and not fine]
    lines("Another category", wrong, lambda r: (r["categories"], codes(r)))
    lines("Not located", [r for r in sick if r["found"] and not located(r)], lambda r: (r["where"], r["found"][0][:4]))
    left = [r for r, fine in zip(curable, cured, strict=True) if r["found"] and not fine]
    lines(
        "Not cured", left, lambda r: (codes(r)[:2], r.get("remedy"), r.get("after"), r["twin"], r.get("remedy_failed"))
    )
    lines("Broken", broken, lambda r: r["broken"][-300:])
    out = [r for r in records if "broken" not in r and r not in counted]
    lines("Not counted", out, lambda r: (r["tier"], r["score"], r.get("twin"), codes(r)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", nargs="?", choices=("dev", "test"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", default="doctor.jsonl")
    parser.add_argument("--only", default="", help="words in the name of the family or case")
    parser.add_argument("--no-remedies", action="store_true")
    parser.add_argument("--table", metavar="FILE", help="prints the table of results, and runs nothing")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    if given.table:
        return table(given.table, given.verbose)
    if not given.half:
        parser.error("say dev or test")
    jobs = [(*name, seed, not given.no_remedies) for seed in range(given.seeds) for name in names(given.half)]
    jobs = [job for job in jobs if given.only in job[0] or given.only in job[1] or job[1] == "as it is"]
    with open(given.out, "a", encoding="utf-8") as out:  # what is done is not done again
        done = _done(given.out)
        jobs = [job for job in jobs if job[:3] not in done]
        context = multiprocessing.get_context("spawn")
        with context.Pool(given.processes, maxtasksperchild=40) as pool:
            for number, record in enumerate(pool.imap(attempt, jobs)):
                out.write(json.dumps(record) + "\n")
                out.flush()
                print(f"\r{number + 1} of {len(jobs)}", end="", file=sys.stderr)
    return table(given.out, given.verbose)


def _done(path) -> set:
    with open(path, encoding="utf-8") as lines:
        return {(r["family"], r["case"], r["seed"]) for r in map(json.loads, lines)}


if __name__ == "__main__":
    main()
