"""The configuration of a `.keras` file, JSON: which classes and functions would Keras put the model together from?

They are looked up among what is imported already, by the rules of Keras; nothing that the file names is imported, but
for the optimizers that Keras has for one backend.
"""

import contextlib
import importlib
import inspect
import json
import re
import sys

import keras

from .refusal import RefusedFile

LARGEST = {"config.json": 256 << 20, "metadata.json": 1 << 20}
#: Levels of JSON: a model in a model takes four or more.
DEEPEST = 100
TRUSTED = ("keras", "keras_hub", "keras_cookbook")
#: What runs code that is not Keras' own, or reads it from files.
FOREIGN = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
FOREIGN_CLASSES = tuple(getattr(keras.layers, name) for name in FOREIGN)
#: What a model is put together from.
KINDS = (
    keras.Operation,  # layers, models and the operations between them
    keras.Loss,
    keras.Metric,
    keras.Optimizer,
    keras.Initializer,
    keras.Regularizer,
    keras.Quantizer,
    keras.DTypePolicy,
    keras.InputSpec,
    keras.constraints.Constraint,
    keras.distillation.DistillationLoss,
    keras.dtype_policies.DTypePolicyMap,
    keras.optimizers.OptimizerMap,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.quantizers.QuantizationConfig,
    keras.random.SeedGenerator,
)
#: Where Keras looks for a function of which only the name is saved.
HOMES = ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers")
#: Of these, the functions that read configurations and not tensors.
READERS = ("get", "serialize", "deserialize")
#: Where Keras has the optimizers of a backend, which it imports when the first is made.
OPTIMIZERS = re.compile(r"keras\.src\.backend\.(jax|tensorflow|torch)\.optimizers\.\w+")
#: Values that are not made by a class.
PLAIN = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")
DTYPE = re.compile(r"(bool|string|(bfloat|float|u?int|complex)\d+(_e\dm\d\w*)?)")
#: Arguments that may be the path of a file.
FILES = ("vocabulary", "idf_weights", "merges", "proto")
#: Arguments that a layer's weights cannot be fewer than.
SIZES = ("units", "filters", "input_dim", "output_dim", "projection_dim")
#: Smaller sizes are not worth a comparison.
NO_BOMB = 1 << 20


