"""The softmax over codes."""

import dataclasses
import math

import keras
import tensorflow as tf

from wavenet_tf import audio
from wavenet_tf.audio.code_table import checked_code_table
from wavenet_tf.distributions.distribution import Distribution, draw_index
from wavenet_tf.errors import positive_integer


@keras.saving.register_keras_serializable(package="wavenet_tf")
class Categorical(Distribution):
    """A softmax over mu-law codes (WaveNet, section 2.2).

    Args:
        quantization_channels: number of mu-law codes.
        code_table: a `audio.CodeTable`, or its attributes as a dict, which replaces the mu-law;
            None for the mu-law.

    Raises:
        InputError: for an argument out of its range, or a table with another number of codes.

    Example:
    >>> distribution = Categorical(256)
    >>> nats = -distribution.log_likelihood(tf.zeros([1, 256]), tf.constant([128]))
    >>> round(float(nats[0]) / 0.693147, 3)  # uniform guessing among 256: 8 bits
    8.0
    """

    dtype = tf.int32

    def __init__(self, quantization_channels: int = 256, code_table=None):
        self.quantization_channels = positive_integer(
            "quantization_channels", quantization_channels
        )
        self.code_table = checked_code_table(code_table, self.quantization_channels)

    def __hash__(self):
        return hash((type(self), self.quantization_channels, self.code_table))

    @property
    def values_expected(self) -> str:
        """Description of the values, for errors."""
        return (
            f"mu-law codes, whole numbers from 0 to {self.quantization_channels - 1}, as "
            "model.distribution.encode(audio) returns them"
        )

    @property
    def value_range(self) -> tuple[float, float]:
        """The lowest and the highest code."""
        return 0, self.quantization_channels - 1

    def get_config(self):
        table = self.code_table and dataclasses.asdict(self.code_table)
        return {"quantization_channels": self.quantization_channels, "code_table": table}

    @property
    def parameter_channels(self) -> int:
        """Outputs of the network per sample: the logits."""
        return self.quantization_channels

    @property
    def uniforms_shape(self) -> tuple[int, ...]:
        """Shape of the uniform numbers per sample: a single one."""
        return ()

    @property
    def uniform_bits(self) -> float:
        """Bits per sample of uniform guessing among all codes."""
        return math.log2(self.quantization_channels)

    @property
    def silence(self) -> int:
        """The value of digital silence."""
        if self.code_table is not None:
            return self.code_table.silence
        return self.quantization_channels // 2

    def encode(self, waveform) -> tf.Tensor:
        """Returns audio in [-1, 1] as mu-law codes, int32."""
        if self.code_table is not None:
            return _count_reached(self.code_table.thresholds, tf.cast(waveform, tf.float32))
        return audio.mu_law_encode(waveform, self.quantization_channels)

    def decode(self, values) -> tf.Tensor:
        """Returns mu-law codes as audio, float32 in [-1, 1]."""
        if self.code_table is not None:
            return tf.gather(tf.constant(self.code_table.values, tf.float32), values)
        return audio.mu_law_decode(values, self.quantization_channels)

    def compand(self, values) -> tf.Tensor:
        """Returns codes as companded audio, float32 in [-1, 1]; 0 is silence."""
        half = self.quantization_channels / 2.0
        return (tf.cast(values, tf.float32) - self.silence) / half

    def log_likelihood(self, parameters, values) -> tf.Tensor:
        """Returns the logarithm of the probability of `values`.

        Args:
            parameters: logits `[..., quantization_channels]`.
            values: mu-law codes `[...]`.

        Returns:
            float32 `[...]`, in nats.
        """
        # Keras hands targets to a loss as floats.
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.cast(values, tf.int32), logits=tf.cast(parameters, tf.float32)
        )

    def sample(self, parameters, uniforms, temperature=1.0) -> tf.Tensor:
        """Draws values by the inverse of the cumulative distribution.

        Args:
            parameters: logits `[batch, quantization_channels]`; -inf excludes a code.
            uniforms: float32 `[batch]` in [0, 1): the same uniforms give the same values.
            temperature: scalar or `[batch]`, divides the logits; 0 takes the most likely code.

        Returns:
            int32 mu-law codes `[batch]`.
        """
        return draw_index(tf.cast(parameters, tf.float32), uniforms, temperature)


def _count_reached(thresholds, values) -> tf.Tensor:
    """Returns how many of the ascending thresholds are at or below each value, int32.

    A binary search in operations that TFLite has, unlike `tf.searchsorted`.
    """
    size = 1 << len(thresholds).bit_length()
    padded = tf.constant([*thresholds, *[math.inf] * (size - 1 - len(thresholds))], tf.float32)
    count, step = tf.zeros_like(values, tf.int32), size // 2
    while step:
        reached = values >= tf.gather(padded, count + (step - 1))
        count, step = count + step * tf.cast(reached, tf.int32), step // 2
    return count
