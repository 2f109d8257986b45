"""Time to 99% on the 10,000 test images of MNIST, from building the model, with its compilation.

    python benchmarks/time_to_accuracy.py

Both sides are judged on the test images after each epoch, which counts too, and stop at the first 99%; every round has
another seed. Loading the data does not count.
"""

import itertools

from harness import Missing, Side, case, clock, main

#: A small convnet that reaches 99% in one epoch of one cycle; where a seed does not, its further epochs count too.
LEAN = {
    "width": 16,
    "units": 256,
    "dropout": 0.0,
    "learning_rate": 0.01,
    "momentum": 0.7,
    "schedule": "one_cycle",
    "precision": "mixed_bfloat16",
}
EPOCHS = 15


def digits(**settings):
    from keras_cookbook import recipes

    try:
        return recipes.data.load("mnist", **settings)
    except FileNotFoundError as error:
        raise Missing(f"MNIST is not prepared on this machine: {error}") from None


def until_99(make, fit, judge):
    """A function that trains a new model to 99% and returns the seconds."""
    import keras

    seeds = itertools.count()

    def run():
        keras.utils.set_random_seed(next(seeds))
        start = clock()
        model = make()
        for _ in range(EPOCHS):
            fit(model)
            if judge(model) >= 0.99:
                return clock() - start
        raise RuntimeError(f"no 99% in {EPOCHS} epochs")

    return run


def ours(batch=128):
    """`recipes.cnn` with a cycle of one epoch."""
    from keras_cookbook import recipes

    data = digits(batch_size=batch, validation=0)
    judged = data.batched(1000).test
    return until_99(
        lambda: recipes.cnn(data.input_shape, data.outputs, **LEAN),
        lambda model: model.fit(data.train, epochs=1, verbose=0),
        lambda model: model.evaluate(judged, verbose=0, return_dict=True)["accuracy"],
    )


def simple_convnet():
    """keras.io's simple convnet by its description and settings: batch 128, Adam, one-hot labels, validation of 10%."""
    import keras

    data = digits(validation=0)
    (x, y), (x_test, y_test) = (data.arrays(split) for split in ("train", "test"))
    x, x_test = (images.astype("float32") / 255 for images in (x, x_test))
    y, y_test = (keras.utils.to_categorical(labels, 10) for labels in (y, y_test))

    def make():
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(32, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    return until_99(
        make,
        lambda model: model.fit(x, y, batch_size=128, validation_split=0.1, verbose=0),
        lambda model: model.evaluate(x_test, y_test, batch_size=1000, verbose=0, return_dict=True)["accuracy"],
    )


@case("time to 99% on MNIST", "keras.io's simple convnet", rounds=5, warm_up=0)
def mnist():
    """A lean `cnn` with one cycle against keras.io's simple convnet with the settings of its page."""
    return Side(ours), Side(simple_convnet)


if __name__ == "__main__":
    main()
