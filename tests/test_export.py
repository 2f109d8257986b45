"""Exports: every recipe in every format that it is said to have, and what must not be written or must not be lost."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from conformance import Case

from keras_cookbook import cli, recipes
from keras_cookbook.recipes.saving import formats, network
from keras_cookbook.recipes.saving.supported import small, supported, table_head, table_row

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
TENSORFLOW = keras.backend.backend() == "tensorflow"
on_tensorflow = pytest.mark.skipif(not TENSORFLOW, reason="each export starts a process on this backend")
for module in ("onnxruntime", "tf2onnx", "ai_edge_litert"):
    pytest.importorskip(module)


def trained(name, kind=None, **arguments):
    case = Case(recipes.get(name), kind)
    model = case.make(**arguments)
    model.fit(case.x, case.labels(), verbose=0)
    return case, model


@pytest.fixture(scope="module")
def mlp():
    return trained("mlp")


@on_tensorflow
@pytest.mark.parametrize("name", [n if n == "mlp" else pytest.param(n, marks=pytest.mark.slow) for n in recipes.list()])
def test_the_table_in_the_readme_is_what_happens(name):
    assert table_head() in README, "run: cookbook export --table"
    for row in supported([name]):
        assert table_row(*row) in README, f"run: cookbook export --table; it has {table_row(*row)}"
        assert all(options is not None for options in row[-1].values()), "every recipe has every format so far"


@on_tensorflow
def test_the_command_prints_the_table(monkeypatch):
    rows = list(supported(["mlp"]))
    monkeypatch.setattr("keras_cookbook.recipes.saving.supported.supported", lambda _: rows)
    printed = CliRunner().invoke(cli.main, ["export", "--table"]).output
    assert printed.strip() == "\n".join([table_head(), *(table_row(*row) for row in rows)])


@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_a_trained_model(mlp, path, tmp_path):
    """Its answers are read from the file here once more, without the package."""
    case, model = mlp
    report = recipes.export(model, tmp_path / path, sample=case.x)
    assert sorted(os.listdir(tmp_path)) == [path]
    assert report.path == tmp_path / path
    assert report.agreement == 1.0
    assert report.difference <= report.tolerance < 1e-3
    assert report.inputs == {"inputs": "float32 (examples, 6)"}
    if path.endswith(".onnx"):
        import onnxruntime

        answers = onnxruntime.InferenceSession(report.path).run(None, {"inputs": case.x})[0]
    elif path.endswith(".tflite"):
        from ai_edge_litert.interpreter import Interpreter

        answers = Interpreter(str(report.path)).get_signature_runner()(inputs=case.x)["output_0"]
    else:
        import tensorflow as tf

        loaded = tf.saved_model.load(report.path)
        answers = loaded.serve(case.x).numpy()
        assert not [v for v in loaded.variables if "momentum" in v.name], "the optimizer is in the file"
    np.testing.assert_allclose(answers, model.predict(case.x, verbose=0), atol=1e-5)
    text = str(report)
    for words in ("ms/batch of 64", "x Keras", "largest difference", "100.0%"):
        assert words in text
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["ratio"] == pytest.approx(report.seconds / report.keras_seconds)
    assert plain["bytes"] == report.bytes > 0


@pytest.mark.slow
@on_tensorflow
def test_narrow_numbers(tmp_path):
    _, model = trained("mlp", width=256, depth=2)
    x = Case(recipes.mlp).x
    sizes = [
        recipes.export(model, tmp_path / "m.tflite", precision=precision, **given).bytes
        for precision, given in (("float32", {}), ("float16", {}), ("int8", {"calibration": x}))
    ]
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.35 * sizes[0]


@on_tensorflow
def test_text(tmp_path):
    """The export takes numbers of words; what the words are lies beside it."""
    case, model = trained("transformer_encoder", "text")
    report = recipes.export(model, tmp_path / "m.onnx", sample=case.x)
    assert report.inputs == {"tokens": "int32 (examples, 4)"}
    kept = json.loads(report.vocabulary.read_text(encoding="utf-8"))
    assert kept["words"] == model.vocabulary
    numbers = {word: place + kept["numbers"]["first of words"] for place, word in enumerate(kept["words"])}
    rows = [[numbers[word.strip("-").replace("-", "")] for word in text.lower().split()] for text in case.x]
    tokens = [row + [kept["numbers"]["fill"]] * (kept["tokens"] - len(row)) for row in rows]
    np.testing.assert_array_equal(tokens, model.tokenize(case.x))
    assert str(report.vocabulary) in str(report)


@on_tensorflow
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_a_recurrent_layer_is_named_with_what_to_do(cell, tmp_path):
    model = recipes.recurrent((6, 3), 3, cell=cell, width=8)
    layer = next(layer for layer in model.layers if "halves" in layer.name)
    with pytest.raises(ValueError, match=rf"^recurrent: LiteRT can't take the layer '{layer.name}'") as error:
        recipes.export(model, tmp_path / "m.tflite")
    for words in ("TensorListReserve", "unroll=True", "batch_size=1", "format='onnx'"):
        assert words in str(error.value)
    calibration = np.random.default_rng(0).normal(size=(64, 6, 3))
    with pytest.raises(ValueError, match=f"'{layer.name}'.*calibrate a loop for int8.*unroll=True"):
        recipes.export(model, tmp_path / "m.tflite", precision="int8", calibration=calibration)
    assert not os.listdir(tmp_path)
    report = recipes.export(model, tmp_path / "m.tflite", batch_size=1, sample=calibration)
    assert report.batch == 1


@on_tensorflow
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_an_unknown_operation_is_told_with_its_layer(suffix, tmp_path):
    class Eigenvalues(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.math.real(tf.linalg.eigvals(x[:, :, None] * x[:, None, :]))

    inputs = keras.Input((3,))
    inner = keras.Model(inputs, Eigenvalues(name="spectrum")(inputs), name="inner")
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"can't take the layer 'spectrum' \(Eigenvalues\).* operation Eig "):
        recipes.export(model, tmp_path / f"m{suffix}")
    assert not os.listdir(tmp_path)


@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_python_cannot_be_exported(path, tmp_path):
    """A SavedModel of it would pass here, and fail in every other process."""

    class Python(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.ensure_shape(tf.numpy_function(np.sort, [x], "float32"), x.shape)

    model = keras.Sequential([keras.Input((3,)), Python(name="mine"), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"the layer 'mine' \(Python\), since it calls Python"):
        recipes.export(model, tmp_path / path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("path", "used", "name"),
    [
        ("net_1/lstm_1/while", ["lstm", "lstm_1"], "lstm"),
        ("net_1/lstm_1_1/while", ["lstm", "lstm_1"], "lstm_1"),
        ("net/lstm_1/while", ["lstm_1"], "lstm_1"),
        ("net_1/other/while", ["lstm"], None),
    ],
)
def test_the_layer_of_an_operation(path, used, name):
    model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2, name=layer) for layer in used)])
    found = network.layer_at(model, path)
    assert (found and found.name) == name


@pytest.mark.slow
@on_tensorflow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_mixed_precision(precision, path, tmp_path):
    model = recipes.cnn((8, 8, 3), 3, width=8, precision=precision)
    before = model.get_weights()
    report = recipes.export(model, tmp_path / path)
    assert report.difference <= report.tolerance
    assert network.half(model) in precision
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    if path == "m.onnx":
        import onnx

        types = {weight.data_type for weight in onnx.load(report.path).graph.initializer}
        assert onnx.TensorProto.FLOAT in types
        assert not types & {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


@pytest.mark.slow
@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_sizes_that_may_vary(path, tmp_path):
    """Compared on inputs of two sizes, of which the converter knows none."""
    for make in (
        lambda: recipes.cnn((None, None, 3), 3, width=8),
        lambda: recipes.transformer_encoder((None, 3), 3, depth=1, width=8, heads=2),
    ):
        report = recipes.export(make(), tmp_path / path)
        assert "None" in report.inputs["inputs"]


@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_several_inputs_and_outputs(path, tmp_path):
    """Formats sort them by name, or not: what differs in each place must come out where it belongs."""
    left, right = keras.Input((3,), name="z left"), keras.Input((3,), name="a")
    scaled = keras.layers.Rescaling(100.0)(left)
    model = keras.Model(
        {"z left": left, "a": right}, [keras.layers.Subtract()([scaled, right]), keras.layers.Dense(2)(left)]
    )
    report = recipes.export(model, tmp_path / path)
    assert report.inputs == {"z_left": "float32 (examples, 3)", "a": "float32 (examples, 3)"}
    rng = np.random.default_rng(0)
    recipes.export(model, tmp_path / path, sample={"z left": rng.normal(size=(5, 3)), "a": rng.normal(size=(5, 3))})


@on_tensorflow
def test_a_model_of_its_own_class(tmp_path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(ValueError, match="give sample="):
        recipes.export(Own(), tmp_path / "m.onnx")
    assert recipes.export(Own(), tmp_path / "m.onnx", sample=np.ones((4, 3), "float32")).difference < 1e-5


def test_a_model_of_models_names_its_parts(tmp_path):
    model = small("gan", "images")
    with pytest.raises(ValueError, match=r"^gan: .*Export model\.discriminator or model\.generator"):
        recipes.export(model, tmp_path / "m.onnx")


@pytest.mark.slow
@on_tensorflow
def test_parts_of_a_generative_model(tmp_path):
    _, model = trained("vae", "images")
    assert recipes.export(model.encoder, tmp_path / "encoder.onnx").difference < 1e-3
    assert recipes.export(model.decoder, tmp_path / "decoder.tflite").difference < 1e-2


def wrong(form):
    """That format with a converter that writes the model with other weights."""

    def write(model, path, *rest):
        weights = model.get_weights()
        model.set_weights([weight + 0.5 for weight in weights])
        try:
            form.write(model, path, *rest)
        finally:
            model.set_weights(weights)

    return dataclasses.replace(form, write=write)


@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_a_wrong_export_is_never_seen(path, tmp_path, monkeypatch):
    model = recipes.mlp((6,), 2, "regression", width=8)
    name = recipes.export(model, tmp_path / path).format
    before = contents(tmp_path)
    monkeypatch.setitem(formats.FORMATS, name, wrong(formats.FORMATS[name]))
    with pytest.raises(RuntimeError, match="answers otherwise than the model: the largest difference is"):
        recipes.export(model, tmp_path / path)
    with pytest.raises(RuntimeError, match="answers otherwise"):
        recipes.export(model, tmp_path / "new" / path)
    assert contents(tmp_path) == before
    report = recipes.export(model, tmp_path / path, tolerance=1000)
    assert report.difference > 0.1
    assert contents(tmp_path).keys() == before.keys()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@on_tensorflow
def test_an_answer_that_is_not_finite(mlp, tmp_path):
    model = recipes.mlp((6,), 3, width=8)
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    with pytest.raises(ValueError, match="NaN or infinity"):
        recipes.export(model, tmp_path / "m.onnx")
    case, model = mlp
    with pytest.raises(ValueError, match="sample holds 1 values that are NaN"):
        recipes.export(model, tmp_path / "m.onnx", sample=np.where(np.arange(6) == 3, np.nan, case.x[:1]))


@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m.tflite", "m"])
def test_a_full_disk(path, tmp_path):
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", tmp_path], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"no small disk to fill: {mount.stderr.strip()}")
    try:
        recipes.export(recipes.mlp((6,), 3, width=8), tmp_path / path)
        before = contents(tmp_path)
        with pytest.raises(OSError, match=r"could not write the export to .*No space left.*untouched") as error:
            recipes.export(recipes.mlp((6,), 3, width=512, depth=3), tmp_path / path)
        assert error.value.errno == errno.ENOSPC
        assert contents(tmp_path) == before
        assert os.listdir(tmp_path) == [path]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@on_tensorflow
@pytest.mark.parametrize("path", ["m.onnx", "m"])
def test_a_failed_rename(path, mlp, tmp_path, monkeypatch):
    """The earlier export, a folder too, is where it was."""
    model = mlp[1]
    recipes.export(model, tmp_path / path)
    before = contents(tmp_path)
    call = "replace" if path.endswith(".onnx") else "rename"
    real = getattr(os, call)

    def fail(old, new):
        if Path(old).name == path and Path(new) == tmp_path / path and "unfinished" in str(old):
            raise OSError(errno.EIO, "the disk is broken")
        real(old, new)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="the disk is broken"):
        recipes.export(model, tmp_path / path)
    assert contents(tmp_path) == before


def test_an_earlier_saved_model_is_replaced_and_nothing_else(mlp, tmp_path):
    model = mlp[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(ValueError, match="is no SavedModel, so that it is not replaced"):
        recipes.export(model, tmp_path / "mine")
    with pytest.raises(ValueError, match="is a folder"):
        recipes.export(model, tmp_path / "x.onnx")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("path", "arguments", "told"),
    [
        ("m.pdf", {}, r"must end in \.onnx"),
        ("m.onnx", {"format": "onx"}, "Did you mean 'onnx'"),
        ("m.tflite", {"format": "onnx"}, r"must end in \.onnx, not "),
        ("m.onnx", {"precision": "int8"}, "ONNX has no precision 'int8'"),
        ("m.tflite", {"precision": "float8"}, "Did you mean"),
        ("m.tflite", {"precision": "int8"}, "needs calibration="),
        ("m.tflite", {"calibration": np.ones((3, 6))}, "calibration is for precision='int8'"),
        ("m.tflite", {"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ("m.tflite", {"tolerance": -1}, "tolerance must be a number"),
        ("m.tflite", {"unroll": "yes"}, "unroll must be one of True, False"),
        ("m.onnx", {"sample": np.ones((3, 5))}, r"sample must have the shape \(examples, 6\) .*not \(3, 5\)"),
        ("m.onnx", {"sample": np.ones((0, 6))}, "sample must be inputs of the model"),
        ("m.onnx", {"sample": (row for row in np.ones((3, 6)))}, "not generator"),
    ],
)
def test_bad_arguments(mlp, path, arguments, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        recipes.export(mlp[1], tmp_path / path, **arguments)
    assert not os.listdir(tmp_path)


def test_no_model(tmp_path):
    with pytest.raises(ValueError, match=r"must be a keras\.Model, not str"):
        recipes.export("model.keras", tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="unroll=True needs a fixed number of steps"):
        recipes.export(recipes.recurrent((None, 3), 3, width=8), tmp_path / "m.tflite", unroll=True)


@pytest.mark.parametrize(
    ("path", "missing", "extra"), [("m.onnx", "tf2onnx", "onnx"), ("m.tflite", "ai_edge_litert", "litert")]
)
def test_what_is_not_installed_is_told_with_its_extra(mlp, path, missing, extra, tmp_path, monkeypatch):
    find = formats.importlib.util.find_spec
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(ImportError, match=rf"needs {missing}, .*pip install 'keras-cookbook\[{extra}\]'"):
        recipes.export(mlp[1], tmp_path / path)


@on_tensorflow
def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = recipes.data.load("iris")
    model = recipes.mlp(data.input_shape, data.outputs, data.task, width=8)
    model.fit(data.train, verbose=0)
    recipes.save(model, "iris.keras")
    words = ["export", "iris.keras", "iris.tflite", "precision=int8", "data=iris", "--json"]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["format"] == "litert"
    assert told["bytes"] == os.path.getsize("iris.tflite")
    assert "recipes.load('iris.keras')" in told["python"]
    found = {}
    exec(
        told["python"].replace("print(", "found['report'] = (").replace("iris.tflite", "again.tflite"), {"found": found}
    )
    assert found["report"].bytes == told["bytes"]
    for words, error in (
        (["iris.keras", "m.onnx", "part=decoder"], "has no part 'decoder'"),
        (["iris.keras", "m.onnx", "target=x"], "give data=SOURCE"),
        (["iris.keras", "m.tflite", "precision=int8"], "needs calibration="),
        (["none.keras", "m.onnx"], "none.keras"),
    ):
        result = CliRunner().invoke(cli.main, ["export", *words])
        assert result.exit_code == 1
        assert error in result.output


@on_tensorflow
def test_the_command_exports_a_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipes.save(small("gan", "images"), "gan.keras")
    result = CliRunner().invoke(cli.main, ["export", "gan.keras", "g.onnx", "part=generator"])
    assert result.exit_code == 0, result.output
    assert "recipes.export(model.generator, 'g.onnx')" in result.output
    result = CliRunner().invoke(cli.main, ["export", "gan.keras", "g.onnx", "part=generater"])
    assert "Did you mean 'generator'" in result.output


CODE = """
import sys, keras, numpy as np
from keras_cookbook import recipes
from keras_cookbook.recipes.saving.supported import small
folder = sys.argv[1]
model = small("recurrent", "text")
print(recipes.export(model, folder + "/m.onnx").difference)
x = np.random.default_rng(0).integers(0, 9, (32, 4))
print(recipes.export(model, folder + "/m.tflite", unroll=True, precision="int8", calibration=x).difference)
print(recipes.export(model, folder + "/m").difference)
try:
    recipes.export(model, folder + "/n.tflite")
except ValueError as error:
    assert "can't take the layer" in str(error) and "unroll=True" in str(error), error
else:
    raise AssertionError
class Own(keras.layers.Layer):
    def call(self, x):
        return 2 * x
try:
    recipes.export(keras.Sequential([keras.Input((3,)), Own()]), folder + "/own.onnx")
except ValueError as error:
    assert "'Own'" in str(error) and "KERAS_BACKEND=tensorflow" in str(error), error
else:
    raise AssertionError
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    pytest.importorskip(backend)
    run = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert sorted(os.listdir(tmp_path)) == ["m", "m.onnx", "m.tflite"]
