"""What the README says is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_cookbook import cli, recipes
from keras_cookbook.cli.options import DATA_OPTIONS, parse
from keras_cookbook.tuning.space import tunable

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def test_the_table_is_that_of_the_registry():
    table = CliRunner().invoke(cli.main, ["list", "--markdown"]).output.strip()
    assert table in README, "run: cookbook list --markdown"


def test_the_first_program_is_the_example():
    code = next(text for language, text in BLOCKS if language == "python")
    assert code in (ROOT / "examples" / "search_digits.py").read_text(encoding="utf-8")


def test_every_program_is_python():
    for language, text in BLOCKS:
        if language == "python":
            compile(text, "README.md", "exec")


def commands():
    lines = "\n".join(text for language, text in BLOCKS if language == "sh").splitlines()
    return [line[line.index("cookbook ") :].split()[1:] for line in lines if "cookbook " in line]


def test_every_command_is_understood():
    assert {words[0] for words in commands()} == set(cli.main.commands)
    for command, *words in commands():
        if command in ("show", "train", "tune", "copy"):
            own = [name for word in words[0].split(",") for name in tunable(recipes.get(word).recipe)]
            known = [*own, *DATA_OPTIONS, "algorithm", "max_trials", "workers"]
            parse([word for word in words[1:] if "=" in word], known)


def test_every_training_setting_is_named():
    for name in recipes.mlp.recipe.settings:
        assert f"`{name}`" in README


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    path = ROOT / "examples" / "search_digits.py"
    run = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    accuracy = float(re.search(r"'accuracy': ([\d.]+)", run.stdout)[1])
    assert accuracy > 0.95
    assert len(list(tmp_path.glob("runs/*/best.keras"))) == 1
