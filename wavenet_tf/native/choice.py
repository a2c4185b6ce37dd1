"""The choice between TensorFlow and libwavenet."""

from collections.abc import Mapping
from typing import Any

from wavenet_tf.errors import InputError
from wavenet_tf.native.library import is_available
from wavenet_tf.options import RUNTIMES, STREAMS_FOR_GPU

# The precision of the weights in each runtime of libwavenet.
PRECISIONS = {"native": "float32", "native_int8": "int8"}


def choose_runtime(runtime: str, batch_size: int, tensorflow_only: Mapping[str, Any]) -> str:
    """Returns the runtime that samples: "tensorflow", "native" or "native_int8".

    Args:
        runtime: one of `RUNTIMES`. "auto" takes "native" where libwavenet is built, for fewer
            streams than would keep a GPU busy, unless an argument is given that only TensorFlow's
            sampler has.
        batch_size: number of streams.
        tensorflow_only: arguments that only TensorFlow's sampler has; None for one that is not
            given.

    Raises:
        InputError: for an unknown runtime, or such an argument and libwavenet.

    Example:
    >>> choose_runtime("auto", 64, {})
    'tensorflow'
    """
    if runtime not in RUNTIMES:
        raise InputError(f"runtime must be one of {', '.join(RUNTIMES)}; received {runtime!r}")
    given = [name for name, value in tensorflow_only.items() if value is not None]
    if runtime == "auto":
        fits = is_available() and batch_size < STREAMS_FOR_GPU and not given
        return "native" if fits else "tensorflow"
    if given and runtime != "tensorflow":
        raise InputError(f"{given[0]} is for the runtime tensorflow; received {runtime}")
    return runtime
