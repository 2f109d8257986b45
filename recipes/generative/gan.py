"""Generative adversarial networks: two players, one loss."""

from dataclasses import replace
from typing import Annotated

import keras
import numpy as np
from keras import ops

from .._autodiff import gradient
from .._check import named
from .._contract import recipe
from .._kinds import POSITIVE, Choice, Flag, Integer, Real, Shape
from .._model import ComposedModel
from .._training import Training
from ..parts.latent import crop, halved
from ..parts.normalization import BatchNormalization
from ..parts.spectral import SpectralNormalization

#: Name -> the loss of the discriminator from its scores of real and generated images, and that of the generator from
#: the scores of its own. A score above 0 means "real".
LOSSES = {
    "non_saturating": (
        lambda real, fake: ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake)),
        lambda fake: ops.mean(ops.softplus(-fake)),
    ),
    "hinge": (
        lambda real, fake: ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake)),
        lambda fake: -ops.mean(fake),
    ),
    "wasserstein": (
        lambda real, fake: ops.mean(fake) - ops.mean(real),
        lambda fake: -ops.mean(fake),
    ),
}


@recipe(
    data="images",
    paper="Goodfellow et al., 2014, arXiv:1406.2661",
    training=Training(learning_rate=5e-4, momentum=0.5, schedule="cosine"),
    game=True,
)
def gan(
    input_shape: Shape,
    *,
    latent: Annotated[int, Integer(1, 65536, search=(16, 128), log=True)] = 32,
    depth: Annotated[int, Integer(1, 10, search=(2, 4))] = 3,
    width: Annotated[int, Integer(1, 4096, search=(16, 128), log=True)] = 32,
    loss: Annotated[str, Choice(*LOSSES, search=True)] = "non_saturating",
    spectral_normalization: Flag = None,
    penalty: Annotated[float | None, Real(0)] = None,
    rate_ratio: Annotated[float, Real(0, search=(0.5, 4.0), log=True)] = 1.0,
    critic_steps: Annotated[int, Integer(1, search=(1, 5))] = 1,
) -> keras.Model:
    """Generative adversarial network (Goodfellow et al., 2014): a generator learns to deceive a judge that learns too.

    `model.sample(n)` makes images. Both players are convolutional (Radford et al., 2015, arXiv:1511.06434), each with
    an optimizer of its own.

    The losses of a game need not fall, so they do not tell when to stop: train for a fixed number of epochs, with
    `callbacks.standard(patience=None)`, and look at samples. `diversity` in the logs falls towards 0 when the generator
    makes the same image over and over: it is the mean distance of a generated image to the nearest other one (of up to
    32 in a batch), over the same for the real images. A discriminator loss near 0 is a judge too strong to learn from.

    On MNIST eight epochs with the defaults give digits of all ten classes, in seven minutes of processor time; the
    first epoch still shows mode collapse.

    Args:
        latent: the size of the noise that becomes an image.
        depth: the number of times that the generator doubles height and width, and the discriminator halves them.
        width: the number of filters next to the image; it doubles with every halving.
        loss: "non_saturating" (Goodfellow et al., 2014), "hinge" (Lim and Ye, 2017, arXiv:1705.02894) or "wasserstein"
            (Gulrajani et al., 2017, arXiv:1704.00028).
        spectral_normalization: whether the discriminator's kernels are divided by their largest singular value (Miyato
            et al., 2018, arXiv:1802.05957). None does so for "hinge".
        penalty: the weight of the gradient penalty, which keeps the slope of the discriminator near 1 (Gulrajani et
            al., 2017). None is 10 for "wasserstein" and 0 for the others.
        rate_ratio: the learning rate of the discriminator, over that of the generator (two time-scale rule: Heusel et
            al., 2017, arXiv:1706.08500).
        critic_steps: the number of steps of the discriminator for one of the generator, which averages its gradients.
    Fit on:
        x: uint8 or float32 (images, height, width, channels), 0..255. Labels that come along are ignored.
    Predict on:
        x: the same; the answer (images, 1) is the score of the discriminator, higher for more real.
    Raises:
        ValueError: an argument outside its range, images without a fixed size, or data that do not fit, before the
            first step.
    """
    if None in input_shape:
        raise ValueError(f"input_shape={input_shape}: the generator makes images of one size. Give height and width.")
    if penalty is None:
        penalty = 10.0 if loss == "wasserstein" else 0.0
    if spectral_normalization is None:
        spectral_normalization = loss == "hinge"
    players = {
        "discriminator": build_discriminator(input_shape, depth, width, spectral_normalization),
        "generator": build_generator(input_shape, depth, width, latent),
    }
    return GAN(players, objective=loss, penalty=penalty, rate_ratio=rate_ratio, critic_steps=critic_steps)


def build_discriminator(input_shape, depth, width, spectral):
    """Images, pixels 0..255 -> scores. What one image scores does not depend on the others, as the penalty demands."""
    norm = SpectralNormalization if spectral else lambda layer: layer
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(inputs)
    for stage in range(depth):
        conv = keras.layers.Conv2D(width * 2**stage, 4, 2, padding="same", name=f"discriminator_conv_{stage}")
        x = keras.layers.LeakyReLU(0.2)(norm(conv)(x))
    x = keras.layers.Flatten()(x)
    scores = norm(keras.layers.Dense(1, dtype="float32", name="discriminator_score"))(x)
    return keras.Model(inputs, scores, name="discriminator")


