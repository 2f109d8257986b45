"""Replicas on TensorFlow: `tf.distribute` strategies, as Keras can use them."""

from .mesh import NoTPU


def devices():
    """The names of the devices that TensorFlow sees, such as "GPU:0"."""
    import tensorflow as tf

    return [short(device.name) for device in tf.config.list_logical_devices()]


def short(name):
    return ":".join(name.split(":")[-2:])


def best():
    """The kind of distribution that this machine asks for."""
    from keras_cookbook.callbacks.workers import together

    if together():
        return "workers"
    kinds = [name.split(":")[0] for name in devices()]
    return "tpu" if "TPU" in kinds else "data" if kinds.count("GPU") > 1 else "one"


def mirrored(devices):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(devices)
    return tuple(devices), strategy, strategy.num_replicas_in_sync


def multi_worker():
    import tensorflow as tf

    from keras_cookbook.callbacks.workers import addresses

    class Workers(tf.distribute.MultiWorkerMirroredStrategy):
        """A strategy that `keras.Model.fit` can use.

        Keras 3 asks `reduce` for two things that TensorFlow refuses: for a whole batch, of which it needs the shapes
        alone; and for the mean over the first axis of metrics, which are scalars (keras-team/keras issue 20585).
        """

        def reduce(self, reduce_op, value, axis):
            if isinstance(value, tuple | list | dict):
                return tf.nest.map_structure(lambda part: self.experimental_local_results(part)[0], value)
            if axis == 0 and self.experimental_local_results(value)[0].shape.rank == 0:
                axis = None
            return super().reduce(reduce_op, value, axis)

    try:
        strategy = Workers()
    except RuntimeError as error:
        raise RuntimeError(
            f"call recipes.distribution('workers') before anything else that runs on TensorFlow: {error}"
        ) from error
    names = tuple(f"{address} {short(name)}" for address in addresses() for name in strategy.extended.worker_devices)
    return names, strategy, strategy.num_replicas_in_sync


def tpu():
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise NoTPU(f"there is no TPU ({error})") from error
    strategy = tf.distribute.TPUStrategy(resolver)
    names = tuple(short(device.name) for device in tf.config.list_logical_devices("TPU"))
    return names, strategy, strategy.num_replicas_in_sync
