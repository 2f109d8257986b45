"""A training that is watched, against the same training without.

    python benchmarks/doctor_overhead.py TrainingDoctor

`fit` on numbers in memory with `callbacks.TrainingDoctor` at its default cadence, or in light mode. Counted are its
methods from the end of the first epoch (`harness.time_with`); before lie preflight and the first looks.
"""

from harness import Side, case, main, recipe, time_with
from train_step import batched, examples

#: Recipe -> the shape of an example, and arguments beside the defaults.
MODELS = {
    "cnn": ((28, 28, 1), {}),
    "resnet": ((32, 32, 3), {"width": 16}),
    "transformer_encoder": ((32,), {"vocabulary_size": 1000}),
}
#: The default of `data.load`. A look costs as much as one to two steps of that size, whatever a step's own is.
BATCH = 64
#: Steps between looks, in light mode or not.
EVERY = {False: 64, True: 512}


def training(name, light):
    """A training of a recipe with the doctor; the function returns its relative time."""
    from keras_cookbook import callbacks

    shape, arguments = MODELS[name]
    # Two epochs are counted: two looks of light mode, four of the default.
    steps = max(128, EVERY[light])
    data = batched(*examples(shape, 10, BATCH * steps, arguments.get("vocabulary_size", 0)), BATCH)

    def run():
        model = recipe(name)(shape, 10, **arguments)
        return time_with(callbacks.TrainingDoctor(tell=False, light=light), model, data, epochs=3)

    return run


def watched(name, light):
    @case(f"`{name}` with `TrainingDoctor`, looks every {EVERY[light]} steps", "the same without", rounds=3, warm_up=0)
    def sides():
        """What it costs."""
        return Side(training, name=name, light=light)


for name in MODELS:
    watched(name, light=False)
    watched(name, light=True)

if __name__ == "__main__":
    main()
