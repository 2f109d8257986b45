"""Reports in a real browser: nothing is asked of the network, nothing overflows, all can be read, the search plays."""

import contextlib
import http.server
import json
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from test_report import EVIL, searched

from keras_cookbook.callbacks.report import baselines, evaluation, examples, splits, training_page
from keras_cookbook.callbacks.report.verdict import verdict
from keras_cookbook.tuning.report import search_page, search_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here to look at reports with")

QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--no-default-browser-check", "--disable-features=OptimizationHints,Translate,MediaRouter",
    "--enable-logging=stderr", "--virtual-time-budget=8000",
]  # fmt: skip
#: What the browser asks for of its own accord, and does not get.
BROWSERS_OWN = re.compile(r"(https?://)?(clients2|accounts|www|update|android\.clients)\.google(apis)?\.com[:/]")

#: Puts the report into a frame of some width, looks at it from outside, and writes down what it sees.
LOOK = """<!DOCTYPE html><body><iframe id="frame" src="report.html"
 style="border:0;width:WIDTHpx;height:3000px"></iframe>
<pre id="seen"></pre><script>
const frame = document.getElementById('frame');
const light = color => { const [r, g, b, a] = color.match(/[\\d.]+/g).map(Number).concat([1]);
  const part = [r, g, b].map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return [.2126 * part[0] + .7152 * part[1] + .0722 * part[2], a]; };
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow, seen = {};
  const back = node => { for (; node; node = node.parentElement) {
    const color = view.getComputedStyle(node).backgroundColor; if (light(color)[1] > .99) return color; } };
  const contrast = (node, color) => { const [a, b] = [light(color)[0], light(back(node))[0]].sort((x, y) => y - x);
    return (a + .05) / (b + .05); };
  const texts = [...page.querySelectorAll('p, th, td, dt, dd, a, li, caption, figcaption, h1, h2, summary, svg text')];
  const rate = node => contrast(node, view.getComputedStyle(node)[node.tagName === 'text' ? 'fill' : 'color']);
  seen.width = page.documentElement.scrollWidth;
  seen.height = page.documentElement.scrollHeight;
  seen.worst = Math.min(...texts.filter(node => node.textContent.trim()).map(rate));
  seen.background = light(view.getComputedStyle(page.body).backgroundColor)[0];
  seen.small = [...page.querySelectorAll('figure > svg')].filter(svg => svg.getBoundingClientRect().height < 60).length;
  seen.plots = page.querySelectorAll('figure > svg').length;
  seen.broken = [...page.images].filter(image => !image.naturalWidth).length;
  seen.pictures = page.images.length;
  seen.tiny = [...page.querySelectorAll('figure > svg text')].filter(t => t.textContent.trim() && t.getBBox().height *
    Math.hypot(t.getCTM().a, t.getCTM().b) < 7 && t.closest('figure').offsetWidth > 0).length;
  SCRIPT
  document.getElementById('seen').textContent = JSON.stringify(seen);
};
</script>"""


