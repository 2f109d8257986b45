"""Preflight: every fault is found where it was planted, its healthy twin and hard healthy cases stay quiet, and nothing
is changed by looking."""

import random
import sys
import types

import keras
import numpy as np
import pytest
from conformance import TASKS, Case
from keras import layers

from keras_cookbook import recipes
from keras_cookbook.callbacks.doctor import preflight
from keras_cookbook.callbacks.doctor.findings import FAULTS

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    """A check that fails is passed over in earnest; here it must not. The weights are the same in each run."""
    keras.utils.set_random_seed(0)
    module = sys.modules["keras_cookbook.callbacks.doctor.preflight"]
    monkeypatch.setattr(module, "_run", lambda checks: [one for check, given in checks for one in check(*given)])


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(count=96, features=6, seed=0):
    return rng(seed).normal(size=(count, features)).astype("float32")


def classes(count=96, number=3, seed=1):
    return rng(seed).permutation(np.arange(count) % number).astype("int32")


def one_hot(number=3, count=96):
    return np.eye(number, dtype="float32")[classes(count, number)]


def pixels(count=96, side=8):
    return rng(2).integers(0, 256, (count, side, side, 1)).astype("uint8")


def stack(*parts, inputs=(6,), loss="sparse_categorical_crossentropy", optimizer="adam"):
    model = keras.Sequential([keras.Input(inputs), *parts])
    model.compile(optimizer, loss)
    return model


def dense(*parts, units=3, activation="softmax", **compiled):
    """A small network with one hidden layer, and a head to be chosen."""
    return stack(layers.Dense(16, "relu"), *parts, layers.Dense(units, activation), **compiled)


def binary(activation="sigmoid", **compiled):
    return dense(units=1, activation=activation, **({"loss": "binary_crossentropy"} | compiled))


def regression(activation=None, units=1, **compiled):
    return dense(units=units, activation=activation, **({"loss": "mse"} | compiled))


def split(train, validation=None, test=None):
    return types.SimpleNamespace(train=train, validation=validation, test=test)


X, Y, BITS = rows(), classes(), classes(number=2)
NUMBERS = (X[:, :1] + X[:, 1:2]).astype("float32")
TWIN = lambda: (dense(), (X, Y))  # noqa: E731
SCCE, BCE, CCE = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.BinaryCrossentropy,
    keras.losses.CategoricalCrossentropy,
)
L2 = keras.regularizers.L2
ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD


def with_value(values, index, value):
    values = values.copy()
    values[index] = value
    return values


def trainable(model, value):
    for layer in model.layers:
        layer.trainable = value
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def skewed(rare, count=400):
    y = np.zeros(count, "int32")
    y[:rare] = 1
    return rng().permutation(y)


def stopping(patience, plateau):
    return [
        keras.callbacks.EarlyStopping(patience=patience),
        keras.callbacks.ReduceLROnPlateau(patience=plateau),
    ]


def case(code, name, sick, healthy, severity="warning", **told):
    return pytest.param(code, sick, healthy, severity, told, id=f"{code}-{name}")


