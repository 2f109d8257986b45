"""A training that is watched, against the same training without.

    python benchmarks/doctor_overhead.py TrainingDoctor

`fit` on numbers in memory, an epoch a round, of which none is the first: the ratio is the time of the peer to that with
`callbacks.TrainingDoctor` at its default cadence, or in light mode.
"""

from harness import Side, case, epochs_of, main, recipe
from train_step import batched, examples

#: Recipe -> the shape of an example, and how many steps an epoch has: a multiple of the steps between looks.
MODELS = {"cnn": ((28, 28, 1), 256), "resnet": ((32, 32, 3), 64), "transformer_encoder": ((32,), 128)}
BATCH = 16


def training(name, doctor):
    """`fit` of a recipe, with the doctor in one of its modes or without."""
    from keras_cookbook import callbacks

    shape, steps = MODELS[name]
    vocabulary = 1000 if len(shape) == 1 else 0
    arguments = {"vocabulary_size": vocabulary} if vocabulary else {}
    modes = {"default": {}, "light": {"light": True}}
    watching = [callbacks.TrainingDoctor(tell=False, **modes[doctor])] if doctor else []
    data = batched(*examples(shape, 10, BATCH * steps, vocabulary), BATCH)
    model = recipe(name)(shape, 10, width=16, **arguments)
    return epochs_of(model, data, callbacks=watching)


def watched(name, mode):
    @case(f"`{name}` with `TrainingDoctor`, {mode}", "the same without", rounds=9, warm_up=1)
    def sides():
        """What it costs, looks at every 64th step or every 256th."""
        return Side(training, name=name, doctor=mode), Side(training, name=name, doctor=None)


for name in MODELS:
    watched(name, "default")
watched("cnn", "light")

if __name__ == "__main__":
    main()
