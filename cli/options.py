"""`key=value` on the command line: what a value means, which keys there are, and the Python that says the same."""

import re

from keras_cookbook.recipes._kinds import among

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
