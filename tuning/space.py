"""The space of a search, read from the recipes' signatures: what is fixed, what is searched, and in which range."""

import contextlib
import dataclasses

import keras_tuner

from keras_cookbook.recipes import Fitting
from keras_cookbook.recipes._check import named
from keras_cookbook.recipes._kinds import Argument, Choice, Integer, Number, nearest
from keras_cookbook.recipes._training import arguments_of

#: Searched in every recipe, unless told otherwise, beside what the recipe itself says is worth searching.
ALWAYS = ("learning_rate", "batch_size")


@dataclasses.dataclass(frozen=True)
class When:
    """Values to search in some trials only; `when` makes it."""

    name: str
    values: tuple
    space: object


def when(name, values, space):
    """What to search only in trials in which another hyperparameter has certain values; in others it has its default.

    Args:
        name: the other hyperparameter, which is searched in all trials.
        values: its value, or a list of them.
        space: a list of the values to try, or a tuple of the lowest and the highest.

    >>> from keras_cookbook import recipes, tuning
    >>> found = tuning.search(
    ...     recipes.mlp, "iris", max_trials=2, epochs=1, width=8, depth=1, progress=False, algorithm="random",
    ...     optimizer=["adam", "sgd"], momentum=tuning.when("optimizer", "sgd", (0.5, 0.99)),
    ... )
    >>> all(("momentum" in trial["values"]) == (trial["values"]["optimizer"] == "sgd") for trial in found.trials)
    True
    """
    return When(name, tuple(values) if isinstance(values, list | tuple) else (values,), space)


def tunable(recipe):
    """Every argument of a recipe that a search may set, and the two of its fitting, by name."""
    network = {name: a for name, a in recipe.arguments.items() if name not in ("input_shape", "outputs", "task")}
    return network | recipe.settings | arguments_of(Fitting())


class Space:
    """What is fixed and what is searched, of one recipe or of several, of which each trial then has one.

    Args:
        factories: the recipes.
        overrides: the name of an argument to a value (fixed), a list (these values), a tuple (low, high) or a `When`
            of the latter two; of several recipes, those that have the argument.

    Attributes:
        fixed: by the name of the recipe, and of the argument, its value.
        searched: likewise, its `Argument`.

    Raises:
        ValueError: for an unknown name or a value that is not legal; it names the recipe and the argument.
    """

    def __init__(self, factories, overrides):
        self.factories = {factory.recipe.name: factory for factory in factories}
        if len(self.factories) < len(factories):
            raise ValueError(f"each recipe must be given once, not {', '.join(f.recipe.name for f in factories)}.")
        self.several = len(self.factories) > 1
        self.known = {name: tunable(factory.recipe) for name, factory in self.factories.items()}
        self.conditions = {name: value for name, value in overrides.items() if isinstance(value, When)}
        every = dict.fromkeys(name for known in self.known.values() for name in known)
        for name in overrides:
            if name not in every:
                raise ValueError(
                    f"{' and '.join(self.factories)} has no argument {name!r} to search.{nearest(name, every)} It has "
                    f"{', '.join(every)}."
                )
        self.fixed, self.searched = {}, {}
        for name, factory in self.factories.items():
            own = {key: value for key, value in overrides.items() if key in self.known[name]}
            self.fixed[name], self.searched[name] = build_space(factory.recipe, own)
            for key in self.conditions.keys() & own.keys():
                self._check(name, key)

    def _check(self, recipe, name):
        """The condition of an argument that is searched."""
        condition = self.conditions[name]
        if condition.name not in self.searched[recipe] or condition.name in self.conditions:
            raise ValueError(
                f"{name} is searched when {condition.name} has certain values, so {condition.name} must be searched "
                f"in all trials.{nearest(condition.name, self.searched[recipe])}"
            )
        for value in condition.values:
            self.known[recipe][condition.name].check(value, condition.name)

    @property
    def names(self):
        """What varies from trial to trial."""
        own = dict.fromkeys(name for searched in self.searched.values() for name in searched)
        return ["recipe", *own] if self.several else [*own]

    @property
    def epochs(self):
        """The most that a trial runs; None where they are searched."""
        return max((fixed.get("epochs") for fixed in self.fixed.values()), default=None)

    def key(self, recipe, name):
        """How KerasTuner knows an argument."""
        return f"{recipe}/{name}" if self.several else name

    def hyperparameters(self):
        """The space as KerasTuner knows it."""
        space = keras_tuner.HyperParameters()
        if self.several:
            space.Choice("recipe", list(self.searched))
        for recipe, searched in self.searched.items():
            for name in sorted(searched, key=lambda name: name in self.conditions):  # what others hang on comes first
                with contextlib.ExitStack() as scopes:
                    if self.several:
                        scopes.enter_context(space.conditional_scope("recipe", [recipe]))
                    if condition := self.conditions.get(name):
                        parent = self.key(recipe, condition.name)
                        scopes.enter_context(space.conditional_scope(parent, list(condition.values)))
                    add(space, self.key(recipe, name), searched[name])
        return space

    def values(self, hyperparameters):
        """Every argument of a trial by its name, and the name of its recipe where there are several."""
        chosen = {hp.name: hyperparameters.values[hp.name] for hp in active(hyperparameters)}
        recipe = chosen["recipe"] if self.several else next(iter(self.factories))
        values = {"recipe": recipe} if self.several else {}
        values |= self.fixed[recipe]
        for name in self.searched[recipe]:
            if (key := self.key(recipe, name)) in chosen:  # KerasTuner's grid gives integers as floats
                whole = isinstance(self.known[recipe][name].kind, Integer)
                values[name] = int(chosen[key]) if whole else chosen[key]
        return values

    def taken_in(self, values):
        """KerasTuner's hyperparameters of a trial of another search; None if it lies outside of this space."""
        recipe = values.get("recipe") if self.several else next(iter(self.factories))
        if recipe not in self.factories:
            return None
        space = self.hyperparameters()
        space.values = {self.key(recipe, name): values.get(name) for name in self.searched[recipe]}
        if self.several:
            space.values["recipe"] = recipe
        inside = all(lies_in(hp, space.values[hp.name]) for hp in active(space))
        return space if inside else None

    def to_list(self):
        """For each name that varies, a dict of `name` and `values`, or of `name`, `low`, `high` and `log`."""
        told = [{"name": "recipe", "values": list(self.searched)}] if self.several else []
        for name in self.names[len(told) :]:
            parts = [entry(name, searched[name]) for searched in self.searched.values() if name in searched]
            if all("low" in part for part in parts):
                low, high = min(part["low"] for part in parts), max(part["high"] for part in parts)
                told.append({"name": name, "low": low, "high": high, "log": all(part["log"] for part in parts)})
            else:
                values = [v for part in parts for v in part.get("values", (part.get("low"), part.get("high")))]
                told.append({"name": name, "values": list(dict.fromkeys(values))})
        return told


