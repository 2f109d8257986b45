"""The vocabulary of recipe arguments: which values are legal, and which are worth searching.

A recipe annotates each argument with one of the kinds at the end of this file, or with one of its own:
`depth: Annotated[int, Choice(18, 34, 50)] = 18`. Checks, search space, command line and help all read it from there.
"""

import difflib
import math
import numbers
from dataclasses import dataclass
from typing import Annotated


def nearest(word, known):
    """`" Did you mean 'depth'?"` for the known word nearest to `word`, or nothing where none is near."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def among(word, known):
    """`" Did you mean 'age'? There are age, color."`"""
    known = [str(name) for name in known]
    return f"{nearest(word, known)} There are {', '.join(known[:40])}{', ...' if len(known) > 40 else ''}."


class Kind:
    """What an argument may be. `check` returns the value, or raises a `ValueError` that says which argument it is for
    and what is legal.

    `search` holds the values worth searching, or None where an argument is not searched unless asked.
    `str(kind)` is the legal values in words; `repr(kind)`, shown by `help()`, the values worth trying.
    """

    search = None

    def check(self, value, name="the value"):
        if not self.legal(value):
            raise ValueError(f"{name} must be {self}, not {value!r}.{self.hint(value)}")
        return self.plain(value)

    def legal(self, value):
        raise NotImplementedError

    def plain(self, value):
        return value

    def hint(self, value):
        return ""

    def __repr__(self):
        return str(self)


@dataclass(frozen=True, repr=False)
class Number(Kind):
    """A number from `low` to `high`; `search=(low, high)`; `log=True` where a factor matters and not a difference."""

    low: float
    high: float | None = None
    search: tuple | None = None
    log: bool = False
    below: bool = False  # `high` itself is not legal

    def legal(self, value):
        if not isinstance(value, self.type) or isinstance(value, bool) or not math.isfinite(value):
            return False
        under = self.high is None or (value < self.high if self.below else value <= self.high)
        return bool(value >= self.low and under)

    def __str__(self):
        if self.high is None:
            return f"{self.noun} of at least {self.low}"
        return f"{self.noun} from {self.low} to {'below ' if self.below else ''}{self.high}"

    def __repr__(self):
        low, high = self.search or (self.low, self.high)
        return f"{low}..{'' if high is None else high}"


class Integer(Number):
    type, noun, plain = numbers.Integral, "an integer", staticmethod(int)


class Real(Number):
    type, noun, plain = numbers.Real, "a number", staticmethod(float)


class Choice(Kind):
    """One of the given values; `search=` names those worth searching, all of them with `search=True`."""

    def __init__(self, *values, search=None):
        self.values = values
        self.search = values if search is True else search

    def legal(self, value):
        # 1 == True in Python, and a depth of True is a mistake.
        return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in self.values)

    def plain(self, value):
        return next(known for known in self.values if known == value)

    def hint(self, value):
        return nearest(value, self.values)

    def __str__(self):
        return "one of " + ", ".join(repr(v) for v in self.values)

    def __repr__(self):
        return " | ".join(repr(v) for v in self.values)


class Axes(Kind):
    """A shape without its batch axis: a tuple with a size for each named axis; None where a size may vary."""

    def __init__(self, *axes, free=()):
        self.axes, self.free = axes, free

    def legal(self, value):
        if not isinstance(value, tuple | list):
            return False
        # "..." as the last axis: any number of further axes.
        axes = self.axes if self.axes[-1] != "..." else self.axes[:1] * max(len(value), 1)
        return len(value) == len(axes) and all(
            (size is None and axis in self.free) or POSITIVE.legal(size) for axis, size in zip(axes, value, strict=True)
        )

    def plain(self, value):
        return tuple(value)

    def __str__(self):
        return f"a tuple of positive integers {self!r}" + (
            f" ({' and '.join(self.free)} may be None)" if self.free else ""
        )

    def __repr__(self):
        return f"({', '.join(self.axes)}{',' if len(self.axes) == 1 else ''})"


class Either(Kind):
    """What one of several kinds accepts."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def legal(self, value):
        return any(kind.legal(value) for kind in self.kinds)

    def plain(self, value):
        return next(kind for kind in self.kinds if kind.legal(value)).plain(value)

    def __str__(self):
        return ", or ".join(str(kind) for kind in self.kinds)

    def __repr__(self):
        return " | ".join(repr(kind) for kind in self.kinds)


@dataclass(frozen=True)
class Argument:
    """One argument of a recipe: its kind, and its default (`inspect.Parameter.empty` where it must be given)."""

    kind: Kind
    default: object
    optional: bool = False  # None, "not used", may be said though it is not the default

    def check(self, value, name):
        unused = value is None and (self.optional or self.default is None)
        return None if unused else self.kind.check(value, name)


POSITIVE = Integer(1)
#: Kind of data -> the shape of one example, as `input_shape` has it.
DATA = {
    "rows": Axes("features", "..."),
    "images": Axes("height", "width", "channels", free=("height", "width")),
    "sequences": Axes("steps", "features", free=("steps",)),
    "text": Axes("tokens"),
}

# The words that recipes share. `Shape` becomes the shape of the recipe's kind of data.
Shape = Annotated[tuple, "the shape of one example"]
Size = Annotated[int, POSITIVE]
Task = Annotated[str, Choice("binary", "multiclass", "multilabel", "regression")]
Depth = Annotated[int, Integer(1, 1000, search=(1, 6))]
Width = Annotated[int, Integer(1, 65536, search=(16, 512), log=True)]
Rate = Annotated[float, Real(0, 1, search=(0.0, 0.5), below=True)]
Augmentation = Annotated[str, Choice("none", "shift", "flip", "shift_flip")]
Flag = Annotated[bool, Choice(True, False)]
Activation = Annotated[
    str,
    Choice("relu", "gelu", "silu", "elu", "selu", "leaky_relu", "tanh", "sigmoid", "linear", search=("relu", "gelu")),
]
