"""The model that a recipe returns: a Keras model that remembers its recipe and prepares itself when `fit` begins."""

import functools
import inspect
import itertools

import keras

from ._check import batches, check_fit, named
from ._training import decay_kernels_only
from .parts.layers import Standardization
from .parts.schedules import PlannedSchedule

SIGNATURE = inspect.signature(keras.Model.fit)


@keras.saving.register_keras_serializable("keras_cookbook")
class RecipeModel(keras.Model):
    """A functional `keras.Model` with the call that made it.

    `fit` does three things before the first step, so that no one can forget them: it checks the data against the model,
    lets `Standardization` layers learn mean and deviation from the training data (once), and plans a learning-rate
    schedule over all steps.

    Attributes:
        recipe: dict with the name of the recipe, its `arguments`, the `training` settings, the `seed`, the kind of
            `data` and the `versions` of this package and Keras. It is saved with the model.
    """

    # Keras recognises a functional model by these arguments.
    def __init__(self, inputs, outputs, name=None, *, recipe=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.recipe = recipe or {}

    def get_config(self):
        return {**super().get_config(), "recipe": dict(self.recipe)}

    def compile_from_config(self, config):
        super().compile_from_config(config)
        decay_kernels_only(self.optimizer)

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, y=None, *args, **kwargs):
        call = SIGNATURE.bind(self, x, y, *args, **kwargs)
        shuffle_given = "shuffle" in call.arguments
        call.apply_defaults()
        with named(self.name):
            check_fit(self, x, y)
            if (judge := call.arguments["validation_data"]) is not None:
                with named("validation_data"):
                    check_fit(self, *(judge[:2] if isinstance(judge, tuple | list) else (judge, None)))
            steps = steps_per_epoch(call.arguments)
            if self.plan_schedule(call.arguments, steps):
                self.train_function = None
            for layer in self.layers:
                if isinstance(layer, Standardization) and not layer.adapted:
                    layer.adapt(batch[layer.invert] for batch in itertools.islice(batches(x, y), steps))
        if hasattr(x, "element_spec") and not shuffle_given:
            kwargs["shuffle"] = False  # a tf.data.Dataset shuffles itself; Keras warns that it cannot
        return super().fit(x, y, *args, **kwargs)

    def plan_schedule(self, call, steps):
        """Stretches the learning-rate schedule over the steps of this call to `fit`; whether that changed it."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        schedule = getattr(optimizer, "_learning_rate", None)
        if not isinstance(schedule, PlannedSchedule):
            return False
        if steps is None:
            raise ValueError(
                f"schedule={schedule.shape!r} needs the number of steps in an epoch, and this data set "
                "does not tell it. Pass steps_per_epoch= to fit, or use schedule='constant' without warm-up."
            )
        done = int(keras.ops.convert_to_numpy(optimizer.iterations)) * (optimizer.gradient_accumulation_steps or 1)
        return schedule.plan(done - call["initial_epoch"] * steps, call["epochs"] * steps)


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
