"""What every recipe must do. Each property is a function that takes a `Case` and asserts; `PROPERTIES` holds them all.

They are functions and not tests so that the suite itself can be tested: `test_planted_faults.py` runs them on recipes
that are broken on purpose.
"""

import contextlib
import dataclasses
import gc
import inspect
import json
import random
import re
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest

from keras_cookbook.recipes._kinds import Axes, Choice, Either, Number

PROPERTIES = {}
#: Those that look at arguments and words alone, the same on every backend, or at TensorFlow: its run is enough.
OF_NO_BACKEND = set()
TASKS = {"binary": 1, "multiclass": 3, "multilabel": 3, "regression": 2}
BACKEND = keras.backend.backend()


def prop(check):
    PROPERTIES[check.__name__] = check
    return check


def prop_of_no_backend(check):
    OF_NO_BACKEND.add(check.__name__)
    return prop(check)


def tiny_rows(rng):
    signal = rng.normal(size=(96, 3))
    return np.hstack([signal, rng.normal(size=(96, 3))]).astype("float32") * 10 + 5, signal


def tiny_images(rng):
    signal = rng.normal(size=(96, 3))
    images = np.clip(rng.normal(100, 10, size=(96, 8, 8, 3)) + 60 * signal[:, None, None, :], 0, 255)
    return images.astype("uint8"), signal


def tiny_sequences(rng):
    signal = rng.normal(size=(96, 3))
    return (rng.normal(size=(96, 6, 3)) + 3 * signal[:, None, :]).astype("float32") * 10 + 5, signal


def tiny_text(rng):
    signal = rng.normal(size=(96, 3))
    words = [[f"{name}{round(value)}" for name, value in zip("abc", row, strict=True)] for row in signal]
    texts = [" ".join([*rng.permutation(row), "and"][: 4 - index % 2]) for index, row in enumerate(words)]
    return np.array(texts, object), signal


#: Kind of data -> examples that can be learnt in a few steps, and the three hidden numbers that decide the labels.
TINY = {"rows": tiny_rows, "images": tiny_images, "sequences": tiny_sequences, "text": tiny_text}
#: The shape of one example, where the array does not tell it.
SHAPES = {"text": (4,)}


class Case:
    """A recipe at its smallest size on one kind of data, with labels for each of its tasks; a recipe that has none
    learns from `x` alone."""

    def __init__(self, factory, kind=None):
        self.factory, self.entry = factory, factory.recipe
        self.kind = kind or self.entry.data[0]
        self.x, self.signal = TINY[self.kind](np.random.default_rng(0))
        self.shape = SHAPES.get(self.kind, self.x.shape[1:])
        self.tasks = TASKS if self.entry.supervised else (None,)
        # Where a size may be searched, the smallest worth searching.
        self.small = {
            name: argument.kind.search[0]
            for name, argument in self.entry.arguments.items()
            if isinstance(argument.kind, Number) and argument.kind.search
        }

    def labels(self, task="multiclass"):
        s = self.signal
        if not self.entry.supervised:
            return None
        return {
            "binary": (s[:, 0] > 0).astype("int32"),
            "multiclass": s.argmax(axis=1).astype("int32"),
            "multilabel": (s > 0).astype("int32"),
            "regression": s[:, :2].astype("float32"),
        }[task]

    def make(self, task="multiclass", **arguments):
        sizes = {"outputs": TASKS.get(task), "task": task} if self.entry.supervised else {}
        return self.factory(self.shape, **sizes, **{**self.small, "seed": 1, **arguments})


def weights(model):
    return [keras.ops.convert_to_numpy(w) for w in model.weights]


def layers(model):
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield from layers(layer) if isinstance(layer, keras.Model) else [layer]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


@prop
def is_compiled_and_named(case):
    model = case.make()
    assert isinstance(model, keras.Model)
    assert model.compiled
    assert model.name == case.entry.name
    assert case.make(name="mine").name == "mine"
    assert not case.make(compile=False).compiled


@prop
def remembers_its_call(case):
    model = case.make(learning_rate=0.0123)
    call = json.loads(json.dumps(model.recipe))
    again = case.factory(**call["arguments"], **call["training"], seed=call["seed"])
    assert same(weights(model), weights(again))
    assert fingerprint(model) == fingerprint(again)
    assert call["training"]["learning_rate"] == 0.0123
    assert call["versions"]["keras"] == keras.__version__


@prop
def learns_every_task(case):
    for task in case.tasks:
        model = case.make(task)
        before = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
        history = model.fit(case.x, case.labels(task), batch_size=16, epochs=5, verbose=0).history["loss"]
        assert np.isfinite(history).all(), f"{task}: the loss is not finite: {history}"
        assert case.entry.game or min(history[1:]) < history[0], f"{task}: the loss does not fall: {history}"
        for weight, old in zip(model.trainable_weights, before, strict=True):
            assert not np.array_equal(keras.ops.convert_to_numpy(weight), old), f"{task}: {weight.path} never moves"


