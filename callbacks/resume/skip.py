"""Passing over the batches that an interrupted epoch has learned from already."""

import keras


class Skip:
    """Takes the place of a model's `train_function`, and only reads batches, until `end`.

    The first call takes a step all the same: some variables, such as those of metrics, are made in the first step only.
    What it changes is put right when all values are assigned.

    Args:
        model: A compiled model in `fit`.
    """

    def __init__(self, model: keras.Model):
        self.model, self.train_function, self.answer = model, model.train_function, None
        model.train_function = self

    def end(self):
        """Puts the model's own function back."""
        self.model.train_function = self.train_function

    def __call__(self, *arguments):
        """As the backend has it: (iterator) on TensorFlow, (state, iterator) on JAX, (batches) on PyTorch."""
        if self.answer is None:
            self.answer = self.train_function(*arguments)
            return self.answer
        if keras.backend.backend() != "torch":
            for _ in range(self.model.steps_per_execution):
                next(arguments[-1])
        # On JAX the answer is logs and state: the state went into the first step, and came out of it.
        return self.answer