#: code, sick, healthy, the least severity, what the finding must say.
CASES = [
    case("loss_and_activation", "linear", lambda: (dense(activation=None), (X, Y)),
         lambda: (dense(activation=None, loss=SCCE(from_logits=True)), (X, Y)), "error", argument="activation"),
    case("loss_and_activation", "relu", lambda: (dense(activation="relu"), (X, Y)), TWIN, "error"),
    case("loss_and_activation", "logits", lambda: (dense(loss=SCCE(from_logits=True)), (X, Y)), TWIN,
         argument="from_logits"),
    case("loss_and_activation", "binary-logits", lambda: (binary(loss=BCE(from_logits=True)), (X, BITS)),
         lambda: (binary(None, loss=BCE(from_logits=True)), (X, BITS)), argument="from_logits"),
    case("loss_and_activation", "tanh", lambda: (binary("tanh"), (X, BITS)), lambda: (binary(), (X, BITS)), "error"),
    case("loss_and_activation", "mse-softmax", lambda: (dense(loss="mse"), (X, one_hot())),
         lambda: (dense(loss="categorical_crossentropy"), (X, one_hot())), argument="loss"),
    case("loss_and_activation", "mae-softmax", lambda: (dense(loss=keras.losses.MeanAbsoluteError()), None),
         lambda: (dense(loss=SCCE()), None)),
    case("loss_and_activation", "mse-sigmoid", lambda: (binary(loss="mse"), (X, BITS)), lambda: (binary(), (X, BITS))),
    case("loss_and_activation", "binary-softmax", lambda: (dense(loss="binary_crossentropy"), (X, one_hot())),
         lambda: (dense(activation="sigmoid", loss="binary_crossentropy"), (X, (X[:, :3] > 0) * 1))),
    case("loss_and_activation", "categorical-sigmoid",
         lambda: (dense(activation="sigmoid", loss="categorical_crossentropy"), (X, one_hot())),
         lambda: (dense(loss=CCE(label_smoothing=0.1)), (X, one_hot()))),
    case("loss_and_activation", "one-class", lambda: (binary(loss="sparse_categorical_crossentropy"), (X, BITS)),
         lambda: (dense(units=2), (X, BITS)), "error"),
    case("loss_and_activation", "separate", lambda: (stack(layers.Dense(3), layers.Activation("tanh")), (X, Y)),
         lambda: (stack(layers.Dense(3), layers.Softmax()), (X, Y)), "error"),
    case("one_unit_softmax", "head", lambda: (dense(units=1, loss="binary_crossentropy"), (X, BITS)),
         lambda: (binary(), (X, BITS)), "error", argument="units"),
    case("label_range", "relu", lambda: (regression("relu"), (X, NUMBERS)),
         lambda: (regression("relu"), (X, np.abs(NUMBERS)))),
    case("label_range", "sigmoid", lambda: (regression("sigmoid"), (X, NUMBERS)),
         lambda: (regression("sigmoid"), (X, 0.5 + 0.1 * np.clip(NUMBERS, -3, 3)))),
    case("label_range", "tanh", lambda: (regression("tanh"), (X, 3 * NUMBERS)),
         lambda: (regression("tanh"), (X, np.tanh(NUMBERS))), argument="activation"),
    case("label_range", "start-at-1", lambda: (dense(), (X, Y + 1)), TWIN, "error", argument="y"),
    case("label_range", "negative", lambda: (dense(), (X, Y - 1)),
         lambda: (dense(loss=SCCE(ignore_class=-1)), (X, with_value(Y, 3, -1))), "error"),
    case("label_range", "minus-one", lambda: (binary(), (X, 2 * BITS - 1)),
         lambda: (binary("tanh", loss="hinge"), (X, 2 * BITS - 1)), "error"),
    case("label_range", "fractions", lambda: (dense(), (X, Y + 0.5)), lambda: (dense(), (X, Y.astype("float32"))),
         "error"),
    case("label_shape", "one-hot", lambda: (dense(), (X, one_hot())), TWIN, "error"),
    case("label_shape", "numbers", lambda: (dense(loss="categorical_crossentropy"), (X, Y)),
         lambda: (dense(loss="categorical_crossentropy"), (X, one_hot())), "error"),
    case("label_shape", "width", lambda: (regression(units=2), (X, NUMBERS)),
         lambda: (regression(), (X, NUMBERS[:, 0])), "error"),
    case("label_shape", "steps",
         lambda: (stack(layers.LSTM(4, return_sequences=True), layers.Dense(3, "softmax"), inputs=(5, 2)),
                  (rng().normal(size=(96, 5, 2)), Y)),
         lambda: (stack(layers.LSTM(4), layers.Dense(3, "softmax"), inputs=(5, 2)),
                  (rng().normal(size=(96, 5, 2)), Y)), "error"),
    case("stacked_linear", "dense", lambda: (stack(layers.Dense(16), layers.Dense(3, "softmax")), (X, Y)),
         lambda: (stack(layers.Dense(16), layers.Activation("relu"), layers.Dense(3, "softmax")), (X, Y)),
         argument="activation"),
    case("stacked_linear", "between",
         lambda: (stack(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.AveragePooling2D(2), layers.Flatten(),
                        layers.Dropout(0.1), layers.Dense(3, "softmax"), inputs=(8, 8, 1)), (pixels() / 255.0, Y)),
         lambda: (stack(layers.Conv2D(4, 3), layers.LeakyReLU(), layers.AveragePooling2D(2), layers.Flatten(),
                        layers.Dense(3, "softmax"), inputs=(8, 8, 1)), (pixels() / 255.0, Y))),
    case("nothing_trainable", "frozen", lambda: (trainable(dense(), False), (X, Y)), TWIN, "error"),
    case("symmetric_weights", "zeros",
         lambda: (stack(layers.Dense(16, "relu", kernel_initializer="zeros"), layers.Dense(3, "softmax")), (X, Y)),
         lambda: (stack(layers.Dense(16, "relu"), layers.Dense(3, "softmax", kernel_initializer="zeros")), (X, Y)),
         "error", argument="kernel_initializer"),
    case("symmetric_weights", "ones",
         lambda: (stack(layers.Dense(16, "tanh", kernel_initializer="ones"), layers.Dense(3, "softmax")), (X, Y)),
         lambda: (stack(layers.Dense(16, "tanh", bias_initializer="ones"), layers.Dense(3, "softmax")), (X, Y))),
    case("weight_scale", "large",
         lambda: (stack(layers.Dense(16, "tanh", kernel_initializer=keras.initializers.RandomNormal(0, 20.0)),
                        layers.Dense(3, "softmax")), (X, Y)),
         lambda: (stack(layers.Dense(16, "tanh", kernel_initializer="orthogonal"), layers.Dense(3, "softmax")), (X, Y)),
         argument="kernel_initializer"),
    case("weight_scale", "small",
         lambda: (stack(layers.Dense(16, "relu", kernel_initializer=keras.initializers.RandomNormal(0, 1e-4)),
                        layers.Dense(3, "softmax")), (X, Y)),
         lambda: (stack(layers.Dense(16, "relu"),
                        layers.Dense(3, "softmax", kernel_initializer=keras.initializers.RandomNormal(0, 1e-4))),
                  (X, Y))),
    case("small_batch_normalized", "four", lambda: (dense(layers.BatchNormalization()), (X, Y), {"batch_size": 4}),
         lambda: (dense(layers.LayerNormalization()), (X, Y), {"batch_size": 4}), argument="batch_size"),
    case("small_batch_normalized", "eight", lambda: (dense(layers.BatchNormalization()), (X, Y), {"batch_size": 8}),
         lambda: (dense(layers.BatchNormalization()), (X, Y), {"batch_size": 32}), "note"),
    case("bias_before_normalization", "dense",
         lambda: (stack(layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dense(3, "softmax")),
                  (X, Y)),
         lambda: (stack(layers.Dense(8, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
                        layers.Dense(3, "softmax")), (X, Y)), "note", argument="use_bias"),
    case("strong_penalty", "10", lambda: (dense(layers.Dense(8, "relu", kernel_regularizer=L2(10.0))), (X, Y)),
         lambda: (dense(layers.Dense(8, "relu", kernel_regularizer=L2(0.01))), (X, Y)), argument="kernel_regularizer"),
    case("strong_dropout", "0.9", lambda: (dense(layers.Dropout(0.9)), (X, Y)),
         lambda: (dense(layers.Dropout(0.5)), (X, Y)), argument="rate"),
    case("strong_dropout", "0.6", lambda: (dense(layers.Dropout(0.6)), (X, Y)),
         lambda: (dense(layers.Dropout(0.2)), (X, Y)), "note"),
    case("strong_dropout", "answers", lambda: (stack(layers.Dense(3, "softmax"), layers.Dropout(0.3)), (X, Y)), TWIN),
    case("learning_rate_range", "adam-high", lambda: (dense(optimizer=ADAM(0.5)), (X, Y)),
         lambda: (dense(optimizer=ADAM(0.02)), (X, Y)), "error", argument="learning_rate"),
    case("learning_rate_range", "adam-highish", lambda: (dense(optimizer=ADAM(0.05)), (X, Y)), TWIN),
    case("learning_rate_range", "adam-low", lambda: (dense(optimizer=ADAM(1e-8)), (X, Y)),
         lambda: (dense(optimizer=ADAM(1e-5)), (X, Y))),
    case("learning_rate_range", "sgd-high", lambda: (dense(optimizer=SGD(5.0)), (X, Y)),
         lambda: (dense(optimizer=SGD(0.5)), (X, Y))),
    case("learning_rate_range", "sgd-low", lambda: (dense(optimizer=SGD(1e-7)), (X, Y)),
         lambda: (dense(optimizer=SGD(1e-3)), (X, Y))),
    case("learning_rate_range", "adadelta", lambda: (dense(optimizer="adadelta"), (X, Y)),
         lambda: (dense(optimizer=keras.optimizers.Adadelta(1.0)), (X, Y))),
    case("learning_rate_range", "ftrl", lambda: (dense(optimizer=keras.optimizers.Ftrl(1e-6)), (X, Y)),
         lambda: (dense(optimizer="ftrl"), (X, Y))),
    case("learning_rate_range", "schedule",
         lambda: (dense(optimizer=ADAM(keras.optimizers.schedules.CosineDecay(0.9, 1000))), (X, Y)),
         lambda: (dense(optimizer=ADAM(keras.optimizers.schedules.CosineDecay(
             0.0, 1000, warmup_target=1e-3, warmup_steps=100))), (X, Y)), "error"),
    case("callbacks_conflict", "patience", lambda: (dense(), (X, Y), {"callbacks": stopping(3, 5)}),
         lambda: (dense(), (X, Y), {"callbacks": stopping(10, 3)}), argument="callbacks"),
    case("not_finite_input", "nan", lambda: (dense(), (with_value(X, 7, np.nan), Y)), TWIN, "error", argument="x"),
    case("not_finite_input", "inf", lambda: (regression(), (X, with_value(NUMBERS, 7, np.inf))),
         lambda: (regression(), (X, NUMBERS)), "error", argument="y"),
    case("input_scale", "table", lambda: (dense(), (1000 * X, Y)),
         lambda: (dense(layers.BatchNormalization()), (X, Y)), argument="x"),
    case("input_scale", "pixels",
         lambda: (stack(layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3, "softmax"),
                        inputs=(8, 8, 1)), (pixels(), Y)),
         lambda: (stack(layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(),
                        layers.Dense(3, "softmax"), inputs=(8, 8, 1)), (pixels(), Y))),
    case("input_scale", "one-feature", lambda: (dense(), (with_value(X, (slice(None), 2), 2000 + X[:, 2]), Y)), TWIN),
    case("input_scale", "apart", lambda: (dense(), (X * np.float32([1, 1, 1, 1, 1, 1e-5]), Y)), TWIN),
    case("input_scale", "not-adapted", lambda: (stack(layers.Normalization(), layers.Dense(3, "softmax")), (99 * X, Y)),
         lambda: (stack(adapted(99 * X), layers.Dense(3, "softmax")), (99 * X, Y))),
    case("scaled_twice", "pixels",
         lambda: (stack(layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, "softmax"), inputs=(8, 8, 1)),
                  (pixels() / np.float32(255), Y)),
         lambda: (stack(layers.Flatten(), layers.Dense(3, "softmax"), inputs=(8, 8, 1)),
                  (pixels() / np.float32(255), Y)), argument="scale"),
    case("scaled_twice", "in-model",
         lambda: (stack(layers.Rescaling(1 / 255), layers.Rescaling(1 / 255), layers.Flatten(),
                        layers.Dense(3, "softmax"), inputs=(8, 8, 1)), (pixels(), Y)),
         lambda: (stack(layers.Rescaling(1 / 127.5, -1), layers.Flatten(), layers.Dense(3, "softmax"),
                        inputs=(8, 8, 1)), (pixels(), Y))),
    case("constant_feature", "all", lambda: (dense(), (np.ones_like(X), Y)), TWIN, "error"),
    case("constant_feature", "one", lambda: (dense(), (with_value(X, (slice(None), 2), 1), Y)), TWIN, "note"),
    case("imbalance", "binary", lambda: (binary(), (rows(400), skewed(5))), lambda: (binary(), (rows(400), skewed(80))),
         argument="class_weight"),
    case("missing_class", "unit", lambda: (dense(units=6), (X, Y)), TWIN),
    case("missing_class", "single", lambda: (binary(), (X, np.zeros(96))), lambda: (binary(), (X, BITS)), "error"),
    case("missing_class", "validation", lambda: (dense(), split((X, Y), (rows(seed=3), np.minimum(Y, 1)))),
         lambda: (dense(), split((X, Y), (rows(seed=3), Y))), "note"),
    case("sorted_labels", "split", lambda: (dense(), (X, np.sort(Y)), {"validation_split": 0.2}),
         lambda: (dense(), (X, Y), {"validation_split": 0.2}), argument="validation_split"),
    case("sorted_labels", "batches",
         lambda: (dense(), [(X[i:i + 32], np.sort(Y)[i:i + 32]) for i in range(0, 96, 32)]),
         lambda: (dense(), [(X[i:i + 32], Y[i:i + 32]) for i in range(0, 96, 32)]), argument="shuffle"),
    case("same_rows", "test", lambda: (dense(), split((X, Y), None, (X[:40], Y[:40]))),
         lambda: (dense(), split((X, Y), None, (rows(seed=9), Y)))),
    case("initial_loss", "weights",
         lambda: (dense(layers.Rescaling(1000.0)), (X, Y)), TWIN),
    case("initial_loss", "labels", lambda: (regression(), (X, 50_000 * NUMBERS + 200_000)),
         lambda: (regression(), (X, NUMBERS)), argument="y"),
]  # fmt: skip