@prop
def answers_as_its_task_demands(case):
    for task in case.tasks:
        answer = case.make(task).predict(case.x, verbose=0)
        assert len(answer) == len(case.x)
        assert np.isfinite(answer).all(), f"{task}: answers are not finite"
        assert not task or answer.shape == (len(case.x), TASKS[task])
        if task in ("binary", "multiclass", "multilabel"):
            assert answer.min() >= 0
            assert answer.max() <= 1
        if task == "multiclass":
            np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


@prop
def evaluate_reports_a_loss(case):
    for task in case.tasks:
        logs = case.make(task).evaluate(case.x, case.labels(task), verbose=0, return_dict=True)
        assert "loss" in logs
        assert len(logs) >= 2, f"{task}: no metric beside the loss"
        assert np.isfinite(list(logs.values())).all(), f"{task}: {logs}"


LOAD = """
import sys, keras, numpy as np
from keras_cookbook import recipes
for line in sys.stdin:
    folder, name = line.split()
    model = keras.saving.load_model(folder + "/model.keras")
    assert model.recipe["name"] == name, model.recipe
    data = np.load(folder + "/data.npz")
    np.save(folder + "/answer.npy", model.predict(data["x"], verbose=0))
    model.fit(data["x"], data.get("y"), verbose=0)
    print("done", file=sys.stderr, flush=True)
"""


class Elsewhere:
    """A process that has made no model and loads those of others; begun when first needed, and after a failure."""

    process = None

    def load(self, folder, name):
        if self.process is None or self.process.poll() is not None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
            self.process = subprocess.Popen([sys.executable, "-c", LOAD], text=True, **pipes)
        print(folder, name, file=self.process.stdin, flush=True)
        told = []
        for line in self.process.stderr:
            if line == "done\n":
                return
            told.append(line)
        raise AssertionError("".join(told)[-3000:])


elsewhere = Elsewhere()


@prop
def survives_saving(case):
    smoothing = {"label_smoothing": 0.1} if case.entry.supervised else {}
    model = case.make(schedule="cosine", weight_decay=1e-3, **smoothing)
    x = case.x.astype(str) if case.kind == "text" else case.x  # NumPy pickles objects
    data = {"x": x, "y": case.labels()} if case.entry.supervised else {"x": x}
    model.fit(*data.values(), epochs=2, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model.keras")
        np.savez(folder + "/data.npz", **data)
        elsewhere.load(folder, case.entry.name)
        answer = model.predict(case.x, verbose=0)
        np.testing.assert_allclose(np.load(folder + "/answer.npy"), answer, rtol=1e-5, atol=1e-6)


@prop
def compiled_agrees_with_eager(case):
    # On PyTorch Keras compiles through dynamo, which takes minutes: there, plain and eager are compared.
    compiled, eager = case.make(jit_compile=BACKEND != "torch"), case.make()
    eager.run_eagerly = True
    compiled.fit(case.x, case.labels(), epochs=1, verbose=0)
    eager.adapt_inputs(case.x, None)
    eager.set_weights(compiled.get_weights())
    np.testing.assert_allclose(
        compiled.predict(case.x, verbose=0), eager.predict(case.x, verbose=0), rtol=1e-3, atol=1e-4
    )


@prop
def half_precision_gives_finite_float32(case):
    for precision in ("mixed_bfloat16", "mixed_float16"):
        before = keras.config.dtype_policy().name
        model = case.make(precision=precision)
        assert keras.config.dtype_policy().name == before, "the global dtype policy has changed"
        kinds = {layer.compute_dtype for layer in layers(model) if layer.weights and layer is not model.layers[-1]}
        assert precision.removeprefix("mixed_") in kinds, f"no layer computes in {precision}"
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (precision == "mixed_float16"), "float16 needs its loss scaled, and nothing else does"
        loss = model.fit(case.x, case.labels(), batch_size=32, epochs=2, verbose=0).history["loss"]
        assert np.isfinite(loss).all(), f"{precision}: loss {loss}"
        answer = model.predict(case.x, verbose=0)
        assert answer.dtype == np.float32
        assert np.isfinite(answer).all()


@prop
def same_seed_same_model(case):
    state = random.getstate()
    one = case.make(seed=7)
    assert random.getstate() == state, "building a model moves Python's random generator"
    random.random()
    np.random.default_rng().random()
    two, other = case.make(seed=7), case.make(seed=8)
    assert same(weights(one), weights(two)), "the same seed gives other weights"
    assert not same(weights(one), weights(other)), "another seed gives the same weights"
    for model in (one, two):
        model.fit(case.x, case.labels(), shuffle=False, verbose=0)
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg="the same seed trains to other weights")


