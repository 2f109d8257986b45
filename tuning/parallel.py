"""Parallel coordinates to play with: inline SVG that says all without JavaScript, and a little of that for filters."""

from keras_cookbook.callbacks.report.markup import escape, number

from . import analysis

WIDTH, HEIGHT, TOP, BOTTOM, SIDE = 118, 320, 40, 24, 52

STYLE = """
.parallel { overflow-x: auto; }
.parallel svg { display: block; min-width: var(--least); width: 100%; max-width: none; touch-action: pan-x pan-y; }
.parallel text { font-size: 12px; fill: var(--ink); }
.parallel .tick { font-size: 11px; fill: var(--soft); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.parallel .axis { stroke: var(--grey); }
.parallel .brush { fill: var(--orange); fill-opacity: .3; }
.parallel .reach { fill: transparent; cursor: ns-resize; touch-action: none; }
.trial { fill: none; stroke: var(--blue); stroke-width: 1.6; }
.trial.best { stroke: var(--orange); stroke-opacity: 1; stroke-width: 2.4; }
.trial.out { stroke-opacity: .06; }
.trial.on { stroke: var(--ink); stroke-opacity: 1; stroke-width: 3.4; }
tr.out { opacity: .35; }
tr.on > * { background: color-mix(in srgb, var(--orange) 20%, transparent); }
.filters { display: grid; gap: .4rem 1.2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
.filters fieldset { border: 1px solid var(--line); border-radius: .4rem; min-width: 0; }
.filters input { width: 100%; }
.interactive button { font: inherit; padding: .2rem .8rem; }
.chosen { min-height: 1.5em; overflow-wrap: anywhere; }
"""

SCRIPT = """
(() => {
  const root = document.querySelector('.parallel'); if (!root) return;
  const svg = root.querySelector('svg'), lines = [...svg.querySelectorAll('.trial')].reverse();
  const axes = [...svg.querySelectorAll('[data-axis]')], told = document.querySelector('.chosen');
  const panel = document.querySelector('.interactive'), top = +svg.dataset.top, high = +svg.dataset.high;
  const ranges = axes.map(() => [0, 1]); let chosen = -1;
  const places = lines.map(line => line.dataset.at.split(',').map(Number));
  const rows = n => document.querySelectorAll(`tr[data-trial="${n}"]`);
  const inside = i => ranges.every(([low, up], k) => places[i][k] >= low - 1e-9 && places[i][k] <= up + 1e-9);
  const value = (axis, at) => {
    if (axis.dataset.values) { const v = JSON.parse(axis.dataset.values);
      return v[Math.min(v.length - 1, Math.floor(at * v.length))]; }
    const low = +axis.dataset.low, up = +axis.dataset.high;
    return Number((axis.dataset.log ? low * (up / low) ** at : low + (up - low) * at).toPrecision(3));
  };
  const choose = i => {
    chosen = i;
    lines.forEach((line, k) => { line.classList.toggle('on', k === i);
      rows(line.dataset.trial).forEach(row => row.classList.toggle('on', k === i)); });
    const left = lines.filter((_, k) => inside(k)).length;
    told.textContent = i < 0 ? `${left} of ${lines.length} trials` : lines[i].dataset.label;
    if (i >= 0) lines[i].parentNode.append(lines[i]);
  };
  const filter = () => {
    lines.forEach((line, k) => { line.classList.toggle('out', !inside(k));
      rows(line.dataset.trial).forEach(row => row.classList.toggle('out', !inside(k))); });
    axes.forEach((axis, k) => {
      const [low, up] = ranges[k], brush = axis.querySelector('.brush'), full = low <= 0 && up >= 1;
      brush.setAttribute('y', top + (1 - up) * high);
      brush.setAttribute('height', full ? 0 : Math.max(2, (up - low) * high));
      const inputs = panel.querySelectorAll(`[data-filter="${k}"]`);
      inputs.forEach((input, end) => { input.value = ranges[k][end] * 100;
        input.setAttribute('aria-valuetext', value(axis, ranges[k][end]));
        input.nextElementSibling.textContent = value(axis, ranges[k][end]); });
    });
    choose(-1);
  };
  axes.forEach((axis, k) => {
    const at = event => { const box = svg.getBoundingClientRect();
      const y = (event.clientY - box.top) * svg.viewBox.baseVal.height / box.height;
      return Math.min(1, Math.max(0, 1 - (y - top) / high)); };
    const reach = axis.querySelector('.reach'); let from = null;
    reach.addEventListener('pointerdown', event => { from = at(event); reach.setPointerCapture(event.pointerId); });
    reach.addEventListener('pointermove', event => { if (from === null) return;
      const to = at(event); ranges[k] = [Math.min(from, to), Math.max(from, to)]; filter(); });
    reach.addEventListener('pointerup', () => {
      if (ranges[k][1] - ranges[k][0] < .02) ranges[k] = [0, 1]; from = null; filter(); });
  });
  panel.addEventListener('input', event => {
    const k = event.target.dataset.filter; if (k === undefined) return;
    const end = +event.target.dataset.end, now = event.target.value / 100;
    ranges[k][end] = end ? Math.max(now, ranges[k][0]) : Math.min(now, ranges[k][1]); filter();
  });
  panel.querySelector('button').addEventListener('click', () => { ranges.fill(null);
    ranges.forEach((_, k) => { ranges[k] = [0, 1]; }); filter(); });
  lines.forEach((line, k) => { line.addEventListener('pointerenter', () => { if (inside(k)) choose(k); }); });
  svg.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') choose(-1);
    if (!step) return;
    event.preventDefault();
    const left = lines.map((_, k) => k).filter(inside); if (!left.length) return;
    const now = left.indexOf(chosen);
    choose(left[now < 0 ? 0 : (now + step + left.length) % left.length]);
  });
  panel.hidden = false; filter();
})();
"""


