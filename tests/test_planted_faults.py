"""The conformance suite catches recipes that are broken on purpose, each by the property that is meant to."""

import random
from typing import Annotated

import keras
import numpy as np
import pytest
from conformance import PROPERTIES, Case

from keras_cookbook import recipes
from keras_cookbook.recipes import Integer, Rate, RecipeModel, Shape, Size, Task, Training, Width, _contract, head

FAULTS = {}


def planted(*checks):
    """Registers a function that makes a broken factory, with the properties that must catch it."""

    def register(plant):
        FAULTS[plant.__name__] = plant, checks
        return plant

    return register


def build(layer=lambda x: x, outputs_layer=None, **settings):
    """A factory like `mlp` with one layer put in between."""

    def net(input_shape: Shape, outputs: Size, task: Task = "multiclass", *, width: Width = 16) -> keras.Model:
        """Net (Nobody, 2026): a dense layer.

        Args:
            width: the number of units.
        Fit on:
            x: float32 (rows, features).
        Raises:
            ValueError: bad arguments.
        """
        inputs = keras.Input(input_shape)
        x = keras.layers.Dense(width, "relu")(keras.layers.Normalization()(inputs))
        x = layer(x)
        if outputs_layer:
            return RecipeModel(inputs, outputs_layer(outputs)(x))
        return head(inputs, x, task, outputs)

    return recipes.recipe(data="rows", paper="Nobody, 2026, arXiv:2601.00001", **settings)(net)


def wrap(change):
    """A factory whose keyword arguments are tampered with on the way."""
    good = build()

    def broken(*args, **kwargs):
        return good(*args, **change(dict(kwargs)))

    broken.recipe = good.recipe
    return broken


@pytest.fixture(autouse=True)
def clean_registry(monkeypatch):
    monkeypatch.setattr(_contract, "REGISTRY", {})


@planted("is_compiled_and_named")
def uncompiled():
    return wrap(lambda kwargs: {**kwargs, "compile": False})


@planted("is_compiled_and_named")
def wrong_name():
    return wrap(lambda kwargs: {**kwargs, "name": "model"})


@planted("every_argument_changes_something", "remembers_its_call")
def learning_rate_not_passed_on():
    return wrap(lambda kwargs: {k: v for k, v in kwargs.items() if k != "learning_rate"})


@planted("same_seed_same_model")
def seed_not_passed_on():
    return wrap(lambda kwargs: {k: v for k, v in kwargs.items() if k != "seed"})


@planted("bad_arguments_raise")
def unknown_arguments_swallowed():
    known = build().recipe
    names = known.arguments | known.settings | _contract.COMMON | {"num_classes": 0, "classes": 0}
    _contract.REGISTRY.clear()
    return wrap(lambda kwargs: {k: v for k, v in kwargs.items() if k in names})


@planted("every_argument_changes_something")
def dead_argument():
    @recipes.recipe(data="rows")
    def net(input_shape: Shape, outputs: Size, task: Task = "multiclass", *, dropout: Rate = 0.1) -> keras.Model:
        inputs = keras.Input(input_shape)
        return head(inputs, keras.layers.Dense(8)(inputs), task, outputs)

    return net


@planted("defaults_lie_in_their_range")
def default_outside_the_search():
    @recipes.recipe(data="rows")
    def net(
        input_shape: Shape, outputs: Size, task: Task = "multiclass",
        *, width: Annotated[int, Integer(1, 99, search=(8, 16))] = 32,
    ) -> keras.Model:  # fmt: skip
        inputs = keras.Input(input_shape)
        return head(inputs, keras.layers.Dense(width)(inputs), task, outputs)

    return net


@planted("is_documented")
def undocumented():
    factory = dead_argument()
    factory.recipe.build.__doc__ = "A net."
    return factory


class BatchCentred(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0, keepdims=True)


@planted("answer_does_not_depend_on_the_batch")
def batch_leak():
    return build(BatchCentred())


@planted("survives_saving")
def unserialisable_layer():
    # BatchCentred is not registered with Keras.
    return build(BatchCentred())


@planted("half_precision_gives_finite_float32")
def half_precision_head():
    return build(outputs_layer=lambda outputs: keras.layers.Dense(outputs, "softmax"))


@planted("same_seed_same_model")
def unseeded_initialiser():
    def random_kernel(shape, dtype=None):
        return keras.ops.convert_to_tensor(np.random.default_rng().normal(size=shape), dtype)

    return build(lambda x: keras.layers.Dense(8, kernel_initializer=random_kernel)(x))