def adapted(x):
    layer = layers.Normalization()
    layer.adapt(x)
    return layer


def look(model, data=None, more=None):
    return preflight(model, data, **(more or {}))


def grave(findings):
    return [finding for finding in findings if finding.severity != "note"]


@pytest.mark.parametrize(("code", "sick", "healthy", "severity", "told"), CASES)
def test_fault_and_twin(code, sick, healthy, severity, told):
    order = ("note", "warning", "error")
    found = look(*sick())
    seen = [finding for finding in found if finding.code == code]
    assert seen, f"not found; only {[f.code for f in found]}"
    assert order.index(seen[0].severity) >= order.index(severity), seen[0]
    for name, value in told.items():
        assert value in [getattr(finding, name) for finding in seen]
    twin = look(*healthy())
    assert not grave(twin), "\n".join(map(str, grave(twin)))
    assert not (severity == "note" and [f for f in twin if f.code == code]), "the twin has the same note"


def test_every_code_is_seen():
    before = list(FAULTS)[: list(FAULTS).index("not_finite")]
    assert {case.values[0] for case in CASES} == set(before)


def compiled(inputs, outputs, loss="sparse_categorical_crossentropy", optimizer="adam"):
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, loss)
    return model


def inverted_residual():
    """MobileNetV2: a narrow linear layer goes straight into a wide one."""
    x = inputs = keras.Input((8, 8, 3))
    for _ in range(2):
        x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(24, 1, use_bias=False)(x)))
        x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
        x = layers.BatchNormalization()(layers.Conv2D(6, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Conv2D(32, 1)(x)))
    return compiled(inputs, layers.Dense(3, "softmax")(x)), (rng().random((96, 8, 8, 3)), Y)


