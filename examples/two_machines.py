"""Trains one model on several machines; examples/two_machines.md explains it.

python two_machines.py INDEX HOST:PORT HOST:PORT ...
"""

import sys

from keras_cookbook import callbacks, recipes

index, *addresses = sys.argv[1:]

# First of all: TensorFlow must not have run anything before.
spread = recipes.distribution("workers", workers=addresses, index=int(index))
print(spread)

data = recipes.data.load("digits", batch_size=64)
with spread.scope():
    model = recipes.mlp(data.input_shape, data.outputs, data.task)
    watch = callbacks.standard("runs/two_machines", monitor="val_accuracy", resume=True)
    model.fit(data.train, validation_data=data.validation, epochs=10, callbacks=watch, verbose=0)
    print(model.evaluate(data.test, return_dict=True, verbose=0))