def parallel_coordinates(space, trials, objective):
    """The SVG, and the filters that JavaScript brings to life.

    Args:
        space: as `analysis.space_of` gives it.
        trials: the completed ones, the best first.
        objective: name of the score.
    """
    if not trials or not space:
        return ""
    axes, heights, best = analysis.coordinates(space, trials, objective)
    wide, high = WIDTH * (len(axes) - 1) + 2 * SIDE, HEIGHT - TOP - BOTTOM
    across = [SIDE + WIDTH * place for place in range(len(axes))]
    lines = []
    for place, (trial, at) in enumerate(zip(trials, heights, strict=True)):
        values = trial["values"] | {objective: trial["score"]}
        points = " ".join(f"{x},{TOP + (1 - one) * high:.1f}" for x, one in zip(across, at, strict=True))
        told = ", ".join(f"{entry['name']} {_short(values.get(entry['name']))}" for entry in axes)
        label = escape(f"Trial {trial['trial']}, number {place + 1}: {told}")
        strength = 0.75 - 0.5 * place / len(trials)
        lines.append(
            f'<polyline class="trial{" best" * (place < best)}" points="{points}" stroke-opacity="{strength:.2f}" '
            f'data-trial="{trial["trial"]}" data-at="{",".join(f"{one:.4f}" for one in at)}" data-label="{label}">'
            f"<title>{label}</title></polyline>"
        )
    drawn = "".join(_axis(entry, place, x, high) for place, (entry, x) in enumerate(zip(axes, across, strict=True)))
    told = f"Parallel coordinates of {len(trials)} trials; arrow keys go through them, the best first"
    filters = "".join(_filter(entry, place) for place, entry in enumerate(axes))
    return f"""<figure class="parallel" style="--least: {min(wide, 90 * len(axes))}px">
<svg viewBox="0 0 {wide} {HEIGHT}" role="img" aria-label="{escape(told)}" tabindex="0" data-top="{TOP}"
 data-high="{high}"><g>{"".join(reversed(lines))}</g>{drawn}</svg></figure>
<p class="soft">A line is a trial; the best tenth is orange.</p>
<div class="interactive" hidden><p class="soft">Drag along an axis to filter, point at a line to read it, or press the
arrow keys on the picture.</p><p class="chosen" role="status"></p>
<details><summary>Filter by ranges</summary><div class="filters">{filters}</div></details>
<p><button type="button">Show all trials</button></p></div>"""


def _axis(entry, place, x, high):
    import json

    values = entry.get("values") or [entry["low"], analysis.value_at(entry, 0.5), entry["high"]]
    ticks = "".join(
        f'<text class="tick" x="{x + 5}" y="{TOP + (1 - analysis.position(entry, value)) * high + 4:.1f}">'
        f"{_short(value)}</text>"
        for value in dict.fromkeys(values)
    )
    if "values" in entry:
        told = f'data-values="{escape(json.dumps([_plain(value) for value in entry["values"]]))}"'
    else:
        told = f'data-low="{entry["low"]}" data-high="{entry["high"]}"' + ' data-log="1"' * entry["log"]
    name = entry["name"] if len(entry["name"]) <= 16 else entry["name"][:15] + "…"
    return (
        f'<g data-axis="{place}" {told}><text x="{x}" y="{TOP - 18}" text-anchor="middle">{escape(name)}</text>'
        f'<line class="axis" x1="{x}" x2="{x}" y1="{TOP}" y2="{TOP + high}"/>{ticks}'
        f'<rect class="brush" x="{x - 7}" width="14" y="{TOP}" height="0"/>'
        f'<rect class="reach" x="{x - 9}" width="18" y="{TOP}" height="{high}"/></g>'
    )


def _filter(entry, place):
    name = escape(entry["name"])
    inputs = "".join(
        f'<label>{word}<input type="range" min="0" max="100" value="{end * 100}" data-filter="{place}" '
        f'data-end="{end}" aria-label="{name} {word}"><span></span></label>'
        for end, word in enumerate(("from", "to"))
    )
    return f"<fieldset><legend>{name}</legend>{inputs}</fieldset>"


def _plain(value):
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _short(value):
    return escape(number(value)) if isinstance(value, float) else escape(value)