def residual(depth=8, kernel="zeros"):
    """Blocks whose last layer starts at zero, so that the network begins as the identity."""
    x = inputs = keras.Input((6,))
    x = layers.Dense(16)(x)
    for _ in range(depth):
        x = x + layers.Dense(16, kernel_initializer=kernel)(layers.Dense(16, "relu")(layers.LayerNormalization()(x)))
    return compiled(inputs, layers.Dense(3, "softmax")(layers.LayerNormalization()(x))), (X, Y)


def attention():
    """Transformer block by hand: projections without activation, a gelu between two layers, a logits head."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5000, 16)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    x = layers.LayerNormalization()(x + layers.Dropout(0.1)(layers.Dense(16)(layers.Dense(32, "gelu")(x))))
    x = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    return compiled(inputs, x, SCCE(from_logits=True), keras.optimizers.AdamW(3e-4)), (words(), Y)


def words():
    return rng().integers(0, 5000, (96, 7)).astype("int32")


def attention_pooling():
    """A score for each step, and a softmax over the steps: one unit, and yet no constant."""
    inputs = keras.Input((5, 6))
    weight = layers.Softmax(axis=1)(layers.Dense(1)(inputs))
    x = layers.Dense(3, "softmax")(layers.Flatten()(layers.Dot(axes=1)([weight, inputs])))
    return compiled(inputs, x), (rng().normal(size=(96, 5, 6)), Y)


def autoencoder(activation="sigmoid", x=None, loss="mse"):
    x = rng().random((96, 64)).astype("float32") if x is None else x
    model = stack(
        layers.Dense(32, "relu"), layers.Dense(4), layers.Dense(32, "relu"), layers.Dense(64, activation),
        inputs=(64,), loss=loss,
    )  # fmt: skip
    return model, (x, x)


def principal_components():
    return stack(layers.Dense(2), layers.Dense(6), loss="mse"), (X, X)


def frozen_backbone():
    body = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3), layers.BatchNormalization(),
         layers.ReLU(), layers.GlobalAveragePooling2D()]
    )  # fmt: skip
    body.trainable = False
    model = keras.Sequential([keras.Input((8, 8, 3)), body, layers.Dense(3, "softmax")])
    model.compile(ADAM(1e-5), "sparse_categorical_crossentropy")
    return model, (rng().integers(0, 256, (96, 8, 8, 3)).astype("uint8"), Y), {"batch_size": 4}


def two_towers():
    """Two inputs by name, two outputs with a loss each."""
    left, right = keras.Input((6,), name="left"), keras.Input((4,), name="right")
    x = layers.Dense(8, "relu")(layers.Concatenate()([left, right]))
    outputs = {"kind": layers.Dense(3, "softmax", name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    model = keras.Model({"left": left, "right": right}, outputs)
    model.compile("adam", {"kind": "sparse_categorical_crossentropy", "size": "mse"})
    return model, ({"left": X, "right": rows(features=4)}, {"kind": Y, "size": NUMBERS})


def tagger():
    model = stack(
        layers.Embedding(5000, 8), layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3, "softmax")), inputs=(7,),
    )  # fmt: skip
    return model, (words(), words() % 3)


def distillation():
    """Soft labels, which are no classes, learnt with a squared error."""
    soft = rng().random((96, 3)).astype("float32") + 1
    return dense(loss="mse"), (X, soft / soft.sum(axis=1, keepdims=True))


def unet():
    inputs = keras.Input((8, 8, 1))
    skip = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(skip))
    x = layers.Concatenate()([layers.Conv2DTranspose(4, 2, strides=2)(x), skip])
    x = layers.Conv2D(1, 1, activation="sigmoid")(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    image = rng().random((96, 8, 8, 1)).astype("float32")
    return compiled(inputs, x, "binary_crossentropy"), (image, (image > 0.9).astype("float32"))


class Own(keras.Model):
    """A class of the user's own, of which the order of layers is not known."""

    def __init__(self):
        super().__init__()
        self.body, self.answer = layers.Dense(8, "relu"), layers.Dense(3)

    def call(self, inputs):
        return self.answer(self.body(inputs))


