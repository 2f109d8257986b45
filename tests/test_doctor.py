"""The training doctor: each fault it knows and a healthy twin, no trace in the training, and what it does."""

import json
import math
import time

import keras
import numpy as np
import pytest

from keras_cookbook import callbacks, recipes
from keras_cookbook.callbacks.doctor import FAULTS, Finding, TrainingDoctor
from keras_cookbook.callbacks.doctor.course import Course
from keras_cookbook.callbacks.doctor.findings import CATEGORIES, SYMPTOMS, by_severity
from keras_cookbook.callbacks.doctor.observation import Attention, Observation, Units
from keras_cookbook.callbacks.doctor.probe import Probe
from keras_cookbook.callbacks.doctor.rules import diagnose

RNG = np.random.default_rng(0)
X = RNG.normal(size=(320, 6)).astype("float32")
Y = (X[:, :3] + 0.3 * RNG.normal(size=(320, 3))).argmax(axis=1)
L = keras.layers


def net(*hidden, optimizer="Adam", rate=3e-3, **compiling):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), *hidden, L.Dense(3, "softmax")])
    model.compile(getattr(keras.optimizers, optimizer)(rate), "sparse_categorical_crossentropy", **compiling)
    return model


def relu(units=16, **arguments):
    return L.Dense(units, "relu", **arguments)


def seen(model, epochs=3, **arguments):
    """What the doctor finds in a training."""
    doctor = TrainingDoctor(probe=(X[:64], Y[:64]), tell=False, **arguments)
    history = model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=[doctor]).history
    assert history["findings"][-1] <= len(doctor.findings)
    return doctor.findings


# ---- sick trainings, and healthy ones that look sick -----------------------------------------------------------------