def build_generator(input_shape, depth, width, latent):
    """Noise -> images, pixels 0..255."""
    *sides, channels = input_shape
    sizes = halved(sides, depth)
    filters = [channels, *(width * 2**stage for stage in range(depth))]
    inputs = keras.Input((latent,))
    x = keras.layers.Dense(sizes[-1][0] * sizes[-1][1] * filters[-1], use_bias=False, name="generator_dense")(inputs)
    x = keras.layers.Reshape((*sizes[-1], filters[-1]))(x)
    for stage in reversed(range(depth)):
        x = BatchNormalization(momentum=0.9, name=f"generator_norm_{stage}")(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.Conv2DTranspose(
            filters[stage], 4, 2, padding="same", use_bias=stage == 0, name=f"generator_conv_{stage}"
        )(x)
        x = crop(x, sizes[stage])
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Rescaling(127.5, offset=127.5, dtype="float32")(x), name="generator")


def gradient_penalty(score, images):
    """The mean of (the length of the gradient of `score` - 1)^2 at images; lengths are those for pixels -1..1."""
    slope = 127.5 * gradient(lambda images: ops.sum(score(images)))(images)
    length = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2, 3)) + 1e-12)
    return ops.mean(ops.square(length - 1))


def mean_nearest_distance(images):
    """The mean distance of an image to the nearest other one."""
    flat = ops.reshape(ops.cast(images, "float32"), (ops.shape(images)[0], -1)) / 127.5
    flat -= ops.mean(flat, axis=0)
    length = ops.sum(ops.square(flat), axis=1)
    squares = length[:, None] + length - 2 * ops.matmul(flat, ops.transpose(flat))
    itself = ops.eye(ops.shape(flat)[0]) * 1e12
    return ops.mean(ops.sqrt(ops.maximum(ops.min(squares + itself, axis=1), 0.0)))


@keras.saving.register_keras_serializable("keras_cookbook")
class GAN(ComposedModel):
    """Two players, `discriminator` and `generator`, and the loss of each, added up: no gradient crosses from one to
    the other, so that one step moves both.

    Args:
        parts: dict of the models "discriminator" and "generator"; the layers of each bear its name.
        objective: a key of `LOSSES`.
        penalty, rate_ratio, critic_steps: see `recipes.gan`.
    """

    def __init__(self, parts, *, objective="non_saturating", penalty=0.0, rate_ratio=1.0, critic_steps=1, **kwargs):
        super().__init__(parts, **kwargs)
        self.settings = {
            "objective": objective,
            "penalty": penalty,
            "rate_ratio": rate_ratio,
            "critic_steps": critic_steps,
        }
        self.random = keras.random.SeedGenerator()
        names = ("generator_loss", "discriminator_loss", "real_score", "fake_score", "diversity")
        self.means = {name: keras.metrics.Mean(name) for name in names}

    def call(self, images, training=False):
        return self.discriminator(images, training=training)

    def build_optimizer(self, training):
        """One optimizer for each player."""
        settings = self.settings
        return training.build_optimizer(
            {
                "discriminator": replace(training, learning_rate=training.learning_rate * settings["rate_ratio"]),
                "generator": replace(training, accumulate=training.accumulate * settings["critic_steps"]),
            }
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        discriminator_loss, generator_loss = LOSSES[self.settings["objective"]]
        images = ops.cast(x, "float32")
        count = ops.shape(images)[0]
        # Read once, so that the two passes over the same images are computed once where a compiler sees it.
        player = self.discriminator
        weights = [
            [ops.convert_to_tensor(w) for w in ws]
            for ws in (player.trainable_variables, player.non_trainable_variables)
        ]

        def judge(images, weights=weights):
            # Not in training mode: what is kept beside the weights moves once in a step, with the real images.
            return player.stateless_call(*weights, images, training=False)[0]

        # Evaluation is the same each time.
        seed = self.random if training else 0
        fake = self.generator(
            keras.random.normal((count, *self.generator.input_shape[1:]), seed=seed), training=training
        )
        fixed = ops.stop_gradient(fake)
        fake_score = judge(fixed)
        loss = discriminator_loss(y_pred, fake_score)
        if self.settings["penalty"]:
            share = keras.random.uniform((count, 1, 1, 1), seed=seed)
            between = share * images + (1 - share) * fixed
            loss += self.settings["penalty"] * gradient_penalty(judge, between)
        # The generator is judged by weights that it cannot move.
        deceit = generator_loss(judge(fake, keras.tree.map_structure(ops.stop_gradient, weights)))

        distances = mean_nearest_distance(fixed[:32]), mean_nearest_distance(images[:32])  # more take time
        found = (deceit, loss, ops.mean(y_pred), ops.mean(fake_score), distances[0] / ops.maximum(distances[1], 1e-6))
        for mean, value in zip(self.means.values(), found, strict=True):
            # A batch of one image has no distances.
            mean.update_state(value, sample_weight=count - (mean.name == "diversity"))
        return loss + deceit

    def sample(self, n, seed=None):
        """Makes images.

        Args:
            n: how many.
            seed: an integer that makes them the same again; None gives others each time.

        Returns:
            float32 array (n, height, width, channels), pixels 0..255.
        """
        with named(self.name):
            POSITIVE.check(n, "n")
        noise = np.random.default_rng(seed).standard_normal((n, *self.generator.input_shape[1:]), "float32")
        return self.generator.predict(noise, verbose=0)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        # A training that is continued draws the noise that it would have drawn.
        store["random"] = ops.convert_to_numpy(self.random.state)

    def load_own_variables(self, store):
        self.random.state.assign(store["random"])

    def get_config(self):
        return {**super().get_config(), **self.settings}
