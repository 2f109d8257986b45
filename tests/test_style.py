"""The rules of the code base that can be checked."""

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_cookbook import callbacks, cli, recipes, tuning

ROOT = Path(__file__).parent.parent
PARTS = {"recipes": recipes, "callbacks": callbacks, "tuning": tuning, "cli": cli}
FILES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
#: Folders of recipes/ that hold no recipe.
OTHERS = ("data", "devices", "parts", "saving")
FAMILIES = [p for p in (ROOT / "recipes").glob("*/*.py") if p.parent.name not in OTHERS and p.name != "__init__.py"]

#: Who may import whom. A callback works on any model, so callbacks know nothing of recipes.
ALLOWED = {
    "cli": {"cli", "tuning", "callbacks", "recipes"},
    "tuning": {"tuning", "callbacks", "recipes"},
    "callbacks": {"callbacks"},
    "recipes": {"recipes", "callbacks"},  # callbacks only inside functions
}
HEAVY = {"tensorflow", "tensorflow_datasets", "sklearn", "pandas", "matplotlib", "keras_tuner", "tensorboard"}


def imports(path):
    """The absolute names that a file imports, each with whether that happens on import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["keras_cookbook", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(tree):
        at_top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if node.module:
                yield module, at_top
            yield from ((f"{module}.{alias.name}", at_top) for alias in node.names)


def own(name):
    return name.split(".")[1:] if name.startswith("keras_cookbook.") else []


def test_package_list_is_complete():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        ".".join(["keras_cookbook", *path.parent.relative_to(ROOT).parts])
        for part in PARTS
        for path in (ROOT / part).rglob("__init__.py")
    }
    assert listed == there
    without = {path.parent for path in FILES} - {path.parent for path in FILES if path.name == "__init__.py"}
    assert not without, "folders with code and no __init__.py are not installed"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layers(path):
    part, *rest = path.relative_to(ROOT).parts
    for name, at_top in imports(path):
        if target := own(name):
            assert target[0] in ALLOWED[part], f"{part} imports {name}"
            assert (part, target[0], at_top) != ("recipes", "callbacks", True), f"{path} imports {name} on import"
            if path in FAMILIES:
                shared = target[1:2] and (target[1].startswith("_") or target[1] == "parts")
                assert shared or target == ["recipes"], f"a family imports {name}"
            if rest[0] == "parts":
                assert target[:2] == ["recipes", "parts"], f"parts import {name}"
        top = name.split(".")[0]
        if part in ("recipes", "callbacks") and top in HEAVY:
            assert not at_top, f"{name} is heavy: import it where it is used"
        if name.startswith("keras.src"):
            pytest.fail(f"{name} is private to Keras")


def test_every_recipe_file_is_imported():
    for path in FAMILIES:
        module = importlib.import_module(".".join(["keras_cookbook", *path.relative_to(ROOT).with_suffix("").parts]))
        defined = [
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef)
            and any(ast.unparse(decorator).startswith("recipe(") for decorator in node.decorator_list)
        ]
        assert defined, f"{path} holds no recipe"
        for name in defined:
            assert recipes.get(name) is getattr(module, name)
            assert getattr(recipes, name) is getattr(module, name), f"recipes/__init__.py does not name {name}"
    code = "from keras_cookbook import recipes; print(*recipes.list())"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert fresh == recipes.list(), "some recipe is registered only because a test imports it"


def public():
    for part, module in PARTS.items():
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield pytest.param(thing, id=f"{part}.{name}")


@pytest.mark.parametrize("thing", list(public()))
def test_public_things_are_documented(thing):
    assert inspect.getdoc(thing), f"{thing} has no docstring"


@pytest.mark.parametrize("part", PARTS)
def test_every_module_says_what_it_is(part):
    for info in pkgutil.walk_packages(PARTS[part].__path__, PARTS[part].__name__ + "."):
        assert importlib.import_module(info.name).__doc__, f"{info.name} has no docstring"


def test_files_stay_readable():
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{path.relative_to(ROOT)} has {lines} lines"
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 14, f"{folder} holds too many files"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_a_drawer(path):
    assert path.stem not in ("utils", "util", "helpers", "common", "base", "misc")


def test_no_train_step():
    for path in (ROOT / "recipes").rglob("*.py"):
        if path.name != "_autodiff.py":
            text = path.read_text(encoding="utf-8")
            unpickles = r"import (pickle|joblib)|(pickle|joblib)\.\w|allow_pickle"
            found = re.search(rf"GradientTape|def (train|test)_step|{unpickles}", text)
            assert not found, f"{path.relative_to(ROOT)}: {found[0]}"


def test_ruff():
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
