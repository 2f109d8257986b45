"""What a training consists of, as plain values: variables and the state of callbacks."""

import copy

import keras
import numpy as np

#: What Keras itself puts into a callback; and a setting whose sign it turns when it chooses `monitor_op`, a function
#: that the next run chooses anew.
_KERAS = ("_model", "params", "validation_data", "min_delta")


def pack(value, arrays: list):
    """`value` as JSON can hold it; its arrays are copied into the list `arrays`.

    Tuples, dictionaries of any keys and NumPy numbers come back from `unpack` as what they were.

    Raises:
        TypeError: Something else than None, bool, int, float, str, list, tuple, dict or arrays of numbers.
    """
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        # NumPy's format knows no bfloat16 or float8: their bytes are stored.
        known = value.dtype.isbuiltin != 2
        arrays.append(np.array(value) if known else np.atleast_1d(np.array(value)).view("uint8"))
        kind = "array" if isinstance(value, np.ndarray) else "number"
        return {kind: len(arrays) - 1} | ({} if known else {"dtype": value.dtype.name, "shape": list(value.shape)})
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [pack(item, arrays) for item in value]
    if type(value) is tuple:
        return {"tuple": [pack(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[pack(key, arrays), pack(item, arrays)] for key, item in value.items()]}
    raise TypeError(f"a state cannot hold a {type(value).__name__}")


def unpack(value, arrays: list):
    """The value of which `pack` made this."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(unpack(item, arrays) for item in value["tuple"])
    if "dict" in value:
        return {unpack(key, arrays): unpack(item, arrays) for key, item in value["dict"]}
    array = arrays[value.get("array", value.get("number"))]
    if "dtype" in value:
        array = array.view(value["dtype"]).reshape(value["shape"])
    return array if "array" in value else array[()]


def variables_of(model: keras.Model) -> dict[str, list]:
    """All variables of a compiled model: its own (with its seed generators), the optimizer's, the metrics'."""
    return {
        "model": list(model.variables),
        "optimizer": list(model.optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def values_of(model: keras.Model) -> dict[str, list]:
    """Copies of them as arrays; of a variable that has a part on each device, a list of these."""
    return {group: [_value(variable) for variable in variables] for group, variables in variables_of(model).items()}


def _value(variable):
    # A view would change under the hands of the thread that writes it.
    return [np.array(part.numpy()) for part in _parts(variable)] or np.array(variable.numpy())


def _parts(variable) -> tuple:
    """What each device of this process keeps for itself of a variable that is their sum or mean: metrics, and the
    statistics of batch normalisation. A sum that is divided anew would be rounded otherwise later on."""
    value = variable.value
    parts = value.values if "SyncOnRead" in type(value).__name__ else ()
    return parts if len(parts) > 1 else ()


def assign(variables: list, values: list):
    """Gives variables their values, in order.

    Raises:
        ValueError: Numbers or shapes differ.
    """
    if len(variables) != len(values):
        raise ValueError(f"there are {len(variables)} variables for {len(values)} saved values")
    for variable, value in zip(variables, values, strict=True):
        if not isinstance(value, list):
            variable.assign(value)
            continue
        for part, own in zip(_parts(variable), value, strict=True):
            part.assign(own)


class CallbackStates:
    """The state of several callbacks.

    That of a callback with `get_state` and `set_state` is what the one returns and the other takes. Of any other it is
    those attributes of plain values and arrays that have changed since this object was made: so what its constructor
    was given may be another in the next run.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]):
        self._named, counts = {}, {}
        for callback in callbacks:
            kind = type(callback).__name__
            counts[kind] = counts.get(kind, 0) + 1
            self._named[f"{kind} {counts[kind]}"] = callback
        self._start = {name: copy.deepcopy(_plain(c)) for name, c in self._named.items() if not _speaks(c)}

    def get(self) -> dict[str, dict]:
        return {
            name: callback.get_state()
            if _speaks(callback)
            else {key: value for key, value in _plain(callback).items() if not self._unchanged(name, key, value)}
            for name, callback in self._named.items()
        }

    def set(self, states: dict[str, dict]):
        for name, callback in self._named.items():
            if name not in states:
                continue
            if _speaks(callback):
                callback.set_state(states[name])
                continue
            now = _plain(callback)
            start = {key: copy.deepcopy(value) for key, value in self._start[name].items() if key in now}
            for key, value in (start | states[name]).items():
                setattr(callback, key, value)

    def _unchanged(self, name, key, value) -> bool:
        return key in self._start[name] and _same(self._start[name][key], value)


def _speaks(callback) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _plain(callback) -> dict:
    return {key: value for key, value in vars(callback).items() if key not in _KERAS and _is_plain(value)}


def _is_plain(value) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return not value.dtype.hasobject
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)


def _same(left, right) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return left == right or (left != left and right != right)
