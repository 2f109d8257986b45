"""The example notebooks ran, say on what, and run now."""

import json
import re
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.ipynb"))
STAMP = ("keras-cookbook", "keras", "tensorflow", "keras-tuner")


def text_of(cells):
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return "\n".join("".join(text) for text in texts)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_outputs_and_versions_are_in_the_file(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run it from top to bottom"
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert "error" not in kinds
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])
    text = text_of(code)
    for package in STAMP:
        assert re.search(rf"^{package} \d+\.\d+", text, re.M), f"it does not say on which {package} it ran"
    assert not re.search(r"/(home|root|tmp|work|Users)/", text), "it shows a path of the machine it ran on"


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_notebook_runs(path, tmp_path):
    import jupyter_client
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    # The kernel of this environment, whatever others are installed.
    manager = jupyter_client.AsyncKernelManager()
    manager.kernel_spec.argv[0] = sys.executable
    nbclient.NotebookClient(notebook, timeout=600, km=manager, resources={"metadata": {"path": tmp_path}}).execute()
    CHECKS[path.stem](text_of(notebook.cells), tmp_path)


def check_quickstart(text, folder):
    scores = [float(score) for score in re.findall(r"'accuracy': ([\d.]+)", text)]
    assert min(scores) > 0.9
    assert (folder / "runs" / "quickstart" / "report.html").stat().st_size > 10_000
    assert (folder / "runs" / "search" / "report.html").stat().st_size > 10_000


def check_remedies(text, folder):
    scores = re.findall(r"accuracy ([\d.]+), before ([\d.]+|nan); \w+ is cured", text)
    assert len(scores) == 5
    assert min(float(after) for after, _ in scores) > 0.85


def check_search(text, folder):
    assert "4 trials were run before" in text or "5 trials were run before" in text
    assert text.count("MemoryError") == 4
    assert "FloatingPointError" in text
    assert (folder / "runs" / "better" / "retrained.keras").exists()
    assert (folder / "runs" / "better" / "report.html").stat().st_size > 10_000


CHECKS = {
    "00_quickstart": check_quickstart,
    "01_when_training_goes_wrong": check_remedies,
    "08_search": check_search,
}
