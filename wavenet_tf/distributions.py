"""What the network's outputs mean: the distribution of the next sample.

Everything is computed in float32, whatever the network's precision.
"""

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio
from wavenet_tf.layers import positive_integer

# Division by a temperature of 0 is out; at this one only exact ties escape the largest.
SMALLEST_TEMPERATURE = 1e-7


@keras.saving.register_keras_serializable(package="wavenet_tf")
class Categorical:
    """A softmax over mu-law codes (WaveNet, section 2.2).

    Args:
        quantization_channels: number of mu-law codes.

    Example:
    >>> distribution = Categorical(256)
    >>> nats = -distribution.log_likelihood(tf.zeros([1, 256]), tf.constant([128]))
    >>> round(float(nats[0]) / 0.693147, 3)  # uniform guessing among 256: 8 bits
    8.0
    """

    def __init__(self, quantization_channels: int = 256):
        self.quantization_channels = positive_integer(
            "quantization_channels", quantization_channels
        )

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash(tuple(self.get_config().items()))

    def get_config(self):
        return {"quantization_channels": self.quantization_channels}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    @property
    def parameter_channels(self) -> int:
        """Outputs of the network a sample: the logits."""
        return self.quantization_channels

    @property
    def silence(self) -> int:
        """The value of digital silence."""
        return self.quantization_channels // 2

    def encode(self, waveform) -> tf.Tensor:
        """Audio in [-1, 1] to the values that are modelled: mu-law codes, int32."""
        return audio.mu_law_encode(waveform, self.quantization_channels)

    def decode(self, values) -> tf.Tensor:
        """Mu-law codes to audio, float32 in [-1, 1]."""
        return audio.mu_law_decode(values, self.quantization_channels)

    def log_likelihood(self, parameters, values) -> tf.Tensor:
        """The logarithm of the probability of `values`.

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
            temperature: divides the logits; 0 takes the most likely code.

        Returns:
            int32 mu-law codes `[batch]`.
        """
        logits = tf.cast(parameters, tf.float32)
        logits -= tf.reduce_max(logits, axis=-1, keepdims=True)
        probabilities = tf.exp(logits / tf.maximum(temperature, SMALLEST_TEMPERATURE))
        cumulative = _cumulative_sum(probabilities)
        # One rounding step below 1 keeps the threshold below the total, and codes in range.
        threshold = tf.minimum(uniforms, 1.0 - 2.0**-23)[:, None] * cumulative[:, -1:]
        return tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), axis=-1)


def _cumulative_sum(values) -> tf.Tensor:
    """Running sum over the last axis of `[batch, n]` by two small triangular products.

    `tf.cumsum` compiles to a quadratic window sum under XLA on the CPU, which would cost as much
    as the rest of the sampling step.
    """
    size = values.shape[-1]
    columns = next(width for width in range(int(size**0.5), 0, -1) if size % width == 0)
    table = tf.reshape(values, [-1, size // columns, columns])
    up_to_column = np.triu(np.ones([columns, columns], np.float32))
    within_rows = tf.einsum("brc,cd->brd", table, up_to_column)
    rows_before = np.triu(np.ones([size // columns, size // columns], np.float32), k=1)
    before_rows = tf.einsum("br,rs->bs", within_rows[:, :, -1], rows_before)
    return tf.reshape(within_rows + before_rows[:, :, None], [-1, size])
