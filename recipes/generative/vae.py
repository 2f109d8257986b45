"""The variational autoencoder."""

import math
from typing import Annotated

import keras
import numpy as np
from keras import ops

from .._check import batches, check_fit, named
from .._contract import recipe
from .._kinds import POSITIVE, Activation, Choice, Integer, Real, Shape
from .._model import RecipeModel
from .._training import Training
from ..parts.latent import Spread, check_shape, compress, expand, flat, gaussian_kl, scale, unscale
from ..parts.layers import Standardization


@keras.saving.register_keras_serializable("keras_cookbook")
class VariationalAutoencoder(RecipeModel):
    """Learns the evidence lower bound (ELBO): log p(x|z) - KL(q(z|x) || p(z)), in nats for each example.

    Attributes:
        encoder: the model from x to the mean and the log variance of q(z|x).
        decoder: the model from z to the mean of p(x|z), in the units of x.
        beta: the weight of the KL in the loss.
        likelihood: what p(x|z) is, "bernoulli" or "gaussian".
    """

    def __init__(self, inputs, outputs, name=None, *, recipe=None, beta=1.0, likelihood="bernoulli", **kwargs):
        super().__init__(inputs, outputs, name=name, recipe=recipe, **kwargs)
        self.beta, self.likelihood = beta, likelihood
        self.noise = keras.random.SeedGenerator()
        self.tracked = [keras.metrics.Mean(name) for name in ("reconstruction", "kl", "elbo")]

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "likelihood": self.likelihood}

    @property
    def encoder(self):
        return self.get_layer("encoder")

    @property
    def decoder(self):
        return self.get_layer("decoder")

    @property
    def latent(self):
        """How many numbers z has."""
        return self.decoder.input_shape[-1]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # `y_pred` belongs to the mean of z, and the bound to a z that is drawn. A compiled step leaves out what is not
        # used; of the decoder it computes one pass.
        mean, log_variance = self.encoder(x, training=training)
        z = draw(mean, log_variance, keras.random.normal(ops.shape(mean), seed=self.noise))
        reconstruction = -self.log_likelihood(x, z)
        kl = gaussian_kl(mean, log_variance)
        for metric, value in zip(self.tracked, (reconstruction, kl, -(reconstruction + kl)), strict=True):
            metric.update_state(value, sample_weight)
        loss = reconstruction + self.beta * kl
        return ops.mean(loss if sample_weight is None else loss * ops.cast(sample_weight, loss.dtype))

    def log_likelihood(self, x, z):
        """log p(x|z) of each example, in nats; of a table, that of its standardised features."""
        x = self.encoder.get_layer("scale")(flat(x))
        features = flat(self.decoder.get_layer("network")(z))
        if self.likelihood == "bernoulli":
            return ops.sum(x * features - ops.softplus(features), axis=-1)
        variance = self.variance()
        return -ops.sum(ops.square(x - features) / variance + ops.log(2 * math.pi * variance), axis=-1) / 2

    def variance(self):
        """The variance of each number of p(x|z), where it is Gaussian, as the network counts them."""
        variance = self.decoder.get_layer("network").get_layer("spread").variance
        return ops.tile(variance, math.prod(self.input_shape[1:]) // variance.shape[0])

    def elbo(self, x, samples=1, seed=None, batch_size=None):
        """The bound on log p(x), in nats for each example; the tighter, the more samples (Burda et al., 2015,
        arXiv:1509.00519), up to log p(x) itself.

        Args:
            x: arrays or a data set.
            samples: how many z are drawn for each example.
            seed: the same seed draws the same z.

        Returns:
            float32 (examples,).
        """
        with named(self.name):
            POSITIVE.check(samples, "samples")
            check_fit(self, x, None)
        inputs, noise = keras.Input(self.input_shape[1:]), keras.Input((self.latent,))
        mean, log_variance = self.encoder(inputs)
        z = draw(mean, log_variance, noise)
        # log p(z) - log q(z|x): the constants of the two densities are the same.
        ratio = ops.sum(ops.square(noise) + log_variance - ops.square(z), axis=-1) / 2
        weight = keras.Model([inputs, noise], self.log_likelihood(inputs, z) + ratio)
        rng, bounds = np.random.default_rng(seed), []
        for batch, _ in batches(x):
            drawn = (rng.normal(size=(len(batch), self.latent)).astype("float32") for _ in range(samples))
            weights = [weight.predict([batch, noise], batch_size=batch_size, verbose=0) for noise in drawn]
            bounds.append(np.logaddexp.reduce(weights, axis=0) - np.float32(np.log(samples)))
        return np.concatenate(bounds)

    def sample(self, n, seed=None):
        """New examples: the decoder's answers to `n` draws of z from the prior.

        Images are without the noise of single pixels; rows of a table have that of p(x|z).

        Returns:
            float32 (n, *input_shape), in the units of x.
        """
        with named(self.name):
            POSITIVE.check(n, "n")
        rng = np.random.default_rng(seed)
        x = self.decoder.predict(rng.normal(size=(n, self.latent)).astype("float32"), verbose=0)
        units = self.decoder.get_layer("units")
        if isinstance(units, Standardization):
            spread = ops.convert_to_numpy(ops.sqrt(self.variance()) * units.deviation)
            x = x + (rng.normal(size=(n, spread.size)) * spread).reshape(x.shape)
        return x.astype("float32")


@recipe(
    data=("images", "rows"),
    paper="Kingma and Welling, 2013, arXiv:1312.6114",
    training=Training(schedule="cosine"),
)
def vae(
    input_shape: Shape,
    *,
    form: Annotated[str, Choice("dense", "convolutional")] = "dense",
    depth: Annotated[int, Integer(1, 100, search=(1, 4))] = 2,
    width: Annotated[int, Integer(1, 65536, search=(64, 1024), log=True)] = 512,
    latent: Annotated[int, Integer(1, 65536, search=(2, 64), log=True)] = 32,
    beta: Annotated[float, Real(0)] = 1.0,
    likelihood: Annotated[str | None, Choice("bernoulli", "gaussian")] = None,
    activation: Activation = "relu",
) -> keras.Model:
    """Variational autoencoder (Kingma and Welling, 2013): a code z with a distribution, from which one can draw.

    `model.sample(n)` draws new examples, `model.elbo(x)` bounds log p(x), `model.encoder` gives the mean and the log
    variance of z, `model.decoder` goes from z to x. The loss is the negative ELBO in nats for each example; the logs
    have its parts `reconstruction` and `kl`, and the `elbo`, which is the bound whatever `beta` is.

    Args:
        form: "convolutional" is for images of any size, and is the better one from about 32 pixels a side.
        depth: the number of hidden layers in each half; convolutional: of stages, each of which halves the image.
        width: the units of a dense layer. The first stage has an eighth as many filters, each further one twice the
            last; a dense layer lies between the stages and the code.
        latent: how many numbers z has. More than are needed do no harm: they keep to the prior.
        beta: the weight of the KL in the loss. 1 gives the bound; more gives codes whose numbers are the more
            independent, and worse reconstructions (Higgins et al., 2017).
        likelihood: "bernoulli": a pixel is white with probability x / 255, best for drawings and letters; "gaussian":
            with a variance that is learnt, for each channel or feature. None is the first for images, the second for
            tables.
    Fit on:
        x: uint8 or float32 (images, height, width, channels), 0..255; or float32 (rows, features), any finite numbers.
            Labels that come along are ignored.
    Predict on:
        x, as above; the answer is x restored from the mean of z, in the same units.
    Raises:
        ValueError: an argument outside its range, images of unknown size, convolutions or a Bernoulli likelihood on a
            table, or data that do not fit, before the first step.
    """
    images = len(input_shape) == 3
    check_shape(input_shape, form)
    if likelihood == "bernoulli" and not images:
        raise ValueError(f"likelihood='bernoulli' is for images (height, width, channels), not {input_shape}.")
    likelihood = likelihood or ("bernoulli" if images else "gaussian")

    inputs = keras.Input(input_shape)
    x = compress(scale(inputs), form, depth, width, activation)
    mean = keras.layers.Dense(latent, dtype="float32", name="mean")(x)
    log_variance = keras.layers.Dense(latent, dtype="float32", name="log_variance")(x)
    encoder = keras.Model(inputs, [mean, log_variance], name="encoder")

    z = keras.Input((latent,))
    x = expand(z, input_shape, form, depth, width, activation)
    if likelihood == "gaussian":
        x = Spread(0.1 if images else 1.0, dtype="float32", name="spread")(x)
    network = keras.Model(z, x, name="network")
    squash = keras.layers.ReLU(1.0, dtype="float32")
    if likelihood == "bernoulli":
        squash = keras.layers.Activation("sigmoid", dtype="float32")
    z = keras.Input((latent,))
    decoder = keras.Model(z, unscale(network(z), input_shape, squash), name="decoder")

    inputs = keras.Input(input_shape)
    restored = decoder(encoder(inputs)[0])
    return VariationalAutoencoder(inputs, restored, beta=beta, likelihood=likelihood)


def draw(mean, log_variance, noise):
    """z from N(mean, exp(log_variance)), such that gradients reach both."""
    return mean + ops.exp(log_variance / 2) * noise
