"""Text: a model that takes strings, and the first layers of a network on text or on any other sequence."""

import functools

import keras
import numpy as np

from ._model import RecipeModel
from .parts.layers import Standardization

#: A word that no text holds, since punctuation is taken off: what is known before `fit`.
NOTHING = "[none]"


@keras.saving.register_keras_serializable("keras_cookbook")
class TextModel(RecipeModel):
    """A model of strings: `fit` learns the vocabulary from the first training data, the most frequent words first;
    `fit`, `evaluate` and `predict` turn strings into numbers of words. Numbers, of a tokeniser of your own, pass.

    The network itself takes int32 (texts, tokens): 0 fills a text up, 1 is an unknown word. Longer texts are cut.

    Attributes:
        vocabulary: list of the known words, of which the first has the number 2; None before `fit`. It is saved with
            the model.
    """

    def __init__(self, inputs, outputs, name=None, *, vocabulary=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.vocabulary = vocabulary
        self._tokenize = None

    def get_config(self):
        return {**super().get_config(), "vocabulary": self.vocabulary}

    @property
    def vocabulary_size(self):
        """The number of words that the network can tell apart, with "unknown" and the filling among them."""
        return next(layer.input_dim for layer in self.layers if isinstance(layer, keras.layers.Embedding))

    def adapt_inputs(self, x, steps):
        if self.vocabulary is not None or not is_text(x):
            return
        import tensorflow as tf

        layer = self.build_tokenizer()
        if hasattr(x, "element_spec"):
            layer.adapt(x.map(lambda *batch: batch[0]).take(steps or -1))
        else:
            layer.adapt(tf.data.Dataset.from_tensor_slices(strings(x)).batch(1024))
        self.vocabulary = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
        self._tokenize = None

    def build_tokenizer(self, words=None):
        size, length = self.vocabulary_size, self.input_shape[1]
        return keras.layers.TextVectorization(size, output_sequence_length=length, vocabulary=words)

    def tokenize(self, texts):
        """Strings as int32 (texts, tokens). Before `fit` every word is unknown."""
        return self.encode(strings(texts))

    def encode(self, x):
        if not is_text(x):
            return x
        import tensorflow as tf

        if self._tokenize is None:
            # Not an attribute of its own: Keras would save the layer with the model.
            layer = self.build_tokenizer(self.vocabulary or [NOTHING])
            self._tokenize = lambda texts: layer(texts)
        if hasattr(x, "element_spec"):

            def numbers(texts, *rest):
                tokens = tf.cast(self._tokenize(texts), tf.int32)
                return (tokens, *rest) if isinstance(x.element_spec, tuple) else tokens

            return x.map(numbers, tf.data.AUTOTUNE)
        texts = strings(x)
        # Outside of a pipeline the layer answers in the backend's tensors, on a GPU if there is one.
        parts = [self._tokenize(texts[i : i + 4096]) for i in range(0, len(texts), 4096)]
        return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]).astype("int32")

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, y=None, *args, **kwargs):
        return super().evaluate(self.encode(x), y, *args, **kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **kwargs):
        return super().predict(self.encode(x), *args, **kwargs)


def is_text(x):
    if hasattr(x, "element_spec"):
        spec = x.element_spec
        return getattr(spec[0] if isinstance(spec, tuple) else spec, "dtype", None) == "string"
    if isinstance(x, list | tuple):
        return any(isinstance(text, str | bytes) for text in x[:1])
    return np.asarray(x).dtype.kind in "OUS" if hasattr(x, "shape") else False


def strings(x):
    """An array (texts,) of strings, or an error that says what else is in it."""
    texts = np.asarray(x, object)
    if texts.ndim != 1 and texts.shape[1:] != (1,):
        raise ValueError(f"x must hold a text for each example, an array (texts,), not {texts.shape}.")
    if not len(texts):
        raise ValueError("x is empty: there is no text to learn from.")
    texts = texts.reshape(-1)
    for row, text in enumerate(texts):
        if not isinstance(text, str | bytes):
            raise ValueError(f"x must hold texts; example {row} is {text!r}, a {type(text).__name__}.")
    return texts


def sequence_input(input_shape, vocabulary_size, width):
    """The input, its first features (steps, features), and the class of the model, for text or for numbers."""
    if len(input_shape) == 1:
        inputs = keras.Input(input_shape, dtype="int32", name="tokens")
        return inputs, keras.layers.Embedding(vocabulary_size, width, mask_zero=True)(inputs), TextModel
    inputs = keras.Input(input_shape)
    return inputs, Standardization()(inputs), RecipeModel
