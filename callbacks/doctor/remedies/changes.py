"""Changes of a training, and a model made again with them.

A change is one of

- an argument of the recipe, for a recipe's model, instead of the next two;
- `"layer.argument"`, of a layer by name, such as `"dense.activation"`;
- `trainable`, of all layers; `optimizer`, `learning_rate`, `clip_norm`, `loss` or `auto_scale_loss`, of `compile`;
- `epochs`, `batch_size`, `class_weight` or `shuffle`, of `fit`;
- `x="standardized"` (by a layer at the start), `x="finite"` (rows that hold NaN are left out), `y="standardized"`,
  `y="from 0"` (classes are numbered anew).
"""

import contextlib
import difflib

import keras
import numpy as np

from ...layers import layers_of

OF_FIT = ("epochs", "batch_size", "class_weight", "shuffle")
OF_COMPILE = ("trainable", "optimizer", "learning_rate", "clip_norm", "loss", "auto_scale_loss")
OF_DATA = {"x": ("standardized", "finite"), "y": ("standardized", "from 0")}


def check_changes(model: keras.Model, changes: dict):
    """Raises a ValueError where a change is nothing of this training, and names the nearest that is."""
    recipe = getattr(model, "recipe", None)
    if recipe:
        known = [*recipe.get("arguments", ()), *recipe.get("training", ()), "seed"]
        legal = OF_DATA | {"x": ("finite",)}  # a recipe scales by an argument, or by itself
    else:
        known = [f"{layer.name}.{name}" for layer in layers_of(model) for name in _arguments(layer)]
        known, legal = [*known, *OF_COMPILE], OF_DATA
    known += [*OF_FIT, *OF_DATA]
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            there = ", ".join(one for one in known if "." not in one)
            raise ValueError(
                f"changes: {name!r} is nothing of this training.{meant} There are {there}"
                + ("." if recipe else ", and the arguments of layers, such as 'dense.activation'.")
            )
        if name in legal and value not in legal[name]:
            raise ValueError(f"changes: {name} can be {' or '.join(map(repr, legal[name]))}, got {value!r}")


def _arguments(layer) -> set:
    with contextlib.suppress(Exception):  # a layer of the user's own need not have a config
        config = layer.get_config()
        inner = config.get("layer")
        return {*config, *(inner.get("config", ()) if isinstance(inner, dict) else ())}
    return set()


def grouped(changes: dict) -> list:
    """Pairs of a name and a value, with layers that change alike under one name."""
    layers = {}
    for name, value in changes.items():
        owner, _, argument = name.rpartition(".")
        layers.setdefault((argument, repr(value)), (value, []))[1].append(owner)
    told = []
    for (argument, _), (value, owners) in layers.items():
        where = owners if len(owners) < 3 else [f"{owners[0]}..{owners[-1]}"]
        told += [(f"{owner}.{argument}".removeprefix("."), value) for owner in where]
    return told


def again(model: keras.Model, changes: dict, x=None) -> keras.Model:
    """The model anew and compiled, with fresh weights (but for layers that are frozen) and the changes.

    Args:
        model: A recipe's model, or a functional or sequential one.
        changes: As `prescribe` gives them; those of `fit` are passed over.
        x: An array, for `x="standardized"`.

    Raises:
        ValueError: A model that cannot be made again.
    """
    changes = {name: value for name, value in changes.items() if name not in OF_FIT}
    if getattr(model, "recipe", None):
        return model.again(**{name: value for name, value in changes.items() if name not in OF_DATA})
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"{type(model).__name__} is a class of one's own, which cannot be made again with changes")

    def cloned(layer):
        config = layer.get_config()
        if "trainable" in changes:
            config["trainable"] = changes["trainable"]
        for name, value in changes.items():
            owner, _, argument = name.rpartition(".")
            if owner == layer.name:
                (config if argument in config else config["layer"]["config"])[argument] = value
        return type(layer).from_config(config)

    new = keras.models.clone_model(model, clone_function=cloned, recursive=True)
    if new.built and model.built:
        _keep_frozen(model, new)
    if changes.get("x") == "standardized":
        new = _standardized(new, x)
    new.compile(**_compiling(model, changes))
    return new


def _standardized(model, x):
    normalize = keras.layers.Normalization(axis=-1 if np.ndim(x) == 2 else None)
    normalize.adapt(np.asarray(x, "float32"))
    return keras.Sequential([keras.Input(np.shape(x)[1:]), normalize, model])


def _keep_frozen(old, new):
    names = {layer.name: layer for layer in new._flatten_layers()}
    for layer in old._flatten_layers():
        kept = not layer.trainable or isinstance(layer, keras.layers.Normalization)
        twin = names.get(layer.name)
        if not kept or twin is None or isinstance(layer, keras.Model) or twin.trainable_weights:
            continue
        if [w.shape for w in twin.weights] == [w.shape for w in layer.weights]:
            twin.set_weights(layer.get_weights())
            if isinstance(layer, keras.layers.Normalization):
                twin.finalize_state()  # it computes with copies of its weights


def _compiling(model, changes) -> dict:
    config = model.get_compile_config()
    if "optimizer" in changes:
        config["optimizer"] = keras.optimizers.serialize(keras.optimizers.get(changes["optimizer"]))
    settings = config["optimizer"]["config"]
    if scaled := "inner_optimizer" in settings:
        settings = settings["inner_optimizer"]["config"]
    if "learning_rate" in changes:
        settings["learning_rate"] = changes["learning_rate"]
    if "clip_norm" in changes:
        settings |= {"global_clipnorm": changes["clip_norm"], "clipnorm": None, "clipvalue": None}
    if changes.get("auto_scale_loss") and not scaled:
        optimizer = keras.optimizers.deserialize(config["optimizer"])
        config["optimizer"] = keras.optimizers.serialize(keras.optimizers.LossScaleOptimizer(optimizer))
    if "loss" in changes:
        config["loss"] = changes["loss"]
        config["metrics"] = config["weighted_metrics"] = None  # they may not fit
    return keras.saving.deserialize_keras_object(config)
