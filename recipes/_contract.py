"""`@recipe`: makes a plain function that builds a network into a factory of compiled models, and registers it."""

import contextlib
import functools
import importlib.metadata
import inspect
import random
from dataclasses import dataclass, replace
from typing import Annotated, get_args, get_origin, get_type_hints

import keras

from ._check import named
from ._heads import check_outputs, compile_model
from ._kinds import DATA, Argument, Choice, Either, Integer, Kind, nearest
from ._model import Prepared
from ._training import Training, arguments_of

REGISTRY = {}
#: Other names of `outputs`, as users of Keras know them.
OUTPUTS = ("num_classes", "classes")
#: What a `Data` tells a recipe.
FROM_DATA = ("input_shape", "outputs", "task", "horizon", "return_sequences")
EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Recipe:
    """What is known of a recipe, all of it read from its signature and docstring: `recipes.mlp.recipe`."""

    build: object
    data: tuple
    paper: str
    training: Training
    game: bool = False

    @property
    def name(self):
        return self.build.__name__

    @functools.cached_property
    def arguments(self):
        """The arguments of the network by name."""
        return read_arguments(self.build, self.data)

    @functools.cached_property
    def settings(self):
        """The arguments of its training by name; labels that do not exist cannot be smoothed."""
        settings = arguments_of(self.training)
        return settings if self.supervised else {k: v for k, v in settings.items() if k != "label_smoothing"}

    @property
    def supervised(self):
        """Whether it learns labels; a recipe without a task learns from `x` alone."""
        return "task" in self.arguments

    @property
    def summary(self):
        """The first line of the docstring."""
        return inspect.getdoc(self.build).split("\n")[0]

    @functools.cached_property
    def signature(self):
        own = inspect.signature(self.build).parameters.values()
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [p.replace(annotation=self.arguments[p.name].kind) for p in own]
        for name, argument in (self.settings | COMMON).items():
            parameters.append(inspect.Parameter(name, keyword, default=argument.default, annotation=argument.kind))
        return Signature(parameters, return_annotation="keras.Model")

    def sizes(self, data):
        """What a factory must know of a `Data`, by argument: `factory(**factory.recipe.sizes(data))`."""
        known = {name: getattr(data, name) for name in FROM_DATA if name in self.arguments}
        return {name: value for name, value in known.items() if value not in (None, False)}

    def make(self, *args, **kwargs):
        """Checks the arguments, builds the network and compiles it."""
        values = self.check(*args, **kwargs)
        network = {name: values[name] for name in self.arguments}
        training = replace(self.training, **{name: values[name] for name in self.settings})
        # Without a seed of its own a model takes one from Python's generator, which `set_random_seed` seeds.
        seed = random.randrange(2**31) if values["seed"] is None else values["seed"]
        with named(self.name), seeded(seed), dtype_policy(training.precision):
            model = self.build(**network)
            if not isinstance(model, Prepared):
                raise TypeError(f"{self.name}: a recipe returns what `head` returns, a RecipeModel, not {type(model)}.")
            model.name = values["name"] or self.name
            if values["compile"]:
                compile_model(model, training, network.get("task"))
        recipe = {
            "name": self.name,
            "arguments": network,
            "training": {name: getattr(training, name) for name in self.settings},
            "seed": seed,
            "data": next((kind for kind in self.data if DATA[kind].legal(network.get("input_shape"))), None),
            "versions": {"keras_cookbook": version(), "keras": keras.__version__},
        }
        model.remember(recipe)
        return model

    def check(self, *args, **kwargs):
        """All arguments by name, defaults included; a `ValueError` names the recipe and the argument at fault."""
        known = self.arguments | self.settings | COMMON
        for alias in OUTPUTS:
            if alias in kwargs and "outputs" in self.arguments:
                value = kwargs.pop(alias)
                given = args[1] if len(args) > 1 else kwargs.setdefault("outputs", value)
                if given != value:
                    raise ValueError(f"{self.name}: {alias}={value!r} and outputs={given!r} are the same argument.")
        for name in kwargs:
            if name not in known:
                raise ValueError(
                    f"{self.name} has no argument {name!r}.{nearest(name, known)} It takes {', '.join(known)}."
                )
        try:
            values = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ValueError(f"{self.name}: {error}.") from None
        values.apply_defaults()
        values = values.arguments
        with named(self.name):
            for name, value in values.items():
                values[name] = known[name].check(value, name)
            if "task" in values:
                check_outputs(values["task"], values["outputs"])
        return values


