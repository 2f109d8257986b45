"""Laws of the cyclical schedules: the rate and the momentum that runs against it."""

import keras
import numpy as np
import pytest
from conformance import Case
from keras import ops

from keras_cookbook import recipes
from keras_cookbook.recipes._training import CYCLED, MOMENTUM
from keras_cookbook.recipes.parts.schedules import CycledAdam, CycledSGD, PlannedSchedule

STEPS = 1000


def rates(shape, **settings):
    schedule = PlannedSchedule(2.0, shape, steps=STEPS, **settings)
    return np.array([float(schedule(step)) for step in range(STEPS + 1)])


def momenta(optimizer, highest, steps=STEPS):
    found = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.cycled(highest)))
    return np.array(found)


def test_the_triangles_are_those_of_smith():
    """His formula (2017, section 3.2), with the half cycle an eighth of all steps."""
    step = np.arange(STEPS + 1)
    half = STEPS / 8
    cycle = np.floor(1 + step / (2 * half))
    x = np.abs(step / half - 2 * cycle + 1)
    np.testing.assert_allclose(rates("cyclical"), 0.5 + (2.0 - 0.5) * np.maximum(0, 1 - x), atol=1e-4)


def test_one_cycle_is_that_of_pytorch():
    """`OneCycleLR` in three phases; its phases end up to two steps earlier, so both differ by no more than that."""
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 2.0, STEPS, pct_start=0.45, anneal_strategy="linear", three_phase=True, div_factor=10,
        final_div_factor=1e9, base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    expected = []
    for _ in range(STEPS):
        expected.append((theirs.param_groups[0]["lr"], theirs.param_groups[0]["momentum"]))
        theirs.step()
        if len(expected) < STEPS:
            scheduler.step()
    rate, momentum = np.transpose(expected)
    np.testing.assert_allclose(rates("one_cycle_momentum")[:STEPS], rate, atol=2.1 * 2 * 2 / STEPS)
    ours = CycledSGD(PlannedSchedule(2.0, "one_cycle_momentum", steps=STEPS), momentum=0.95)
    np.testing.assert_allclose(momenta(ours, 0.95)[:STEPS], momentum, atol=2.1 * 0.1 / 0.45 / STEPS)


def walked(optimizer, course, steps=8):
    """The weight after steps on a loss of slopes 1, 2, ..., by the optimizer, and by the formulas in NumPy."""
    w, w_slow, v, s = keras.Variable([0.5]), 0.5, 0.0, 0.0
    optimizer.build([w])
    for step in range(steps):
        rate, momentum, gradient = course[0][step], course[1][step], step + 1.0
        optimizer.apply([ops.convert_to_tensor([gradient])], [w])
        if isinstance(optimizer, CycledSGD):
            v = momentum * v - rate * gradient
            w_slow += momentum * v - rate * gradient if optimizer.nesterov else v
        else:
            v, s = momentum * v + (1 - momentum) * gradient, 0.999 * s + 0.001 * gradient**2
            bias = (1 - 0.999 ** (step + 1)) ** 0.5 / (1 - momentum ** (step + 1))
            w_slow -= rate * bias * v / (s**0.5 + 1e-7)
    return float(ops.convert_to_numpy(w)[0]), w_slow


@pytest.mark.parametrize("kind", ["plain", "nesterov", "adam"])
def test_the_momentum_is_followed_by_the_weights(kind):
    schedule = PlannedSchedule(0.1, "one_cycle_momentum", steps=8)
    if kind == "adam":
        optimizer = CycledAdam(schedule, beta_1=0.95)
    else:
        optimizer = CycledSGD(schedule, momentum=0.95, nesterov=kind == "nesterov")
    rate = [float(schedule(step)) for step in range(8)]
    course = rate, momenta(optimizer, 0.95, 8)
    optimizer.iterations.assign(0)
    assert course[1].min() < 0.88
    assert course[1].max() == pytest.approx(0.95)
    ours, slow = walked(optimizer, course)
    assert ours == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", CYCLED)
def test_a_momentum_cycle_is_compiled_and_survives_saving(name, precision, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    settings = {"optimizer": name, "schedule": "one_cycle_momentum", "precision": precision, "warmup": 0.1}
    models = [recipes.mlp((3,), 1, "binary", seed=1, dropout=0.0, **settings)]
    models[0].fit(x, y, batch_size=8, shuffle=False, verbose=0)
    models[0].save(tmp_path / "model.keras")
    models.append(recipes.load(tmp_path / "model.keras"))
    for model in models:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        assert isinstance(optimizer, CYCLED[name] if name != "sgd" else CycledSGD)
        assert getattr(optimizer, MOMENTUM[name]) == 0.95
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_compiled_steps_have_the_cycled_momentum():
    """A loss of slope 1 in a compiled fit moves the weight as the formula says, step by step."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    schedule = PlannedSchedule(1.0, "one_cycle_momentum", steps=10)
    model.compile(CycledSGD(schedule, momentum=0.9), loss=lambda y, p: ops.mean(p))
    model.fit(np.ones((10, 1)), np.ones((10, 1)), batch_size=1, verbose=0)
    w = v = 0.0
    for step in range(10):
        share = float(schedule(step))
        v = (0.9 - 0.1 * np.clip((share - 0.1) / 0.9, 0, 1)) * v - share
        w += v
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-5)


def test_an_optimizer_without_momentum_is_told():
    with pytest.raises(ValueError, match=r"one_cycle_momentum.*adam, adamw, sgd"):
        recipes.mlp((3,), 2, optimizer="adagrad", schedule="one_cycle_momentum")
    with pytest.raises(ValueError, match="momentum above 0"):
        recipes.mlp((3,), 2, optimizer="sgd", momentum=0.0, schedule="one_cycle_momentum")


@pytest.mark.parametrize("name", ["mlp", "gan"])  # one optimizer, and two
def test_recipes_take_the_shapes(name):
    case = Case(recipes.get(name))
    for shape in ("cyclical", "one_cycle_momentum"):
        model = case.make(schedule=shape)
        assert model.recipe["training"]["schedule"] == shape
        model.fit(case.x[:32], None if (y := case.labels()) is None else y[:32], batch_size=16, verbose=0)
