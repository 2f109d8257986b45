"""Time to the first step: from the call that builds a model to the end of the first batch, in a fresh process.

    python benchmarks/first_step.py

Importing does not count; building, compiling, tracing and the first step do, and the start of the input pipeline.
"""

from harness import Side, case, clock, main, recipe
from train_step import batched, examples


def first_step(name, shape, ours, outputs=10, batch=64, **arguments):
    """Builds a model and fits it on one batch."""
    import keras

    x, y = examples(shape, outputs, batch)
    data, factory = batched(x, y, batch), recipe(name)

    def run():
        start = clock()
        if ours:
            model = factory(tuple(shape), outputs, **arguments)
        else:
            model = factory.recipe.build(tuple(shape), outputs, **arguments)
            model = keras.Model(model.inputs, model.outputs)
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(data, shuffle=False, verbose=0)
        return clock() - start

    return run


def pair(name, shape, **arguments):
    return tuple(Side(first_step, fresh=True, name=name, shape=shape, ours=ours, **arguments) for ours in (True, False))


PEER = "the same layers in plain Keras"


@case("first step of mlp", PEER, rounds=5, warm_up=0)
def mlp():
    """Two layers of 128 units."""
    return pair("mlp", (64,))


@case("first step of cnn", PEER, rounds=5, warm_up=0)
def cnn():
    """The default network on 28x28 pixels."""
    return pair("cnn", (28, 28, 1))


@case("first step of resnet 18", PEER, rounds=5, warm_up=0)
def resnet():
    """Depth 18, width 16, on 32x32 pixels."""
    return pair("resnet", (32, 32, 3), depth=18, width=16)


if __name__ == "__main__":
    main()