@planted("same_seed_same_model")
def moves_the_global_generator():
    good = build()

    def broken(*args, **kwargs):
        random.random()
        return good(*args, **kwargs)

    broken.recipe = good.recipe
    return broken


class Unused(keras.layers.Layer):
    def build(self, shape):
        self.unused = self.add_weight(shape=(3,), name="unused")

    def call(self, x):
        return x


@planted("learns_every_task")
def weight_that_never_moves():
    return build(lambda x: Unused()(x))


class Stopped(keras.layers.Layer):
    def call(self, x):
        return keras.ops.stop_gradient(x) * 0.0


@planted("learns_every_task")
def nothing_reaches_the_head():
    return build(lambda x: Stopped()(x))


class Unstable(keras.layers.Layer):
    def call(self, x):
        return keras.ops.log(x - 1e3)


@planted("answers_as_its_task_demands", "learns_every_task", "evaluate_reports_a_loss")
def not_a_number():
    return build(lambda x: Unstable()(x))


@planted("answers_as_its_task_demands")
def head_without_activation():
    return build(outputs_layer=lambda outputs: keras.layers.Dense(outputs, dtype="float32"))


class TraceDependent(keras.layers.Layer):
    """Counts its calls in Python, which a compiled function does not see."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x + self.calls


@planted("leaves_nothing_behind")
def gradient_that_is_registered():
    return build(keras.layers.Activation("silu"))  # TensorFlow keeps what has a gradient of its own


@planted("compiled_agrees_with_eager")
def python_state_in_a_layer():
    return build(lambda x: TraceDependent()(x))


class Reconstruction(RecipeModel):
    """An unbroken model that learns from `x` alone, and makes rows."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.square(x - y_pred))

    def sample(self, n, seed=None):
        Integer(1).check(n, "n")
        return np.random.default_rng(seed).normal(size=(n, *self.input_shape[1:])).astype("float32")


def unsupervised(model=Reconstruction, **settings):
    """A factory of models of that class."""

    def net(input_shape: Shape, *, width: Width = 16) -> keras.Model:
        """Net (Nobody, 2026): a dense layer.

        Args:
            width: the number of units.
        Fit on:
            x: float32 (rows, features).
        Raises:
            ValueError: bad arguments.
        """
        inputs = keras.Input(input_shape)
        x = keras.layers.Dense(width)(inputs)
        return model(inputs, keras.layers.Dense(input_shape[0], dtype="float32")(x))

    return recipes.recipe(data="rows", paper="Nobody, 2026, arXiv:2601.00001", **settings)(net)


@planted("takes_any_form_of_data")
def arrays_are_taken_otherwise():
    class Doubled(Reconstruction):
        def predict(self, x, **kwargs):
            return super().predict(2 * x if isinstance(x, np.ndarray) else x, **kwargs)

    return unsupervised(Doubled)


@planted("takes_any_form_of_data")
def learns_the_labels_it_should_ignore():
    class Supervised(Reconstruction):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            assert y is None, "labels came along"
            return super().compute_loss(x, y, y_pred)

    return unsupervised(Supervised)


@planted("samples_are_seeded")
def samples_without_a_seed():
    class Unseeded(Reconstruction):
        def sample(self, n, seed=None):
            return super().sample(n)

    return unsupervised(Unseeded)


@planted("samples_are_seeded")
def the_same_samples_each_time():
    class Fixed(Reconstruction):
        def sample(self, n, seed=0):
            return super().sample(n, seed)

    return unsupervised(Fixed)


@planted("learns_every_task")
def a_game_that_diverges():
    class Diverging(Reconstruction):
        def compute_loss(self, *args, training=True):
            return super().compute_loss(*args) * float("inf")

    return unsupervised(Diverging, game=True)


@planted("evaluate_reports_a_loss")
def no_metric_beside_the_loss():
    return unsupervised()


@planted("learns_every_task")
def learning_rate_of_zero():
    return build(training=Training(learning_rate=0.0))


@pytest.mark.parametrize("make", [build, unsupervised])
def test_the_unbroken_net_passes(make):
    for name, check in PROPERTIES.items():
        # Saving takes seven seconds, and every real recipe does it; `unsupervised` has no metric.
        if name != "survives_saving" and not (make is unsupervised and name == "evaluate_reports_a_loss"):
            check(Case(make()))
            _contract.REGISTRY.clear()


@pytest.mark.parametrize(("fault", "check"), [(f, c) for f, (_, checks) in FAULTS.items() for c in checks])
def test_fault_is_caught(fault, check):
    case = Case(FAULTS[fault][0]())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        PROPERTIES[check](case)
