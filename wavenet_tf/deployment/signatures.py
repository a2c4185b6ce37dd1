"""What the signatures of all exported models have in common."""

import abc
import json
from typing import Any

import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.sampling import model_metadata


class Signatures(abc.ABC):
    """Functions of an exported model.

    Args:
        model: a `WaveNet` or a `WaveNetClassifier`.

    Attributes:
        model: the model whose functions are exported.
        task: what the model does, `wavenet_tf.clients.GENERATION` or
            `wavenet_tf.clients.RECOGNITION`.
    """

    task: str

    def __init__(self, model):
        self.model = model

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return model_metadata(self.model, self.task)

    def metadata_text(self, streams) -> dict[str, tf.Tensor]:
        """Returns the metadata as JSON text, for clients without access to the files.

        There is a row for each row of the input: TensorFlow Serving accepts no signature without
        inputs, neither over REST nor in batches.
        """
        return {"json": tf.fill(tf.shape(streams), json.dumps(self.metadata))}

    @property
    def variables(self) -> list[Any]:
        """The variables that the functions read."""
        return list(self.model.variables)

    @abc.abstractmethod
    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced."""


def checked_max_samples(max_seconds: float, sample_rate: int, unit: int) -> int:
    """Returns the samples of `max_seconds`, whose number must fit 32 bits in whole blocks.

    Args:
        max_seconds: longest audio of one request, in seconds.
        sample_rate: of the model, in Hz.
        unit: samples of a block.

    Raises:
        InputError: for less than a sample, or too many samples.
    """
    most = (2**31 - 1) // unit * unit
    if not max_seconds * sample_rate >= 1:
        raise InputError(
            f"max_seconds must be above 0 and give at least one sample at {sample_rate} Hz; "
            f"received {max_seconds}"
        )
    if max_seconds * sample_rate > most:
        raise InputError(
            f"max_seconds must be at most {most // sample_rate} at {sample_rate} Hz, as samples "
            f"are counted in 32 bits; received {max_seconds}"
        )
    return int(max_seconds * sample_rate)


def traced(functions: dict[str, Any], inputs: dict[str, dict]) -> dict[str, Any]:
    """Returns functions by name, traced for their inputs.

    Args:
        functions: by name.
        inputs: for each name, a `tf.TensorSpec` per argument.
    """
    return {
        name: tf.function(function, autograph=False).get_concrete_function(**inputs[name])
        for name, function in functions.items()
    }
