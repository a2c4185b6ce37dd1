"""How the sampling loop gets each value: by sampling it, or by reading and scoring a given one."""

import tensorflow as tf

from wavenet_tf.sampling.config import SamplerConfig
from wavenet_tf.sampling.filters import keep_top_k, keep_top_p


class SampleDraw:
    """Samples each value by the inverse of the cumulative distribution.

    Args:
        config: of the sampling loop.
        uniforms: float32 `[batch, time]` in [0, 1), or `[batch, time, 2]` for the mixtures, see
            `uniforms_shape` of the distribution.
        temperature: float32 scalar or `[batch]`.

    Attributes:
        inputs: what the loop reads per sample, `[batch, time, ...]`.
    """

    def __init__(self, config: SamplerConfig, uniforms, temperature):
        self.config, self.temperature = config, temperature
        self.inputs = tf.convert_to_tensor(uniforms)

    def result_dtype(self, value_dtype):
        """Returns the type of the results: they are the sampled values."""
        return value_dtype

    def __call__(self, parameters, uniform) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the sampled value, `[batch]`, and the same as the result."""
        if self.config.top_k is not None:
            parameters = keep_top_k(parameters, self.config.top_k)
        if self.config.top_p is not None:
            parameters = keep_top_p(parameters, self.config.top_p)
        value = self.config.distribution.sample(parameters, uniform, self.temperature)
        return value, value


class ScoreDraw:
    """Reads each value from given ones, and computes its log-likelihood.

    Args:
        config: of the sampling loop.
        values: of the distribution, `[batch, time]`.

    Attributes:
        inputs: what the loop reads per sample, `[batch, time]`.
    """

    def __init__(self, config: SamplerConfig, values):
        self.config = config
        self.inputs = tf.convert_to_tensor(values)

    def result_dtype(self, value_dtype):
        """Returns the type of the results: log-likelihoods, in nats."""
        return tf.float32

    def __call__(self, parameters, value) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the given value and its log-likelihood, `[batch]` each."""
        return value, self.config.distribution.log_likelihood(parameters, value)
