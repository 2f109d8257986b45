"""The report of a search: leaderboard, history, what mattered, what failed, where to search next."""

from datetime import UTC, datetime

from keras_cookbook.callbacks.report import facts as known
from keras_cookbook.callbacks.report import markup, write_report
from keras_cookbook.callbacks.report.verdict import duration

from . import analysis, parallel, plots
from .result import Search

#: Raised when the layout of report.json changes.
VERSION = 1


def write_search_report(search):
    """Writes `report.html`, one file that loads nothing, and the same as data, `report.json`, beside `search.json`.

    Args:
        search: a `Search`, or the folder of one.

    Returns:
        The path of the HTML file.

    Raises:
        OSError: a file could not be written; an earlier one is untouched.
    """
    search = search if isinstance(search, Search) else Search.load(search)
    return write_report(search_report(search), search.folder, search_page)


def search_report(search):
    """All that the report says, as a dict of plain values."""
    space = analysis.space_of(search)
    told, ranges = analysis.advice(search, space)
    seconds = [trial["seconds"] or 0.0 for trial in search.trials]
    failed = [trial for trial in search.trials if trial["status"] != "completed"]
    report = {
        "kind": "search",
        "version": VERSION,
        "title": f"Search of {search.recipe} on {search.data}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": [],
        "search": {key: getattr(search, key) for key in ("recipe", "data", "objective", "direction", "ended")},
        "space": space,
        "trials": search.trials,
        "ranking": [trial["trial"] for trial in search.ranked],
        "history": analysis.history(search),
        "importance": analysis.importance(search, space),
        "advice": told,
        "next": ranges,
        "cost": {
            "seconds": round(sum(seconds), 1),
            "longest": round(max(seconds, default=0.0), 1),
            "epochs": sum(trial["epochs"] or 0 for trial in search.trials),
            "failed": len(failed),
        },
        "versions": known.versions(),
        "hardware": known.hardware(),
    }
    report["verdict"] = list(_verdict(report))
    return report


def _verdict(report):
    search, cost, trials = report["search"], report["cost"], report["trials"]
    failed = f"; {cost['failed']} of them failed" if cost["failed"] else ""
    plural = "trial" if len(trials) == 1 else "trials"
    yield (
        f"{len(trials)} {plural} of {search['recipe']} on {search['data']} took {duration(cost['seconds'])}{failed}."
    )
    if not report["ranking"]:
        yield "No trial was completed."
        return
    best = next(trial for trial in trials if trial["trial"] == report["ranking"][0])
    names = [entry["name"] for entry in report["space"]]
    values = ", ".join(f"{name} {markup.number(best['values'].get(name))}" for name in names)
    where = f"in trial {best['trial']}{': ' * bool(values)}{values}"
    yield f"The best {search['objective']} is {best['score']:.4g}, {where}."
    yield "It was judged by the rows that chose it, so it flatters a little: the test split tells."
    found = report["importance"]
    if found["trust"] is not None and found["trust"] > 0.1 and found["values"][0]["share"] > 0:
        yield f"What mattered most was {found['values'][0]['name']}."
    elif len(trials) > 1:
        yield "What mattered cannot be told from these trials."


def _trust(found):
    if found["trust"] is None:
        return (
            f"{found['trials']} completed trials are too few to tell what mattered; {analysis.LEAST_TRIALS} are needed."
        )
    sure = "well" if found["trust"] > 0.5 else "roughly" if found["trust"] > 0.1 else "not at all"
    more = " Take the bars as noise." if sure == "not at all" else ""
    return (
        f"A random forest learnt the rank of {found['trials']} trials from their hyperparameters. On trials that it "
        f"had not seen it predicts the rank {sure} (R² {found['trust']:.2f}).{more} A bar is how much the error rises, "
        "in units of the variance, when the hyperparameter is shuffled; the line is its standard deviation."
    )


