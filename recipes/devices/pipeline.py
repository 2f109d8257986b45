"""Pipeline parallelism: the layers of a model in stages on several devices, a batch in micro-batches through them."""

import itertools

import keras
from keras import ops

from .._check import named
from .._kinds import Integer, among
from .._model import ComposedModel, Prepared, copy_weights


@keras.saving.register_keras_serializable("keras_cookbook")
class Pipeline(Prepared, keras.Model):
    """Stages that pass micro-batches on; made by `pipeline`. Its `fit` does what that of a recipe's model does.

    Args:
        stages: models, each of which takes what the one before it answers.
        micro_batches: into how many parts a batch is cut.
        devices: the name of a device for each stage, or None.
        recipe: the record of the call that made the model that was cut; see `RecipeModel`.
    """

    def __init__(self, stages, micro_batches, devices=None, *, recipe=None, **kwargs):
        super().__init__(**kwargs)
        self.stages, self.micro_batches, self.devices = list(stages), micro_batches, devices and list(devices)
        self.remember(recipe or {})
        self.built = True

    @property
    def input_shape(self):
        return self.stages[0].input_shape

    @property
    def output_shape(self):
        return self.stages[-1].output_shape

    def call(self, inputs, training=None):
        # No micro-batch waits for another one: while one is in the second stage, the next can be in the first.
        count, done = ops.shape(inputs)[0], []
        for part in range(self.micro_batches):
            x = inputs[part * count // self.micro_batches : (part + 1) * count // self.micro_batches]
            for place, stage in enumerate(self.stages):
                with keras.device(self.devices[place]) if self.devices else keras.name_scope(f"stage_{place}"):
                    x = stage(x, training=training)
            done.append(x)
        return ops.concatenate(done)

    def get_config(self):
        return {
            **super().get_config(),
            "stages": [keras.saving.serialize_keras_object(stage) for stage in self.stages],
            "micro_batches": self.micro_batches,
            "devices": self.devices,
            "recipe": dict(self.recipe),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        stages = [keras.saving.deserialize_keras_object(stage, custom_objects) for stage in config.pop("stages")]
        return cls(stages, **config)


def pipeline(model: keras.Model, stages: int = 2, *, micro_batches: int = 4, devices=None) -> Pipeline:
    """Cuts a model into stages of about as many weights (GPipe; Huang et al., 2018, arXiv:1811.06965).

    A batch passes through the stages in micro-batches; losses, gradients and step are those of the whole batch. With
    `devices` each stage has its weights, and computes, on a device of its own: on TensorFlow, which begins each
    operation as soon as its inputs are there. Without, a stage of a micro-batch follows the other.

    Layers that look at the whole batch see micro-batches: batch normalisation takes their statistics. Dropout draws for
    each anew; regularisers of activations count once for each.

    Args:
        model: a functional or Sequential model with one input and one output; compiled or not. It keeps its weights;
            the pipeline gets copies.
        stages: how many, 2 or more.
        micro_batches: into how many parts a batch is cut; at most its size.
        devices: a name such as "GPU:0" for each stage; None for no device in particular.

    Returns:
        A `keras.Model`, compiled as `model` is, with an optimizer that begins anew.

    Raises:
        ValueError: for an argument that does not fit, or a model that cannot be cut so often: it is cut where a single
            tensor goes from the layers before to those after. (In a text model, the mask goes beside it.)
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, not {type(model).__name__}.")
    with named(model.name):
        Integer(2).check(stages, "stages")
        Integer(1).check(micro_batches, "micro_batches")
        if isinstance(model, ComposedModel) or not model.built or len(getattr(model, "inputs", None) or ()) != 1:
            raise ValueError("a pipeline needs a functional or Sequential model with one input.")
        if len(model.outputs) != 1:
            raise ValueError(f"a pipeline needs a model with one output, not {len(model.outputs)}.")
        check_devices(devices, stages)
        cut = cut_at(model, stages)
        copies = []
        for place, stage in enumerate(cut):
            with keras.device(devices[place]) if devices else keras.name_scope(""):
                copies.append(keras.models.clone_model(stage))
        for stage, copy in zip(cut, copies, strict=True):
            copy_weights(stage, copy)
        record = getattr(model, "recipe", None)
        piped = Pipeline(copies, micro_batches, devices, recipe=record, name=f"{model.name}_pipeline")
    if model.compiled:
        config = model.get_compile_config()
        # XLA compiles for one device.
        piped.compile_from_config({**config, **({"jit_compile": False} if devices else {})})
    return piped


def check_devices(devices, stages):
    if devices is None:
        return
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"devices= lays stages on devices on TensorFlow alone, not on {backend}; micro-batches work there. On JAX, "
            "recipes.distribution('model') cuts weights over devices."
        )
    from .replicas import devices as known

    if isinstance(devices, str) or len(devices) != stages:
        raise ValueError(f"devices must be a list with a name for each of the {stages} stages, not {devices!r}.")
    for name in devices:
        if name not in known():
            raise ValueError(f"there is no device {name!r}.{among(name, known())}")


def cut_at(model, stages):
    """Models that compute `model` one after the other."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    sums = list(itertools.accumulate(layer.count_params() for layer in layers))
    tensors, first = [model.inputs[0]], 0
    for stage in range(1, stages):
        # Enough layers must be left for the stages to come; the nearer to an equal share the better.
        candidates = range(first, len(layers) - (stages - stage))
        for place in sorted(candidates, key=lambda place: abs(sums[place] - sums[-1] * stage / stages)):
            if is_cut(model, layers[place].output):
                break
        else:
            places = [layer.name for layer in layers if is_cut(model, layer.output)]
            raise ValueError(
                f"the model cannot be cut into {stages} stages of whole layers: a single tensor passes only behind "
                f"{', '.join(places) or 'no layer'}."
            )
        tensors.append(layers[place].output)
        first = place + 1
    tensors.append(model.outputs[0])
    return [keras.Model(before, after) for before, after in itertools.pairwise(tensors)]


def is_cut(model, tensor):
    """Whether all that comes after a tensor is computed from it alone."""
    if not isinstance(tensor, keras.KerasTensor) or tensor is model.outputs[0]:
        return False
    try:
        keras.Model(tensor, model.outputs[0])
    except ValueError:
        return False
    return True
