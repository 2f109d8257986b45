"""An epoch of MNIST's batches without a model, ours against TFDS.

    python benchmarks/input_pipeline.py

Batches of 128, shuffled; the first epoch, which fills caches, is the warm-up.
"""

from harness import Side, case, clock, imported, main
from time_to_accuracy import digits

BATCH = 128


def reading(data):
    def run():
        start = clock()
        for _ in data:
            pass
        return clock() - start

    return run


def ours():
    """`recipes.data.load`."""
    return reading(digits(batch_size=BATCH, validation=0).train)


def tfds(cached):
    """`tfds.load`, shuffled and batched; with cache and prefetch where the guide of TFDS has them."""
    tensorflow_datasets = imported("tensorflow_datasets", "TFDS")
    import tensorflow as tf

    digits(validation=0)  # is it here at all?
    data = tensorflow_datasets.load("mnist", split="train", as_supervised=True, shuffle_files=True, download=False)
    if cached:
        data = data.cache().shuffle(60_000).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    else:
        data = data.shuffle(10_000).batch(BATCH)
    return reading(data)


@case("input pipeline", "`tfds.load`, shuffle and batch")
def plain():
    """The three calls that most scripts have."""
    return Side(ours), Side(tfds, cached=False)


@case("input pipeline, cached", "`tfds.load`, cache, shuffle, batch and prefetch")
def cached():
    """What the performance guide of TFDS recommends."""
    return Side(ours), Side(tfds, cached=True)


if __name__ == "__main__":
    main()
