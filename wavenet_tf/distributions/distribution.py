"""The base of output distributions: how the network's outputs parameterize the next sample.

Everything is computed in float32, whatever the network's precision.
"""

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError

# A temperature of 0 would divide by zero; at this one the largest logit wins unless it is tied.
SMALLEST_TEMPERATURE = 1e-7


class Distribution:
    """Base of all distributions, which are compared and saved by their arguments."""

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), *self.get_config().items()))

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    dtype: tf.DType

    @property
    def values_expected(self) -> str:
        """Description of the values, for errors."""
        raise NotImplementedError

    def checked(self, values, name: str) -> tf.Tensor:
        """Returns values in the distribution's type, `[batch, time]`.

        Raises:
            InputError: as `check_type` raises it.
        """
        values = tf.convert_to_tensor(values)
        self.check_type(values, name)
        return tf.cast(values, self.dtype)

    def check_type(self, values, name: str) -> None:
        """Raises InputError unless values are of a type and rank that the distribution models.

        Args:
            values: an array, a tensor or a `tf.TensorSpec`.
            name: name of the argument, for the error.
        """
        dtype = tf.as_dtype(values.dtype)
        fits = dtype.is_integer if self.dtype.is_integer else dtype.is_floating
        if not fits:
            raise InputError(f"{name} must be {self.values_expected}; received {dtype.name}")
        shape = tf.TensorShape(values.shape)
        if shape.rank not in (None, 2):
            raise InputError(f"{name} must have shape [batch, time]; received shape {list(shape)}")

    def check_values(self, values: np.ndarray, name: str) -> None:
        """Raises InputError unless values are of a type, rank and range that the network models."""
        self.check_type(values, name)
        lowest, highest = self.value_range
        inside = (values >= lowest) & (values <= highest)  # NaN is not
        if not inside.all():
            raise InputError(
                f"{name} must be {self.values_expected}; received {values[~inside][0]}"
            )

    @property
    def value_range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        raise NotImplementedError

    def parameters(self, outputs, previous) -> tf.Tensor:
        """Returns the distribution's parameters: the network's outputs, unchanged.

        Args:
            outputs: outputs of the network, `[..., parameter_channels]`.
            previous: the value before the predicted one, `[...]`.
        """
        return outputs


def draw_index(logits, uniforms, temperature) -> tf.Tensor:
    """Returns the index in each row of `[batch, n]` logits that `uniforms` `[batch]` select."""
    logits -= tf.reduce_max(logits, axis=-1, keepdims=True)
    temperature = tf.reshape(tf.maximum(temperature, SMALLEST_TEMPERATURE), [-1, 1])
    probabilities = tf.exp(logits / temperature)
    cumulative = _cumulative_sum(probabilities)
    # One rounding step below 1 keeps the threshold below the total, and indices in range.
    threshold = tf.minimum(uniforms, 1.0 - 2.0**-23)[:, None] * cumulative[:, -1:]
    return tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), axis=-1)


def _cumulative_sum(values) -> tf.Tensor:
    """Returns the running sum over the last axis of `[batch, n]`, by two triangular products.

    `tf.cumsum` compiles to a quadratic window sum under XLA on the CPU, which would take as long
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
