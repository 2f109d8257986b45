"""`model.fit` of any Keras model, whose callbacks are shown what Keras does not show them."""

import contextlib
import inspect

import keras

_FIT = inspect.signature(keras.Model.fit)


def fit(model: keras.Model, *args, **kwargs) -> keras.callbacks.History:
    """`model.fit(...)` that shows the data and the other callbacks to those that want to see them: `Resume`,
    `TrainingDoctor`. The `fit` of a recipe's model does so itself.

    Args:
        model: Any Keras model.
        args, kwargs: What `model.fit` takes.

    Returns:
        What `model.fit` returns.
    """
    if hasattr(model, "recipe"):
        return model.fit(*args, **kwargs)
    call = _FIT.bind(model, *args, **kwargs)
    if hasattr(call.arguments.get("x"), "element_spec"):
        call.arguments.setdefault("shuffle", False)  # it shuffles itself; Keras warns that it cannot
    call.apply_defaults()
    call = call.arguments
    del call["self"]
    with shown(model, call):
        return model.fit(**call)


@contextlib.contextmanager
def shown(model: keras.Model, call: dict):
    """Surrounds a call to `fit`: callbacks that have `during_fit` are shown what a callback cannot see by itself, the
    data and the other callbacks, and whether `fit` fails.

    Args:
        call: The arguments of `fit` by name, which a callback may change.
    """
    with contextlib.ExitStack() as stack:
        for callback in keras.tree.flatten(call["callbacks"]):
            if hasattr(callback, "during_fit"):
                stack.enter_context(callback.during_fit(model, call))
        yield
