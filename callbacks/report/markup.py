"""The parts of a page: one HTML file that loads nothing, in light and dark, on narrow and wide screens.

Every text that comes from data goes through `escape`; a policy in the page's head forbids all loading and every script
but its own.
"""

import base64
import hashlib
import html
import math

from .svg import inline

STYLE = """
:root { color-scheme: light dark; --page: #fbfbfc; --card: #fff; --ink: #1b1d22; --soft: #5a606b; --line: #c9cdd4;
  --blue: #1f6fd0; --orange: #c2570c; --green: #1b7f4b; --red: #c62828; --grey: #7a7f89; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1c1f25; --ink: #e9ebef; --soft: #a4abb8;
  --line: #3d434e; --blue: #6aa9f7; --orange: #f0954a; --green: #58c48c; --red: #ff8a80; --grey: #969caa; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(.8rem, 3vw, 2.5rem) 3rem; max-width: 84rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
h1 { font-size: clamp(1.4rem, 5vw, 2rem); line-height: 1.2; margin: .6rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; padding-top: .4rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
p { max-width: 48rem; margin: .5rem 0; overflow-wrap: anywhere; }
.verdict { font-size: 1.1rem; }
.soft, figcaption, caption, footer { color: var(--soft); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; list-style: none; }
a { color: var(--blue); }
.cards { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; padding: 0; }
.cards div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .45rem .9rem; }
.cards dt { color: var(--soft); font-size: .85rem; }
.cards dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
.figures > figure, .figures > .scroll { margin: 0; }
figure { margin: 0 0 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem; min-width: 0; }
figure > svg { display: block; width: 100%; height: auto; max-width: 44rem; margin: 0 auto; }
svg * { stroke-linejoin: round; }
svg text { fill: currentColor; }
figcaption { font-size: .9rem; margin-top: .4rem; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--blue); }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .3rem 0; font-size: .9rem; }
th, td { padding: .28rem .8rem .28rem .3rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--line); }
td.number, th.number { text-align: right; }
td { white-space: nowrap; }
tr.ours > * { font-weight: 650; }
.tables { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; max-width: 34rem; }
.pictures { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); padding: 0;
  list-style: none; }
.pictures.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.pictures.small { grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)); gap: .4rem; }
.pictures figure { margin: 0; padding: .5rem; height: 100%; }
.pictures img { width: 100%; image-rendering: pixelated; border-radius: .2rem; display: block; background: #888; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .3rem; }
blockquote { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; font-size: .92rem; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--blue); }
footer { margin-top: 2.5rem; font-size: .88rem; }
@media print { nav, .interactive { display: none; } figure, tr { break-inside: avoid; } }
"""


def escape(value) -> str:
    """Any value as text that HTML takes for nothing else."""
    return html.escape(str(value), quote=True)


def number(value) -> str:
    """A value as it is shown: four digits that count, thousands with commas, a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return escape(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"


def section(name: str, title: str, *parts: str) -> tuple[str, str, str]:
    """A section, for `document`: its id, its title and its HTML; parts that are empty are left out."""
    return name, title, "\n".join(part for part in parts if part)


def figure(drawn, name: str, label: str, caption: str = "") -> str:
    """A matplotlib figure with what it shows in words."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{inline(drawn, name, escape(label))}{below}</figure>"


def figures(*parts: str) -> str:
    """Figures side by side, where there is room."""
    return f'<div class="figures">{"".join(parts)}</div>' if any(parts) else ""


def tables(*parts: str) -> str:
    """Tables side by side, where there is room."""
    return f'<div class="tables">{"".join(parts)}</div>' if any(parts) else ""


def table(caption: str, columns, rows, ours: int | None = None, attributes=None) -> str:
    """A table in a frame of its own that scrolls when it is too wide.

    Args:
        caption: What it shows.
        columns: The names of the columns.
        rows: Lists of values; the first of each names the row. Numbers stand to the right.
        ours: The row that is set off.
        attributes: HTML attributes of each row.
    """
    rows = [list(row) for row in rows]
    numeric = [
        any(isinstance(row[i], int | float) for row in rows)
        and all(row[i] is None or isinstance(row[i], int | float) or row[i] in ("NaN", "Infinity") for row in rows)
        for i in range(len(columns))
    ]

    def cell(value, i, tag="td", scope=""):
        kind = ' class="number"' if numeric[i] else ' class="long"' if len(str(value)) > 40 else ""
        return f"<{tag}{scope}{kind}>{number(value) if tag == 'td' or numeric[i] else escape(value)}</{tag}>"

    head = "".join(cell(name, i, "th", ' scope="col"') for i, name in enumerate(columns))
    body = []
    for place, row in enumerate(rows):
        mark = ' class="ours"' if place == ours else ""
        mark += f" {attributes[place]}" if attributes else ""
        cells = cell(row[0], 0, "th", ' scope="row"') + "".join(cell(v, i) for i, v in enumerate(row) if i)
        body.append(f"<tr{mark}>{cells}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def facts(caption: str, values: dict) -> str:
    """A table of names and values, whatever they are; dicts inside are given with a dot."""
    rows = list(_flat(values))
    return table(caption, ("name", "value"), rows) if rows else ""


def _flat(values: dict, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            plain = isinstance(value, str | int | float)
            yield [prefix + str(name), str(value) if plain and not isinstance(value, str) else _listed(value)]


def _listed(value) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def cards(values: dict) -> str:
    """The few numbers that matter most."""
    inner = "".join(f"<div><dt>{escape(key)}</dt><dd>{number(value)}</dd></div>" for key, value in values.items())
    return f'<dl class="cards">{inner}</dl>' if values else ""


def details(title: str, *parts: str) -> str:
    """What is shown when asked for."""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>" if any(parts) else ""


def image(png: str, label: str) -> str:
    """A PNG in base64."""
    return f'<img src="data:image/png;base64,{escape(png)}" alt="{escape(label)}">'


def document(title: str, verdict: list[str], summary: str, sections, foot: str = "", script: str = "", style="") -> str:
    """The whole file.

    Args:
        title: The page's title, as text.
        verdict: Sentences, as text.
        summary: HTML below them.
        sections: What `section` returns; those without content are left out.
        foot: The last line, as text.
        script: JavaScript of this package's own; nothing else is let run.
        style: CSS beside `STYLE`.
    """
    sections = [(name, heading, body) for name, heading, body in sections if body]
    links = "".join(f'<li><a href="#{name}">{escape(heading)}</a></li>' for name, heading, _ in sections)
    bodies = "\n".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(heading)}</h2>\n{body}</section>'
        for name, heading, body in sections
    )
    allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" if script else "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; "
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="verdict">{escape(" ".join(verdict))}</p>
{summary}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{bodies}
</main>
<footer>{escape(foot)}</footer>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""
