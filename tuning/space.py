"""The space of a search, read from a recipe's signature: what is fixed, what is searched, and in which range."""

import dataclasses

import keras_tuner

from keras_cookbook.recipes import Fitting
from keras_cookbook.recipes._check import named
from keras_cookbook.recipes._kinds import Argument, Choice, Integer, Number, nearest
from keras_cookbook.recipes._training import arguments_of

#: Searched in every recipe, unless told otherwise, beside what the recipe itself says is worth searching.
ALWAYS = ("learning_rate", "batch_size")


def tunable(recipe):
    """Every argument of a recipe that a search may set, and the two of its fitting, by name."""
    network = {name: a for name, a in recipe.arguments.items() if name not in ("input_shape", "outputs", "task")}
    return network | recipe.settings | arguments_of(Fitting())


def build_space(recipe, overrides):
    """What is fixed, name to value, and what is searched, name to `Argument`.

    Args:
        recipe: a `Recipe`.
        overrides: name to a value (fixed), a list (these values) or a tuple (low, high).

    Raises:
        ValueError: for an unknown name or a value that is not legal; it names the recipe and the argument.
    """
    known = tunable(recipe)
    searched = {
        name: argument
        for name, argument in known.items()
        if argument.kind.search and (name in recipe.arguments or name in ALWAYS)
    }
    fixed = {"epochs": known["epochs"].default}
    for name, value in overrides.items():
        if name not in known:
            raise ValueError(
                f"{recipe.name} has no argument {name!r} to search.{nearest(name, known)} It has {', '.join(known)}."
            )
        searched.pop(name, None)
        fixed.pop(name, None)
        with named(recipe.name):
            if isinstance(value, list | tuple):
                searched[name] = narrowed(known[name], value, name)
            else:
                fixed[name] = known[name].check(value, name)
    return fixed, searched


def narrowed(argument, values, name):
    """The argument with other values to search: a list of them, or a tuple of the lowest and the highest."""
    kind = argument.kind
    values = type(values)(argument.check(value, name) for value in values)
    if not values:
        raise ValueError(f"{name} is given no value to search.")
    default = argument.default
    if isinstance(values, list):
        return Argument(Choice(*values, search=True), default if default in values else values[0])
    if not isinstance(kind, Number):
        raise ValueError(f"{name} has no order, so it cannot range over {values!r}; give the values as a list.")
    if len(values) != 2 or values[0] > values[1]:
        raise ValueError(f"{name} must range over (lowest, highest), not {values!r}.")
    inside = default is not None and values[0] <= default <= values[1]
    return Argument(dataclasses.replace(kind, search=values), default if inside else values[0])


def hyperparameters(searched):
    """The space as KerasTuner knows it."""
    space = keras_tuner.HyperParameters()
    for name, argument in searched.items():
        kind, default = argument.kind, argument.default
        if not isinstance(kind, Number):
            space.Choice(name, list(kind.search), default=default)
            continue
        low, high = kind.search
        log = kind.log and low > 0
        if not isinstance(kind, Integer):
            space.Float(name, low, high, sampling="log" if log else "linear", default=default)
        elif log and high >= 2 * low:
            space.Int(name, low, high, step=2, sampling="log", default=default)
        else:
            space.Int(name, low, high, default=default)
    return space
