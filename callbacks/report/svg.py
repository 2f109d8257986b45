"""A matplotlib figure as inline SVG: text that can be selected, colours that follow the page, ids of its own."""

import io
import re

from . import plots

#: What matplotlib draws -> what the page's style sheet decides.
COLOURS = {
    "#000000": "currentColor",
    "#b0b0b0": "var(--line)",
    plots.BLUE: "var(--blue)",
    plots.ORANGE: "var(--orange)",
    plots.GREEN: "var(--green)",
    plots.RED: "var(--red)",
    plots.GREY: "var(--grey)",
}


def inline(figure, name: str, label: str) -> str:
    """The figure as an `<svg>` to be put into a page.

    Args:
        figure: A matplotlib figure.
        name: Unique in the page: it goes before every id.
        label: What the figure shows, for those who cannot see it; it must be escaped already.
    """
    import matplotlib

    written = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify": True}
    with matplotlib.rc_context(settings):
        figure.savefig(
            written, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>|<!--.*?-->", "", text, flags=re.S)
    head = re.search(r'viewBox="([^"]*)"', text)[1]
    text = re.sub(r"^<svg[^>]*>", f'<svg viewBox="{head}" role="img" aria-label="{label}">', text)

    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r"<[^>]+>", lambda tag: _tag(tag[0], name, used), text)
    return re.sub(r">\s+<", "><", text).strip()


def _tag(tag: str, name: str, used: set) -> str:
    tag = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", tag)
    tag = tag.replace("xlink:href", "href").replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    tag = re.sub(r'style="(font[^"]*)"', lambda found: f'style="{_font(found[1])}"', tag)
    for drawn, followed in COLOURS.items():
        tag = tag.replace(drawn, followed)
    # A hundredth of a point is enough, and one line a path.
    return re.sub(r"\s+", " ", re.sub(r"(\d\.\d{2})\d+", r"\1", tag))


def _font(style: str) -> str:
    """The size and anchor of a text. The family is the page's, and so is the colour, which would be black."""
    size = re.search(r"font(?:-size)?:[^;]*?([\d.]+)px", style)
    anchor = re.search(r"text-anchor: ?\w+", style)
    parts = [f"font-size: {size[1]}px" if size else "", anchor[0] if anchor else "", "fill: currentColor"]
    return "; ".join(part for part in parts if part)
