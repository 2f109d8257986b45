"""What a search costs over a bare loop of the same trainings.

    python benchmarks/search_overhead.py

The loop does by hand what a careful user would: build, `fit` with early stopping that restores the best weights, and
save the best model so far. Small models and few epochs, so that what is around the training shows.
"""

import tempfile

from harness import Side, case, clock, main

TRIALS, EPOCHS = 6, 3
FIXED = {"depth": 2, "width": 64, "dropout": 0.2, "activation": "relu", "epochs": EPOCHS, "batch_size": 64}


def searched(algorithm="random"):
    """`tuning.search` over learning rates."""
    from keras_cookbook import recipes, tuning

    data = recipes.data.load("digits")

    def run():
        with tempfile.TemporaryDirectory() as folder:
            start = clock()
            tuning.search(
                recipes.mlp,
                data,
                algorithm=algorithm,
                max_trials=TRIALS,
                folder=f"{folder}/search",
                progress=False,
                learning_rate=(1e-4, 1e-1),
                **FIXED,
            )
            return clock() - start

    return run


def looped():
    """The same trainings one after the other."""
    import keras
    import numpy as np

    from keras_cookbook import recipes

    data = recipes.data.load("digits")
    arguments = {name: value for name, value in FIXED.items() if name not in ("epochs", "batch_size")}

    def run():
        with tempfile.TemporaryDirectory() as folder:
            start, best = clock(), 0.0
            for rate in np.logspace(-4, -1, TRIALS):
                model = recipes.mlp(data.input_shape, data.outputs, data.task, learning_rate=float(rate), **arguments)
                stopping = keras.callbacks.EarlyStopping(
                    "val_accuracy", patience=5, mode="max", restore_best_weights=True
                )
                fitted = model.fit(
                    data.train, validation_data=data.validation, epochs=EPOCHS, callbacks=[stopping], verbose=0
                )
                if (score := max(fitted.history["val_accuracy"])) > best:
                    best = score
                    model.save(f"{folder}/best.keras")
            return clock() - start

    return run


@case("search, random", "a bare loop over the same trainings")
def random_search():
    """Six trials of three epochs of a small `mlp` on the digits."""
    return Side(searched), Side(looped)


@case("search, bayesian", "a bare loop over the same trainings")
def bayesian_search():
    """Six trials of three epochs of a small `mlp` on the digits, proposed by a Gaussian process."""
    return Side(searched, algorithm="bayesian"), Side(looped)


if __name__ == "__main__":
    main()
