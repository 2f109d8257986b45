"""Every recipe has every property, because it is registered."""

import pytest
from conformance import PROPERTIES, Case

from keras_cookbook import recipes


@pytest.mark.parametrize("check", PROPERTIES)
@pytest.mark.parametrize("name", recipes.list())
def test_recipe(name, check):
    PROPERTIES[check](Case(recipes.get(name)))