#: What becomes of a network that is thrown far away depends on where it lands.
THROWN = ("not_finite", "exploding_gradient", "dying_units", "divergence", "large_updates")
SICK = {
    "huge steps": (lambda: net(relu(), relu(), optimizer="SGD", rate=50.0), THROWN, "learning rate"),
    "born dead": (
        lambda: net(relu(bias_initializer=keras.initializers.Constant(-20)), relu()), "dead_units", "initialization",
    ),
    "a deep net of sigmoids": (
        lambda: net(*[L.Dense(16, "sigmoid") for _ in range(8)]), "vanishing_gradient", "activation",
    ),
    "tanh of huge sums": (
        lambda: net(L.Dense(16, "tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=60)), relu()),
        "saturated_units", "activation",
    ),
    "no step to speak of": (lambda: net(relu(), relu(), rate=1e-8), "small_updates", "learning rate"),
    "too slow": (lambda: net(relu(), relu(), optimizer="SGD", rate=1e-5), "slow_convergence", "learning rate"),
}  # fmt: skip

HEALTHY = {
    "plain": lambda: net(relu(), relu()),
    "SGD": lambda: net(relu(), relu(), optimizer="SGD", rate=0.1),
    "dropout": lambda: net(relu(64), L.Dropout(0.5), relu(64), L.Dropout(0.5)),
    "sparse but not dead": lambda: net(relu(64, bias_initializer=keras.initializers.Constant(-0.5)), relu(64)),
    "tanh": lambda: net(L.Dense(16, "tanh"), L.Dense(16, "tanh")),
    "batch normalization": lambda: net(L.Dense(16), L.BatchNormalization(), L.ReLU(), relu()),
    "frozen first layer": lambda: net(relu(64, trainable=False), relu()),
    "a schedule": lambda: net(relu(), relu(), rate=keras.optimizers.schedules.CosineDecay(3e-3, 99)),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_a_sick_training_is_told(name):
    make, code, category = SICK[name]
    findings = [finding for finding in seen(make(), epochs=4) if finding.epoch]
    assert {finding.code for finding in findings} & {*([code] if isinstance(code, str) else code)}, findings
    first = by_severity([finding for finding in findings if finding.severity != "note"])[0]
    assert first.category == category, findings
    assert first.epoch is not None
    assert math.isfinite(first.confidence)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_is_left_in_peace(name):
    findings = seen(HEALTHY[name](), epochs=12)
    assert [finding for finding in findings if finding.severity != "note"] == []


def test_the_first_layer_that_is_not_finite_is_named():
    model = net(relu(name="one"), relu(name="two"))
    x = X.copy()
    x[100, 2] = np.nan
    doctor = TrainingDoctor(probe=(X[:64], Y[:64]), tell=False)
    model.fit(x, Y, batch_size=16, epochs=1, shuffle=False, verbose=0, callbacks=[doctor])
    found = doctor.findings[0]
    assert (found.code, found.severity, found.layer) == ("not_finite", "error", "one")
    assert found.step in (7, 8), "where losses are read in another thread, it may be a step later"
    model = net(relu(name="one"), L.Lambda(lambda x: x / 0.0 * 0.0, name="two"))
    found = Probe(model, (X[:8], Y[:8], None))(1, 1)
    assert found.broken[0] == "two"
    assert not found.finite


class Cut(L.Layer):
    """Lets no gradient through."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.load = keras.metrics.Mean("load")

    def call(self, x):
        return keras.ops.stop_gradient(x)


def test_a_layer_that_the_loss_does_not_reach():
    found = seen(net(relu(name="one"), Cut(name="cut"), relu(name="two")))
    assert [(f.code, f.layer, f.severity) for f in found if f.severity != "note"] == [("no_gradient", "one", "warning")]
    doctor = TrainingDoctor(tell=False)
    net(Cut(name="cut")).fit(X, Y, verbose=0, callbacks=[doctor])
    assert doctor.course.owners["load"] == "cut"


def half(weight=1e-9):
    """Computes in float16, with a loss that is counted in so small a unit."""
    keras.utils.set_random_seed(0)
    hidden = [relu(8, dtype="mixed_float16") for _ in range(2)]
    model = keras.Sequential([keras.Input((6,)), *hidden, L.Dense(3, "softmax", dtype="float32")])
    model.compile(keras.optimizers.Adam(0.01, epsilon=1e-12), "sparse_categorical_crossentropy", loss_weights=[weight])
    return model


def test_gradients_that_float16_cannot_hold():
    doctor = TrainingDoctor(tell=False)
    callbacks.fit(half(), X, Y, batch_size=16, epochs=5, verbose=0, callbacks=[doctor])
    found = [finding for finding in doctor.findings if finding.severity != "note"]
    assert [finding.code for finding in found] == ["underflow"]
    assert found[0].remedy == {"auto_scale_loss": True}
    trial = doctor.try_remedy()
    assert trial.cured, trial
    assert trial.before < 0.7 < trial.after, trial
    assert [f.code for f in seen(half(weight=1.0), epochs=5) if f.severity != "note"] == []


# ---- no trace --------------------------------------------------------------------------------------------------------


def trained(make, fitting, *extra):
    keras.utils.set_random_seed(1)
    model = make()
    if fitting["x"] is None:
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(320, seed=0).batch(8)
        model.fit(data, epochs=5, verbose=0, callbacks=list(extra))
    else:
        model.fit(**fitting, batch_size=8, epochs=5, verbose=0, callbacks=list(extra))
    return [keras.ops.convert_to_numpy(v) for v in [*model.variables, *model.optimizer.variables]]


def labelled(name, shape, **arguments):
    return lambda: getattr(recipes, name)(shape, 3, seed=0, **arguments)


if keras.backend.backend() == "torch":
    SEVERAL = {}  # one step at a time is all there is
else:
    SEVERAL = {"several steps at once": (labelled("mlp", (6,), steps_per_execution=4), {"x": X, "y": Y})}
PICTURES = {"x": RNG.integers(0, 256, (320, 8, 8, 1)).astype("uint8"), "y": Y}
SEQUENCES = {"x": RNG.normal(size=(320, 5, 3)).astype("float32"), "y": Y}
TRACES = {
    "dropout": (labelled("mlp", (6,), dropout=0.5), {"x": X, "y": Y}),
    "batch normalization": (labelled("cnn", (8, 8, 1), width=4, depth=1, dropout=0.3), PICTURES),
    **SEVERAL,
    "attention": (labelled("transformer_encoder", (5, 3), width=8), SEQUENCES),
    "recurrent": (labelled("recurrent", (5, 3), width=4, dropout=0.2), SEQUENCES),
    "two players": (lambda: recipes.gan((8, 8, 1), width=4, depth=1, seed=0), {"x": PICTURES["x"]}),
    "half precision": (labelled("mlp", (6,), precision="mixed_float16"), {"x": X, "y": Y}),
    "a data set that shuffles": (labelled("mlp", (6,), dropout=0.5), {"x": None}),
    "validation": (labelled("mlp", (6,), dropout=0.5), {"x": X, "y": Y, "validation_split": 0.2}),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_training_is_the_same_with_the_doctor(name):
    """Two hundred steps, to the last bit."""
    make, fitting = TRACES[name]
    doctor = TrainingDoctor(every=16, tell=False)
    with_it, without = trained(make, fitting, doctor), trained(make, fitting)
    assert len(doctor.course.looks) > 8
    for a, b in zip(with_it, without, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiled_by_xla():
    doctor = TrainingDoctor(tell=False)
    recipes.mlp((6,), 3, jit_compile=keras.backend.backend() != "torch").fit(X, Y, verbose=0, callbacks=[doctor])
    assert doctor.course.looks[-1].gradients


def test_numbers_of_a_look_equal_the_slow_ones():
    model = net(relu(name="one"), optimizer="SGD", rate=0.1)
    probe = Probe(model, (X[:32], Y[:32], None))
    look = probe(1, 1)
    assert look.loss == pytest.approx(model.evaluate(X[:32], Y[:32], verbose=0), rel=1e-5)
    before = [keras.ops.convert_to_numpy(w) for w in model.weights]
    probe.remember(1)
    model.fit(X[:32], Y[:32], batch_size=32, verbose=0)
    # A step of SGD is the gradient times the rate.
    moves = [(a - keras.ops.convert_to_numpy(w)) / 0.1 for a, w in zip(before, model.weights, strict=True)]
    norms = [math.hypot(np.linalg.norm(moves[i]), np.linalg.norm(moves[i + 1])) for i in (0, 2)]
    np.testing.assert_allclose(list(look.gradients.values()), norms, rtol=1e-4)
    sizes = [math.hypot(np.linalg.norm(before[i]), np.linalg.norm(before[i + 1])) for i in (0, 2)]
    np.testing.assert_allclose(list(look.weights.values()), sizes, rtol=1e-5)
    np.testing.assert_allclose(
        list(probe.moved(2).values()), [0.1 * norm / size for norm, size in zip(norms, sizes, strict=True)], rtol=1e-4
    )
    hidden = np.maximum(X[:32] @ before[0] + before[1], 0)
    assert look.units["one"].sparse == pytest.approx((hidden == 0).mean(), abs=1e-6)
    assert look.units["one"].dead == pytest.approx((hidden == 0).all(axis=0).mean(), abs=1e-6)


# ---- rules, on numbers alone -----------------------------------------------------------------------------------------


def looks(losses, gradients=None, updates=0.01, units=None, **more):
    gradients = gradients or [(1.0, 1.0, 1.0, 1.0)] * len(losses)
    names = "abcd"
    return [
        Observation(
            2**index, 1, loss, dict(zip(names, norms, strict=True)), dict.fromkeys(names, 5.0),
            dict.fromkeys(names, updates), units or {}, **more,
        )
        for index, (loss, norms) in enumerate(zip(losses, gradients, strict=True))
    ]  # fmt: skip


def epochs(**logs):
    return [dict(zip(logs, values, strict=True)) for values in zip(*logs.values(), strict=True)]


SETTINGS = {"learning_rate": 0.01, "dropout": 0.0, "clip_norm": None, "activation": "tanh", "beta": 4.0}
COURSES = [
    ("exploding_gradient", Course(looks([1, 1, 1, 2, 3], [(1,) * 4] * 3 + [(9, 9, 900, 9)] * 2))),
    (None, Course(looks([1, 0.9, 0.8, 0.5, 0.3], [(1,) * 4] * 3 + [(9, 9, 900, 9)] * 2))),
    ("vanishing_gradient", Course(looks([1] * 4, [(1e-6, 1e-4, 1e-2, 1)] * 4))),
    (None, Course(looks([1, 0.2, 0.1, 0.05], [(1e-6, 1e-4, 1e-2, 1)] * 4))),
    ("no_gradient", Course(looks([1] * 4, [(0, 1, 1, 1)] * 4))),
    ("no_gradient", Course(looks([1, 0.4, 0.2, 0.1], [(1, 1, 0, 1)] * 4))),
    ("underflow", Course(looks([1] * 4, [(0, 0, 1e-8, 1e-8)] * 4), unscaled=True)),
    (None, Course(looks([1] * 4, [(0, 1, 1, 1)] * 3 + [(0.5, 1, 1, 1)]))),
    (None, Course(looks([1] * 4, [(0, 0, 0, 0)] * 4))),  # a loss of exactly 0
    (None, Course(looks([1] * 4, [(0, 0, 1, 1)] * 4, units={"b": Units("relu", dead=1.0)}))),
    (None, Course(looks([1] * 4, [(0, 1, 1, 1)] * 4), game=True)),
    ("large_updates", Course(looks([1] * 6, updates=0.5))),
    (None, Course(looks([1] * 3, updates=0.5))),  # RMSprop begins so
    ("divergence", Course(epochs=epochs(loss=[1.0, 0.5, 0.8, 1.2, 1.5]))),
    (None, Course(epochs=epochs(loss=[1.0, 0.5, 1.2, 0.4, 0.3]))),
    (None, Course(epochs=epochs(loss=[0.54, 0.09, 0.013, 0.005, 0.002, 0.0036, 0.0052, 0.0044]))),  # dropout
    ("divergence", Course(looks([12.0] * 4, [(0.0,) * 4] * 4), guess=1.1)),
    ("divergence", Course(epochs=epochs(loss=[9.8, 10.2, 10.2, 10.2]), guess=1.1)),
    (None, Course(epochs=epochs(loss=[9.8, 7.2, 5.2, 4.2]), guess=1.1)),
    (None, Course(epochs=epochs(loss=[1.0, math.nan, 0.8]), guess=1.09, rates=[0.1, 0.01])),  # rolled back
    ("oscillation", Course(epochs=epochs(loss=[1.0, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9]))),
    (None, Course(epochs=epochs(loss=[1.0, 0.8, 0.7, 0.6, 0.55, 0.52, 0.5]))),
    (None, Course(epochs=epochs(loss=[2.0, 0.02, 0.04, 0.02, 0.04, 0.02, 0.04]))),
    ("no_learning", Course(epochs=epochs(loss=[1.11, 1.1, 1.1, 1.1]), guess=1.1)),
    (None, Course(epochs=epochs(loss=[1.11, 1.1, 1.1, 1.1]), guess=1.1, rates=[1e-6, 2e-6, 3e-6])),
    (None, Course(epochs=epochs(loss=[0.271, 0.274, 0.273]), guess=0.25, planned=25)),  # xor
    ("no_learning", Course(epochs=epochs(loss=[0.271, 0.274, 0.273, 0.273]), guess=0.25, planned=12)),
    (None, Course(looks([0.717, 0.715, 0.71]), epochs(loss=[0.717, 0.712, 0.708]), guess=0.693)),  # three steps
    ("still_falling", Course(
        looks([0.717, 0.715, 0.71]), epochs(loss=[0.717, 0.712, 0.708]), guess=0.693, ended="complete")),
    (None, Course(epochs=epochs(loss=[1.11, 1.0, 0.9, 0.8]), guess=1.1)),
    (None, Course(epochs=epochs(loss=[0.6925, 0.6891, 0.6844]), guess=0.693)),  # plain SGD on embeddings
    ("overfitting", Course(epochs=epochs(loss=[1, 0.8, 0.6, 0.4, 0.3, 0.2], val_loss=[1, 0.9, 0.8, 0.95, 1.1, 1.3]))),
    (None, Course(epochs=epochs(loss=[1, 0.8, 0.6, 0.4, 0.3, 0.2], val_loss=[1, 0.9, 0.8, 0.95, 0.8, 0.81]))),
    (
        None,
        Course(epochs=epochs(loss=[1, 0.3, 0.1, 0.05, 0.04, 0.03], val_loss=[1, 0.2, 0.1, 0.11, 0.12, 0.13])),
    ),
    (  # a fifth of the labels is wrong, and learnt by heart
        None,
        Course(epochs=epochs(loss=[0.9, 0.63, 0.59, 0.585, 0.584, 0.583], val_loss=[0.33, 0.2, 0.18, 0.21, 0.2, 0.2])),
    ),
    ("attention_collapse", Course(looks([1] * 3, attention={"a": Attention(0.01, 0.99)}))),
    (None, Course(looks([1, 0.4, 0.3], attention={"a": Attention(0.01, 0.99)}))),
    (None, Course(looks([1] * 3, attention={"a": Attention(1.0, 0.0)}))),
    ("embedding_collapse", Course(looks([-1.0] * 8, spread=0.001))),
    (None, Course(looks([-1.0] * 5, spread=0.001))),
    (None, Course(looks([-1.0] * 8, spread=0.4))),
    ("embedding_collapse", Course(epochs=epochs(embedding_std=[0.08, 0.01, 0.001, 0.0005]))),
    (None, Course(epochs=epochs(embedding_std=[0.05, 0.07, 0.08, 0.085]))),
    ("expert_collapse", Course(epochs=epochs(expert_load_max=[0.5, 0.9, 0.98, 1.0]))),
    (None, Course(epochs=epochs(expert_load_max=[0.9, 0.5, 0.3, 0.27]))),
    ("policy_collapse", Course(epochs=epochs(entropy=[0.69, 0.3, 0.1, 0.01, 0.003, 0.002], episode_return=[20] * 6))),
    (None, Course(epochs=epochs(
        entropy=[0.69, 0.5, 0.3, 0.01, 0.003, 0.002], episode_return=[20, 60, 200, 480, 500, 500]))),
    (None, Course(epochs=epochs(entropy=[0.69, 0.3, 0.1, 0.01, 0.003, 0.002]))),
    ("q_divergence", Course(epochs=epochs(q=[0.1, 5, 40, 300, 4e3, 5e4], episode_return=[20, 22, 19, 21, 20, 22]))),
    (None, Course(epochs=epochs(q=[0.1, 1, 5, 10, 15, 18], episode_return=[20, 22, 19, 21, 20, 22]))),
    (None, Course(epochs=epochs(q=[0.1, 5, 20, 80, 150, 210], episode_return=[20, 40, 90, 150, 190, 200]))),
    ("mode_collapse", Course(epochs=epochs(diversity=[0.5, 0.05, 0.04, 0.03]), game=True)),
    (None, Course(epochs=epochs(diversity=[0.02, 0.3, 0.5, 0.6]), game=True)),
    ("posterior_collapse", Course(epochs=epochs(kl=[1.0, 0.01, 0.001]))),
    (None, Course(epochs=epochs(kl=[0.01, 2.0, 5.0]))),
    ("still_falling", Course(epochs=epochs(loss=[1, 0.8, 0.6, 0.4, 0.3]), ended="complete")),
    (None, Course(epochs=epochs(loss=[1, 0.8, 0.6, 0.4, 0.3]), ended="early")),
    ("still_falling", Course(epochs=epochs(loss=[2.3, 2.26, 2.22, 2.18]), guess=2.3, ended="complete")),
    (None, Course(epochs=epochs(loss=[2.3, 2.2, 2.15, 2.148]), guess=2.3, ended="complete")),
    (
        "strong_discriminator",
        Course(epochs=epochs(discriminator_loss=[0.5, 0.01, 0.01, 0.01]), settings={"loss": "non_saturating"}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "course"), COURSES)
def test_a_rule(code, course):
    course.settings = {**SETTINGS, **course.settings}
    found = diagnose(course)
    assert [finding.code for finding in found] == [code] * bool(code)
    for finding in found:
        assert set(finding.remedy) <= {*SETTINGS, "loss", "rate_ratio", "spectral_normalization", "weight_decay"}
        json.dumps(finding.as_dict())


def test_the_layer_that_logs_its_experts_is_named():
    logs = epochs(expert_load_max=[0.5, 0.9, 0.98, 1.0])
    assert diagnose(Course(epochs=logs, owners={"expert_load_max": "router"}))[0].layer == "router"
    assert diagnose(Course(epochs=logs))[0].layer is None


def test_units_must_be_hidden_and_lastingly_dead():
    dead = {"a": Units("relu", dead=0.9)}

    def codes(count, **course):
        return [f.code for f in diagnose(Course(looks([1] * count, updates=0.0, units=dead), **course))]

    assert codes(4) == []
    assert codes(4, hidden={"a"}) == ["dead_units"]
    assert codes(3, hidden={"a"}) == []


def test_sparse_is_not_dead():
    """Where the batch looked at reaches no unit and steps move its weights, other examples do."""
    dead = {"a": Units("relu", dead=1.0)}
    assert diagnose(Course(looks([0.69] * 3, units=dead), hidden={"a"}, guess=0.69)) == []
    found = diagnose(Course(looks([0.69] * 6, units=dead), hidden={"a"}, guess=0.69))
    assert [f.severity for f in found] == ["error"], "after some time they should be alive"
    assert diagnose(Course(looks([0.2] * 6, units=dead), hidden={"a"}, guess=0.69)) == []
    waking = looks([0.69] * 6)
    for look, share in zip(waking, (1.0, 1.0, 1.0, 0.98, 0.9, 0.8), strict=True):
        look.units = {"a": Units("relu", dead=share)}
    assert diagnose(Course(waking, hidden={"a"}, guess=0.69)) == []


def test_a_training_that_has_hardly_begun_is_a_warning():
    def severity(losses, guess):
        return diagnose(Course(epochs=epochs(loss=losses), guess=guess, ended="complete"))[0].severity

    assert severity([2.3, 2.26, 2.22, 2.18], 2.3) == "warning"
    assert severity([2.3, 1.9, 1.5, 1.1], 2.3) == "warning"
    assert severity([0.98, 0.78, 0.58, 0.41], 1.02) == "warning"
    assert severity([2.3, 1.7, 1.1, 0.5], 2.3) == "note"
    assert severity([0.1, 0.09, 0.08, 0.07], 2.3) == "note"


def test_a_validation_loss_that_lags_behind_is_a_note():
    """Batch normalization judges with averages of earlier steps; the training is done."""
    logs = epochs(loss=[0.64, 0.014, 0.004, 0.002, 0.001], val_loss=[1.3, 1.2, 0.98, 0.72, 0.49])
    assert diagnose(Course(epochs=logs, guess=1.39, ended="complete"))[0].severity == "note"


def test_a_loss_that_is_learnt_by_heart_becomes_a_warning():
    def severity(judged):
        train = np.linspace(0.6, 0.1, len(judged))
        return [f.severity for f in diagnose(Course(epochs=epochs(loss=train, val_loss=judged), guess=0.69))]

    assert severity([0.35, 0.107, 0.107, 0.13, 0.14]) == []
    assert severity([0.35, 0.107, 0.107, 0.13, 0.14, 0.15, 0.17, 0.19]) == ["note"]
    assert severity([0.35, 0.107, 0.107, 0.13, 0.14, 0.15, 0.17, 0.19, 0.25, 0.3]) == ["warning"]


def test_causes_come_before_what_they_may_have_led_to():
    symptom = Finding("not_finite", "", "error", confidence=1.0)
    cause, note = Finding("strong_dropout", "", confidence=0.6), Finding("constant_feature", "", "note", confidence=0.9)
    assert by_severity([note, symptom, cause]) == [cause, symptom, note]


def test_the_catalogue():
    assert set(SYMPTOMS) <= set(FAULTS)
    for code, fault in FAULTS.items():
        assert fault.category in CATEGORIES, code
        assert fault.advice.endswith("."), code
        assert fault.source, code
    with pytest.raises(ValueError, match="code must be one of"):
        Finding("bad_luck", "")
    with pytest.raises(ValueError, match="severity must be one of"):
        Finding("not_finite", "", "fatal")


# ---- what attends and what embeds ------------------------------------------------------------------------------------

STEPS = RNG.normal(size=(320, 5, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 320)


def attentive(init, **attention):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 3))
    layer = L.MultiHeadAttention(2, 4, kernel_initializer=init, name="mha", dropout=0.1)
    x = L.GlobalAveragePooling1D()(layer(inputs, inputs, **attention))
    model = keras.Model(inputs, L.Dense(3, "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def attended(model):
    doctor = TrainingDoctor(probe=(STEPS[:64], LABELS[:64]), tell=False)
    model.fit(STEPS, LABELS, batch_size=16, epochs=2, verbose=0, callbacks=[doctor])
    return doctor


def test_attention_that_looks_at_a_single_step():
    doctor = attended(attentive(keras.initializers.RandomNormal(stddev=30.0)))
    found = [finding for finding in doctor.findings if finding.code == "attention_collapse"]
    assert [finding.layer for finding in found] == ["mha"]
    assert doctor.looks[-1].attention["mha"].entropy < 0.1


@pytest.mark.parametrize("attention", [{}, {"use_causal_mask": True}, {"attention_mask": np.tri(5, dtype=bool)[None]}])
@pytest.mark.parametrize("init", ["glorot_uniform", "zeros"])
def test_attention_that_looks_at_all(init, attention):
    doctor = attended(attentive(init, **attention))
    seen = doctor.looks[0].attention["mha"]
    assert "attention_collapse" not in {finding.code for finding in doctor.findings}
    if not attention and init == "zeros":
        assert (seen.entropy, seen.peaked) == (pytest.approx(1.0, abs=1e-5), 0.0)
    if attention:
        assert seen.peaked == pytest.approx(0.2), "the first of five steps sees itself alone"


def test_attention_within_blocks_of_a_recipe():
    doctor = TrainingDoctor(tell=False)
    model = recipes.transformer_encoder((5, 3), 3, depth=2, width=8, seed=0)
    model.fit(SEQUENCES["x"], Y, verbose=0, callbacks=[doctor])
    attention = doctor.looks[-1].attention
    assert len(attention) == 2, attention
    assert all(0 < seen.entropy <= 1 for seen in attention.values())


class Alike(keras.Model):
    """Draws the embeddings of all examples together; with `apart`, it pushes them away from each other."""

    apart = 0.0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        z = keras.ops.normalize(y_pred, axis=-1)
        cosines = keras.ops.matmul(z, keras.ops.transpose(z))
        return (self.apart - 1) * keras.ops.mean(cosines) + self.apart * keras.ops.mean(cosines)


def embedding(apart):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    model = Alike(inputs, L.Dense(16)(relu()(inputs)))
    model.apart = apart
    model.compile(keras.optimizers.Adam(0.05))
    doctor = TrainingDoctor(probe=(X[:64], None), tell=False)
    model.fit(X, batch_size=16, epochs=15, verbose=0, callbacks=[doctor])
    return doctor


def test_embeddings_that_become_alike():
    doctor = embedding(apart=0.0)
    assert "embedding_collapse" in {finding.code for finding in doctor.findings}, doctor.looks[-1]


def test_embeddings_that_stay_apart():
    doctor = embedding(apart=1.0)
    assert doctor.looks[-1].spread > 0.3
    assert "embedding_collapse" not in {finding.code for finding in doctor.findings}


def test_what_is_no_embedding_is_not_looked_at_as_one():
    for model in (net(relu()), recipes.vae((6,), seed=0), recipes.autoencoder((6,), seed=0)):
        y = Y[:8] if model.name.startswith("sequential") else None
        assert not Probe(model, (X[:8], y, None)).embeds, model.name


# ---- what it does ----------------------------------------------------------------------------------------------------


def exploding():
    return net(relu(), relu(), optimizer="SGD", rate=1e4)


def test_it_warns():
    with pytest.warns(RuntimeWarning, match="Lower the learning rate"):
        exploding().fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[TrainingDoctor(probe=(X[:64], Y[:64]))])


def test_it_stops():
    doctor = TrainingDoctor("stop", probe=(X[:64], Y[:64]), tell=False)
    history = exploding().fit(X, Y, batch_size=16, epochs=9, verbose=0, callbacks=[doctor])
    assert len(history.epoch) < 9
    assert any(finding.severity == "error" for finding in doctor.findings)


def test_it_rolls_back_and_goes_on_slower():
    model = net(relu(), relu(), optimizer="SGD", rate=0.1)

    class Accident(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.set_weights([weight * np.nan for weight in self.model.get_weights()])

    doctor = TrainingDoctor("rollback", every=4, probe=(X[:64], Y[:64]), tell=False)
    losses = model.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[Accident(), doctor]).history["loss"]
    assert [finding.code for finding in doctor.findings] == ["not_finite"]
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.01)
    assert np.isfinite(losses[2:]).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"action": "cure"}, "'rollback'"), ({"every": 0}, "every must be 1"), ({"probe": 3}, r"\(x, y\)")],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        TrainingDoctor(**arguments)


def test_data_it_must_not_touch_are_not_touched():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(320, seed=0).batch(16)
    odd = data.map(lambda x, y: (x + tf.random.uniform([6]), y))
    for given, judge, looked in ((data, None, True), (odd, None, False), (odd, data, True)):
        doctor = TrainingDoctor(tell=False)
        recipes.mlp((6,), 3).fit(given, validation_data=judge, verbose=0, callbacks=[doctor])
        assert bool(doctor.course.looks) == looked


def test_it_looks_before_the_first_step():
    doctor = TrainingDoctor(tell=False)
    recipes.mlp((6,), 3, learning_rate=0.5).fit(X, Y, verbose=0, callbacks=[doctor])
    assert (doctor.findings[0].code, doctor.findings[0].epoch) == ("learning_rate_range", None)


def test_light_mode_looks_more_rarely():
    doctor = TrainingDoctor(every=2, light=True, probe=(X[:64], Y[:64]), tell=False)
    net(relu()).fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[doctor])
    assert [look.step for look in doctor.looks] == [1, 2, 4, 8, 16, 32, 48, 60]


def test_steps_that_end_out_of_order_are_counted():
    """On JAX and PyTorch they end in several threads."""

    class Late(keras.callbacks.Callback):
        async_safe = True

        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.3 * (batch == 0))

    doctor = TrainingDoctor(probe=(X[:64], Y[:64]), tell=False)
    net(relu()).fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[Late(), doctor])
    assert [(look.step, look.epoch) for look in doctor.looks] == [
        (1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (32, 2), (64, 4), (80, 4),
    ]  # fmt: skip


@pytest.mark.parametrize(("wrong", "severity"), [(False, "note"), (True, "warning")])
def test_what_is_unusual_is_a_fault_where_the_training_has_one(wrong, severity):
    """Adam at 0.08 is; numbers that are not finite are a fault."""
    doctor = TrainingDoctor(tell=False)
    x = X.copy()
    x[::50, 0] = np.nan if wrong else 0.0
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
    net.compile(keras.optimizers.Adam(0.08), "sparse_categorical_crossentropy")
    (suspicion,) = callbacks.preflight(net, (X, Y))
    assert (suspicion.code, suspicion.severity, suspicion.is_suspicion) == ("learning_rate_range", "warning", True)
    callbacks.fit(net, x, Y, epochs=3, verbose=0, callbacks=[doctor])
    assert [f.severity for f in doctor.findings if f.code == "learning_rate_range"] == [severity]


def test_with_the_usual_callbacks(tmp_path):
    chosen = callbacks.standard(tmp_path, doctor=True, progress=False, tensorboard=False, report=True)
    recipes.mlp((6,), 3).fit(X, Y, validation_split=0.2, verbose=0, callbacks=chosen)
    assert "findings" in json.loads((tmp_path / "log.jsonl").read_text())


def test_a_report_of_a_training_that_ended_in_nan(tmp_path):
    """It is needed most there."""
    data = recipes.data.load("iris")
    chosen = callbacks.standard(tmp_path, doctor=True, progress=False, tensorboard=False, report=data, patience=None)
    model = recipes.mlp(data.input_shape, data.outputs)
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    with pytest.warns(RuntimeWarning, match="no longer finite|is not finite"):
        model.fit(data.train, validation_data=data.validation, epochs=3, verbose=0, callbacks=chosen)
    report = json.loads((tmp_path / "report.json").read_text())
    assert "not_finite" in [finding["code"] for finding in report["findings"]]
    page = (tmp_path / "report.html").read_text()
    assert "What looks wrong" in page
    assert "no longer finite" in page or "is not finite" in page
