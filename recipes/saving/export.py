"""Exports that are checked: a model as a file that runs without Keras, compared with the model itself."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import keras

from .._check import named
from .._kinds import Choice, Integer, Real, among
from .._model import ComposedModel
from .._text import TextModel
from .comparison import agreement, compare, fitting, in_batches, inputs_from, predict, samples_for, timed
from .elsewhere import write_elsewhere
from .formats import FORMATS, write
from .network import half, input_specs
from .place import beside, bytes_of, check_path

#: How far a model that computes in a narrower type may lie from its export.
HALF = {"float16": 3e-2, "bfloat16": 1e-1}


@dataclass(frozen=True)
class Export:
    """What an export is, and how it compares with the model; printed, it is a table.

    Attributes:
        path: the file, or the folder of a SavedModel.
        format: "saved_model", "onnx" or "litert"; `precision`: "float32", "float16" or "int8".
        bytes: its size on disk; `weights_bytes`: that of the model's weights in memory.
        batch: the number of examples in the batch that was timed.
        seconds: for such a batch; `keras_seconds`: of `model.predict_on_batch`.
        difference: the largest difference of an answer to the model's; `tolerance`: how large it may be.
        agreement: the share of examples with the same class, where the answers are probabilities; else None.
        inputs: type and shape by the name of each input.
        vocabulary: the file with the words of a text model, whose export takes their numbers; else None.
    """

    path: Path
    format: str
    precision: str
    bytes: int
    weights_bytes: int
    batch: int
    seconds: float
    keras_seconds: float
    difference: float
    tolerance: float
    agreement: float | None
    inputs: dict
    vocabulary: Path | None = None

    @property
    def ratio(self):
        """Its time over that of Keras."""
        return self.seconds / self.keras_seconds

    def to_dict(self):
        """All of it as plain values, for JSON."""
        paths = {"path": str(self.path), "vocabulary": self.vocabulary and str(self.vocabulary)}
        return dataclasses.asdict(self) | paths | {"ratio": self.ratio}

    def __str__(self):
        title = FORMATS[self.format].title + (f" {self.precision}" if self.format == "litert" else "")
        same = "" if self.agreement is None else f"{self.agreement:.1%}"
        batch = f"ms/batch of {self.batch}"
        rows = [
            ("", "size", batch, "x Keras", "largest difference", "same class"),
            ("Keras", written_size(self.weights_bytes), f"{1e3 * self.keras_seconds:.2f}", "1.00", "", ""),
            (
                title,
                written_size(self.bytes),
                f"{1e3 * self.seconds:.2f}",
                f"{self.ratio:.2f}",
                f"{self.difference:.1e} (at most {self.tolerance:.1e})",
                same,
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines += [f"inputs: {', '.join(f'{name} {kind}' for name, kind in self.inputs.items())}"]
        lines += [f"vocabulary: {self.vocabulary}"] if self.vocabulary else []
        return "\n".join(line.rstrip() for line in lines)


def export(
    model: keras.Model,
    path: str | os.PathLike,
    format: str | None = None,
    *,
    precision: str = "float32",
    sample=None,
    calibration=None,
    batch_size: int | None = None,
    unroll: bool = False,
    tolerance: float | None = None,
) -> Export:
    """Writes a model to a file that runs without Keras, and compares its answers with those of the model.

    The file is run by its own runtime on a sample of inputs, and must answer as `model.predict` does; one that does not
    is never seen at `path`, where an earlier export stays. A model in mixed precision is exported in float32, except to
    a SavedModel. A text model is exported as its network, which takes numbers of words; the words are written beside
    it, to `<path>.vocabulary.json`. Parts of a model can be exported too: `model.generator`, `model.decoder`.

    Args:
        model: any functional or Sequential Keras model; or one of a class of its own with a single input, then with a
            `sample`.
        path: the file, or the folder of a SavedModel. Folders above it are made.
        format: "saved_model" (TensorFlow; TensorFlow Serving), "onnx" (ONNX Runtime) or "litert" (LiteRT, once
            TensorFlow Lite). None goes by the end of the path: ".onnx", ".tflite", or none for a SavedModel.
        precision: "float32"; for LiteRT also "float16", which halves the file, or "int8", a quarter of it: weights and
            activations have 8 bits, inputs and outputs stay float32.
        sample: inputs to compare on, arrays or a data set, as `predict` takes them; of a data set the first batch. By
            default random ones of several sizes, or those of `calibration`.
        calibration: for "int8": some hundred typical inputs, from which the ranges of activations are learnt.
        batch_size: the one number of examples that the file takes; None for any.
        unroll: whether recurrent layers are written out step by step, which LiteRT can take; for a fixed number of
            steps.
        tolerance: how far answers may lie from the model's, as a share of its largest answer. By default 1e-4 in
            float32, 0.01 in float16, 0.3 in int8; more for a model in mixed precision.

    Raises:
        ValueError: for an argument that does not fit; or if the format cannot take the model: it names the layer and
            what to do instead.
        RuntimeError: if the file answers otherwise than the model.
        ImportError: if what the format needs is not installed; it names the extra.
        OSError: if the file could not be written.
    """
    path = Path(path)
    name = format_of(path, format)
    form = FORMATS[name]
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, not {type(model).__name__}; recipes.load reads a file.")
    with named(model.name):
        check_model(model)
        check_options(form, precision, calibration, batch_size, unroll, tolerance)
        check_path(path, name)
        form.check_installed()
        sample = inputs_from(model, sample, "sample")
        calibration = inputs_from(model, calibration, "calibration")
        specs = input_specs(model, batch_size, sample or calibration)
        calibration = calibration and fitting(calibration, specs, "calibration")
        samples = samples_for(model, specs, sample and fitting(sample, specs, "sample"), calibration)
        check_steps(specs, unroll)
        expected = [predict(model, specs, arrays) for arrays in samples]
        with beside(path) as folder:
            unfinished = folder / path.name
            write_here = write if keras.backend.backend() == "tensorflow" else write_elsewhere
            write_here(model, unfinished, specs, name=name, precision=precision, unroll=unroll, calibration=calibration)
            run = form.open(unfinished)
            found = [in_batches(run, specs, arrays) for arrays in samples]
            allowed = tolerance or max(form.tolerances[precision], HALF.get(half(model), 0))
            compared = compare(expected, found, allowed, f"the {form.title} file")
            vocabulary = write_vocabulary(model, folder, path)
            return Export(
                path=path,
                format=name,
                precision=precision,
                bytes=bytes_of(unfinished),
                weights_bytes=sum(weight.nbytes for weight in model.get_weights()),
                agreement=agreement(model, expected[0], found[0]),
                inputs={spec.name: f"{spec.dtype} {shown(spec.shape)}" for spec in keras.tree.flatten(specs)},
                vocabulary=vocabulary,
                **compared,
                **timed(model, specs, run, samples[0]),
            )


def format_of(path, format):
    """The key of the format, from its name or else from the path."""
    if format is None:
        suffixes = {form.suffix: name for name, form in FORMATS.items()}
        if path.suffix not in suffixes:
            raise ValueError(
                f"path must end in .onnx, in .tflite, or in nothing for a SavedModel, not in {path.suffix!r}; "
                "or give format=."
            )
        return suffixes[path.suffix]
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}.{among(format, FORMATS)}")
    suffix = FORMATS[format].suffix
    if suffix and path.suffix != suffix:
        raise ValueError(f"the path of an export to {FORMATS[format].title} must end in {suffix}, not {str(path)!r}.")
    return format


def check_model(model):
    if isinstance(model, ComposedModel):
        parts = " or ".join(f"model.{part}" for part in model.names)
        raise ValueError(
            f"a {type(model).__name__} is made of models that work together when it learns; what answers afterwards "
            f"is one of them. Export {parts}."
        )


def check_options(form, precision, calibration, batch_size, unroll, tolerance):
    if precision not in form.tolerances:
        raise ValueError(f"{form.title} has no precision {precision!r}.{among(precision, form.tolerances)}")
    if (precision == "int8") != (calibration is not None):
        raise ValueError(
            "precision='int8' needs calibration=, some hundred typical inputs, from which the ranges of activations "
            "are learnt."
            if precision == "int8"
            else f"calibration is for precision='int8', not {precision!r}; inputs to compare on are sample=."
        )
    if batch_size is not None:
        Integer(1).check(batch_size, "batch_size")
    if tolerance is not None:
        Real(0).check(tolerance, "tolerance")
    Choice(True, False).check(unroll, "unroll")


def check_steps(specs, unroll):
    """Refuses to write out a number of steps that is not known."""
    for spec in keras.tree.flatten(specs):
        if unroll and None in spec.shape[1:]:
            raise ValueError(
                f"unroll=True needs a fixed number of steps; the input {spec.name!r} is {shown(spec.shape)}."
            )


def shown(shape):
    return "(" + ", ".join(["examples" if shape[0] is None else str(shape[0]), *map(str, shape[1:])]) + ")"


def written_size(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def write_vocabulary(model, folder, path):
    """Writes the words of a text model beside its export; where they will be, or None."""
    if not isinstance(model, TextModel) or not model.vocabulary:
        return None
    name = f"{path.name}.vocabulary.json"
    words = {
        "tokens": model.input_shape[1],
        "split": "lower case, without punctuation, at white space; cut or filled up with 0 to `tokens` numbers",
        "numbers": {"fill": 0, "unknown word": 1, "first of words": 2},
        "words": model.vocabulary,
    }
    (folder / name).write_text(json.dumps(words, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path.with_name(name)
