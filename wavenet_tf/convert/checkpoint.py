"""What a checkpoint of another program holds, and the configuration that is read from it."""

from typing import Any, NamedTuple

import numpy as np

from wavenet_tf.convert.weight_map import Row


class Statistics(NamedTuple):
    """Statistics of the frames that a model was trained on.

    Attributes:
        mean: of each channel, `[channels]`.
        deviation: of each channel, `[channels]`.
    """

    mean: np.ndarray
    deviation: np.ndarray


class Checkpoint(NamedTuple):
    """A checkpoint of another program.

    Attributes:
        name: name of its file, without folders.
        tensors: the weights, by the names of that program.
        options: numbers and texts that describe the model: of the configuration file, and of the
            checkpoint itself.
        statistics: of the frames that condition the model; None if they are not given.
    """

    name: str
    tensors: dict[str, np.ndarray]
    options: dict[str, Any]
    statistics: Statistics | None = None


class Conversion(NamedTuple):
    """How a checkpoint becomes a model.

    Attributes:
        arguments: of `WaveNet`.
        rows: where each weight of the model comes from.
        unused: patterns of the tensors that no output depends on, such as the residual connection
            of the last block.
        notes: what was assumed, or cannot be represented, one sentence each.
        tensors: the weights, if their names or values are not those of the checkpoint.
    """

    arguments: dict[str, Any]
    rows: list[Row]
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tensors: dict[str, np.ndarray] | None = None
