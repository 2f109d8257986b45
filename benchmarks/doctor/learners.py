"""Layers and models that learn by losses of their own, and report what tells whether they collapse."""

import keras
from keras import ops

L = keras.layers


class Experts(L.Layer):
    """Linear experts, of which each example is sent to one (Fedus et al., 2021, arXiv:2101.03961).

    The logs have `expert_load_max`, the largest share of the examples that one expert gets.

    Args:
        count: Of experts.
        units: What each of them gives.
        balance: Weight of the loss that spreads the examples.
        favour: What the first expert has over the others at the beginning.
    """

    def __init__(self, count, units, balance, favour=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"count": count, "units": units, "balance": balance, "favour": favour}
        self.load = keras.metrics.Mean("expert_load_max")

    def build(self, shape):
        count, units = self.settings["count"], self.settings["units"]
        self.gate = self.add_weight(shape=(shape[-1], count), initializer="glorot_uniform", name="gate")
        self.favour = self.add_weight(shape=(count,), initializer="zeros", name="favour")
        self.favour.assign([self.settings["favour"]] + [0.0] * (count - 1))
        kernel = keras.initializers.GlorotUniform()
        self.kernel = self.add_weight(shape=(count, shape[-1], units), initializer=kernel, name="kernel")
        self.bias = self.add_weight(shape=(count, units), initializer="zeros", name="bias")

    def call(self, x):
        shares = ops.softmax(ops.matmul(x, self.gate) + self.favour)
        sent = ops.one_hot(ops.argmax(shares, axis=-1), self.settings["count"])
        load = ops.mean(sent, axis=0)
        self.load.update_state(ops.max(load))
        if self.settings["balance"]:
            even = self.settings["count"] * ops.sum(load * ops.mean(shares, axis=0))
            self.add_loss(self.settings["balance"] * even)
        answers = ops.einsum("nd,edu->neu", x, self.kernel) + self.bias
        return ops.einsum("ne,neu->nu", sent * shares, answers)

    def get_config(self):
        return super().get_config() | self.settings


class Pairs(keras.Model):
    """Learns embeddings that two noisy looks at an example share.

    The logs have `embedding_std`, that of unit-long embeddings, beside that of directions at random: 0 is collapsed.

    Args:
        encoder: From examples to embeddings.
        negatives: Whether other examples' embeddings are kept apart (Chen et al., 2020, arXiv:2002.05709).
    """

    def __init__(self, encoder, negatives=True):
        super().__init__()
        self.encoder, self.negatives = encoder, negatives
        self.noise = keras.random.SeedGenerator()
        self.deviation = keras.metrics.Mean("embedding_std")

    def call(self, x, training=False):
        return ops.normalize(self.encoder(x, training=training), axis=-1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        other = self(x + 0.3 * keras.random.normal(ops.shape(x), seed=self.noise), training=training)
        self.deviation.update_state(ops.mean(ops.std(y_pred, axis=0)) * ops.sqrt(float(y_pred.shape[-1])))
        if not self.negatives:
            return -ops.mean(ops.sum(y_pred * other, axis=-1))
        likeness = ops.matmul(y_pred, ops.transpose(other)) / 0.2
        return ops.mean(ops.logsumexp(likeness, axis=-1) - ops.diagonal(likeness))


class Policy(keras.Model):
    """Learns by trying which action is rewarded (Williams, 1992, doi:10.1007/BF00992696), in episodes of one step.

    The logs have `entropy`, that of the policy in nats, and `episode_return`.

    Args:
        network: From states to logits of actions.
        bonus: The weight of the entropy.
        baseline: Whether the mean reward is taken off.
    """

    def __init__(self, network, bonus=0.01, baseline=True):
        super().__init__()
        self.network, self.bonus, self.baseline = network, bonus, baseline
        self.dice = keras.random.SeedGenerator()
        self.seen = {name: keras.metrics.Mean(name) for name in ("entropy", "episode_return")}

    def call(self, states, training=False):
        return self.network(states, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """y: (rows, actions), what each action would be rewarded with; only that of the one tried is used."""
        logs = ops.log_softmax(y_pred)
        tried = ops.one_hot(keras.random.categorical(y_pred, 1, seed=self.dice)[:, 0], y_pred.shape[-1])
        reward, log = ops.sum(y * tried, axis=-1), ops.sum(logs * tried, axis=-1)
        entropy = -ops.mean(ops.sum(ops.exp(logs) * logs, axis=-1))
        self.seen["entropy"].update_state(entropy)
        self.seen["episode_return"].update_state(reward)
        gain = reward - ops.mean(reward) if self.baseline else reward
        return -ops.mean(gain * log) - self.bonus * entropy


class Values(keras.Model):
    """Learns what actions are worth from steps that were made (Mnih et al., 2015, doi:10.1038/nature14236).

    The logs have `q`, the mean worth of the best action, and `episode_return`, that of the steps that were given.

    Args:
        network, slow: From states to the worth of each action; the second follows the first.
        follow: The share of the way that it follows in a step; 1 makes them the same.
        discount: Of what comes a step later.
        ends: Whether nothing is expected after an end.
    """

    def __init__(self, network, slow, follow=0.1, discount=0.9, ends=True):
        super().__init__()
        self.network, self.slow = network, slow
        self.slow.trainable = False
        self.follow, self.discount, self.ends = follow, discount, ends
        self.seen = {name: keras.metrics.Mean(name) for name in ("q", "episode_return")}

    def call(self, states, training=False):
        return self.network(states, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """y: (rows, 3 + numbers of a state), action, reward, whether that was the end, and the next state."""
        action, reward, end, following = ops.cast(y[:, 0], "int32"), y[:, 1], y[:, 2], y[:, 3:]
        later = ops.max(self.slow(following), axis=-1) * ((1 - end) if self.ends else 1.0)
        target = ops.stop_gradient(reward + self.discount * later)
        given = ops.sum(y_pred * ops.one_hot(action, y_pred.shape[-1]), axis=-1)
        self.seen["q"].update_state(ops.max(y_pred, axis=-1))
        self.seen["episode_return"].update_state(reward)
        if training:
            for slow, fast in zip(self.slow.variables, self.network.variables, strict=True):
                slow.assign(slow + self.follow * (fast - slow))
        return ops.mean(ops.square(target - given))
