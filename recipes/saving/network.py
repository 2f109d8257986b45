"""What an export takes of a model: its inputs, a twin that a format can take, and the layer where it cannot."""

import re

import keras

from .._model import copy_weights, layers
from ..parts.recurrence import InHalves

HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
#: Operations that call back into Python, which no file can hold.
PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
LOOPS = {"While", "StatelessWhile"}


def input_specs(model, batch_size=None, sample=None):
    """The structure of `keras.InputSpec` that `model` takes, each with a name that every format allows.

    A subclassed model does not know its inputs: those of `sample`, a list with one array.

    Raises:
        ValueError: if neither tells them.
    """
    if isinstance(model, keras.Sequential) and model.inputs:
        structure = model.inputs[0]
    elif getattr(model, "inputs", None):
        structure = model.input
    elif sample is not None and len(sample) == 1:
        (array,) = sample
        structure = keras.KerasTensor((None, *array.shape[1:]), str(array.dtype), name="inputs")
    else:
        raise ValueError(
            "a model that is no functional or Sequential one does not know its inputs: give sample=, an array of "
            "examples; one with several inputs must be made a functional model, keras.Model(inputs, outputs)."
        )
    tensors = keras.tree.flatten(structure)
    # Names that Keras has counted are others in another process.
    counted = re.compile(r"(keras_tensor|input_layer)(_\d+)?")
    default = ["inputs"] if len(tensors) == 1 else [f"input_{place}" for place in range(len(tensors))]
    names = [
        other if counted.fullmatch(tensor.name) else re.sub(r"\W", "_", tensor.name)
        for tensor, other in zip(tensors, default, strict=True)
    ]
    names = names if len(set(names)) == len(names) else default
    specs = [
        keras.InputSpec(shape=(batch_size, *tensor.shape[1:]), dtype=tensor.dtype, name=name)
        for tensor, name in zip(tensors, names, strict=True)
    ]
    return keras.tree.pack_sequence_as(structure, specs)


def input_names(specs):
    return [spec.name for spec in keras.tree.flatten(specs)]


def half(model):
    """The narrower type that a part of the model computes in, or None."""
    found = {layer.compute_dtype for layer in layers(model)}
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in found), None)


def twin(model, unroll=False, float32=False):
    """A model that answers alike and is easier to convert: recurrent layers read a batch at once, not in halves, and
    are written out step by step where that is asked for; half precision becomes float32."""
    float32 = float32 and half(model) is not None
    if not (unroll or float32 or any(isinstance(layer, InHalves) for layer in layers(model))):
        return model
    if not getattr(model, "inputs", None):
        raise ValueError("only a functional or Sequential model can be unrolled, or brought from mixed precision.")
    other = type(model).from_config(rewritten(model.get_config(), unroll, float32))
    copy_weights(model, other)
    return other


def rewritten(config, unroll, float32):
    """The configuration of `twin`."""
    if isinstance(config, list | tuple):
        return type(config)(rewritten(part, unroll, float32) for part in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "InHalves":
        layer = config["config"]["layer"]
        named = {"config": {**layer["config"], "name": config["config"]["name"]}, "build_config": None}
        config = {**config, **{key: layer[key] for key in ("module", "class_name", "registered_name")}, **named}
    config = {key: rewritten(part, unroll, float32) for key, part in config.items()}
    if unroll and "unroll" in config:
        config["unroll"] = True
    if float32 and config.get("class_name") == "DTypePolicy":
        config["config"] = {**config["config"], "name": "float32"}
    if float32 and config.get("dtype") in HALF:
        config["dtype"] = "float32"
    return config


class Refused(ValueError):
    """What a format cannot take, with the layer and what to do instead."""


def refuse(operations, network, form, precision):
    """Raises `Refused` for what a converter does not refuse: it would write a file that works nowhere else, or end the
    process."""
    reasons = dict.fromkeys(PYTHON, "calls Python, which no file can hold")
    if precision == "int8":
        reasons |= dict.fromkeys(LOOPS, "loops over steps, and the converter cannot calibrate a loop for int8")
    for operation, path in operations:
        if operation in reasons:
            raise Refused(
                f"{form.title} can't take {at(network, path)}, since it {reasons[operation]} (operation "
                f"{operation} at {path}). "
                + (
                    "Write the layer with keras.ops alone."
                    if operation in PYTHON
                    else instead(network, path, form, precision)
                )
            )


def operations_of(network, specs):
    """The operations of a network as pairs (type, path made of names of layers)."""
    import tensorflow as tf

    signature = keras.tree.map_structure(lambda spec: tf.TensorSpec(spec.shape, spec.dtype, spec.name), specs)
    traced = tf.function(lambda inputs: network(inputs, training=False), autograph=False)
    graph = traced.get_concrete_function(signature).graph.as_graph_def()
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        yield from ((node.op, node.name) for node in nodes)


def why(error, network, form, precision):
    """What a converter's error means, with the layer that it is about."""
    text = str(error)
    found = (
        re.search(r'fused\["(?P<operation>\w+):", "(?P<path>[^"@]+)@', text)  # TensorFlow Lite
        or re.search(r"Name: (?P<path>\S+) OpType: (?P<operation>\w+)", text)  # the checker of ONNX
    )
    if not found:
        told = re.sub(r"\x1b\[\d+m", "", text).strip()[:600] or type(error).__name__
        return f"{form.title} can't take the model: {told}"
    operation, path = found["operation"], found["path"]
    return (
        f"{form.title} can't take {at(network, path)}, which needs the operation {operation} (at {path}). "
        f"{instead(network, path, form, precision)}"
    )


def instead(network, path, form, precision):
    """What can be done about a layer that a format cannot take."""
    other = "saved_model" if form.title == "ONNX" else "onnx"
    if not recurrent(layer_at(network, path)):
        return f"Try format={other!r}, or write the layer with other operations of keras.ops."
    if precision == "int8":
        return "Export with unroll=True, which writes each step out; or with precision='float16' and batch_size=1."
    return (
        "Export with unroll=True, which writes each step out and needs a fixed number of them; with batch_size=1; or "
        f"with format={other!r}."
    )


def recurrent(layer):
    inner = getattr(layer, "forward_layer", getattr(layer, "layer", layer))  # of a Bidirectional or a wrapper
    return isinstance(inner, keras.layers.RNN)


def at(network, path):
    layer = layer_at(network, path)
    return f"the layer {layer.name!r} ({type(layer).__name__})" if layer else "a part of the model"


def layer_at(network, path):
    """The layer whose name is in the path of an operation, of a model in the model too; None where none is."""
    found = None
    for step in path.split("/"):
        # TensorFlow counts the times that a name is used: "lstm_1" is "lstm" used again rather than "lstm_1" itself.
        for name in (re.sub(r"_\d+$", "", step), step):
            layer = next((layer for layer in getattr(network, "layers", ()) if layer.name == name), None)
            if layer:
                found = network = layer
                break
    return found