def own():
    model = Own()
    model.compile("adam", SCCE(from_logits=True))
    model.build((None, 6))
    return model, (X, Y)


def unbuilt():
    model = keras.Sequential([layers.Dense(8, "relu"), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, (X, Y)


def custom_loss():
    return dense(activation=None, loss=lambda y, answer: keras.ops.mean(keras.ops.square(answer))), (X, Y)


def flat_digits():
    """Images as rows: the border never changes, and that is no fault."""
    x = np.zeros((96, 8, 8), "float32")
    x[:, 2:6, 2:6] = rng().random((96, 4, 4))
    return stack(layers.Dense(16, "relu"), layers.Dense(3, "softmax"), inputs=(64,)), (x.reshape(96, 64), Y)


def few_values():
    """A table of two columns of three values: rows are alike by nature."""
    x = rng().integers(0, 3, (200, 2)).astype("float32")
    y = (x.sum(axis=1) > 2).astype("int32")
    model = stack(layers.Dense(8, "relu"), layers.Dense(1, "sigmoid"), inputs=(2,), loss="binary_crossentropy")
    return model, split((x[:120], y[:120]), (x[120:160], y[120:160]), (x[160:], y[160:]))


def with_columns_of_classes():
    x = np.hstack([rows(), np.eye(8, dtype="float32")[classes(number=8)]])
    return stack(layers.Dense(8, "relu"), layers.Dense(3, "softmax"), inputs=(14,)), (x, Y)


def weighted():
    y = skewed(5)
    return binary(), (rows(400), y, np.where(y == 1, 40.0, 0.5))


def factored():
    """Space and channels apart, on purpose, and rows and columns of a kernel too."""
    model = stack(
        layers.DepthwiseConv2D(3), layers.Conv2D(8, 1, activation="relu"), layers.Conv2D(8, (1, 3)),
        layers.Conv2D(8, (3, 1), activation="relu"), layers.Flatten(), layers.Dense(3, "softmax"), inputs=(8, 8, 1),
    )  # fmt: skip
    return model, (rng().random((96, 8, 8, 1)), Y)


def language_model():
    """The next of many words, of which the text holds a few."""
    model = stack(
        layers.Embedding(5000, 8), layers.GRU(8, return_sequences=True), layers.Dense(5000, "softmax"), inputs=(7,)
    )
    return model, (words() % 50, (words() + 1) % 50)


def one_cycle():
    steps = keras.optimizers.schedules.PiecewiseConstantDecay([10, 20, 30], [0.08, 1.5, 3.0, 0.01])
    return dense(optimizer=SGD(steps, momentum=0.9)), (X, Y)


def shuffled_dataset():
    import tensorflow as tf

    return dense(), tf.data.Dataset.from_tensor_slices((X, np.sort(Y))).shuffle(96).batch(16).prefetch(2)


HEALTHY = {
    "inverted residual": inverted_residual,
    "zero-initialized residual": residual,
    "deep residual": lambda: residual(30, "he_normal"),
    "attention": attention,
    "attention pooling": attention_pooling,
    "autoencoder of a sigmoid": autoencoder,
    "autoencoder of binary images": lambda: autoencoder(
        x=(rng().random((96, 64)) > 0.5).astype("float32"), loss="binary_crossentropy"
    ),
    "binary images, squared error": lambda: autoencoder(x=(rng().random((96, 64)) > 0.5).astype("float32")),
    "principal components": principal_components,
    "frozen backbone, small batches": frozen_backbone,
    "two inputs, two outputs": two_towers,
    "tagger": tagger,
    "distillation": distillation,
    "segmentation": unet,
    "own class": own,
    "unbuilt": unbuilt,
    "own loss": custom_loss,
    "flat digits": flat_digits,
    "few values": few_values,
    "one-hot columns": with_columns_of_classes,
    "imbalanced and weighted": weighted,
    "imbalanced, focal loss": lambda: (
        binary(loss=keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True)), (rows(400), skewed(5))
    ),
    "factored convolutions": factored,
    "language model": language_model,
    "one cycle": one_cycle,
    "warm-up from nothing": lambda: (
        dense(optimizer=ADAM(keras.optimizers.schedules.CosineDecay(0.0, 99, warmup_target=1e-3, warmup_steps=9))),
        (X, Y),
    ),
    "logits of two classes": lambda: (dense(units=2, activation=None, loss=SCCE(from_logits=True)), (X, BITS)),
    "softplus regression": lambda: (regression("softplus"), (X, np.abs(NUMBERS))),
    "ratings 1 to 5": lambda: (regression(), (X, 1 + rng().integers(0, 5, 96).astype("float32"))),
    "labels with an axis": lambda: (dense(), (X, Y[:, None])),
    "labels of booleans": lambda: (binary(), (X, BITS.astype(bool))),
    "label smoothing": lambda: (dense(loss=CCE(label_smoothing=0.1)), (X, one_hot())),
    "multilabel": lambda: (
        dense(activation="sigmoid", loss="binary_crossentropy"), (X, (X[:, :3] > 0).astype("float32"))
    ),
    "sorted, and shuffled by fit": lambda: (dense(), (X, np.sort(Y))),
    "series with a trend": lambda: (regression(), (X, np.linspace(-1, 1, 96)), {"validation_split": 0.2}),
    "uint8 and rescaling": lambda: (
        stack(layers.Rescaling(1 / 127.5, -1), layers.Flatten(), layers.Dense(3, "softmax"), inputs=(8, 8, 1)),
        (pixels(), Y),
    ),
    "pixels into normalized convolutions": lambda: (
        stack(layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(),
              layers.Dense(3, "softmax"), inputs=(8, 8, 1)), (pixels(), Y),
    ),
    "logistic regression from zeros": lambda: (
        stack(layers.Dense(3, "softmax", kernel_initializer="zeros"), optimizer=SGD(0.5)), (X, Y)
    ),
    "one layer, large rate": lambda: (stack(layers.Dense(1), loss="mse", optimizer=ADAM(0.1)), (X, NUMBERS)),
    "labels from 1 to 3 of 4": lambda: (dense(units=4), (X, Y + 1)),
    "small last layer": lambda: (
        stack(layers.Dense(16, "tanh"), layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(0, 1e-4)),
              loss="mse"), (X, NUMBERS),
    ),
    "hinge": lambda: (binary("tanh", loss="hinge"), (X, 2 * BITS - 1)),
    "tiny data": lambda: (binary(), (X[:4], np.array([0, 1, 1, 0]))),
    "no data": lambda: (dense(), None),
    "a generator": lambda: (dense(), (pair for pair in [(X, Y)])),
}  # fmt: skip
if ON_TENSORFLOW:
    HEALTHY["a shuffled dataset"] = shuffled_dataset


