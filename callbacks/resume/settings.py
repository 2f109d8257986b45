"""What must be the same when a training is continued."""

import math
from pathlib import Path

import keras

#: Names that Keras numbers within a process, and where classes are defined.
_UNSTEADY = ("name", "module", "registered_name", "build_config")


def settings_of(model: keras.Model, params: dict, data: dict) -> dict:
    """Plain values by name: epochs, data, weights and optimizer of a training that begins."""
    on_tensorflow = keras.backend.backend() == "tensorflow"
    found = {
        "backend": keras.backend.backend(),
        "epochs": params["epochs"],
        "steps_per_execution": model.steps_per_execution,
        "the number of devices": model.distribute_strategy.num_replicas_in_sync if on_tensorflow else 1,
        "the number of weights": sum(math.prod(variable.shape) for variable in model.variables),
    }
    found |= {f"data.{name}": value for name, value in data.items()}
    for place, variable in enumerate(model.variables):
        # Its name only makes it findable: Keras numbers layers within a process.
        found[f"variable {place} of the model"] = f"{tuple(variable.shape)} {variable.dtype}"
    try:
        found |= _flat(keras.saving.serialize_keras_object(model.optimizer), "optimizer")
    except (TypeError, ValueError, NotImplementedError):
        found["optimizer"] = type(model.optimizer).__name__  # one of the user's own
    return found


def compare(before: dict, now: dict, folder: Path):
    """Raises a `ValueError` that says what differs, at most five things."""
    changed = [
        f"{name} was {before.get(name, 'not there')}, and is {now.get(name, 'not there')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
    if changed:
        more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise ValueError(
            f"{folder} holds another training: {'; '.join(changed[:5])}{more}. Give fit what it was given then; or, "
            f"to start anew, remove {folder} or use another folder."
        )


def _flat(value, name: str) -> dict:
    if isinstance(value, dict):
        parts = {key: item for key, item in value.items() if key not in _UNSTEADY}
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    else:
        return {name: value if value is None or isinstance(value, bool | int | float | str) else repr(value)}
    flat = {}
    for key, item in parts.items():
        flat |= _flat(item, name if key == "config" else f"{name}.{key}")
    return flat
