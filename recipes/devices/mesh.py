"""Meshes on JAX: `keras.distribution`, with weights cut along their last axis where nobody says otherwise."""

import keras


class NoTPU(Exception):
    """There is no TPU; the message says why."""


def best():
    """The kind of distribution that this machine asks for."""
    kinds = [name.split(":")[0] for name in keras.distribution.list_devices()]
    return "tpu" if "tpu" in kinds else "data" if len(kinds) > 1 and "cpu" not in kinds else "one"


def data_parallel(devices):
    return tuple(devices), keras.distribution.DataParallel(devices=list(devices)), len(devices)


def tpu():
    found = [name for name in keras.distribution.list_devices() if name.startswith("tpu")]
    if not found:
        raise NoTPU("there is no TPU")
    return data_parallel(found)


def model_parallel(devices, shards, layout):
    shards = shards or len(devices)
    if len(devices) % shards:
        raise ValueError(f"shards={shards} must divide the {len(devices)} devices.")
    mesh = keras.distribution.DeviceMesh((len(devices) // shards, shards), ("batch", "model"), list(devices))
    layouts = keras.distribution.LayoutMap(mesh)
    for pattern, axes in layout.items():
        layouts[pattern] = tuple(axes)
    strategy = LastAxis(layout_map=layouts, batch_dim_name="batch")
    return tuple(devices), strategy, len(devices) // shards


class LastAxis(keras.distribution.ModelParallel):
    """Model parallelism that cuts weights along their last axis, the units of a layer, if its length allows it.

    Vectors, which are small, and what `layout_map` names are left to Keras.
    """

    def get_variable_layout(self, variable):
        found = super().get_variable_layout(variable)
        named = getattr(variable, "_layout", None) is not None or self._layout_map[variable.path] is not None
        shards = self.device_mesh.shape[self.device_mesh.axis_names.index("model")]
        if named or len(variable.shape) < 2 or variable.shape[-1] % shards:
            return found
        return keras.distribution.TensorLayout([*[None] * (len(variable.shape) - 1), "model"], self.device_mesh)
