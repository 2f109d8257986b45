"""A recipe as a file of the user's own: written out, and read in again."""

import ast
import importlib.util
import inspect
import sys
from pathlib import Path

from keras_cookbook import recipes
from keras_cookbook.recipes import _contract

from .options import PLACES, described

REGISTERED = '@keras.saving.register_keras_serializable("{}")'
MAIN = """

if __name__ == "__main__":
    from keras_cookbook import callbacks, recipes

    data = recipes.data.load({example})
    model = {name}({sizes})
    model.fit(data.train, validation_data=data.validation, epochs=10, callbacks=callbacks.standard())
    print(model.evaluate(data.test, return_dict=True, verbose=0))
"""
#: Kind of data -> what to load to try a recipe on, an embedded set or a few lines made up, in Python.
EXAMPLES = {
    "rows": '"breast_cancer"',
    "images": '"digits"',
    "sequences": "([[[row * step / 9] for step in range(8)] for row in range(90)], [row // 45 for row in range(90)])",
    "text": '([f"{word} {row}" for row in range(100) for word in ("good", "bad")], [1, 0] * 100)',
}


def copy_recipe(name, path):
    """Writes the source of a recipe to a new file, as a recipe of the file's name that runs as it is.

    Raises:
        ValueError: if there is no such recipe, or the file's name is no name for one.
        FileExistsError: if the file exists; it is left alone.
    """
    entry = recipes.get(name).recipe
    path = Path(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(f"the copy must be named like a Python file, such as my_{name}.py, not {path.name!r}.")
    new = path.stem
    if new in recipes.list():
        raise ValueError(f"there is a recipe {new!r} already; a copy needs a name of its own, such as my_{name}.py.")
    module = inspect.getmodule(entry.build)
    source = rename(inspect.getsource(module), name, new, module.__package__)
    with open(path, "x", encoding="utf-8") as file:
        sizes = described(name for name in PLACES if name in entry.arguments)
        file.write(source + MAIN.format(name=new, example=EXAMPLES[entry.data[0]], sizes=sizes))
    return new


def rename(source, name, new, package):
    """The source with one recipe renamed, other recipes left out, and imports that work anywhere."""
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        if isinstance(node, ast.ImportFrom) and node.level:
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = ", ".join(alias.name for alias in node.names)
            if all(hasattr(recipes, alias.name) for alias in node.names):
                base = recipes.__name__
            lines[first : node.end_lineno] = [f"from {base} import {names}\n"]
        elif isinstance(node, ast.FunctionDef) and first < node.lineno - 1:
            if node.name != name:
                del lines[first : node.end_lineno]
            else:
                lines[node.lineno - 1] = lines[node.lineno - 1].replace(f"def {name}(", f"def {new}(", 1)
    # Its classes must not take the place of the recipe's own when a file is loaded.
    return "".join(lines).replace(REGISTERED.format("keras_cookbook"), REGISTERED.format(new))


def find_recipe(name):
    """The recipe of that name, or the one in that file.

    Raises:
        ValueError: if there is none, or the file holds none or several.
    """
    if not name.endswith(".py"):
        return recipes.get(name)
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"there is no file {name!r}.")
    before = set(_contract.REGISTRY)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    new = sorted(set(_contract.REGISTRY) - before)
    if len(new) != 1:
        raise ValueError(f"{name} must hold one recipe, a function under @recipe; it holds {new or 'none'}.")
    return recipes.get(new[0])
