"""The models that recipes return: Keras models that remember their recipe and prepare themselves when `fit` begins."""

import contextlib
import functools
import inspect
import itertools

import keras

from ._check import batches, check_fit, named
from ._training import decay_kernels_only, inner_optimizers
from .parts.layers import Standardization
from .parts.schedules import PlannedSchedule

SIGNATURE = inspect.signature(keras.Model.fit)


class Functions:
    """What is compiled to train and to test with, by the steps in a call; no dict itself, since Keras tracks these."""

    def __init__(self):
        self.by_steps = {}


class Prepared:
    """What a recipe's model has over a `keras.Model`.

    `fit` does three things before the first step, so that no one can forget them: it checks the data against the model,
    lets what must know the data learn from them (once), and plans a learning-rate schedule over all steps.

    Attributes:
        recipe: dict with the name of the recipe, its `arguments`, the `training` settings, the `seed`, the kind of
            `data` and the `versions` of this package and Keras. It is saved with the model.
    """

    #: `Functions`, of a model that is fitted again and again.
    functions = None

    @functools.wraps(keras.Model.compile)
    def compile(self, *args, steps_per_execution=1, **kwargs):
        # Keras has no "auto" for it: `fit` decides.
        self.automatic_steps = steps_per_execution == "auto"
        super().compile(*args, steps_per_execution=1 if self.automatic_steps else steps_per_execution, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        return config and config | ({"steps_per_execution": "auto"} if self.automatic_steps else {})

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)
        decay_kernels_only(self.optimizer)

    def remember(self, recipe):
        """Sets `recipe`, past Keras and TensorFlow, which would watch every dict in it for layers."""
        self.__dict__["recipe"] = recipe

    def again(self, **changes):
        """A fresh model of the same recipe, from the same seed, but for the arguments that change."""
        from ._contract import REGISTRY

        call = {**self.recipe["arguments"], **self.recipe["training"], "seed": self.recipe["seed"]}
        return REGISTRY[self.recipe["name"]](**call | changes)

    def build_optimizer(self, training):
        """The optimizer of these training settings."""
        return training.build_optimizer()

    def adapt(self, x, y, steps):
        """Lets `Standardization` layers learn mean and deviation, from the labels where they scale a prediction."""
        labels = "task" in self.recipe.get("arguments", ())
        for layer in layers(self):
            if isinstance(layer, Standardization) and not layer.adapted:
                layer.adapt(batch[layer.invert and labels] for batch in itertools.islice(batches(x, y), steps))

    def encode(self, x):
        """The inputs as the network takes them."""
        return x

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, y=None, *args, **kwargs):
        call = SIGNATURE.bind(self, x, y, *args, **kwargs)
        if hasattr(x, "element_spec"):
            call.arguments.setdefault("shuffle", False)  # it shuffles itself; Keras warns that it cannot
        call.apply_defaults()
        call = call.arguments
        del call["self"]
        with named(self.name):
            steps = steps_per_epoch(call)
            self.adapt_inputs(x, steps)
            call["x"] = self.encode(x)
            check_fit(self, call["x"], y)
            if (judge := call["validation_data"]) is not None:
                pair = tuple(judge) if isinstance(judge, tuple | list) else (judge,)
                with named("validation_data"):
                    pair = (self.encode(pair[0]), *pair[1:])
                    check_fit(self, *(*pair, None)[:2])
                call["validation_data"] = pair if isinstance(judge, tuple | list) else pair[0]
            self.plan_execution(steps)
            if self.plan_schedule(call, steps):  # what is compiled is made for another
                self.train_function = self.test_function = self.predict_function = None
                self.functions = self.functions and Functions()
            self.adapt(call["x"], y, steps)
            self.prepare_optimizer()
        with contextlib.ExitStack() as stack:
            if any(hasattr(callback, "during_fit") for callback in keras.tree.flatten(call["callbacks"])):
                from keras_cookbook.callbacks.fit import shown  # loaded by then; else it takes a third of a second

                with named(self.name):
                    stack.enter_context(shown(self, call))
            return super().fit(**call)

    def prepare_optimizer(self):
        """Makes the variables of the optimizer now, since TensorFlow traces a step twice if they are made within it.

        And where one device is alone, nothing is summed over devices: that sum has a gradient of its own, and such
        TensorFlow keeps until the process ends, with the graph and all weights of every model that was trained.
        """
        if keras.backend.backend() != "tensorflow" or self.optimizer is None:
            return
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if self.distribute_strategy.num_replicas_in_sync == 1:
            for optimizer in inner_optimizers(self.optimizer):
                optimizer._all_reduce_sum_gradients = list

    def adapt_inputs(self, x, steps):
        """Lets what `encode` needs learn from the inputs."""

    def plan_schedule(self, call, steps):
        """Stretches the learning-rate schedule over the steps of this call to `fit`; whether that changed it."""
        changed = False
        for optimizer in inner_optimizers(self.optimizer):
            schedule = getattr(optimizer, "_learning_rate", None)
            if not isinstance(schedule, PlannedSchedule):
                continue
            if steps is None:
                raise ValueError(
                    f"schedule={schedule.shape!r} needs the number of steps in an epoch, and this data set "
                    "does not tell it. Pass steps_per_epoch= to fit, or use schedule='constant' without warm-up."
                )
            done = int(keras.ops.convert_to_numpy(optimizer.iterations)) * (optimizer.gradient_accumulation_steps or 1)
            changed |= schedule.plan(done - call["initial_epoch"] * steps, call["epochs"] * steps)
        return changed

    def plan_execution(self, steps):
        """Sets how many steps one call of the compiled function takes."""
        before = self.steps_per_execution
        if self.automatic_steps:
            on_tensorflow = keras.backend.backend() == "tensorflow" and not self.run_eagerly
            quick = on_tensorflow and self.count_params() < 2e6 and not takes_single_steps(self)
            # Few enough for an epoch to have four calls, between which callbacks can act.
            most = max(1, min(32, (steps or 1) // 4)) if quick else 1
            # Of what is kept there are few kinds: to compile one takes as long as hundreds of calls.
            self.steps_per_execution = most if self.functions is None else max(n for n in (1, 2, 8, 32) if n <= most)
        elif not self.automatic_steps and self.steps_per_execution > 1 and takes_single_steps(self):
            raise ValueError(f"steps_per_execution={self.steps_per_execution}: over several devices Keras takes one.")
        if self.steps_per_execution != before:
            kept = self.functions or Functions()
            kept.by_steps[before] = self.train_function, self.test_function
            self.train_function, self.test_function = kept.by_steps.get(self.steps_per_execution, (None, None))
            self.predict_function = None


@keras.saving.register_keras_serializable("keras_cookbook")
class RecipeModel(Prepared, keras.Model):
    """A functional model made by a recipe; see `Prepared`."""

    # Keras recognises a functional model by these arguments.
    def __init__(self, inputs, outputs, name=None, *, recipe=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.remember(recipe or {})

    def get_config(self):
        return {**super().get_config(), "recipe": dict(self.recipe)}


class ComposedModel(Prepared, keras.Model):
    """A model made of other models, such as the two players of a GAN; a subclass says how they work together.

    Each part is an attribute of its name. The first is the one that takes the data.

    Args:
        parts: dict of models by name; the path of each trainable weight, made of names of layers, names its part, by
            which its optimizer finds it.
    """

    def __init__(self, parts, name=None, *, recipe=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.names = list(parts)
        for part, model in parts.items():
            setattr(self, part, model)
            for weight in model.trainable_weights:
                if [other for other in parts if other in weight.path] != [part]:
                    raise ValueError(f"the path of {weight.path!r} must name its part, {part!r}, and no other.")
        self.remember(recipe or {})
        self.built = True

    @property
    def input_shape(self):
        return getattr(self, self.names[0]).input_shape

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.names}
        return {"parts": parts, "name": self.name, "recipe": dict(self.recipe)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(part, custom_objects)
            for name, part in config.pop("parts").items()
        }
        return cls(parts, **config)


def copy_weights(old, new):
    """Gives a model or a layer the weights of another. `set_weights` alone does not reach what `Normalization` computes
    with, which are copies of them."""
    new.set_weights(old.get_weights())
    for layer in new._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def takes_single_steps(model):
    """Whether Keras fails to take several steps of this model in one call: it does where TensorFlow has replicas."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    mirrored = tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy
    return isinstance(model.distribute_strategy, mirrored)


def layers(model):
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield from layers(layer) if isinstance(layer, keras.Model) else [layer]


def steps_per_epoch(call):
    """The number of batches in an epoch of `fit`, or None where it cannot be told."""
    x = call["x"]
    if call["steps_per_epoch"]:
        return call["steps_per_epoch"]
    if hasattr(x, "cardinality"):
        count = int(x.cardinality())
        return count if count > 0 else None
    if isinstance(x, keras.utils.PyDataset) or type(x).__name__ == "DataLoader":
        return len(x)
    if hasattr(x, "shape") or isinstance(x, list | tuple):
        examples = int(len(x) * (1 - (call["validation_split"] or 0)))
        return -(-examples // (call["batch_size"] or 32))
    return None
