"""Whether several devices give what one gives: ten steps of a small network on both."""

import contextlib

import keras
import numpy as np

STEPS = 10


def largest_difference(distribution):
    """How far weights are from those of one device after ten steps, at most, in any process."""
    return max(
        float(np.abs(ours - theirs).max())
        for ours, theirs in zip(
            train(distribution.scope(), distribution.replicas),
            train(contextlib.nullcontext(), distribution.replicas),
            strict=True,
        )
    )


def tolerance(distribution):
    """How far they may be: accelerators multiply with fewer digits than processors."""
    return 1e-5 if all("cpu" in name.lower() for name in distribution.devices) else 1e-2


def train(scope, replicas):
    rng = np.random.default_rng(0)
    batch = 4 * replicas
    x = rng.normal(size=(STEPS * batch, 8)).astype("float32")
    y = np.tanh(x[:, :4]).astype("float32")
    with scope:
        layers = [
            keras.layers.Dense(
                units, activation, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype="float32"
            )
            for seed, (units, activation) in enumerate([(16, "tanh"), (4, None)])
        ]
        model = keras.Sequential([keras.Input((8,)), *layers])
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", jit_compile=False)
        model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
        return model.get_weights()