@pytest.mark.parametrize("name", HEALTHY)
def test_hard_healthy(name):
    found = grave(look(*HEALTHY[name]()))
    assert not found, "\n".join(map(str, found))


RECIPES = [(name, kind) for name in recipes.list() for kind in recipes.get(name).recipe.data]


@pytest.mark.parametrize(("name", "kind"), RECIPES)
def test_recipes_are_quiet(name, kind):
    case = Case(recipes.get(name), kind)
    for task in case.tasks:
        sizes = {"outputs": TASKS.get(task), "task": task} if case.entry.supervised else {}
        data = (case.x,) if case.labels(task) is None else (case.x, case.labels(task))
        for model in (case.make(task), case.factory(case.shape, **sizes, seed=1)):
            found = grave(preflight(model, data if len(data) > 1 else data[0], validation_split=0.2))
            assert not found, f"{task}: " + "\n".join(map(str, found))


def state(model):
    """All that training could depend on."""
    weights = [keras.ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
    return weights, random.getstate(), np.random.get_state()[1], np.random.get_state()[2]


def noisy():
    return stack(
        layers.GaussianNoise(0.1), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3),
        layers.Dense(3, "softmax"),
    )  # fmt: skip


def test_looking_changes_nothing():
    model = noisy()
    before = state(model)
    preflight(model, split((X, Y), (rows(seed=2), Y)), validation_split=0.2)
    after = state(model)
    for one, two in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(one, two)
    assert before[1] == after[1]
    np.testing.assert_array_equal(before[2], after[2])
    assert before[3] == after[3]


