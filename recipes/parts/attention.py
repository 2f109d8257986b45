"""What transformers are made of: positions, self-attention, the block of an encoder, and pooling over steps."""

import math

import keras
from keras import ops

from .layers import Dropout

#: The longest wave of a sinusoid or a rotation is 2 pi times this many steps (Vaswani et al., 2017, section 3.5).
LONGEST = 10_000.0


def angles(steps, size):
    """The angle of each step in each pair of `size` features, (steps, size / 2): one radian a step in the first pair,
    slower by equal factors down to nearly 1 / LONGEST in the last."""
    pairs = ops.arange((size + 1) // 2, dtype="float32")
    return ops.arange(steps, dtype="float32")[:, None] * ops.exp(-2 * math.log(LONGEST) / size * pairs)


def sinusoids(steps, width):
    """The table (steps, width) of Vaswani et al., 2017: sine and cosine in turn, each pair slower than the last."""
    angle = angles(steps, width)
    return ops.reshape(ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1), (steps, -1))[:, :width]


def rotate(x):
    """Turns each pair of features of x (..., steps, size) by an angle that grows with the step (Su et al., 2021,
    arXiv:2104.09864), so that the product of two steps depends on how far apart they are, and not on where.

    Feature i is paired with feature i + size / 2; the size must be even.
    """
    angle = angles(ops.shape(x)[-2], x.shape[-1])
    cosine, sine = ops.cast(ops.cos(angle), x.dtype), ops.cast(ops.sin(angle), x.dtype)
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


@keras.saving.register_keras_serializable("keras_cookbook")
class Positions(keras.layers.Layer):
    """Adds to each step (batch, steps, width) what tells its place.

    Args:
        kind: "sinusoidal", a fixed table that goes on for ever; or "learned", a vector of weights for each step, of
            which the number must be known.
    """

    def __init__(self, kind="sinusoidal", **kwargs):
        super().__init__(**kwargs)
        self.kind, self.supports_masking = kind, True

    def build(self, input_shape):
        if self.kind == "learned":
            self.table = self.add_weight(shape=input_shape[1:], initializer="uniform", name="table")

    def call(self, inputs):
        if self.kind == "learned":
            return inputs + self.table
        return inputs + ops.cast(sinusoids(ops.shape(inputs)[1], inputs.shape[-1]), inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable("keras_cookbook")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention (Vaswani et al., 2017): each step becomes a weighted mean of all, the weights by the
    likeness of its query and their keys.

    Equal to `keras.layers.MultiHeadAttention(heads, width // heads)(x, x)`, with queries, keys and values in one matrix
    product, and rotary positions. Masked steps are not looked at.

    Args:
        heads: the number of means, each over its own part of the features; a divisor of their number.
        causal: whether a step sees only itself and the steps before it.
        rotary: whether queries and keys are rotated by their position; see `rotate`.
    """

    def __init__(self, heads, causal=False, rotary=False, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.causal, self.rotary, self.supports_masking = heads, causal, rotary, True

    def build(self, input_shape):
        width = input_shape[-1]
        self.projection = keras.layers.Dense(3 * width, dtype=self.dtype_policy, name="projection")
        self.output_dense = keras.layers.Dense(width, dtype=self.dtype_policy, name="output")
        self.projection.build(input_shape)
        self.output_dense.build(input_shape)

    def call(self, inputs, mask=None, return_attention_scores=False):
        steps, width = ops.shape(inputs)[1], inputs.shape[-1]
        size = width // self.heads
        parts = ops.reshape(self.projection(inputs), (-1, steps, 3, self.heads, size))
        query, key, value = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)), 3)
        if self.rotary:
            query, key = rotate(query), rotate(key)
        scores = ops.matmul(query * size**-0.5, ops.swapaxes(key, -1, -2))
        if mask is not None:
            scores += forbid(ops.logical_not(mask)[:, None, None, :], scores.dtype)
        if self.causal:
            step = ops.arange(steps)
            scores += forbid(step[:, None] < step, scores.dtype)
        scores = ops.softmax(scores)
        mixed = ops.transpose(ops.matmul(scores, value), (0, 2, 1, 3))
        answer = self.output_dense(ops.reshape(mixed, (-1, steps, width)))
        return (answer, scores) if return_attention_scores else answer

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "causal": self.causal, "rotary": self.rotary}


def forbid(where, dtype):
    """What makes scores vanish in a softmax; two of it together are finite even in float16."""
    return ops.cast(where, dtype) * -3e4


@keras.saving.register_keras_serializable("keras_cookbook")
class EncoderBlock(keras.layers.Layer):
    """Self-attention, then two dense layers for each step; each adds to its input what it makes of the normalised input
    (Xiong et al., 2020, arXiv:2002.04745), which trains without care where normalising the sum does not.

    Args:
        heads: the number of heads of the attention.
        units: the size of the first dense layer.
        activation: its non-linearity.
        dropout: the share of what is added that is left out, in each training step.
        causal: whether a step sees only itself and the steps before it.
        rotary: whether the attention has rotary positions.
    """

    def __init__(self, heads, units, activation="gelu", dropout=0.0, causal=False, rotary=False, **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "heads": heads,
            "units": units,
            "activation": activation,
            "causal": causal,
            "rotary": rotary,
        }
        self.supports_masking = True
        policy = {"dtype": self.dtype_policy}
        self.attention = SelfAttention(heads, causal, rotary, name="attention", **policy)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-6, name="attention_norm", **policy)
        self.expansion = keras.layers.Dense(units, activation, name="expansion", **policy)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm", **policy)
        self.dropouts = [Dropout(dropout, **policy) for _ in range(2)]

    def build(self, input_shape):
        width = input_shape[-1]
        self.contraction = keras.layers.Dense(width, name="contraction", dtype=self.dtype_policy)
        for layer in (self.attention, self.attention_norm, self.expansion, self.norm):
            layer.build(input_shape)
        self.contraction.build((*input_shape[:-1], self.settings["units"]))

    def call(self, inputs, mask=None, training=None):
        x = self.attention(self.attention_norm(inputs), mask=mask)
        x = inputs + self.dropouts[0](x, training=training)
        added = self.contraction(self.expansion(self.norm(x)))
        return x + self.dropouts[1](added, training=training)

    def get_config(self):
        return {**super().get_config(), **self.settings, "dropout": self.dropouts[0].rate}


@keras.saving.register_keras_serializable("keras_cookbook")
class StepPooling(keras.layers.Layer):
    """(batch, steps, width) to (batch, width): the mean, the maximum or the first of the steps that are not masked;
    zeros where all are, for which `GlobalAveragePooling1D` gives NaN.

    Args:
        kind: "mean", "max" or "first".
    """

    def __init__(self, kind="mean", **kwargs):
        super().__init__(**kwargs)
        self.kind, self.supports_masking = kind, True

    def call(self, inputs, mask=None):
        if self.kind == "first":
            return inputs[:, 0]
        if mask is None:
            return ops.mean(inputs, axis=1) if self.kind == "mean" else ops.max(inputs, axis=1)
        there = ops.cast(mask, inputs.dtype)[:, :, None]
        if self.kind == "mean":
            return ops.sum(inputs * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1)
        return ops.max(inputs * there + forbid(1 - there, inputs.dtype), axis=1) * ops.max(there, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
