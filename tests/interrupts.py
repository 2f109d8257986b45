"""A callback that interrupts a training."""

from keras import callbacks as kc


class Interrupted(Exception):
    pass


class Interrupt(kc.Callback):
    """Does something before the step of that number, of those that this process sees, skipped ones included."""

    def __init__(self, step, act=None):
        super().__init__()
        self.step, self.act, self.steps = step, act, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.step:
            if self.act is None:
                raise Interrupted
            self.act()

    def get_state(self):
        return {}

    def set_state(self, state):
        pass
