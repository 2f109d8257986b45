"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

from keras_cookbook import callbacks, cli, recipes, tuning

MODULES = [
    info.name
    for part in (recipes, callbacks, tuning, cli)
    for info in pkgutil.walk_packages(part.__path__, part.__name__ + ".")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(importlib.import_module(name), optionflags=flags).failed == 0
