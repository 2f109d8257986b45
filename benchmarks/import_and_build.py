"""What the package costs before the first step: importing it, and building a model through a factory.

    python benchmarks/import_and_build.py

Importing is timed in fresh processes; building against the same networks written by hand in plain
Keras. CPU time, since there is no parallel work in it.
"""

import functools
import gc
import importlib
import time

from harness import Side, alternate, case, judge, main, recipe


def importing(module):
    """Imports a module in a process that has imported nothing else."""

    def run():
        start = time.process_time()
        importlib.import_module(module)
        return time.process_time() - start

    return run


def building(name, shape, rounds, **arguments):
    """Builds and compiles classifiers of ten classes, by a factory and by hand in turn; returns its relative time."""

    def timed(build):
        # To look for garbage takes a third of a build, and would fall now upon one side, now upon the other.
        gc.collect()
        gc.disable()
        start = time.process_time()
        build()
        seconds = time.process_time() - start
        gc.enable()
        return seconds

    def run():
        by_hand = functools.partial(BY_HAND[name], shape)
        factory = functools.partial(recipe(name), tuple(shape), 10, **arguments)
        factory(), by_hand()
        gc.freeze()  # what stays is not looked through again
        ratio, *_ = judge(alternate(lambda: timed(factory), lambda: timed(by_hand), rounds, warm_up=1))
        return 1 / ratio

    return run


# ---- the same networks in plain Keras, as its guides write them ----


def compiled(inputs, features):
    import keras

    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(features))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def mlp(shape):
    from keras import Input, layers

    inputs = Input(shape)
    x = layers.Normalization()(inputs)
    for _ in range(2):
        x = layers.Dense(128, "relu", kernel_initializer="he_normal")(x)
        x = layers.Dropout(0.2)(x)
    compiled(inputs, x)


def cnn(shape):
    from keras import Input, layers

    inputs = Input(shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    x = layers.Dropout(0.25)(layers.Flatten()(x))
    x = layers.Dense(128, "relu", kernel_initializer="he_normal")(x)
    compiled(inputs, layers.Dropout(0.25)(x))


def resnet(shape):
    """Of depth 50."""
    from keras import Input, initializers, layers

    def convolution(x, filters, size, strides=1):
        if strides > 1 and size > 1:
            x = layers.ZeroPadding2D(size // 2)(x)
        he = initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        padding = "valid" if strides > 1 else "same"
        x = layers.Conv2D(filters, size, strides, padding, use_bias=False, kernel_initializer=he)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    inputs = Input(shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.ReLU()(convolution(x, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, count in enumerate((3, 4, 6, 3)):
        filters = 64 * 2**stage
        for block in range(count):
            strides = 2 if stage and not block else 1
            shortcut = x if block else convolution(x, 4 * filters, 1, strides)
            x = layers.ReLU()(convolution(x, filters, 1, strides))
            x = layers.ReLU()(convolution(x, filters, 3))
            x = layers.ReLU()(layers.Add()([shortcut, convolution(x, 4 * filters, 1)]))
    compiled(inputs, layers.GlobalAveragePooling2D()(x))


BY_HAND = {"mlp": mlp, "cnn": cnn, "resnet": resnet}


@case("import", "`import keras`")
def import_package():
    """`import keras_cookbook.recipes` against `import keras` alone."""
    return tuple(Side(importing, fresh=True, module=module) for module in ("keras_cookbook.recipes", "keras"))


def built(name, shape, rounds, **arguments):
    @case(f"build {name} {arguments.get('depth', '')}".strip(), "the same network and `compile` in plain Keras", 5, 0)
    def sides():
        """In turn in one process, a new one each round: two of them differ by up to a tenth in all that they do."""
        return Side(building, fresh=True, name=name, shape=shape, rounds=rounds, **arguments)


built("mlp", (64,), 60)
built("cnn", (28, 28, 1), 40)
built("resnet", (224, 224, 3), 8, depth=50)

if __name__ == "__main__":
    main()