def search_page(report):
    """The HTML of a search's report, made from what `report.json` holds and nothing else."""
    search, trials = report["search"], {trial["trial"]: trial for trial in report["trials"]}
    ranked = [trials[number] for number in report["ranking"]]
    failed = [trial for trial in report["trials"] if trial["status"] != "completed"]
    names = [entry["name"] for entry in report["space"]]
    fixed = {k: v for k, v in (ranked or failed)[0]["values"].items() if k not in names} if trials else {}
    found = report["importance"]
    sections = [
        markup.section("leaderboard", "Leaderboard", _leaderboard(ranked, names, search["objective"])),
        markup.section(
            "parallel",
            "All trials at once",
            parallel.parallel_coordinates(report["space"], ranked, search["objective"]),
        ),
        markup.section("history", "Over time", _history(report)),
        markup.section("importance", "What mattered", *_importance(found)),
        markup.section("next", "Where to search next", *_next(report)),
        markup.section("failed", "What failed", _failed(failed, names)),
        markup.section(
            "setup",
            "How it was made",
            markup.tables(
                markup.facts("Search", search | {f"fixed {name}": value for name, value in fixed.items()}),
                markup.facts("Space", {entry["name"]: _range(entry) for entry in report["space"]}),
                markup.facts("Versions", report["versions"]),
                markup.facts("Hardware", report["hardware"]),
            ),
        ),
    ]
    cost = report["cost"]
    summary = {f"best {search['objective']}": float(ranked[0]["score"])} if ranked else {}
    summary |= {"trials": len(trials), "failed": cost["failed"], "epochs": cost["epochs"]}
    summary |= {"time in trials": duration(cost["seconds"]), "longest trial": duration(cost["longest"])}
    foot = f"{report['created'][:16].replace('T', ' ')} UTC. Made by keras_cookbook. As data: report.json, search.json."
    return markup.document(
        report["title"], report["verdict"], markup.cards(summary), sections, foot, parallel.SCRIPT, parallel.STYLE
    )


def _leaderboard(ranked, names, objective, shown=15):
    if not ranked:
        return "<p>No trial was completed.</p>"
    columns = ["rank", "trial", objective, *names, "best epoch", "weights", "seconds"]
    rows = [
        [
            *(place + 1, trial["trial"], trial["score"]),
            *(trial["values"].get(name) for name in names),
            *(trial["best_epoch"], trial["parameters"], round(float(trial["seconds"]), 1)),
        ]
        for place, trial in enumerate(ranked)
    ]
    marks = [f'data-trial="{trial["trial"]}"' for trial in ranked]
    made = markup.table("The best trials", columns, rows[:shown], ours=0, attributes=marks[:shown])
    if len(rows) > shown:
        rest = markup.table("The other trials", columns, rows[shown:], attributes=marks[shown:])
        made += markup.details(f"The other {len(rows) - shown}", rest)
    return made


def _history(report):
    rows = [row for row in report["history"] if row["score"] is not None]
    if not rows:
        return ""
    label = f"score of {len(rows)} trials over time; the best is {rows[-1]['best']:.4g}"
    drawn = plots.history(report["history"])
    drawn.axes[0].set_ylabel(report["search"]["objective"])
    return markup.figures(markup.figure(drawn, "history-plot", label, report["search"]["ended"]))


def _importance(found):
    if found["values"]:
        label = "importance: " + ", ".join(f"{row['name']} {row['share']:.2f}" for row in found["values"])
        yield markup.figures(markup.figure(plots.importance(found), "importance-plot", label))
    yield f"<p>{markup.escape(_trust(found))}</p>"


def _next(report):
    yield "<ul>" + "".join(f"<li>{markup.escape(line)}</li>" for line in report["advice"]) + "</ul>"
    if report["next"]:
        names = ", ".join(f"recipes.{name}" for name in report["search"]["recipe"].split(" or "))
        recipes = markup.escape(f"[{names}]" if "," in names else names)
        given = "".join(f", {name}=({low}, {high})" for name, (low, high) in report["next"].items())
        yield (
            '<div class="scroll" tabindex="0" role="region" aria-label="In Python"><pre><code>'
            f"tuning.search({recipes}, data{markup.escape(given)})"
            "</code></pre></div>"
        )


def _failed(failed, names):
    if not failed:
        return "<p>None.</p>"
    rows = [
        [trial["trial"], *(trial["values"].get(name) for name in names), trial["message"] or "no reason was kept"]
        for trial in failed
    ]
    return markup.table("Failed trials", ["trial", *names, "reason"], rows)


def _range(entry):
    if "values" in entry:
        return ", ".join(map(str, entry["values"]))
    return f"{entry['low']} to {entry['high']}{', logarithmic' if entry['log'] else ''}"
