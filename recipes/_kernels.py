"""oneDNN's kernels for TensorFlow, which leaves them off on processors without AVX-512."""

import os
import sys
import warnings

SWITCH = "TF_ENABLE_ONEDNN_OPTS"


def switch_on():
    """Switches them on where nobody has said otherwise; warns where TensorFlow, which reads this once, came before."""
    if SWITCH in os.environ:
        return
    os.environ[SWITCH] = "1"
    if "tensorflow" in sys.modules and _missed():
        warnings.warn(
            "TensorFlow was imported before keras_cookbook, and on this processor leaves oneDNN's kernels off: "
            "convolutions take about twice as long. Import keras_cookbook first, or set the environment variable "
            f"{SWITCH}=1; 0 keeps them off, without this warning.",
            RuntimeWarning,
            stacklevel=3,
        )


def _missed():
    import keras
    import tensorflow as tf
    from tensorflow.python.util._pywrap_util_port import IsMklEnabled, IsX86Available

    here = keras.backend.backend() == "tensorflow" and not tf.config.list_physical_devices("GPU")
    return here and IsX86Available() and not IsMklEnabled()
