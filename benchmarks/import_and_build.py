"""What the package costs before the first step: importing it, and building a model through a factory.

    python benchmarks/import_and_build.py

Importing is timed in fresh processes; building against the same layers and `compile` without the factory around them.
CPU time, since there is no parallel work in it.
"""

import importlib
import time

from harness import Side, case, main, recipe


def importing(module):
    """Imports a module in a process that has imported nothing else."""

    def run():
        start = time.process_time()
        importlib.import_module(module)
        return time.process_time() - start

    return run


def building(name, shape, ours, times, **arguments):
    """Builds and compiles a classifier of ten classes."""
    import keras

    factory = recipe(name)

    def plain():
        model = factory.recipe.build(tuple(shape), 10, **arguments)
        loss, metrics = keras.losses.SparseCategoricalCrossentropy(), [keras.metrics.SparseCategoricalAccuracy()]
        model.compile(keras.optimizers.Adam(), loss=loss, metrics=metrics)

    def run():
        start = time.process_time()
        for _ in range(times):
            factory(tuple(shape), 10, **arguments) if ours else plain()
        return time.process_time() - start

    return run


@case("import", "`import keras`")
def import_package():
    """`import keras_cookbook.recipes` against `import keras` alone."""
    return tuple(Side(importing, fresh=True, module=module) for module in ("keras_cookbook.recipes", "keras"))


def pair(name, shape, times, **arguments):
    return tuple(Side(building, name=name, shape=shape, ours=ours, times=times, **arguments) for ours in (True, False))


WITHOUT = "the same layers and `compile`, without the factory"


@case("build mlp", WITHOUT)
def build_mlp():
    """Models of the default size."""
    return pair("mlp", (64,), 30)


@case("build cnn", WITHOUT)
def build_cnn():
    """Models of the default size."""
    return pair("cnn", (28, 28, 1), 20)


@case("build resnet 50", WITHOUT)
def build_resnet():
    """Models of depth 50."""
    return pair("resnet", (224, 224, 3), 2, depth=50)


if __name__ == "__main__":
    main()
