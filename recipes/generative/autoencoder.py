"""The autoencoder: dense, convolutional, denoising, sparse."""

import math
from typing import Annotated

import keras
from keras import ops

from .._contract import recipe
from .._kinds import Activation, Choice, Integer, Real, Shape
from .._model import RecipeModel
from .._training import Training
from ..parts.latent import KeepLargest, check_shape, compress, expand, flat, scale, unscale


@keras.saving.register_keras_serializable("keras_cookbook")
class Autoencoder(RecipeModel):
    """Learns to give back its input through a narrow code.

    Attributes:
        encoder: the model from inputs to codes.
        decoder: the model from codes to inputs.
    """

    def __init__(self, inputs, outputs, name=None, *, recipe=None, **kwargs):
        super().__init__(inputs, outputs, name=name, recipe=recipe, **kwargs)
        self.mae = keras.metrics.MeanAbsoluteError("mae")

    @property
    def encoder(self):
        return self.get_layer("encoder")

    @property
    def decoder(self):
        return self.get_layer("decoder")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        x, y_pred = flat(x), flat(y_pred)
        self.mae.update_state(x, y_pred, sample_weight)
        loss = self.squared_error(x, y_pred)
        return ops.mean(loss if sample_weight is None else loss * ops.cast(sample_weight, loss.dtype))

    def squared_error(self, x, y):
        """The mean square of what lies between them, for each example, in the units in which the network learns."""
        rescaled = self.encoder.get_layer("scale")
        return ops.mean(ops.square(rescaled(flat(x)) - rescaled(flat(y))), axis=-1)

    def errors(self, x, batch_size=None):
        """How badly each example is restored; an anomaly is restored worse than what the model was trained on.

        Args:
            x: what `predict` takes.

        Returns:
            float32 (examples,): the mean squared error over pixels in 0..1, or over standardised features.
        """
        judge = keras.Model(self.inputs, self.squared_error(self.inputs[0], self(self.inputs[0])))
        return judge.predict(x, batch_size=batch_size, verbose=0)


@recipe(
    data=("images", "rows"),
    paper="Hinton and Salakhutdinov, 2006, doi:10.1126/science.1127647",
    training=Training(schedule="cosine"),
)
def autoencoder(
    input_shape: Shape,
    *,
    form: Annotated[str, Choice("dense", "convolutional")] = "dense",
    depth: Annotated[int, Integer(1, 100, search=(1, 4))] = 2,
    width: Annotated[int, Integer(1, 65536, search=(32, 512), log=True)] = 256,
    latent: Annotated[int | None, Integer(1, 65536)] = None,
    noise: Annotated[float, Real(0, search=(0.0, 0.5))] = 0.0,
    sparsity: Annotated[float, Real(0, 1, below=True)] = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """Autoencoder (Hinton and Salakhutdinov, 2006): restores its input from a code with fewer numbers than the input.

    To compress, to remove noise, to find anomalies (`model.errors(x)`: the error of each example), or to have features
    for another model (`model.encoder.predict(x)`). `model.decoder` goes from codes to inputs. The loss is the mean
    squared error over pixels in 0..1 or over standardised features. On a table, with `activation="linear"`, it is PCA.

    Args:
        form: "convolutional" is for images of any size, and is the better one from about 32 pixels a side.
        depth: the number of hidden layers in each half; convolutional: of stages, each of which halves the image.
        width: the units of a dense layer. The first stage has an eighth as many filters, each further one twice the
            last; a dense layer lies between the stages and the code.
        latent: how many numbers the code has. None is 32, or half the number of inputs where that is less. A code as
            large as the input learns to copy it, unless there is noise or sparsity.
        noise: denoising (Vincent et al., 2010): the deviation of noise added in training, on pixels in 0..1 or on
            standardised features; what is to be restored is the input without it.
        sparsity: the share of the code that is zero: of each, only the numbers of largest magnitude are kept (Makhzani
            and Frey, 2013, arXiv:1312.5663). Choose `latent` larger for it.
    Fit on:
        x: uint8 or float32 (images, height, width, channels), 0..255; or float32 (rows, features), any finite numbers.
            Labels that come along are ignored.
    Predict on:
        x, as above; the answer is x restored, in the same units.
    Raises:
        ValueError: an argument outside its range, images of unknown size, convolutions on a table, or data that do not
            fit, before the first step.
    """
    check_shape(input_shape, form)
    latent = latent or max(1, min(32, math.prod(input_shape) // 2))

    inputs = keras.Input(input_shape)
    x = scale(inputs)
    if noise:
        x = keras.layers.GaussianNoise(noise, dtype="float32")(x)
    code = keras.layers.Dense(latent, dtype="float32", name="code")(compress(x, form, depth, width, activation))
    if sparsity:
        code = KeepLargest(max(1, round(latent * (1 - sparsity))), dtype="float32")(code)
    encoder = keras.Model(inputs, code, name="encoder")

    code = keras.Input((latent,))
    x = expand(code, input_shape, form, depth, width, activation)
    squash = keras.layers.Activation("sigmoid", dtype="float32")
    decoder = keras.Model(code, unscale(x, input_shape, squash), name="decoder")

    inputs = keras.Input(input_shape)
    return Autoencoder(inputs, decoder(encoder(inputs)))
