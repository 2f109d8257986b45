"""Laws of the multi-layer perceptron."""

import keras
import numpy as np

from keras_cookbook import recipes


def test_an_example_worked_by_hand():
    # Two inputs, two hidden units, one output: z = (-0.18, 0.23), h = (0, 0.23), answer = sigmoid(-0.019) = 0.495.
    model = recipes.mlp((2,), 1, "binary", depth=1, width=2, dropout=0.0)
    hidden, output = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    hidden.set_weights([np.array([[0.4, 0.7], [-0.6, 0.1]]), np.array([0.1, -0.2])])
    output.set_weights([np.array([[0.9], [-0.3]]), np.array([0.05])])
    answer = model.predict(np.array([[0.5, 0.8]]), verbose=0)
    np.testing.assert_allclose(answer, 1 / (1 + np.exp(0.019)), rtol=1e-6)
    np.testing.assert_allclose(answer, 0.495, atol=5e-4)


def test_without_activation_it_is_one_linear_map():
    model = recipes.mlp((4,), 3, "regression", depth=3, width=8, activation="linear", dropout=0.0, seed=0)
    zero, *rows = model.predict(np.vstack([np.zeros(4), np.eye(4)]), verbose=0)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), x @ (np.array(rows) - zero) + zero, rtol=1e-4, atol=1e-5)


def test_units_of_the_features_do_not_matter():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)).astype("float32"), rng.integers(0, 2, 64)
    answers = []
    for scale, shift in ((1.0, 0.0), (1000.0, -5000.0)):
        model = recipes.mlp((3,), 1, "binary", dropout=0.0, seed=0)
        model.fit(x * scale + shift, y, epochs=3, shuffle=False, verbose=0)
        answers.append(model.predict(x * scale + shift, verbose=0))
    np.testing.assert_allclose(*answers, atol=1e-3)


def test_units_of_the_labels_do_not_matter():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    y = x @ [1.0, -2.0, 0.5]
    answers = []
    for scale, shift in ((1.0, 0.0), (100.0, 3000.0)):
        model = recipes.mlp((3,), 1, "regression", dropout=0.0, seed=0)
        model.fit(x, y * scale + shift, epochs=3, shuffle=False, verbose=0)
        answers.append((model.predict(x, verbose=0) - shift) / scale)
    np.testing.assert_allclose(*answers, atol=2e-3)


def test_a_second_fit_keeps_the_scale_of_the_first():
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    model = recipes.mlp((3,), 1, "regression", seed=0)
    model.fit(x, x[:, 0], verbose=0)
    scale = next(layer for layer in model.layers if isinstance(layer, recipes.parts.Standardization))
    before = scale.get_weights()
    model.fit(x * 9 + 4, x[:, 0], verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, scale.get_weights(), strict=True))
    assert before[2] == 64


def test_large_features_in_half_precision():
    x = np.random.default_rng(0).normal(1e6, 3e5, size=(64, 2)).astype("float32")
    model = recipes.mlp((2,), 2, precision="mixed_float16", width=16, learning_rate=0.02, seed=0)
    history = model.fit(x, (x[:, 0] > 1e6).astype(int), batch_size=8, epochs=20, verbose=0).history
    assert np.isfinite(model.predict(x, verbose=0)).all()
    assert history["accuracy"][-1] > 0.8