class Text(Kind):
    """A name for a model."""

    def legal(self, value):
        return isinstance(value, str) and bool(value) and "/" not in value

    def __str__(self):
        return "a text without a slash"


#: What every factory takes beside the network and its training.
COMMON = {
    "compile": Argument(Choice(True, False), True),
    "name": Argument(Text(), None),
    "seed": Argument(Integer(0, 2**32 - 1), None),
}


class Signature(inspect.Signature):
    """A signature that `help` prints with an argument a line."""

    def __str__(self):
        return self.format()

    def format(self, **_):
        lines = []
        for parameter in self.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and "*" not in lines:
                lines.append("*")
            default = "" if parameter.default is EMPTY else f" = {parameter.default!r}"
            lines.append(f"{parameter.name}: {parameter.annotation!r}{default}")
        return "(\n    " + ",\n    ".join(lines) + ",\n) -> keras.Model"


def recipe(*, data, paper="", training=None, game=False):
    """Registers a function as a recipe, under its own name.

    The function takes sizes and gives back an uncompiled network: `return head(inputs, features, task, outputs)`, or,
    where it has no `task`, a model of a class of its own that states its loss in `compute_loss`. What users call has
    the training settings and `compile=`, `name=`, `seed=` besides, checks every argument against its annotation, and
    compiles the network.

    Args:
        data: the kind of data it learns from, a key of `_kinds.DATA`; or several, the more special ones first.
        paper: the source: authors, year, arXiv number or DOI.
        training: the recipe's own defaults of the training settings, a `Training`.
        game: whether parts of the network play against each other, so that the loss need not fall.

    Raises:
        ValueError: if the name is taken, or an argument has no kind or an illegal default.
    """

    def register(build):
        if build.__name__ in REGISTRY:
            other = REGISTRY[build.__name__].__module__
            raise ValueError(f"There is a recipe {build.__name__!r} already, in {other}. Give this one another name.")
        kinds = (data,) if isinstance(data, str) else tuple(data)
        entry = Recipe(build, kinds, paper, training or Training(), game)

        @functools.wraps(build)
        def factory(*args, **kwargs):
            return entry.make(*args, **kwargs)

        del factory.__wrapped__
        factory.recipe = entry
        factory.__signature__ = entry.signature
        REGISTRY[entry.name] = factory
        return factory

    return register


def read_arguments(build, data):
    """The arguments of a function that builds a network, from its signature."""
    hints = get_type_hints(build, include_extras=True)
    arguments = {}
    for name, parameter in inspect.signature(build).parameters.items():
        hint = hints.get(name)
        kind = get_args(hint)[1] if get_origin(hint) is Annotated else None
        if name == "input_shape":
            kind = DATA[data[0]] if len(data) == 1 else Either(*(DATA[kind] for kind in data))
        if not isinstance(kind, Kind):
            raise ValueError(f"{build.__name__}: the argument {name!r} has no kind; annotate it with one of _kinds.py.")
        arguments[name] = Argument(kind, parameter.default)
        if parameter.default is not EMPTY:
            arguments[name].check(parameter.default, name)
    return arguments


@functools.cache
def version():
    return importlib.metadata.version("keras-cookbook")


@contextlib.contextmanager
def seeded(seed):
    """Keras draws the seeds of initialisers and dropout from Python's generator: seeded here, and then as it was.
    None seeds it anew from the system's."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def dtype_policy(precision):
    """Keras scales the loss under float16 only where the policy is the global one: set it, and give it back."""
    policy = keras.config.dtype_policy()
    if precision != "auto":
        keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def get(name):
    """The recipe of that name.

    Raises:
        ValueError: if there is none; it names the nearest.
    """
    if name not in REGISTRY:
        raise ValueError(f"There is no recipe {name!r}.{nearest(name, REGISTRY)} recipes.list() names all.")
    return REGISTRY[name]


def names(data=None):
    """The names of all recipes, in alphabetical order, or of those for one kind of data ("rows", "images", ...)."""
    if data is not None and data not in DATA:
        raise ValueError(f"data must be one of {', '.join(map(repr, DATA))}, not {data!r}.{nearest(data, DATA)}")
    return sorted(name for name, factory in REGISTRY.items() if data is None or data in factory.recipe.data)
