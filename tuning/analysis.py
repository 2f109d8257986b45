"""What the trials of a search tell: which hyperparameter mattered, what failed, where to search next."""

import math

import numpy as np

#: With fewer completed trials than this nothing is said about importance.
LEAST_TRIALS = 10


def space_of(search):
    """The searched hyperparameters: dicts with `name` and `low`, `high`, `log`, or `name` and `values`.

    Of a search that did not note them, the trials themselves tell what was tried.
    """
    tried = {name for trial in search.trials for name in trial["values"]}
    return [entry for entry in search.space if entry["name"] in tried] or observed(search.trials)


def observed(trials):
    """The hyperparameters that vary over the trials, with the values that were tried."""
    space = []
    for name in dict.fromkeys(name for trial in trials for name in trial["values"]):
        values = [trial["values"][name] for trial in trials if name in trial["values"]]
        distinct = list(dict.fromkeys(values))
        if len(distinct) < 2:
            continue
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            low, high = min(values), max(values)
            space.append({"name": name, "low": low, "high": high, "log": low > 0 and high >= 10 * low})
        else:
            space.append({"name": name, "values": distinct})
    return space


def position(entry, value):
    """Where in its range a value lies, 0 to 1; None for a value that is not there."""
    if "values" in entry:
        values = entry["values"]
        return (values.index(value) + 0.5) / len(values) if value in values else None
    if value is None:
        return None
    low, high = entry["low"], entry["high"]
    if entry["log"]:
        low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def coordinates(space, ranked, objective):
    """Parallel coordinates: the axes, of which the last is the score; where each trial crosses them, 0 to 1; and how
    many of the trials, the best first, are the best tenth."""
    scores = [trial["score"] for trial in ranked]
    axes = [*space, {"name": objective, "low": min(scores), "high": max(scores), "log": False}]
    places = []
    for trial in ranked:
        values = trial["values"] | {objective: trial["score"]}
        found = [position(entry, values.get(entry["name"])) for entry in axes]
        places.append([0.5 if place is None else place for place in found])
    return axes, places, max(1, len(ranked) // 10)


def value_at(entry, place):
    """The number at a position of a range, to three digits."""
    low, high = entry["low"], entry["high"]
    value = low * (high / low) ** place if entry["log"] else low + (high - low) * place
    whole = isinstance(low, int) and isinstance(high, int)
    return round(value) if whole else float(f"{value:.3g}")


def history(search):
    """The course of the search: `trial`, `seconds` since its beginning, `score` and the `best` so far."""
    sign = 1 if search.direction == "max" else -1
    rows, clock, best = [], 0.0, None
    for trial in search.trials:
        clock += trial.get("seconds") or 0.0
        score = trial["score"]
        if score is not None and (best is None or sign * score > sign * best):
            best = score
        rows.append({"trial": trial["trial"], "seconds": round(clock, 2), "score": score, "best": best})
    return rows


def importance(search, space, seed=0):
    """How much worse a forest predicts the rank of a trial when one hyperparameter is shuffled.

    A random forest (Breiman, 2001, doi:10.1023/A:1010933404324) learns the ranks of the completed trials; each
    hyperparameter is shuffled in trials that it has not seen. 0 is no importance; a little below 0 is chance.

    Returns:
        A dict: `trust`, the share of the variance of ranks that the forest explains in trials it has not seen (R²),
        and `values`, dicts of `name`, `share` (the rise of the squared error over the variance) and `error` (its
        standard deviation over 10 divisions of the trials), the largest first. With fewer than 10 completed trials
        `trust` is None and `values` is empty.
    """
    trials = search.ranked
    if len(trials) < LEAST_TRIALS or not space:
        return {"trials": len(trials), "trust": None, "values": []}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import RepeatedKFold
    from threadpoolctl import threadpool_limits

    scores = np.array([trial["score"] for trial in trials])
    rank = np.searchsorted(np.sort(scores), scores, "left") + np.searchsorted(np.sort(scores), scores, "right")
    y = rank / (2 * len(trials))
    if y.std() == 0:
        return {"trials": len(trials), "trust": None, "values": []}
    columns, x = [], []
    for entry in space:
        values = [trial["values"].get(entry["name"]) for trial in trials]
        made = (
            [[float(value == one) for value in values] for one in entry["values"]]
            if "values" in entry
            else [[position(entry, value) or 0.0 for value in values]]
        )
        columns.append(list(range(len(x), len(x) + len(made))))
        x += made
    x, draw = np.array(x).T, np.random.default_rng(seed)
    rises, missed, spread = [], [], []
    for learnt, unseen in RepeatedKFold(n_splits=5, n_repeats=2, random_state=seed).split(x):
        with threadpool_limits(1):
            forest = RandomForestRegressor(40, min_samples_leaf=2, random_state=seed).fit(x[learnt], y[learnt])
        error = ((forest.predict(x[unseen]) - y[unseen]) ** 2).mean()
        missed.append(error)
        spread.append(((y[unseen] - y[learnt].mean()) ** 2).mean())
        row = []
        for own in columns:
            shuffled = []
            for _ in range(5):
                changed = x[unseen].copy()
                changed[:, own] = changed[draw.permutation(len(unseen))][:, own]
                shuffled.append(((forest.predict(changed) - y[unseen]) ** 2).mean() - error)
            row.append(np.mean(shuffled) / y.var())
        rises.append(row)
    rises = np.array(rises)
    values = [
        {"name": entry["name"], "share": float(mean), "error": float(deviation)}
        for entry, mean, deviation in zip(space, rises.mean(0), rises.std(0), strict=True)
    ]
    values.sort(key=lambda row: -row["share"])
    return {"trials": len(trials), "trust": float(1 - np.mean(missed) / np.mean(spread)), "values": values}


def failures(search, space):
    """Sentences on what the failed trials have in common that no completed one has."""
    failed = [trial for trial in search.trials if trial["status"] != "completed"]
    if len(failed) < 2:
        return []
    found = []
    for entry in space:
        name = entry["name"]
        bad = {trial["values"].get(name) for trial in failed}
        good = {trial["values"].get(name) for trial in search.ranked}
        if len(bad) == 1 and not bad & good:
            found.append(f"All {len(failed)} failed trials have {name}={bad.pop()}, and no completed one has.")
    return found


def advice(search, space):
    """Where to search next: sentences, and the ranges by name to give to `tuning.search`."""
    ranked, told, ranges = search.ranked, failures(search, space), {}
    if not ranked:
        return [*told, "No trial was completed: mend what failed first."], ranges
    best, count = ranked[0], max(3, math.ceil(len(ranked) / 4))
    if best["best_epoch"] and best["best_epoch"] == best["epochs"]:
        told.append("The best trial was best in its last epoch: let trials run for more epochs.")
    if len(ranked) < 8:
        told.append(f"{len(ranked)} completed trials are too few to tell where to search next: run more.")
        return told, ranges
    top = ranked[:count]
    for entry in space:
        sentence = _choice(entry, ranked, top) if "values" in entry else _range(entry, top, ranges)
        told += [sentence] if sentence else []
    place = search.trials.index(best)
    since = len(search.trials) - 1 - place
    if since < len(search.trials) / 5:
        told.append(f"The best score came late, in trial {best['trial']} of {len(search.trials)}: go on searching.")
    elif since >= len(search.trials) / 2:
        told.append(f"The last {since} trials found nothing better: more of the same search will hardly help.")
    return told, ranges


def _range(entry, top, ranges):
    name = entry["name"]
    places = [position(entry, trial["values"][name]) for trial in top if name in trial["values"]]
    if not places or entry["low"] == entry["high"]:
        return None
    middle = float(np.median(places))
    for at_end, end, far in ((places[0] <= 0.1 and middle <= 0.25, "low", -0.5),
                             (places[0] >= 0.9 and middle >= 0.75, "high", 1.5)):  # fmt: skip
        if at_end and not (end == "low" and entry["low"] == 0):
            beyond = value_at(entry, far)
            if end == "low" and entry["low"] > 0 >= beyond:
                beyond = type(entry["low"])(max(entry["low"] / 2, 1 if isinstance(entry["low"], int) else 0))
            if beyond != entry[end]:
                kept = value_at(entry, 0.5)
                ranges[name] = (beyond, kept) if end == "low" else (kept, beyond)
                side = "lower" if end == "low" else "upper"
                return (
                    f"{name}: the best trials lie at the {side} end ({entry[end]}): widen the range, for example to "
                    f"{ranges[name][0]} to {ranges[name][1]}."
                )
    low, high = max(min(places) - 0.05, 0), min(max(places) + 0.05, 1)
    if high - low <= 0.5 and len(places) >= 4:
        ends = value_at(entry, low), value_at(entry, high)
        if ends[0] < ends[1]:
            ranges[name] = ends
            return f"{name}: the best quarter of the trials lies between {ends[0]} and {ends[1]}: narrow it to that."
    return None


def _choice(entry, ranked, top):
    name = entry["name"]
    in_top = [trial["values"].get(name) for trial in top]
    value = max(entry["values"], key=in_top.count)
    whole = [trial["values"].get(name) for trial in ranked]
    often, usual = in_top.count(value), whole.count(value) / len(whole)
    # As likely as one in twenty if the value did not matter.
    chance = sum(math.comb(len(top), k) * usual**k * (1 - usual) ** (len(top) - k) for k in range(often, len(top) + 1))
    if usual < 1 and chance < 0.05:
        return f"{name}: {often} of the {len(top)} best trials have {value!r}: fix it."
    return None
