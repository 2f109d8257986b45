"""Formats of files that run without Keras: how each is written, and how its own runtime answers."""

import contextlib
import errno
import functools
import importlib.util
import logging
import re
import warnings
from dataclasses import dataclass

import keras
import numpy as np

from .network import Refused, input_names, operations_of, refuse, twin, why


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        title: its name in messages and tables.
        suffix: how a path to such a file ends; "" for a folder.
        write: a function of a network, a path, the specs of its inputs, `precision` and `calibration`.
        open: a function of a path; it returns a function from a dict of arrays by input to the list of answers.
        modules: what must be installed besides TensorFlow, `extra` the extra of this package that brings it.
        tolerances: by precision, how far answers may lie from the model's, as a share of the largest of them.
    """

    title: str
    suffix: str
    write: object
    open: object
    tolerances: dict
    modules: tuple = ()
    extra: str | None = None

    def check_installed(self):
        """Raises an `ImportError` that names the extra."""
        missing = [name for name in self.modules if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(
                f"{self.title} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
                f"installed: pip install 'keras-cookbook[{self.extra}]'"
            )


def write_saved_model(network, path, specs, precision, calibration):
    network.export(path, format="tf_saved_model", verbose=False, input_signature=[specs])


def open_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def answer(inputs, _keep=loaded):  # its variables live as long as it does
        outputs = serve(**{name: tf.constant(array) for name, array in inputs.items()})
        return in_order({name: value.numpy() for name, value in outputs.items()})

    return answer


def write_onnx(network, path, specs, precision, calibration):
    teach_tf2onnx()
    import onnx

    network.export(path, format="onnx", verbose=False, input_signature=[specs])
    # tf2onnx writes an operation that it does not know as it is, and tells only a log.
    onnx.checker.check_model(str(path))


def open_onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


@functools.cache
def teach_tf2onnx():
    """Adds the one operation that recipes use (in GELU) and tf2onnx does not know: erfc(x) = 1 - erf(x)."""
    from tf2onnx.handler import tf_op
    from tf2onnx.utils import map_onnx_to_numpy_type

    class Erfc:
        @classmethod
        def version_9(cls, context, node, **_):
            known = {"shapes": node.output_shapes, "dtypes": node.output_dtypes}
            one = np.ones((), map_onnx_to_numpy_type(context.get_dtype(node.input[0])))
            context.remove_node(node.name)
            erf = context.make_node("Erf", node.input, **known)
            one = context.make_const(f"{node.name}_one", one)
            context.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, name=node.name, **known)

    tf_op("Erfc")(Erfc)


def write_litert(network, path, specs, precision, calibration):
    import tensorflow as tf

    # Without Select TensorFlow operations ("Flex"): LiteRT's own runtime does not have them.
    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    options = {"target_spec": target}
    if precision != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        target["supported_types"] = [tf.float16]
    if precision == "int8":
        names, size = input_names(specs), keras.tree.flatten(specs)[0].shape[0] or 1
        count = len(calibration[0]) // size * size
        options["representative_dataset"] = lambda: (
            dict(zip(names, (array[start : start + size] for array in calibration), strict=True))
            for start in range(0, count, size)
        )
    network.export(path, format="litert", verbose=False, input_signature=[specs], **options)


def open_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    return lambda inputs: in_order(runner(**inputs))


def in_order(outputs):
    """The answers in the order of the model's outputs, which the names `output_0`, `output_1`, ... tell."""

    def place(name):
        number = re.fullmatch(r"output_(\d+)", name)
        return (int(number[1]) if number else 0, name)

    return [np.asarray(outputs[name]) for name in sorted(outputs, key=place)]


FORMATS = {
    "saved_model": Format("SavedModel", "", write_saved_model, open_saved_model, {"float32": 1e-4}),
    "onnx": Format(
        "ONNX", ".onnx", write_onnx, open_onnx, {"float32": 1e-4}, ("onnx", "tf2onnx", "onnxruntime"), "onnx"
    ),
    "litert": Format(
        "LiteRT",
        ".tflite",
        write_litert,
        open_litert,
        {"float32": 1e-4, "float16": 1e-2, "int8": 0.3},
        ("ai_edge_litert",),
        "litert",
    ),
}


def write(model, path, specs, *, name, precision="float32", unroll=False, calibration=None):
    """Writes a model of the TensorFlow backend to a file or folder.

    Args:
        path: where to; nothing must be there.
        specs: the structure of `keras.InputSpec` that the model takes.
        name: a key of `FORMATS`.
        unroll: whether recurrent layers are written out step by step.
        calibration: a list of arrays, one for each input, for "int8".

    Raises:
        ValueError: if the format cannot take the model; it names the layer and says what to do instead.
        OSError: if the file could not be written.
    """
    form = FORMATS[name]
    network = twin(model, unroll, float32=name != "saved_model")
    try:
        with quiet():
            operations = list(operations_of(network, specs))
            refuse(operations, network, form, precision)
            form.write(network, path, specs, precision, calibration)
    except (Refused, OSError):
        raise
    except Exception as error:
        if "No space left on device" in str(error):  # TensorFlow has errors of its own
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise ValueError(why(error, network, form, precision)) from error


@contextlib.contextmanager
def quiet():
    """Holds back what converters tell of themselves."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
