"""What the package costs before the first step: importing it, and building a model through a factory.

    python benchmarks/import_and_build.py

Each case is timed alternately with its peer, and prints `case ratio: X`, the median of peer/ours: 1 is as fast as the
peer, more is faster. Importing is timed in fresh processes, the peer being `import keras` alone; building against the
same layers without the factory around them, and `compile`.
"""

import functools
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROUNDS = 7


def alternate(ours, peer, rounds=ROUNDS):
    """The ratios peer/ours of `rounds` alternating runs, after one of each that does not count."""
    ours(), peer()
    return [peer() / ours() for _ in range(rounds)]


def report(case, ratios):
    print(f"{case} ratio: {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


def importing(module):
    def run():
        code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(answer.stdout)

    return run


def building(make, times=10):
    def run():
        start = time.process_time()
        for _ in range(times):
            make()
        return time.process_time() - start

    return run


def main():
    report("import", alternate(importing("keras_cookbook.recipes"), importing("keras")))

    import keras

    from keras_cookbook import recipes

    def plain(factory):
        """What one would write without the package: the network's layers, and compile."""

        def make(*sizes, **arguments):
            model = factory.recipe.build(*sizes, **arguments)
            loss, metrics = keras.losses.SparseCategoricalCrossentropy(), [keras.metrics.SparseCategoricalAccuracy()]
            model.compile(keras.optimizers.Adam(), loss=loss, metrics=metrics)

        return make

    for case, factory, shape, arguments, times in (
        ("mlp", recipes.mlp, (64,), {}, 10),
        ("cnn", recipes.cnn, (28, 28, 1), {}, 10),
        ("resnet 50", recipes.resnet, (224, 224, 3), {"depth": 50}, 1),
    ):
        pair = [building(functools.partial(make, shape, 10, **arguments), times) for make in (factory, plain(factory))]
        report(f"build {case}", alternate(*pair))


if __name__ == "__main__":
    main()
