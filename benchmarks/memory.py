"""The memory of a process that trains model after model, of which it keeps none.

    python benchmarks/memory.py

The most that it held, with eight models of four million weights, each trained for four steps; ours beside plain Keras.
"""

import gc
import resource

from harness import Side, case, main, recipe

FEATURES, WIDTH, CLASSES, MODELS = 1000, 4000, 3, 8


def by_factory():
    return recipe("mlp")((FEATURES,), CLASSES, width=WIDTH, depth=1)


def by_hand():
    from keras import Input, Sequential, layers

    model = Sequential([Input((FEATURES,)), layers.Dense(WIDTH, "relu"), layers.Dense(CLASSES, "softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def training(how):
    """A function that trains the models, and returns the most memory held in place of seconds."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(64, FEATURES)).astype("float32")
    y = np.arange(64) % CLASSES

    def run():
        for _ in range(MODELS):
            globals()[how]().fit(x, y, batch_size=16, verbose=0)
            gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    return run


@case("memory of eight trainings", "the same networks in plain Keras", rounds=5, warm_up=0)
def memory():
    """Each round in a process of its own."""
    return Side(training, how="by_factory", fresh=True), Side(training, how="by_hand", fresh=True)


if __name__ == "__main__":
    main()
