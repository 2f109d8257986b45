"""Files that must not be loaded: one for each way in which a model file has done, or could do, harm.

Nothing here does any: a payload that runs leaves a mark, an empty file. Each maker is given the path to write, the path
of a file that loads, and the path of the mark.
"""

import base64
import io
import json
import marshal
import os
import pickle
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def with_member(name, content=b"x", **more):
    """The good file with one more member; `more` are attributes of its entry."""

    def make(path, good, mark):
        pack(path, members(good))
        info = zipfile.ZipInfo(name)
        for key, value in more.items():
            setattr(info, key, value)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, content)

    return make


def with_config(change):
    """The good file with a changed configuration."""

    def make(path, good, mark):
        files = members(good)
        config = json.loads(files["config.json"])
        changed = change(config, mark) or config
        pack(path, files | {"config.json": changed if isinstance(changed, bytes) else json.dumps(changed)})

    return make


def with_layer(layer):
    """The good file with one more layer, a dict or a function of the mark that makes one."""

    def change(config, mark):
        made = layer(mark) if callable(layer) else layer
        config["config"]["layers"].append({"name": "more", "inbound_nodes": [], "registered_name": None} | made)

    return with_config(change)


def with_activation(activation):
    def change(config, mark):
        dense = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
        dense["config"]["activation"] = activation(mark) if callable(activation) else activation

    return with_config(change)


def with_weights(change):
    """The good file with changed weights: `change` is given the open HDF5 file, an array in it, and the mark."""

    def make(path, good, mark):
        files = members(good)
        data = io.BytesIO(files["model.weights.h5"])
        with h5py.File(data, "r+") as weights:
            found = []
            weights.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            change(weights, max(found, key=lambda name: weights[name].size), mark)
        pack(path, files | {"model.weights.h5": data.getvalue()})

    return make


def of_bytes(change):
    """The good file with its bytes changed."""

    def make(path, good, mark):
        path.write_bytes(change(good.read_bytes(), mark))

    return make


def layer(name, module="keras.layers", /, **config):
    return {"module": module, "class_name": name, "config": {"name": "more", **config}}


def function(name, module, registered=None):
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered or name}


def payload(mark):
    """A Python function as Keras writes one, which leaves the mark when it is called."""
    # Not a closure: the bytes must say all.
    scope = {}
    exec(f"def run(x):\n    open({str(mark)!r}, 'w').close()\n    return x", scope)
    code = base64.b64encode(marshal.dumps(scope["run"].__code__)).decode()
    return {"class_name": "__lambda__", "config": {"value": [code, None, None]}}


