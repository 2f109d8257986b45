"""The layers of a model."""

import keras


def layers_of(model):
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]