def graphs():
    """How many graphs TensorFlow keeps of what it has traced since the last test."""
    gc.collect()
    return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())


@prop_of_no_backend
def leaves_nothing_behind(case):
    before = graphs()
    model = case.make()
    model.fit(case.x, case.labels(), verbose=0)
    del model
    assert graphs() == before, "TensorFlow keeps the graph of a model that is gone, and its weights"


@prop
def answer_does_not_depend_on_the_batch(case):
    model = case.make()
    whole = model.predict(case.x, verbose=0)
    order = np.random.default_rng(0).permutation(len(case.x))
    np.testing.assert_allclose(model.predict(case.x[order], verbose=0), whole[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(case.x[:1], verbose=0), whole[:1], rtol=1e-4, atol=1e-5)


@prop_of_no_backend
def defaults_lie_in_their_range(case):
    for name, argument in (case.entry.arguments | case.entry.settings).items():
        if argument.default is inspect.Parameter.empty:
            continue
        argument.check(argument.default, name)
        search = argument.kind.search
        if isinstance(argument.kind, Number) and search:
            assert all(argument.kind.legal(value) for value in search), f"{name}: {search} is not legal throughout"
            assert search[0] <= argument.default <= search[1], f"{name}: {argument.default} is outside {search}"
        elif search:
            assert argument.default in search, f"{name}: {argument.default!r} is not in {search}"


def others(argument):
    """Legal values other than the default."""
    kind, default = argument.kind, argument.default
    if isinstance(kind, Either):
        return [value for one in kind.kinds for value in others(dataclasses.replace(argument, kind=one))]
    if isinstance(kind, Choice):
        return [value for value in kind.values if value is not default]
    low, high = kind.search or (kind.low, kind.high or kind.low + 10)
    candidates = [low, high, low + (high - low) / 2]
    if isinstance(kind.low, int) and isinstance(default, int):
        candidates = [default + 1, max(kind.low, default - 1)]
    return [kind.plain(value) for value in candidates if kind.legal(kind.plain(value)) and value != default]


def fingerprint(model):
    """The whole model and how it is compiled, as text, without the weights."""
    config = model.get_config()
    config.pop("recipe")
    text = json.dumps([config, model.get_compile_config()], default=str)
    # Keras counts layers and optimizers over the life of the process: conv2d, conv2d_1, ...
    return re.sub(r'(?<=[a-z0-9])_\d+(?=["/])', "", text)


@prop_of_no_backend
def every_argument_changes_something(case):
    entry, with_defaults = case.entry, {}
    for name, argument in (entry.arguments | entry.settings).items():
        if name in ("input_shape", "outputs", "task"):
            continue
        values = others(dataclasses.replace(argument, default=case.small.get(name, argument.default)))
        assert values, f"{name} has no other legal value"
        assert any(change(case, name, values, with_defaults)), f"{name} changes nothing: {values}"


def change(case, name, values, with_defaults):
    """Whether each value changes the model, for the task and kind of data where it is legal; the models without it are
    kept."""
    for task in ("multiclass", *case.tasks) if case.entry.supervised else case.tasks:
        for kind in case.entry.data:
            other = Case(case.factory, kind)
            if (task, kind) not in with_defaults:
                with_defaults[task, kind] = fingerprint(other.make(task))
            for value in values:
                with contextlib.suppress(ValueError):
                    yield fingerprint(other.make(task, **{name: value})) != with_defaults[task, kind]


def wrong(kind):
    """A value that the kind refuses, for each way of being wrong."""
    values = [object(), [], "nonsense"]
    if isinstance(kind, Number):
        values += [kind.low - 1, float("nan"), True]
        values += [] if kind.high is None else [kind.high + 1]
    if isinstance(kind, Axes):
        values = [(), (0,) * len(kind.axes), ("a",), 5, (1,) * 9 if "..." not in kind.axes else (-1,)]
    return [value for value in values if not kind.legal(value)]


@prop_of_no_backend
def bad_arguments_raise(case):
    name = case.entry.name
    required = {"outputs": 3} if case.entry.supervised else {}
    for argument, entry in (case.entry.arguments | case.entry.settings).items():
        for value in wrong(entry.kind):
            arguments = {"input_shape": case.shape, **required, argument: value}
            with pytest.raises(ValueError, match=re.escape(name)) as error:
                case.factory(**arguments)
            assert argument in str(error.value), f"{argument}={value!r}: {error.value}"
    bad = [({"learnin_rate": 0.1}, "'learning_rate'")]
    if case.entry.supervised:
        bad += [({"num_classes": 4}, "outputs"), ({"task": "binary"}, "outputs"), ({"task": "multi"}, "multiclass")]
    for arguments, words in bad:
        with pytest.raises(ValueError, match=re.escape(name)) as error:
            case.factory(case.shape, **required, **arguments)
        assert words in str(error.value)
    first = "outputs" if case.entry.supervised else "input_shape"
    with pytest.raises(ValueError, match=first):
        case.factory(*[case.shape][: case.entry.supervised])


@prop_of_no_backend
def other_names_of_outputs(case):
    for alias in ("num_classes", "classes"):
        if case.entry.supervised:
            assert case.factory(case.shape, **{**case.small, alias: 5}).output_shape == (None, 5)
        else:
            with pytest.raises(ValueError, match=alias):
                case.factory(case.shape, **{alias: 5})


def misfits(case):
    """Data that do not fit the model, each with words of the error."""
    y = case.labels()
    yield case.x[:0], y if y is None else y[:0], "empty"
    if case.kind == "text":
        yield np.array([*case.x[:-1], None], object), y, "text"
        yield np.full((len(case.x), *case.shape), 10**9), y, "vocabulary"
    else:
        nan = case.x.astype("float32")
        nan[3].flat[0] = np.nan
        yield nan, y, "NaN"
        yield case.x[..., :-1], y, "shape"
    if case.entry.supervised:
        yield case.x, y + 1, "0..2"
        yield case.x, -y, "0..2"
        yield case.x, np.eye(3)[y], "one-hot"
        yield case.x, y[:-1], "95"
        yield case.x, y + 0.5, "fractions"


@prop_of_no_backend
def data_that_do_not_fit_raise(case):
    model = case.make()
    before = weights(model)
    y = case.labels()
    for x, labels, words in misfits(case):
        with pytest.raises(ValueError, match=words) as error:
            model.fit(x, labels, verbose=0)
        assert case.entry.name in str(error.value)
        with pytest.raises(ValueError, match=f"validation_data: .*{words}"):
            model.fit(case.x, y, validation_data=(x, labels), verbose=0)
    if case.entry.supervised:
        binary = case.make("binary")
        with pytest.raises(ValueError, match="between 0 and 1"):
            binary.fit(case.x, y, verbose=0)
        with pytest.raises(ValueError, match="shape"):
            case.make("regression").fit(case.x, y, verbose=0)
    assert same(weights(model), before), "something was learnt before the error"


@prop
def takes_any_form_of_data(case):
    import tensorflow as tf

    x, y = case.x, case.labels()
    model = case.make()
    pairs = (x, y) if case.entry.supervised else (x,)
    data = tf.data.Dataset.from_tensor_slices(pairs if len(pairs) > 1 else x).batch(32)
    history = model.fit(data, validation_data=data, epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
    np.testing.assert_allclose(model.predict(data, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert logs.keys() == model.evaluate(*pairs, verbose=0, return_dict=True).keys()
    if not case.entry.supervised:  # labels that come along are ignored
        labelled = tf.data.Dataset.from_tensor_slices((x, case.signal)).batch(32)
        model.fit(labelled, validation_data=labelled, verbose=0)


@prop
def samples_are_seeded(case):
    model = case.make()
    if not hasattr(model, "sample"):
        return
    one = model.sample(5, seed=1)
    assert isinstance(one, np.ndarray)
    assert one.shape == (5, *case.shape)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, model.sample(5, seed=1))
    assert not np.array_equal(one, model.sample(5, seed=2))
    assert not np.array_equal(model.sample(5), model.sample(5)), "without a seed every sample is another"
    model.fit(case.x, epochs=3, verbose=0)
    if case.kind == "images":
        many = model.sample(300, seed=0)
        assert many.min() >= 0
        assert many.max() <= 255
        assert many.max() > 2, "pixels are 0..255"
    for bad in (0, -1, 2.5, "3"):
        with pytest.raises(ValueError, match="n must be"):
            model.sample(bad)


@prop_of_no_backend
def is_documented(case):
    doc = inspect.getdoc(case.entry.build) or ""
    first = doc.split("\n")[0]
    assert re.match(r".+ \(.+, \d{4}\): .+\.$", first), f"the first line is not 'Name (Author, year): idea.': {first!r}"
    for section in ("Fit on:", "Raises:"):
        assert section in doc, f"no section {section!r}"
    assert re.search(r"\d{4}.*(arXiv:\d{4}\.\d{4,5}|doi:10\.)", case.entry.paper), f"no source: {case.entry.paper!r}"
    own = case.entry.arguments.keys() - {"input_shape", "outputs", "task", "activation"}
    for name in own:
        assert re.search(rf"^    {name}: ", doc, re.M), f"the argument {name} is not explained"
