"""Laws of recurrent networks."""

import gzip

import keras
import numpy as np
import pytest

from keras_cookbook import recipes
from keras_cookbook.recipes.parts.recurrence import InHalves

CELLS = ("simple", "lstm", "gru")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def shuffled(model, seed=0):
    """The model with all its trainable weights drawn anew: zeros of fresh biases would hide mistakes."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def simple_step(x, state, kernel, recurrent, bias):
    h = np.tanh(x @ kernel + state[0] @ recurrent + bias)
    return h, h


def lstm_step(x, state, kernel, recurrent, bias):
    h, c = state
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, state, kernel, recurrent, bias):
    h = state[0]
    (z, r, n), (uz, ur, un) = (np.split(v, 3, axis=1) for v in (x @ kernel + bias[0], h @ recurrent + bias[1]))
    z = sigmoid(z + uz)
    h = z * h + (1 - z) * np.tanh(n + sigmoid(r + ur) * un)
    return h, h


STEPS = {"simple": simple_step, "lstm": lstm_step, "gru": gru_step}


def slow_loop(cell, x, weights):
    state = np.zeros((2, len(x), weights[1].shape[0]))
    outputs = []
    for step in range(x.shape[1]):
        state = STEPS[cell](x[:, step], state, *weights)
        outputs.append(state[0])
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("cell", CELLS)
def test_the_network_is_the_slow_loop_and_a_linear_map(cell):
    x = numbers(4, 7, 3)
    for return_sequences in (True, False):
        model = recipes.recurrent(
            (7, 3), 2, "regression", cell=cell, width=5, return_sequences=return_sequences, seed=0
        )
        *weights, kernel, bias = [keras.ops.convert_to_numpy(w) for w in shuffled(model).trainable_weights]
        states = slow_loop(cell, x, weights)
        expected = (states if return_sequences else states[:, -1]) @ kernel + bias
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_sees_only_steps_before_it(cell):
    x = numbers(4, 8, 3)
    later = x.copy()
    later[:, 5] += 1
    for bidirectional in (False, True):
        model = recipes.recurrent(
            (8, 3), 2, "multilabel", cell=cell, depth=2, width=6, bidirectional=bidirectional, return_sequences=True,
            seed=0,
        )  # fmt: skip
        change = np.abs(model.predict(later, verbose=0) - model.predict(x, verbose=0)).max(axis=(0, 2))
        assert change[5:].min() > 1e-4
        if bidirectional:
            assert change[:5].min() > 1e-6
        else:
            assert change[:5].max() == 0


def test_parameters():
    # A cell of u units on i features has k u (u + i + 1) weights, k its number of gates; a GRU of Keras 3 u more.
    head = 10 * 2 + 2
    for cell, count in {"simple": 160, "lstm": 640, "gru": 480 + 3 * 10}.items():
        assert trainable(recipes.recurrent((4, 5), 2, cell=cell, width=10)) == count + head
        both = recipes.recurrent((4, 5), 2, cell=cell, width=10, bidirectional=True)
        assert trainable(both) == 2 * count + 20 * 2 + 2
    # The second layer reads 10 features: 4 * 10 * 21.
    assert trainable(recipes.recurrent((4, 5), 2, width=10, depth=2)) == 640 + 840 + head
    # A linear forecast shared by all variables: 24 steps out of 96. The head answers for 24 steps of 5 variables.
    forecast = recipes.recurrent((96, 5), 5, "regression", width=10, horizon=24)
    assert trainable(forecast) == 640 + (10 + 1) * 24 * 5 + (96 + 1) * 24


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_one_sequence(cell):
    model = recipes.recurrent((4, 5), 2, cell=cell, width=3)
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
    together = model.predict(x, verbose=0)
    alone = [model.predict(x[row : row + 1], batch_size=1, verbose=0)[0] for row in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.isfinite(model.fit(x, np.array([0, 1, 0]), batch_size=1, verbose=0).history["loss"])


def test_the_forget_gate_starts_open():
    layer = next(layer.layer for layer in recipes.recurrent((4, 5), 2, width=3).layers if isinstance(layer, InHalves))
    assert list(layer.get_weights()[2]) == [0] * 3 + [1] * 3 + [0] * 6


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_what_fills_up_a_text_does_not_matter(cell, bidirectional, return_sequences):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 20, (6, 5))
    tokens[1:3, 3:] = 0
    tokens[4] = 0  # a text without a word
    made = {"cell": cell, "bidirectional": bidirectional, "return_sequences": return_sequences}
    models = [
        shuffled(recipes.recurrent((length,), 3, depth=2, width=6, vocabulary_size=20, **made)) for length in (5, 12)
    ]
    short = models[0].predict(tokens, verbose=0)
    long = models[1].predict(np.pad(tokens, ((0, 0), (0, 7))), verbose=0)
    if return_sequences:
        there = tokens > 0
        short, long = short[there], long[:, :5][there]
    assert np.isfinite(long).all()
    np.testing.assert_allclose(long, short, rtol=1e-4, atol=1e-5)
    # But a 0 with words after it is read.
    other = tokens.copy()
    other[:, 1] = 0
    assert np.abs(models[0].predict(other, verbose=0)[0] - models[0].predict(tokens, verbose=0)[0]).max() > 1e-4


def test_labels_of_what_fills_up_a_text_do_not_count():
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(1, 20, (8, 6)), rng.integers(0, 3, (8, 6))
    tokens[:, 4:] = 0
    model = shuffled(recipes.recurrent((6,), 3, width=6, vocabulary_size=20, return_sequences=True))
    before = model.evaluate(tokens, labels, verbose=0)
    labels[:, 4:] = (labels[:, 4:] + 1) % 3
    np.testing.assert_allclose(model.evaluate(tokens, labels, verbose=0), before, rtol=1e-5)
    labels[:, 3] = (labels[:, 3] + 1) % 3
    assert abs(model.evaluate(tokens, labels, verbose=0)[0] - before[0]) > 1e-4


@pytest.mark.parametrize(("task", "outputs"), [("binary", 1), ("multiclass", 2), ("regression", 1)])
def test_a_label_for_each_step_is_learnt(task, outputs):
    # Whether the step before was positive: nothing that the step itself tells.
    x = numbers(256, 10, 1)
    y = np.roll(x[..., 0] > 0, 1, axis=1).astype("int32")
    y[:, 0] = 0
    y = y if task == "multiclass" else y[..., None].astype("float32")
    model = recipes.recurrent(
        (10, 1), outputs, task, width=16, dropout=0.0, return_sequences=True, learning_rate=0.03, seed=0
    )
    model.fit(x, y, batch_size=32, epochs=8, verbose=0)
    answer = model.predict(x, verbose=0)
    assert answer.shape == (256, 10, outputs)
    found = answer.argmax(axis=-1) if task == "multiclass" else answer > 0.5
    assert (found == y).mean() > 0.95


def test_a_text_is_tagged_word_by_word():
    words = np.random.default_rng(0).choice(["red", "blue", "dog", "cat"], (128, 4))
    texts = np.array([" ".join(row) for row in words], object)
    model = recipes.recurrent((6,), 2, width=16, return_sequences=True, learning_rate=0.03, seed=0)
    y = np.zeros((128, 6), int)
    y[:, :4] = np.isin(words, ["dog", "cat"])
    model.fit(texts, y, batch_size=8, epochs=5, verbose=0)
    np.testing.assert_array_equal(model.predict(texts, verbose=0).argmax(axis=-1)[:, :4], y[:, :4])


def test_forecasts_have_a_row_for_each_step():
    for outputs, features, horizon in ((7, 7, 24), (1, 3, 5), (2, 2, 1)):
        model = recipes.recurrent((10, features), outputs, "regression", horizon=horizon, width=4)
        assert model.predict(numbers(3, 10, features), verbose=0).shape == (3, horizon, outputs)
    one = recipes.recurrent((10, 3), 3, "regression", autoregressive=True, width=4)
    assert one.predict(numbers(3, 10, 3), verbose=0).shape == (3, 3)


def waves(count=200, scale=1.0, shift=0.0):
    time = np.arange(count) / 4
    return (np.stack([np.sin(time), 3 * np.cos(time)], axis=1) * scale + shift).astype("float32")


def windows(series, history, horizon):
    spans = np.lib.stride_tricks.sliding_window_view(series, history + horizon, axis=0).swapaxes(1, 2)
    return spans[:, :history], spans[:, history:]


def test_units_of_the_series_do_not_matter():
    answers = []
    for scale, shift in ((1.0, 0.0), (100.0, 3000.0)):
        x, y = windows(waves(scale=scale, shift=shift), 12, 3)
        model = recipes.recurrent((12, 2), 2, "regression", horizon=3, width=8, dropout=0.0, seed=0)
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
        answers.append((model.predict(x, verbose=0) - shift) / scale)
    np.testing.assert_allclose(*answers, atol=5e-3)


def test_a_forecast_starts_at_the_last_value():
    x, y = windows(waves(scale=100, shift=3000), 12, 3)
    model = recipes.recurrent((12, 2), 2, "regression", horizon=3, width=8, learning_rate=0.0, seed=0)
    model.fit(x, y, verbose=0)
    model.get_layer("predictions").set_weights([np.zeros((8, 6)), np.zeros(6)])
    last = np.repeat(x[:, -1:], 3, axis=1)
    np.testing.assert_allclose(model.predict(x, verbose=0), last, atol=0.05 * x.std())


def test_a_forecast_moves_with_the_level():
    x = numbers(5, 12, 3)
    moved = x + np.array([10.0, -20.0, 5.0], "float32")
    for autoregressive in (True, False):
        model = recipes.recurrent(
            (12, 3), 2, "regression", horizon=4, width=8, autoregressive=autoregressive, dropout=0.0, seed=0
        )
        change = shuffled(model).predict(moved, verbose=0) - model.predict(x, verbose=0)
        exact = np.allclose(change, np.broadcast_to([10.0, -20.0], change.shape), atol=1e-4)
        assert exact == autoregressive


@pytest.mark.parametrize("arguments", [
    {"input_shape": (8, 2), "outputs": 2, "task": "regression", "horizon": 3},
    {"input_shape": (None, 2), "outputs": 3, "return_sequences": True, "bidirectional": True, "cell": "gru"},
    {"input_shape": (5,), "outputs": 3, "return_sequences": True, "depth": 2},
])  # fmt: skip
def test_every_form_survives_saving(arguments, tmp_path):
    model = shuffled(recipes.recurrent(**arguments, width=4, vocabulary_size=20))
    x = np.random.default_rng(0).integers(0, 20, (6, 5)) if len(model.input_shape) == 2 else numbers(6, 8, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"horizon": 3}, "horizon=3"),
    ({"horizon": 3, "task": "multilabel"}, "task='regression'"),
    ({"horizon": 3, "task": "regression", "input_shape": (8,)}, "texts"),
    ({"horizon": 3, "task": "regression", "return_sequences": True}, "return_sequences"),
    ({"autoregressive": True}, "autoregressive=True"),
    ({"autoregressive": True, "task": "regression", "input_shape": (8,)}, "autoregressive=True"),
    ({"autoregressive": True, "task": "regression", "input_shape": (None, 3)}, "fixed number of steps"),
    ({"autoregressive": True, "task": "regression", "return_sequences": True}, "return_sequences"),
    ({"autoregressive": True, "task": "regression", "outputs": 4}, "outputs=4"),
    ({"cell": "ltsm"}, "'lstm'"),
])  # fmt: skip
def test_arguments_that_exclude_each_other_raise(arguments, words):
    with pytest.raises(ValueError, match=words) as error:
        recipes.recurrent(**{"input_shape": (8, 3), "outputs": 3, **arguments})
    assert "recurrent: " in str(error.value)


def test_labels_of_another_form_raise():
    x = numbers(6, 8, 2)
    tags = recipes.recurrent((8, 2), 3, return_sequences=True, width=4)
    with pytest.raises(ValueError, match="one-hot"):
        tags.fit(x, np.eye(3)[np.zeros((6, 8), int)], verbose=0)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        tags.fit(x, np.full((6, 8), 3), verbose=0)
    forecast = recipes.recurrent((8, 2), 2, "regression", horizon=3, width=4)
    with pytest.raises(ValueError, match=r"\(examples, 3, 2\)"):
        forecast.fit(x, x[:, 0], verbose=0)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_torch_gives_the_same_answers(cell):
    torch = pytest.importorskip("torch")
    model = shuffled(recipes.recurrent((9, 3), 2, "regression", cell=cell, depth=2, width=5, bidirectional=True))
    *weights, kernel, bias = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    reference = {"simple": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    reference = reference(3, 5, num_layers=2, bidirectional=True, batch_first=True).cpu()
    # The gates of a GRU come in another order: reset, update, new.
    order = np.arange(15).reshape(3, 5)[[1, 0, 2]].ravel() if cell == "gru" else slice(None)
    names = [f"l{layer}{side}" for layer in (0, 1) for side in ("", "_reverse")]
    state = {}
    for index, name in enumerate(names):
        inputs, recurrent, both = weights[3 * index : 3 * index + 3]
        both = both if cell == "gru" else np.stack([both, 0 * both])
        state |= {f"weight_ih_{name}": inputs.T[order], f"weight_hh_{name}": recurrent.T[order]}
        state |= {f"bias_ih_{name}": both[0][order], f"bias_hh_{name}": both[1][order]}
    reference.load_state_dict({name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()})
    x = numbers(4, 9, 3)
    with torch.no_grad():
        states = reference(torch.tensor(x))[0].numpy()
    expected = np.concatenate([states[:, -1, :5], states[:, 0, 5:]], axis=1) @ kernel + bias
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_beats_the_last_value_and_the_day_before_on_etth1(real_data):
    with gzip.open(real_data / "etth1" / "ETTh1.csv.gz", "rt") as file:
        series = np.loadtxt(file, delimiter=",", skiprows=1, usecols=range(1, 8), dtype="float32")
    train, test = series[:8640], series[11520 - 96 : 14400]
    deviation = train.std(axis=0)
    x, y = windows(test, 96, 24)
    model = recipes.recurrent((96, 7), 7, "regression", horizon=24, width=32, seed=0)
    model.fit(*windows(train, 96, 24), batch_size=64, epochs=2, verbose=0)
    forecasts = {
        "network": model.predict(x, batch_size=512, verbose=0),
        "last value": np.repeat(x[:, -1:], 24, axis=1),
        "day before": x[:, -24:],
    }
    errors = {name: (forecast - y) / deviation for name, forecast in forecasts.items()}
    scores = {name: (float((e**2).mean()), float(np.abs(e).mean())) for name, e in errors.items()}
    print(scores)
    for other in ("last value", "day before"):
        assert scores["network"][0] < 0.9 * scores[other][0]
        assert scores["network"][1] < scores[other][1]
