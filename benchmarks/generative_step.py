"""Training steps of a GAN and a VAE against the usual `train_step` with tapes, on the same networks.

    python benchmarks/generative_step.py

The peers are `keras.Model` subclasses as tutorials write them, with copies of our networks, Adam, and a metric for each
loss. Batch 64 of 28x28 pixels.
"""

from harness import Side, case, epochs_of, main, recipe
from train_step import examples

BATCH, STEPS = 64, 16


def images():
    import tensorflow as tf

    x, _ = examples((28, 28, 1), 10, BATCH * STEPS)
    return tf.data.Dataset.from_tensor_slices(x).batch(BATCH).cache().prefetch(tf.data.AUTOTUNE)


def ours(name, **arguments):
    """`fit` of a recipe on images alone."""
    return epochs_of(recipe(name)((28, 28, 1), **arguments), images())


def two_tapes(**arguments):
    """A GAN with one tape for each player."""
    import keras
    import tensorflow as tf

    model = recipe("gan")((28, 28, 1), **arguments)
    generator, discriminator = (keras.models.clone_model(part) for part in (model.generator, model.discriminator))
    latent = generator.input_shape[-1]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    class TwoTapes(keras.Model):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.means = [keras.metrics.Mean(name) for name in ("generator_loss", "discriminator_loss")]
            self.players = [keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5)]

        def train_step(self, real):
            noise = tf.random.normal((tf.shape(real)[0], latent))
            with tf.GradientTape() as tape:
                fake = self.generator(noise, training=True)
                scores = self.discriminator(real, training=True), self.discriminator(fake, training=True)
                d_loss = cross_entropy(tf.ones_like(scores[0]), scores[0])
                d_loss += cross_entropy(tf.zeros_like(scores[1]), scores[1])
            weights = self.discriminator.trainable_variables
            self.players[1].apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
            noise = tf.random.normal((tf.shape(real)[0], latent))
            with tf.GradientTape() as tape:
                score = self.discriminator(self.generator(noise, training=True), training=True)
                g_loss = cross_entropy(tf.ones_like(score), score)
            weights = self.generator.trainable_variables
            self.players[0].apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
            for mean, loss in zip(self.means, (g_loss, d_loss), strict=True):
                mean.update_state(loss)
            return {mean.name: mean.result() for mean in self.means}

    model = TwoTapes()
    model.compile()
    return epochs_of(model, images())


def one_tape(**arguments):
    """A VAE with its own `train_step`."""
    import keras
    import tensorflow as tf

    model = recipe("vae")((28, 28, 1), **arguments)
    encoder, decoder = (keras.models.clone_model(part) for part in (model.encoder, model.decoder))

    class OneTape(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = encoder, decoder
            self.means = [keras.metrics.Mean(name) for name in ("loss", "reconstruction", "kl")]

        def train_step(self, x):
            with tf.GradientTape() as tape:
                mean, log_variance = self.encoder(x, training=True)
                z = mean + tf.exp(log_variance / 2) * tf.random.normal(tf.shape(mean))
                restored = self.decoder(z, training=True) / 255
                target = tf.cast(x, "float32") / 255
                error = keras.losses.binary_crossentropy(target, restored)
                reconstruction = tf.reduce_mean(tf.reduce_sum(error, axis=(1, 2)))
                kl = -0.5 * tf.reduce_sum(1 + log_variance - mean**2 - tf.exp(log_variance), axis=1)
                kl = tf.reduce_mean(kl)
                loss = reconstruction + kl
            weights = self.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            for metric, value in zip(self.means, (loss, reconstruction, kl), strict=True):
                metric.update_state(value)
            return {metric.name: metric.result() for metric in self.means}

    model = OneTape()
    model.compile(keras.optimizers.Adam())
    return epochs_of(model, images())


@case("gan step", "`train_step` with two tapes, same networks")
def gan():
    """Two passes of the generator in the peer's step, as tutorials have it, and one in ours."""
    return Side(ours, name="gan", latent=64), Side(two_tapes, latent=64)


@case("vae step", "`train_step` with a tape, same networks")
def vae():
    """Dense halves of the default size, 16 numbers."""
    return Side(ours, name="vae", latent=16), Side(one_tape, latent=16)


if __name__ == "__main__":
    main()
