"""Every recipe has every property, on each kind of data it takes, because it is registered."""

import pytest
from conformance import BACKEND, OF_NO_BACKEND, PROPERTIES, Case

from keras_cookbook import recipes

CASES = [(name, kind) for name in recipes.list() for kind in recipes.get(name).recipe.data]
CHECKS = [check for check in PROPERTIES if BACKEND == "tensorflow" or check not in OF_NO_BACKEND]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_recipe(name, kind, check):
    PROPERTIES[check](Case(recipes.get(name), kind))