class Augmented(keras.utils.PyDataset):
    """Draws numbers for each batch."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return X[index::6] + np.random.normal(size=(16, 6)).astype("float32"), Y[index::6]


def batches():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96, seed=3).map(lambda x, y: (x * 2, y)).batch(16)


def drawn():
    import tensorflow as tf

    return batches().map(lambda x, y: (x + tf.random.normal(tf.shape(x), seed=4), y))


def loader():
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)  # Keras seeds it where it is the backend alone
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(pairs, 16, shuffle=True)


FORMS = {
    "arrays": lambda: (X, Y),
    "PyDataset": Augmented,
    "list": lambda: [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 96, 16)],
    "dataset": batches,
    "random dataset": drawn,
    "DataLoader": loader,
}


@pytest.mark.parametrize("form", FORMS)
def test_training_is_the_same(form):
    trained = []
    for looks in (False, True):
        keras.utils.set_random_seed(5)
        model, data = noisy(), FORMS[form]()
        if looks:
            preflight(model, data)
        for epoch in range(2):
            if form == "list":
                for x, y in data:
                    model.train_on_batch(x, y)
            elif form == "arrays":
                model.fit(*data, batch_size=16, verbose=0, initial_epoch=epoch, epochs=epoch + 1)
            else:
                model.fit(data, verbose=0, initial_epoch=epoch, epochs=epoch + 1)
        trained.append([keras.ops.convert_to_numpy(variable) for variable in model.variables])
    for one, two in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, two)


def test_all_forms_are_read():
    for form in ("arrays", "PyDataset", "list", "dataset", "DataLoader"):
        data = FORMS[form]()
        codes = {finding.code for finding in preflight(dense(units=2), data)}
        assert "label_range" in codes, f"the labels of {form} were not seen"


def test_loaded_data_are_read():
    data = recipes.data.load((1000 * X, Y), seed=1)
    model = dense()
    assert {"input_scale"} <= {finding.code for finding in preflight(model, data)}
    assert not grave(preflight(recipes.mlp((6,), 3), data))


def test_no_more_than_is_needed_is_read():
    class Counted(Augmented):
        read = 0

        def __len__(self):
            return 10_000

        def __getitem__(self, index):
            type(self).read += 1
            return X[:16], Y[:16]

    preflight(dense(), Counted())
    assert Counted.read <= 33


@pytest.mark.parametrize(
    "data",
    [object(), 5, [], (None, None), (X, "text"), (X[:0], Y[:0]), {"a": X}, np.array(["a", None], object), (X, Y[:5])],
    ids=lambda data: type(data).__name__,
)
def test_odd_data_do_not_raise(data, monkeypatch):
    monkeypatch.undo()
    assert isinstance(preflight(dense(), data), list)


def test_odd_models_do_not_raise(monkeypatch):
    monkeypatch.undo()
    uncompiled = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    for model in (uncompiled, keras.Sequential(), keras.Model(), Own()):
        assert isinstance(preflight(model, (X, Y)), list)


def test_the_remedy_is_an_argument_of_the_recipe():
    found = preflight(recipes.mlp((6,), 3, learning_rate=0.5, dropout=0.9), (X, Y))
    remedies = {finding.code: finding.remedy for finding in found}
    assert remedies["learning_rate_range"] == {"learning_rate": 1e-3}
    assert remedies["strong_dropout"] == {"dropout": 0.5}
    again = recipes.mlp((6,), 3, **{key: value for remedy in remedies.values() for key, value in remedy.items()})
    assert not grave(preflight(again, (X, Y)))
    found = preflight(dense(optimizer=ADAM(0.5)), (X, Y))
    assert {finding.code: finding.remedy for finding in found}["learning_rate_range"] == {"learning_rate": 1e-3}
