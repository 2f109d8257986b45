"""What the package costs before the first step: importing it, and building a model through a factory.

    python benchmarks/import_and_build.py

Each case is timed alternately with its peer, and prints `case ratio: X`, the median of peer/ours: 1 is as fast as the
peer, more is faster. Importing is timed in fresh processes, the peer being `import keras` alone; building against the
same network written in plain Keras.
"""

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
    from keras_cookbook.recipes.parts import Standardization

    def plain_mlp():
        inputs = keras.Input((64,))
        x = Standardization()(keras.layers.Flatten()(inputs))
        for _ in range(2):
            x = keras.layers.Dense(128, "relu", kernel_initializer="he_normal")(x)
            x = keras.layers.Dropout(0.2)(x)
        model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(x))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def plain_resnet():
        model = keras.applications.ResNet50(weights=None)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

    report("build mlp", alternate(building(lambda: recipes.mlp((64,), 10)), building(plain_mlp)))
    ours = building(lambda: recipes.resnet((224, 224, 3), 1000, depth=50), times=1)
    report("build resnet50 (peer: keras.applications)", alternate(ours, building(plain_resnet, times=1)))


if __name__ == "__main__":
    main()