class Reduced:
    """Leaves the mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def encrypted(data, mark):
    at = data.index(b"PK\1\2") + 8  # the flags of the first entry
    return data[:at] + bytes([data[at] | 1]) + data[at + 1 :]


def shared(path, good, mark):
    """Four entries for the same bytes."""
    pack(path, {**members(good), "assets/a.txt": os.urandom(50_000)})
    data = path.read_bytes()
    entry, end = data.rindex(b"PK\1\2"), data.rindex(b"PK\5\6")
    more = b"".join(data[entry:end].replace(b"assets/a", b"assets/" + name) for name in (b"b", b"c", b"d"))
    tail = bytearray(data[end:])
    for at in (8, 10):  # the number of entries, twice
        tail[at : at + 2] = (int.from_bytes(tail[at : at + 2], "little") + 3).to_bytes(2, "little")
    tail[12:16] = (int.from_bytes(tail[12:16], "little") + len(more)).to_bytes(4, "little")
    path.write_bytes(data[:end] + more + tail)


def twice(path, good, mark):
    pack(path, members(good))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")


def many(path, good, mark):
    pack(path, members(good) | {f"assets/{number}.txt": b"" for number in range(10_001)})


def without(name):
    return lambda path, good, mark: pack(path, {k: v for k, v in members(good).items() if k != name})


def repacked(name, content):
    """The good file, compressed, with one member replaced."""
    return lambda path, good, mark: pack(path, members(good) | {name: content}, zipfile.ZIP_DEFLATED)


def torch_file(path, good, mark):
    pack(path, {"archive/data.pkl": pickle.dumps(Reduced(mark)), "archive/version": b"3"})


def folder(path, good, mark):
    path.mkdir()
    for name, content in members(good).items():
        (path / name).write_bytes(content)


def saved_model(path, good, mark):
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"\x08\x01\x12")


def hdf5(path, good, mark):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Lambda", "config": {"function": payload(mark)}})


def nested(lists):
    return lambda config, mark: config["config"].update(more=json.loads("[" * lists + "]" * lists))


def external_storage(weights, name, mark):
    secret = mark.with_name("secret")
    secret.write_bytes(b"secret" * 100)
    shape, dtype = weights[name].shape, weights[name].dtype
    del weights[name]
    weights.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(weights, name, mark):
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource(str(mark.with_name("secret.h5")), "secret", (4,))
    del weights[name]
    weights.create_virtual_dataset(name, layout)


def replaced(**settings):
    def change(weights, name, mark):
        del weights[name]
        weights.create_dataset(name, **settings)

    return change


def linked(link):
    def change(weights, name, mark):
        del weights[name]
        weights[name] = link(mark)

    return change


def reference(weights, name, mark):
    weights.create_dataset("more", data=np.array([weights[name].ref], h5py.ref_dtype))


def as_loss(config, mark):
    config["compile_config"]["loss"] = payload(mark)


def program(mark):
    return layer("Popen", "subprocess", args=f"touch {mark}")


def torch_module(mark):
    return layer("TorchModuleWrapper", module=base64.b64encode(pickle.dumps(Reduced(mark))).decode())


def pipe(path, good, mark):
    os.mkfifo(path)


@keras.saving.register_keras_serializable("tests")
class Mine(keras.layers.Layer):
    """A layer of a program that the file has no right to."""


@keras.saving.register_keras_serializable("tests")
def mine(x):
    return x


DEEP_LAMBDA = layer(
    "TimeDistributed",
    layer=layer(
        "Bidirectional", layer=layer("RNN", cell={"module": "keras.layers", "class_name": "Lambda", "config": {}})
    ),
)
#: What it is -> how it is made, and what it is refused for. The names of published holes stand beside their class.
BAD = {
    # Not a .keras file at all.
    "HDF5 under another name (CVE-2025-9905)": (hdf5, "HDF5"),
    "pickle under another name": (of_bytes(lambda data, mark: pickle.dumps(Reduced(mark))), "pickle"),
    "PyTorch file under another name (CVE-2025-49655)": (torch_file, "unknown member"),
    "SavedModel": (saved_model, "SavedModel"),
    "graph of a SavedModel": (of_bytes(lambda data, mark: b"\x08\x01\x12" + data), "SavedModel"),
    "folder, which Keras takes for an Orbax checkpoint": (folder, "folder"),
    "pipe": (pipe, "no regular file"),
    "text": (of_bytes(lambda data, mark: b"import os"), "no zip archive"),
    "nothing": (of_bytes(lambda data, mark: b""), "no zip archive"),
    "archive behind a program": (of_bytes(lambda data, mark: b"#!/bin/sh\n" + data), "no zip archive"),
    # Damage.
    "first half": (of_bytes(lambda data, mark: data[: len(data) // 2]), "damaged"),
    "last byte missing": (of_bytes(lambda data, mark: data[:-1]), "damaged"),
    "a flipped bit in the weights": (
        of_bytes(lambda data, mark: data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:]),
        "damaged",
    ),
    "no weights": (without("model.weights.h5"), "missing member"),
    "no configuration": (without("config.json"), "missing member"),
    "weights that are no HDF5": (repacked("model.weights.h5", b"weights"), "damaged weights"),
    # The archive (CVE-2025-12060, CVE-2025-12638 for the tar files of get_file; zip bombs, keras#23010).
    "path upwards": (with_member("assets/../../it-ran"), "path"),
    "path from the root": (with_member("/it-ran"), "path"),
    "path with backslashes": (with_member("assets\\..\\it-ran"), "path"),
    "path on a drive": (with_member("C:it-ran"), "path"),
    "symbolic link": (with_member("assets/a.txt", "/etc", external_attr=(stat.S_IFLNK | 0o777) << 16), "link"),
    "encrypted member": (of_bytes(encrypted), "encrypted"),
    "bzip2": (with_member("assets/a.txt", compress_type=zipfile.ZIP_BZIP2), "compression"),
    "program beside the model": (with_member("setup.py"), "unknown member"),
    "program among the assets": (with_member("assets/run.py"), "asset"),
    "two configurations": (twice, "duplicate member"),
    "two names that a file system may not tell apart": (with_member("Config.json"), "duplicate member"),
    "two assets likewise": (
        lambda path, good, mark: pack(path, members(good) | {"assets/a.txt": "", "assets/A.txt": ""}),
        "duplicate member",
    ),
    "configuration that unpacks to 50 MB": (repacked("config.json", b" " * 50_000_000), "zip bomb"),
    "asset that unpacks to 50 MB": (repacked("assets/a.txt", b" " * 50_000_000), "zip bomb"),
    "entries that share their bytes": (shared, "zip bomb"),
    "too many entries": (many, "too many members"),
    # The configuration as JSON.
    "configuration that is no JSON": (repacked("config.json", b"{"), "no JSON"),
    "configuration that is a list": (repacked("config.json", b"[]"), "no JSON"),
    "metadata that are no JSON": (repacked("metadata.json", b"\xff"), "no JSON"),
    "a key twice": (repacked("config.json", b'{"class_name": "a", "class_name": "b"}'), "duplicate key"),
    "200 levels": (with_config(nested(200)), "too deep"),
    "100,000 levels": (repacked("config.json", b"[" * 100_000), "too deep"),
    "no model": (with_config(lambda config, mark: {"a": 1}), "no model"),
    "a layer for a model": (with_config(lambda config, mark: layer("Dense", units=1)), "no model"),
    # Code (CVE-2024-3660, CVE-2025-9906, CVE-2026-12481).
    "lambda as an activation": (with_activation(payload), "lambda"),
    "lambda as the loss": (
        with_config(lambda config, mark: config["compile_config"].update(loss=payload(mark))),
        "lambda",
    ),
    "Lambda": (with_layer(lambda mark: layer("Lambda", function=payload(mark))), "foreign code"),
    "Lambda in a cell in a layer in a layer": (with_layer(DEEP_LAMBDA), "foreign code"),
    "Lambda in an inner model": (
        with_layer(layer("Sequential", "keras", layers=[layer("Lambda", function=function("relu", "builtins"))])),
        "foreign code",
    ),
    "Lambda in the format of Keras 2": (
        with_layer(lambda mark: {"class_name": "Lambda", "config": {"function": payload(mark)}}),
        "foreign code",
    ),
    "a layer in the format of Keras 2": (with_layer({"class_name": "Dense", "config": {"units": 1}}), "old format"),
    "SavedModel as a layer (CVE-2026-1462)": (
        with_layer(lambda mark: layer("TFSMLayer", filepath=str(mark), call_endpoint="serve")),
        "foreign code",
    ),
    "PyTorch module as a layer (CVE-2025-49655)": (
        with_layer(
            lambda mark: layer("TorchModuleWrapper", module=base64.b64encode(pickle.dumps(Reduced(mark))).decode())
        ),
        "foreign code",
    ),
    "JAX function as a layer": (with_layer(lambda mark: layer("JaxLayer", call_fn=payload(mark))), "foreign code"),
    "Flax module as a layer": (with_layer(lambda mark: layer("FlaxLayer", module=payload(mark))), "foreign code"),
    # Names (CVE-2025-1550, CVE-2025-8747, CVE-2025-9906; keras#22703, keras#22779).
    "class of the standard library": (
        with_layer(lambda mark: layer("Popen", "subprocess", args=f"touch {mark}")),
        "module",
    ),
    "function of the standard library": (with_activation(function("system", "os")), "module"),
    "built-in function as a class": (with_layer(layer("eval", "builtins")), "module"),
    "built-in function": (with_activation(function("eval", "builtins")), "no part of a model"),
    "module that would run on import": (with_layer(layer("Layer", "planted")), "module"),
    "class of another library": (with_layer(layer("Estimator", "sklearn.base")), "module"),
    "download as a class (CVE-2025-8747)": (
        with_layer(lambda mark: layer("get_file", "keras.utils", origin=f"file://{mark}")),
        "no part of a model",
    ),
    "download as an activation": (with_activation(function("get_file", "keras.utils")), "no part of a model"),
    "load_model as an activation": (with_activation(function("load_model", "keras.models")), "no part of a model"),
    "switch of the safe mode (CVE-2025-9906)": (
        with_activation(function("enable_unsafe_deserialization", "keras.config")),
        "no part of a model",
    ),
    "reader of configurations": (
        with_activation(function("deserialize", "keras.activations")),
        "no part of a model",
    ),
    "inside of Keras": (
        with_activation(function("func_load", "keras.src.utils.python_utils")),
        "no part of a model",
    ),
    "callback as a layer": (with_layer(layer("ModelCheckpoint", "keras.callbacks")), "no part of a model"),
    "class that Keras does not have": (with_layer(layer("Evil", "keras.src.evil")), "no part of a model"),
    "registered by no one here": (
        with_layer(layer("Dense", units=1) | {"registered_name": "evil>Dense"}),
        "not registered",
    ),
    "not registered by this package": (with_layer(layer("Search", "keras_cookbook.tuning.result")), "not registered"),
    "registered by another program": (with_layer(layer("Mine", None) | {"registered_name": "tests>Mine"}), "module"),
    "the same by its name alone": (with_activation("tests>mine"), "module"),
    "class without a module": (with_layer(layer("Dense", None)), "not registered"),
    "name that is no text": (with_layer(layer(["Dense"])), "strange name"),
    "function that is no text": (with_activation(function(["relu"], "builtins", "relu")), "strange name"),
    "type of TensorFlow": (with_activation({"class_name": "__typespec__", "config": []}), "strange name"),
    "layer named like a path (CVE-2026-12479)": (
        with_layer(layer("Dense", units=1) | {"name": "../../it-ran"}),
        "path",
    ),
    # Files of the machine (CVE-2025-12058).
    "vocabulary from a file": (
        with_layer(lambda mark: layer("StringLookup", vocabulary=str(mark.with_name("secret")))),
        "vocabulary file",
    ),
    "vocabulary from the network": (
        with_layer(layer("TextVectorization", vocabulary="https://example.com/words.txt")),
        "vocabulary file",
    ),
    "vocabulary of numbers": (with_layer(layer("IntegerLookup", vocabulary="/etc/passwd")), "vocabulary file"),
    # Sizes.
    "a trillion units": (with_layer(layer("Dense", units=10**12)), "size bomb"),
    "text of a gigabyte in an array of one": (
        with_activation({"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U1000000000"}}),
        "dtype",
    ),
    # The weights (CVE-2026-1669, CVE-2026-0897).
    "weights in another file": (with_weights(external_storage), "external storage"),
    "link to another file": (
        with_weights(linked(lambda mark: h5py.ExternalLink(str(mark.with_name("secret.h5")), "/secret"))),
        "external link",
    ),
    "link within the file": (with_weights(linked(lambda mark: h5py.SoftLink("/elsewhere"))), "soft link"),
    "array of other files": (with_weights(virtual), "virtual array"),
    "four terabytes that are not there": (
        with_weights(replaced(shape=(10**6, 10**6), dtype="float32", chunks=(1000, 1000), compression="gzip")),
        "shape bomb",
    ),
    "100 MB of zeros, compressed": (
        with_weights(replaced(data=np.zeros(25_000_000, "float32"), compression="gzip")),
        "shape bomb",
    ),
    "Python objects": (with_weights(replaced(data=["text"], dtype=h5py.string_dtype())), "object type"),
    "references": (with_weights(reference), "object type"),
    "type in place of an array": (with_weights(linked(lambda mark: np.dtype("float32"))), "object type"),
    "filter from a plug-in": (with_weights(replaced(data=np.zeros(1000), compression="lzf")), "plug-in"),
}