def active(hyperparameters):
    """Those of KerasTuner's hyperparameters whose conditions are met."""
    return [hp for hp in hyperparameters.space if hyperparameters.is_active(hp)]


def lies_in(hp, value):
    """Whether one of KerasTuner's hyperparameters could have this value."""
    if value is None:
        return False
    return hp.min_value <= value <= hp.max_value if hasattr(hp, "min_value") else value in hp.values


def build_space(recipe, overrides):
    """What is fixed of a recipe, name to value, and what is searched, name to `Argument`."""
    known = tunable(recipe)
    searched = {
        name: argument
        for name, argument in known.items()
        if argument.kind.search and (name in recipe.arguments or name in ALWAYS)
    }
    fixed = {"epochs": known["epochs"].default}
    for name, value in overrides.items():
        searched.pop(name, None)
        fixed.pop(name, None)
        with named(recipe.name):
            if isinstance(value, When) and not isinstance(value.space, list | tuple):
                raise ValueError(f"{name} must have a list or a range to search, not {value.space!r}.")
            value = value.space if isinstance(value, When) else value
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
    numbers = isinstance(kind, Number) and None not in (default, *values)
    if isinstance(values, list):
        if default not in values:
            default = min(values, key=lambda value: abs(value - default)) if numbers else values[0]
        return Argument(Choice(*values, search=True), default)
    if not isinstance(kind, Number):
        raise ValueError(f"{name} has no order, so it cannot range over {values!r}; give the values as a list.")
    if len(values) != 2 or values[0] > values[1]:
        raise ValueError(f"{name} must range over (lowest, highest), not {values!r}.")
    default = min(max(default, values[0]), values[1]) if numbers else values[0]
    return Argument(dataclasses.replace(kind, search=values), default)


def entry(name, argument):
    """What a searched argument may be, as plain values."""
    if not isinstance(argument.kind, Number):
        return {"name": name, "values": list(argument.kind.search)}
    low, high = argument.kind.search
    return {"name": name, "low": low, "high": high, "log": bool(argument.kind.log and low > 0)}


def add(space, name, argument):
    """Adds an argument to KerasTuner's space."""
    told, default = entry(name, argument), argument.default
    if "values" in told:
        space.Choice(name, told["values"], default=default)
        return
    low, high = told["low"], told["high"]
    if not isinstance(argument.kind, Integer):
        space.Float(name, low, high, sampling="log" if told["log"] else "linear", default=default)
    elif told["log"] and high >= 2 * low:
        space.Int(name, low, high, step=2, sampling="log", default=default)
    else:
        space.Int(name, low, high, default=default)
