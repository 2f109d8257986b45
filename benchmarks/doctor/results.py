"""What came out of the runs, as tables."""

import collections
import json
import math

#: How far below its twin's a score is worse.
MARGIN = 0.05
#: Rows of the table; B and C are the same base programs, with the same healthy variants.
TIERS = {"all": "ABCD", "A, asked about": "A", "B and C, injected": "BC", "D, modern": "D"}


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
    return f"{sum(hits) / len(hits):.1%} ({low:.0%} to {high:.0%}; {sum(hits)} of {len(hits)})" if hits else "none"


def judge(records):
    """The records that count, each with `sick` and its `twin`'s score."""
    twins = {(r["family"], r["seed"]): r["score"] for r in records if r.get("case") == "as it is" and "score" in r}
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


def found(record) -> bool:
    return bool(record["found"])


def right(record) -> bool:
    """Whether the first finding is of a right category."""
    return found(record) and record["found"][0][1] in record["categories"]


def located(record) -> bool:
    if not found(record):
        return False
    _, _, layer, argument, *_ = record["found"][0]
    hidden = "hidden" in record["where"] and str(layer).startswith("hidden")
    return hidden or layer in record["where"] or argument in record["where"]


def cured(record) -> bool:
    after = record.get("after")
    return after is not None and after == after and after >= record["twin"] - MARGIN


def table(path, verbose):
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    counted = list(judge(records))
    broken = [r for r in records if "broken" in r]
    sick, healthy = [r for r in counted if r["sick"]], [r for r in counted if not r["sick"]]
    print(f"{len(records)} runs; {len(sick)} sick and {len(healthy)} healthy ones count; {len(broken)} broke.\n")
    print("| | sick: alarm | healthy: alarm |\n|---|---|---|")
    print(f"| the doctor | {share(map(found, sick))} | {share(map(found, healthy))} |")
    for name in counted[0]["alarms"] if counted else ():
        print(f"| {name} | {share(r['alarms'][name] for r in sick)} | {share(r['alarms'][name] for r in healthy)} |")

    print("\n| tier | sick: alarm | right category first | located | healthy: alarm |\n|---|---|---|---|---|")
    tier_of = {r["family"]: r["tier"] for r in records if r.get("tier", "H") != "H"}
    for name, tiers in TIERS.items():
        ill = [r for r in sick if r["tier"] in tiers]
        well = [r for r in healthy if tier_of.get(r["family"], "B") in tiers]
        columns = [map(found, ill), map(right, ill), map(located, ill), map(found, well)]
        if ill or well:
            print(f"| {name} | {' | '.join(map(share, columns))} |")

    if len(seeds := sorted({r["seed"] for r in counted})) > 1:
        # The same programs again: together they tell less than as many different ones, of which the intervals are.
        print("\n| seed | sick: alarm | healthy: alarm |\n|---|---|---|")
        for seed in seeds:
            columns = [[found(r) for r in group if r["seed"] == seed] for group in (sick, healthy)]
            print(f"| {seed} | {' | '.join(map(share, columns))} |")

    seeds = {r["seed"] for r in sick if "after" in r or "remedy_failed" in r}
    tried = [r for r in sick if r["seed"] in seeds and not r["silent"]]
    print(f"\nCured by the first remedy: {share(map(cured, tried)) if tried else 'not tried'}")
    epochs = sorted(min(f[4] or 0 for f in r["found"]) for r in sick if found(r))
    if epochs:
        print(f"Median epoch of the first finding (0 is before training): {epochs[len(epochs) // 2]}")
    if verbose:
        _tell(healthy, sick, tried, broken, [r for r in records if "broken" not in r and r not in counted])
        _times(records)


def _tell(healthy, sick, tried, broken, out):
    def lines(title, chosen, what):
        print(f"\n{title}")
        for r in chosen:
            print(f"  {r['family']:13} {r['case']:36} {r['seed']} {what(r)}")

    def codes(r):
        return [f"{f[0]}@{f[4]}" for f in r["found"]]

    lines("False alarms", filter(found, healthy), codes)
    lines("Missed", (r for r in sick if not found(r)), lambda r: (r["score"], r["twin"], r["loss"][-3:]))
    lines("Another category", (r for r in sick if found(r) and not right(r)), lambda r: (r["categories"], codes(r)))
    lost = (r for r in sick if found(r) and not located(r))
    lines("Not located", lost, lambda r: (r["where"], r["found"][0][:4]))
    left = (r for r in tried if found(r) and not cured(r))
    what = ("remedy", "after", "twin", "remedy_failed")
    lines("Not cured", left, lambda r: (codes(r)[:2], *map(r.get, what)))
    lines("Broken", broken, lambda r: r["broken"][-300:])
    lines("Not counted", out, lambda r: (r["tier"], r["score"], r.get("twin"), codes(r)))


def _times(records):
    """Of `fit`, without remedies."""
    seconds = collections.defaultdict(list)
    for record in records:
        if "seconds" in record:
            seconds[record["family"]].append(record["seconds"])
    print("\nSeconds of fit")
    for family, own in sorted(seconds.items(), key=lambda item: -sum(item[1])):
        print(f"  {family:13} {sum(own):7.0f} in {len(own)} runs, {max(own):.0f} the longest")
    print(f"  all           {sum(map(sum, seconds.values())):7.0f}")
