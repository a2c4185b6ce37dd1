"""A recognizer as one TFLite file, with built-in operators only.

The signatures are `initial_state` and `recognize_block` of the SavedModel, for a fixed number of
streams and blocks of a fixed length. `wavenet_tf.lite` runs such files.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from wavenet_tf.deployment.recognizer_signatures import RecognizerSignatures
from wavenet_tf.deployment.signatures import traced
from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.layers import observed_activations
from wavenet_tf.sampling import checked_block_size

BLOCK_SECONDS = 0.1  # of a block: each call copies the whole state

Range = tuple[float, float]  # smallest and largest value of an activation
# These ranges follow from the functions; int8 operators require them.
FIXED_RANGES = {
    "tanh": (-1.0, 127 / 128),
    "sigmoid": (0.0, 255 / 256),
    "gated": (-1.0, 127 / 128),
}


class TFLiteRecognizerSignatures(RecognizerSignatures):
    """Functions of a recognizer's TFLite file.

    Args:
        model: a `WaveNetClassifier`; of half precision, its export computes in float32.
        block_size: samples of `recognize_block`, whole frames; None takes about `BLOCK_SECONDS`.
        batch_size: number of streams.
        recordings: waveforms, float `[samples]` in [-1, 1], on which int8 takes the ranges of the
            activations; None for another quantization.

    Raises:
        InputError: for an argument out of range.
    """

    def __init__(
        self,
        model,
        block_size: int | None = None,
        batch_size: int = 1,
        recordings: Sequence[np.ndarray] | None = None,
    ):
        super().__init__(model)
        self.block_size = checked_block_size(
            block_size,
            round(BLOCK_SECONDS * model.sample_rate),
            model.frame_length,
            "the frames of this model",
        )
        self.batch_size = positive_integer("batch_size", batch_size)
        self.ranges = None if recordings is None else self._activation_ranges(recordings)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {
            **super().metadata,
            "block_size": self.block_size,
            "batch_size": self.batch_size,
        }

    @property
    def block_frames(self) -> int:
        """Frames of a block."""
        return self.block_size // self.model.frame_length

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced for `batch_size` streams."""
        batch = self.batch_size
        inputs = {
            "initial_state": {"streams": tf.TensorSpec([batch], tf.int32, "streams")},
            "recognize_block": {
                "audio": tf.TensorSpec([batch, self.block_size], tf.float32, "audio"),
                "frame_mask": tf.TensorSpec([batch, self.block_frames], tf.float32, "frame_mask"),
                **self.state_specs(batch),
            },
        }
        functions = {"initial_state": self.initial_state, "recognize_block": self.recognize_block}
        if self.ranges is None:
            return traced(functions, inputs)
        with observed_activations(self._fake_quant):
            return traced(functions, inputs)

    def initial_state(self, streams) -> dict[str, tf.Tensor]:
        """Returns the state before the first sample; the values of `streams` are not used."""
        return self.state_tensors(self.recognizer.initial_state(self.batch_size))

    def _activation_ranges(self, recordings: Sequence[np.ndarray]) -> dict[tuple[int, str], Range]:
        """Returns the smallest and largest value of each layer's activations on recordings."""
        ranges: dict[tuple[int, str], Range] = {}

        def measure(layer, name, activation):
            lowest, highest = ranges.get((id(layer), name), (0.0, 0.0))
            array = activation.numpy()
            ranges[id(layer), name] = (
                min(lowest, float(array.min())),
                max(highest, float(array.max())),
            )
            return activation

        length = self.model.frame_length
        with observed_activations(measure):
            for waveform in recordings:
                frames = len(waveform) // length
                if frames:
                    audio = tf.constant(waveform[None, : frames * length], tf.float32)
                    state = self.recognizer.initial_state(1)
                    self.recognizer.process(audio, tf.ones([1, frames]), state)
        if not ranges:
            raise InputError(
                f"recordings must have a frame of {length} samples or more, to take ranges from; "
                f"received {len(recordings)} shorter ones"
            )
        return ranges

    def _fake_quant(self, layer, name: str, activation) -> tf.Tensor:
        """Returns an activation rounded as in int8; the converter makes int8 operators between."""
        ranges = self.ranges or {}
        lowest, highest = FIXED_RANGES.get(name) or ranges[id(layer), name]
        return tf.quantization.fake_quant_with_min_max_args(activation, lowest, highest)
