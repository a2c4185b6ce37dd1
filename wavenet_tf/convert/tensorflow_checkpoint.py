"""Variables in TensorFlow's checkpoints, as programs for TensorFlow 1 wrote them."""

import os
from pathlib import Path

import numpy as np

from wavenet_tf.convert.checkpoint import Checkpoint
from wavenet_tf.errors import InputError

# Endings of the names of an optimizer's variables, and of averaged weights.
OPTIMIZER_ENDINGS = ("/Adam", "/Adam_1", "/Momentum", "/RMSProp", "/RMSProp_1", "/RMSProp_2")
AVERAGE_ENDING = "/ExponentialMovingAverage"
SUFFIXES = (".index", ".meta", ".data-00000-of-00001")


def find_prefix(path: str | os.PathLike) -> Path | None:
    """Returns the prefix of the files of a checkpoint; None if there are none.

    Args:
        path: the prefix, such as `model.ckpt-1000`, or one of the files.

    Example:
    >>> find_prefix("no/model.ckpt-1000") is None
    True
    """
    text = os.fspath(path)
    for suffix in SUFFIXES:
        text = text.removesuffix(suffix)
    return Path(text) if Path(f"{text}.index").is_file() else None


def read_checkpoint(prefix: Path) -> Checkpoint:
    """Returns the variables of a checkpoint, floats in float32, without those of optimizers.

    Of variables with an exponential moving average, the average is taken.

    Args:
        prefix: of the checkpoint's files.

    Raises:
        InputError: if the files cannot be read.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = reader.get_variable_to_shape_map()
        tensors = {}
        for name in sorted(names):
            if name.endswith((*OPTIMIZER_ENDINGS, AVERAGE_ENDING)) or "/" not in name:
                continue
            average = name + AVERAGE_ENDING
            tensor = reader.get_tensor(average if average in names else name)
            tensors[name] = tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {prefix} as a checkpoint of TensorFlow: {reason}") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(f"{prefix} holds NaN or infinity in {name}")
    return Checkpoint(prefix.name, tensors, {})