def parse(text, name):
    """JSON as a dict.

    Raises:
        RefusedFile: it is too large or too deep, no JSON, or says a thing twice.
    """
    if len(text) > LARGEST[name]:
        raise RefusedFile("too large", f"{name} has {len(text):,} bytes, more than {LARGEST[name]:,}")
    try:
        value = json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise RefusedFile("too deep", f"{name} is nested more than {DEEPEST} levels deep") from None
    except RefusedFile:
        raise
    except ValueError as error:
        raise RefusedFile("no JSON", f"{name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise RefusedFile("no JSON", f"{name} must be a JSON object, not {type(value).__name__}")
    return value


def unique(pairs):
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RefusedFile("duplicate key", f"the key {twice!r} comes twice: which one counts?")
    return made


def read_config(config, allow=()):
    """Looks up all classes and functions that a configuration names.

    Args:
        config: dict, the content of config.json.
        allow: names of further modules whose classes and functions may be used; they are imported.

    Returns:
        A `Reading`.

    Raises:
        RefusedFile: it names something that is not part of a model, or that is not allowed.
        ImportError: a module of `allow` cannot be imported.
    """
    if "class_name" not in config:
        raise RefusedFile("no model", "config.json describes no model: it has no class_name")
    reading = Reading(allow)
    todo = [(config, 1, "the model")]
    while todo:
        value, depth, where = todo.pop()
        if depth > DEEPEST:
            raise RefusedFile("too deep", f"config.json is nested more than {DEEPEST} levels deep, in {where}")
        if isinstance(value, dict):
            where = reading.check_dict(value, where)
            value = list(value.values())
        if isinstance(value, list):
            todo += [(item, depth + 1, where) for item in reversed(value)]  # what comes first is told first
        elif isinstance(value, str):
            reading.check_text(value, where)
    if not issubclass(reading.find_class(config, "the file"), keras.Model):
        raise RefusedFile("no model", f"config.json describes a {config['class_name']}, not a model")
    return reading


class Reading:
    """What has been found in a configuration.

    Attributes:
        classes: names of classes and functions.
        custom_objects: those that Keras must be told of, by name.
        largest: the largest size that a layer has, and which.
    """

    def __init__(self, allow):
        if isinstance(allow, str):
            raise ValueError(f"allow must be a list or tuple of module names, not the text {allow!r}.")
        self.allow = tuple(allow)
        for name in self.allow:
            importlib.import_module(name)
        self.classes, self.custom_objects, self.largest = set(), {}, (0, "", "")

    def check_sizes(self, numbers):
        """Compares the sizes of layers with how many numbers are stored, before memory is asked for."""
        size, name, where = self.largest
        if size > max(numbers, NO_BOMB):
            told = f"{where} has {name}={size:,}, and the file holds {numbers:,} numbers in all"
            raise RefusedFile("size bomb", told)

    def check_dict(self, value, where):
        """Checks what a dict describes; how to call it."""
        inner = value.get("config")
        if "class_name" in value:
            name = inner.get("name") if isinstance(inner, dict) else None
            where = f"{value['class_name']} {name!r}" if name else f"{value['class_name']} in {where}"
            self.check_object(value, where)
        name = value.get("name")
        if isinstance(name, str) and (name.startswith("/") or ".." in re.split(r"[/\\]", name) or "\0" in name):
            raise RefusedFile("path", f"the name {name!r} in {where} is a path that leads out of the file")
        for name in SIZES:
            size = value.get(name)
            if isinstance(size, int | float) and size > self.largest[0]:
                self.largest = (size, name, where)
        return where

    def check_object(self, value, where):
        name = value["class_name"]
        for text in (name, value.get("module"), value.get("registered_name")):
            if not isinstance(text, str | None) or name is None:
                raise RefusedFile("strange name", f"{where} is named by {text!r}, which is no text")
        if name in PLAIN:
            self.check_dtype(value, where)
            return
        if name == "__lambda__":
            raise RefusedFile("lambda", f"{where} is Python code, which runs when the model is loaded or used")
        if name in FOREIGN:
            raise RefusedFile("foreign code", f"{where} runs code that is not part of Keras")
        if name.startswith("__"):
            raise RefusedFile("strange name", f"{where} is no kind of value that models hold")
        if "module" not in value:
            raise RefusedFile("old format", f"{where} has no module: Keras reads such a one without its safe mode")
        found = self.find_function(value, where) if name == "function" else self.find_class(value, where)
        made = getattr(found, "__name__", name)
        self.classes.add(f"{value['module']}.{made}" if value["module"] else made)
        inner = value.get("config")
        for argument in FILES if isinstance(inner, dict) else ():
            if isinstance(inner.get(argument), str) and takes(found, argument):
                told = f"{where} reads its {argument} from a file of this machine, {inner[argument]!r}"
                raise RefusedFile("vocabulary file", told)

    def check_dtype(self, value, where):
        inner = value.get("config")
        dtype = inner.get("dtype") if isinstance(inner, dict) else None
        if dtype is not None and not (isinstance(dtype, str) and DTYPE.fullmatch(dtype)):
            raise RefusedFile("dtype", f"{where} has the dtype {dtype!r}")

    def check_text(self, text, where):
        # Keras takes a text that is a registered name for the thing itself.
        found = keras.saving.get_registered_object(text)
        if found is not None:
            self.check_origin(found, text, where)

    def find_class(self, value, where):
        name, module = value["class_name"], value.get("module")
        registered = value.get("registered_name", name)
        found = keras.saving.get_registered_object(registered) if registered else None
        if found is not None:
            self.check_origin(found, registered, where)
        else:
            if registered not in (None, name):
                told = f"{where} is {registered!r}, which is not registered with Keras here: import what defines it"
                raise RefusedFile("not registered", told)
            found = self.find(name, module, where)
        if not inspect.isclass(found) or not (issubclass(found, KINDS) or self.allows(found.__module__)):
            raise RefusedFile("no part of a model", f"{where} is {module}.{name}, no layer, loss, metric or the like")
        if issubclass(found, FOREIGN_CLASSES):
            raise RefusedFile("foreign code", f"{where} runs code that is not part of Keras")
        return found

    def find_function(self, value, where):
        name, module = value.get("config"), value["module"]
        if not isinstance(name, str):
            raise RefusedFile("strange name", f"a function in {where} is named by {name!r}, which is no text")
        found = keras.saving.get_registered_object(name)
        if found is not None:
            self.check_origin(found, name, where)
        elif module == "builtins":
            found = next((vars(home)[name] for home in homes() if name in vars(home) and name not in READERS), None)
            if found is None and self.allow:  # Keras notes no module for an activation of one's own either
                found = self.find(name, None, where)
        elif module in ("keras.ops", *(f"keras.{home}" for home in HOMES)):
            found = None if name in READERS else vars(sys.modules[module]).get(name)
        elif module is None or module.split(".")[0] not in TRUSTED:
            found = self.find(name, module, where)
        if not callable(found):
            told = f"{where} calls {module}.{name}, no activation, loss, metric, initializer or the like"
            raise RefusedFile("no part of a model", told)
        return found

    def find(self, name, module, where):
        """What Keras, or a module that is allowed, calls by a name; Keras is told of the latter."""
        if module is not None and module.split(".")[0] == "keras":
            if OPTIMIZERS.fullmatch(module):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)
            found = vars(sys.modules[module]).get(name) if module in sys.modules else None
            if found is None:
                raise RefusedFile("no part of a model", f"{where} is {module}.{name}, which Keras does not have")
            return found
        if module is not None and not self.allows(module):
            if module.split(".")[0] in TRUSTED:
                told = f"{where} is {module}.{name}, which is not registered with Keras here: import what defines it"
                raise RefusedFile("not registered", told)
            raise RefusedFile("module", self.not_allowed(where, module))
        # Keras notes no module for what a program itself defines.
        for place in [module] if module else self.allow:
            found = vars(sys.modules[place]).get(name) if place in sys.modules else None
            # What such a module has only imported is not allowed by that.
            if (inspect.isclass(found) or inspect.isfunction(found)) and self.allows(found.__module__):
                self.custom_objects[name] = found
                return found
        looked = module or ", ".join(self.allow) or "no module, since none is allowed"
        raise RefusedFile("not registered", f"{where} was looked for in {looked}, and there is no {name} there")

    def check_origin(self, found, name, where):
        module = getattr(found, "__module__", None) or ""
        if module.split(".")[0] not in TRUSTED and not self.allows(module):
            raise RefusedFile("module", self.not_allowed(f"{name!r} in {where}", module))

    def not_allowed(self, where, module):
        return f"{where} is of the module {module!r}. If you trust that code, allow it: allow=({module!r},)"

    def allows(self, module):
        return any(module == name or module.startswith(name + ".") for name in self.allow)


def takes(found, argument):
    """Whether a class of Keras or KerasHub, or one made of it, has that argument."""
    bases = [base for base in inspect.getmro(found) if base.__module__.split(".")[0] in TRUSTED[:2]]
    return any(argument in inspect.signature(base.__init__).parameters for base in bases)


def homes():
    return [getattr(keras, home) for home in HOMES]