@contextlib.contextmanager
def server(files):
    """Serves some texts, as every host there is, since the browser takes it for its proxy; yields port and requests."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            text = files.get(self.path.rpartition("/")[2])
            with contextlib.suppress(OSError):
                self.send_response(200 if text is not None else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write((text or "").encode())

        def do_CONNECT(self):
            asked.append(self.path)
            with contextlib.suppress(OSError):
                self.send_error(502)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port, asked
        serving.shutdown()


def look(page, width=1280, dark=False, script=""):
    """What a browser sees: a dict, with the `requests` that it made and what it wrote to its `console`."""
    wrapper = LOOK.replace("WIDTH", str(width)).replace("SCRIPT", script)
    with server({"report.html": page, "look.html": wrapper}) as (port, asked), tempfile.TemporaryDirectory() as profile:
        command = [
            CHROMIUM, *QUIET, f"--user-data-dir={profile}", f"--window-size={max(width, 500)},1200",
            f"--proxy-server=127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", f"http://127.0.0.1:{port}/look.html",
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="seen">(\{.*?\})</pre>', run.stdout, re.S)
    assert found, run.stdout[-500:] + run.stderr[-2000:]
    own = f"http://127.0.0.1:{port}/"
    served = ("look.html", "report.html", "favicon.ico")
    others = [url for url in asked if url.removeprefix(own) not in served and not BROWSERS_OWN.match(url)]
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text) | {"requests": others, "console": console}


@pytest.fixture(scope="module")
def training():
    """The report of a classification of pictures, without a training."""
    generator = np.random.default_rng(0)
    names = ["a cat", EVIL, "a very long name of a class that goes on and on", *map(str, range(9))]
    labels = generator.integers(0, 12, 400)
    raw = generator.gamma(1, size=(400, 12)) + 4 * np.eye(12)[labels]
    answers = raw / raw.sum(1, keepdims=True)
    x = generator.integers(0, 256, (400, 8, 8, 3)).astype("uint8")
    judged = splits.Split("test", x, labels, 400)
    log = [
        {"epoch": i, "seconds": 1.0, "loss": 3 / i, "val_loss": 2 / i, "accuracy": 0.9, "learning_rate": 0.1 / i}
        for i in range(1, 40)
    ]
    report = {
        "title": "cnn on " + "pictures" * 20, "created": "2026-01-01T00:00:00+00:00", "log": log, "notes": [EVIL],
        "training": {"epochs": 39, "best_epoch": 39, "best": 0.05, "monitor": "val_loss", "parameters": 10},
        "evaluation": {"split": "test", "rows": 400, "of": 400, "task": "multiclass"}
        | baselines.judge("multiclass", labels, answers, names),
        "baselines": baselines.compare(splits.Split("train", x, labels, 400), judged, "multiclass", answers),
        "mistakes": examples.worst(judged, "multiclass", answers, names),
        "settings": {"arguments": {"width": 3}},
        "data": {"splits": {"test": {"rows": 400, "x": "uint8", "sha256": "0" * 64}}},
    }  # fmt: skip
    return training_page(json.loads(json.dumps(report | {"verdict": verdict(report)})))


@pytest.fixture(scope="module")
def regression():
    generator = np.random.default_rng(0)
    true = generator.normal(size=(300, 1)) * 1e5
    judged = splits.Split("validation", true.repeat(20, 1), true, 300)
    report = {
        "title": "mlp", "created": "2026-01-01T00:00:00+00:00", "log": [], "notes": [], "verdict": ["Nothing."],
        "training": {"epochs": 0, "best_epoch": None},
        "evaluation": {"split": "validation", "rows": 300, "of": 300, "task": "regression"}
        | evaluation.regression(true, true * 0.9),
        "mistakes": examples.worst(judged, "regression", true * 0.9),
    }  # fmt: skip
    return training_page(report)


@pytest.fixture(scope="module")
def search():
    return search_page(json.loads(json.dumps(search_report(searched()))))


@pytest.mark.parametrize("name", ["training", "regression", "search"])
@pytest.mark.parametrize(("width", "dark"), [(360, False), (1600, True)])
def test_it_can_be_read(name, width, dark, request):
    seen = look(request.getfixturevalue(name), width, dark)
    assert seen["width"] <= width, "the page scrolls sideways"
    assert seen["console"] == []
    assert seen["requests"] == []
    assert seen["worst"] >= 4.5, "text that hardly stands out (WCAG 2.2, 1.4.3)"
    assert (seen["background"] < 0.1) == dark
    assert seen["plots"] >= 2
    assert (seen["small"], seen["broken"], seen["tiny"]) == (0, 0, 0)
    assert seen["pictures"] == (examples.MISTAKES if name == "training" else 0)


def test_the_browser_sees_what_is_wrong():
    """Else the test above could not fail."""
    page = """<!DOCTYPE html><body style="background:#fff"><p style="color:#ddd;width:900px">pale and wide</p>
    <img src="http://elsewhere.example/x.png"><script>console.error('wrong')</script></body>"""
    seen = look(page, 360)
    assert seen["width"] >= 900
    assert seen["worst"] < 2
    assert seen["requests"] == ["http://elsewhere.example/x.png"]
    assert "wrong" in seen["console"][0]


def test_the_policy_stops_what_gets_in(training):
    hole = training.replace("</main>", '<img src="http://elsewhere.example/x.png"><script>top.got = 1</script></main>')
    seen = look(hole, script="seen.got = window.got || 0;")
    assert seen["got"] == 0
    assert seen["requests"] == []


PLAY = """
  const lines = [...page.querySelectorAll('.trial')], told = page.querySelector('.chosen');
  const svg = page.querySelector('.parallel svg'), rows = [...page.querySelectorAll('tr[data-trial]')];
  const key = name => svg.dispatchEvent(new view.KeyboardEvent('keydown', { key: name, bubbles: true }));
  seen.all = told.textContent;
  key('ArrowDown'); seen.first = told.textContent; key('ArrowDown'); seen.second = told.textContent;
  key('ArrowUp'); seen.again = told.textContent; seen.marked = rows.filter(row => row.classList.contains('on')).length;
  key('Escape');
  const input = page.querySelector('[data-filter="0"][data-end="0"]');
  input.value = 50; input.dispatchEvent(new view.Event('input', { bubbles: true }));
  seen.out = lines.filter(line => line.classList.contains('out')).map(line => +line.dataset.trial);
  seen.pale = rows.filter(row => row.classList.contains('out')).length;
  page.querySelector('.interactive button').click();
  seen.shown = lines.filter(line => line.classList.contains('out')).length;
  const reach = page.querySelector('[data-axis="1"] .reach'), box = reach.getBoundingClientRect();
  reach.setPointerCapture = () => {};
  const at = (type, part) => reach.dispatchEvent(new view.PointerEvent(type, { bubbles: true, pointerId: 1,
    clientX: box.left + 5, clientY: box.top + part * box.height }));
  at('pointerdown', 0); at('pointermove', .5); at('pointerup', .5);
  seen.upper = lines.filter(line => !line.classList.contains('out')).map(line => +line.dataset.at.split(',')[1]);
"""


def test_the_search_plays(search):
    found = searched()
    seen = look(search, script=PLAY)
    assert seen["console"] == []
    assert seen["all"] == "21 of 21 trials"
    for told, trial in zip((seen["first"], seen["second"], seen["again"]), (0, 1, 0), strict=True):
        assert told.startswith(f"Trial {found.ranked[trial]['trial']}, number {trial + 1}: learning_rate ")
    assert seen["marked"] == 1
    space = search_report(found)["space"]
    middle = (space[0]["low"] * space[0]["high"]) ** 0.5
    assert sorted(seen["out"]) == [
        t["trial"] for t in found.trials if t["score"] and t["values"]["learning_rate"] < middle
    ]
    assert seen["pale"] == len(seen["out"]) > 0
    assert seen["shown"] == 0
    assert len(seen["upper"]) < 21
    assert min(seen["upper"]) >= 0.5 - 1e-3


def test_the_search_can_be_read_without_javascript(search):
    bare = re.sub(r"<script>.*?</script>", "", search, flags=re.S)
    seen = look(bare, script="seen.hidden = page.querySelector('.interactive').offsetHeight;")
    assert seen["hidden"] == 0, "what does nothing is not shown"
    assert "learning_rate" in bare
    assert Path(CHROMIUM).exists()
