"""`key=value` on the command line: what a value means, which keys there are, and the Python that says the same."""

import inspect
import re

from keras_cookbook.recipes._kinds import among

#: What concerns the data and not the recipe.
DATA_OPTIONS = ("target", "text", "task", "validation", "test", "image_size", "history", "stride")
#: The arguments of a recipe that are given by their place.
PLACES = ("input_shape", "outputs", "task")
WORDS = {"none": None, "true": True, "false": False}


def parse(words, known):
    """`["depth=3", "--batch-size=64"]` as a dict of values.

    Raises:
        ValueError: for a word that is no `key=value`, a key that is not known or comes twice.
    """
    options = {}
    for word in words:
        key, sign, text = word.partition("=")
        key = key.lstrip("-").replace("-", "_")
        if not sign:
            raise ValueError(f"expected key=value, not {word!r}; for example {key}=...")
        if key not in known:
            raise ValueError(f"there is no option {key!r}.{among(key, known)}")
        if key in options:
            raise ValueError(f"{key} is given twice.")
        options[key] = value_of(text)
    return options


def value_of(text):
    """`3`, `0.1`, `true`, `none` and words as such; `1..6` as a range (tuple), `relu,gelu` as a list."""
    if match := re.fullmatch(r"([^,]+?)\.\.([^,]+)", text):
        return tuple(value_of(part) for part in match.groups())
    if "," in text:
        return [value_of(part) for part in text.split(",") if part]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return WORDS.get(text.lower(), text)


def arguments(options):
    """The options as Python arguments: `, depth=3, optimizer='sgd'`."""
    return "".join(f", {name}={value!r}" for name, value in options.items())


def load_data(source, options, **more):
    """The data, with the options that concern them taken out of `options`, and the Python that loads them."""
    from keras_cookbook import recipes

    given = {name: options.pop(name) for name in DATA_OPTIONS if name in options} | more
    if isinstance(given.get("image_size"), list):
        given["image_size"] = tuple(given["image_size"])
    load = recipes.data.load
    if "history" in given:
        load = recipes.data.windows
        given |= {"horizon": options.pop("horizon", 1)}
    if unknown := given.keys() - inspect.signature(load).parameters:
        raise ValueError(f"{', '.join(sorted(unknown))}: not for {'windows' if 'history' in given else 'such data'}.")
    return load(source, **given), f"data = recipes.data.{load.__name__}({source!r}{arguments(given)})"


def described(sizes):
    """The arguments of a recipe that come from the data, as Python."""
    return ", ".join(f"data.{name}" if name in PLACES else f"{name}=data.{name}" for name in sizes)
