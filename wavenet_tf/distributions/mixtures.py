"""Mixtures of logistic and of normal distributions over 16-bit samples."""

import math

import keras
import tensorflow as tf

from wavenet_tf import audio
from wavenet_tf.audio import STEPS_OF_16_BITS
from wavenet_tf.distributions.distribution import Distribution, draw_index
from wavenet_tf.errors import InputError, optional_number, positive_integer
from wavenet_tf.options import MIXTURE_MEANS

# Added to the network's log scales, so that an untrained network predicts as narrowly as speech is.
TYPICAL_LOG_SCALE = -4.0
# Factor of the previous sample in the mean of the next (LPCNet, arXiv 1810.11846, section 3.2).
PRE_EMPHASIS = 0.85
# Largest distance of a mean from that, in scales: in quiet audio an offset must decay.
LARGEST_DISTANCE = 16.0


class _Mixture(Distribution):
    """A mixture of `num_mixtures` components over 16-bit samples.

    The network's outputs are the logits of the components' weights, their means, and the logarithms
    of their scales less `TYPICAL_LOG_SCALE`, each `[..., num_mixtures]`.

    Args:
        num_mixtures: components.
        means: "relative" to the previous value, see `parameters`; or "absolute", which leaves the
            network's means as they are.
        log_scale_floor: smallest logarithm of a scale; None takes `smallest_log_scale`.
        rounding: whether values are rounded to 16 bits; otherwise they are only clipped.
    """

    dtype = tf.float32
    smallest_log_scale: float

    @property
    def values_expected(self) -> str:
        """Description of the values, for errors."""
        return "float audio in [-1, 1]"

    @property
    def value_range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return -1.0, 1.0

    def __init__(
        self,
        num_mixtures: int = 10,
        means: str = "relative",
        log_scale_floor: float | None = None,
        rounding: bool = True,
    ):
        self.num_mixtures = positive_integer("num_mixtures", num_mixtures)
        if means not in MIXTURE_MEANS:
            raise InputError(f"means must be one of {', '.join(MIXTURE_MEANS)}; received {means!r}")
        self.means, self.rounding = means, rounding
        floor = optional_number("log_scale_floor", log_scale_floor)
        self.log_scale_floor = self.smallest_log_scale if floor is None else floor

    def get_config(self):
        return {
            "num_mixtures": self.num_mixtures,
            "means": self.means,
            "log_scale_floor": self.log_scale_floor,
            "rounding": self.rounding,
        }

    @property
    def parameter_channels(self) -> int:
        """Outputs of the network per sample: logit, mean and log scale of each component."""
        return 3 * self.num_mixtures

    @property
    def uniforms_shape(self) -> tuple[int, ...]:
        """Shape of the uniform numbers per sample: for the component, and for the value."""
        return (2,)

    @property
    def silence(self) -> float:
        """The value of digital silence."""
        return 0.0

    @property
    def uniform_bits(self) -> float:
        """Bits per sample of uniform guessing among all 16-bit values."""
        return 16.0

    def parameters(self, outputs, previous) -> tf.Tensor:
        """Returns the distribution's parameters, with absolute means.

        Relative means of the network are distances from `PRE_EMPHASIS` times the previous value,
        in scales. Means must be right to a small part of the scale, which may be a thousandth of
        full scale; absolute means take thousands of steps to get there. With means relative to the
        whole previous value, or without a bound on the distance, generated audio drifts away from
        zero.

        Args:
            outputs: outputs of the network, `[..., parameter_channels]`.
            previous: the value before the predicted one, `[...]`.
        """
        if self.means == "absolute":
            return tf.cast(outputs, tf.float32)
        logits, distances, log_scales = tf.split(tf.cast(outputs, tf.float32), 3, axis=-1)
        # Beyond full scale the distance has no meaning.
        scales = tf.exp(tf.minimum(self._clipped(log_scales), 0.0))
        distances = LARGEST_DISTANCE * tf.tanh(distances / LARGEST_DISTANCE)
        means = PRE_EMPHASIS * tf.cast(previous, tf.float32)[..., None] + scales * distances
        return tf.concat([logits, means, log_scales], axis=-1)

    def encode(self, waveform) -> tf.Tensor:
        """Returns audio in [-1, 1] rounded to 16 bits, or clipped only, float32."""
        if not self.rounding:
            return tf.clip_by_value(tf.cast(waveform, tf.float32), -1.0, 1.0)
        steps = tf.round(tf.cast(waveform, tf.float32) * STEPS_OF_16_BITS)
        return tf.clip_by_value(steps, -STEPS_OF_16_BITS, STEPS_OF_16_BITS - 1) / STEPS_OF_16_BITS

    def decode(self, values) -> tf.Tensor:
        """Returns 16-bit values as audio, float32 in [-1, 1]: they are audio already."""
        return tf.cast(values, tf.float32)

    def compand(self, values) -> tf.Tensor:
        """Returns values companded by the mu-law, float32 in [-1, 1]."""
        return audio.mu_law_compand(values)

    def log_likelihood(self, parameters, values) -> tf.Tensor:
        """Returns the logarithm of the probability of 16-bit values.

        Args:
            parameters: `[..., 3 * num_mixtures]`.
            values: multiples of 2**-15 in [-1, 1), `[...]`.

        Returns:
            float32 `[...]`, in nats.
        """
        logits, means, log_scales = self._components(parameters)
        values = tf.cast(values, tf.float32)[..., None]
        log_likelihoods = self._component_log_likelihood(values, means, log_scales)
        return tf.reduce_logsumexp(tf.nn.log_softmax(logits) + log_likelihoods, axis=-1)

    def sample(self, parameters, uniforms, temperature=1.0) -> tf.Tensor:
        """Samples values by the inverse of the cumulative distribution, rounded to 16 bits.

        Args:
            parameters: `[batch, 3 * num_mixtures]`.
            uniforms: float32 `[batch, 2]` in [0, 1): the first of each pair selects the
                component, the second the value.
            temperature: scalar or `[batch]`, divides the logits and multiplies the scales; 0 takes
                the mean of the likeliest component.

        Returns:
            float32 multiples of 2**-15 in [-1, 1), `[batch]`.
        """
        logits, means, log_scales = self._components(parameters)
        component = draw_index(logits, uniforms[:, 0], temperature)
        chosen = tf.one_hot(component, self.num_mixtures)
        mean, log_scale = (tf.reduce_sum(chosen * part, axis=-1) for part in (means, log_scales))
        # Half a rounding step away from 0 and 1, where the inverse is infinite.
        uniform = tf.clip_by_value(uniforms[:, 1], 2.0**-25, 1.0 - 2.0**-24)
        return self.encode(mean + temperature * tf.exp(log_scale) * self._quantile(uniform))

    def _components(self, parameters) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits, means, log_scales = tf.split(tf.cast(parameters, tf.float32), 3, axis=-1)
        return logits, means, self._clipped(log_scales)

    def _clipped(self, log_scales) -> tf.Tensor:
        return tf.maximum(log_scales + TYPICAL_LOG_SCALE, self.log_scale_floor)

    def _component_log_likelihood(self, values, means, log_scales) -> tf.Tensor:
        raise NotImplementedError

    def _quantile(self, uniform) -> tf.Tensor:
        """Returns the inverse of the cumulative distribution at mean 0 and scale 1."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="wavenet_tf")
class LogisticMixture(_Mixture):
    """A discretized mixture of logistics over 16-bit samples (PixelCNN++, arXiv 1701.05517).

    The probability of a value is the mixture's mass within half a step of it; the two outermost
    values get all the mass beyond them too, so that the 65,536 probabilities add up to 1.

    Args:
        num_mixtures: components.
        means: what the network's means are: "relative" to the previous value, in scales, or
            "absolute".
        log_scale_floor: smallest natural logarithm of a scale; None takes -13.
        rounding: whether values are rounded to 16 bits; otherwise they are clipped to [-1, 1] only.

    Example:
    >>> distribution = LogisticMixture(num_mixtures=1)
    >>> nats = -distribution.log_likelihood(tf.constant([[0.0, 0.0, 0.0]]), tf.constant([0.0]))
    >>> round(float(nats[0]) / 0.693147, 2)  # of 16 bits, at a scale of exp(-4)
    11.23
    """

    # A component as narrow as this has all but 0.2% of its mass on one 16-bit value.
    smallest_log_scale = -13.0

    def _component_log_likelihood(self, values, means, log_scales):
        half_step = 0.5 / STEPS_OF_16_BITS
        inverse_scales = tf.exp(-log_scales)
        upper = (values + half_step - means) * inverse_scales
        lower = (values - half_step - means) * inverse_scales
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), exact in both tails.
        below = tf.math.log_sigmoid(upper)
        above = tf.math.log_sigmoid(-lower)
        inside = below + above + tf.math.log(-tf.math.expm1(-2.0 * half_step * inverse_scales))
        lowest = values < -1.0 + half_step
        highest = values > 1.0 - 3.0 * half_step
        return tf.where(lowest, below, tf.where(highest, above, inside))

    def _quantile(self, uniform):
        return tf.math.log(uniform) - tf.math.log1p(-uniform)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class GaussianMixture(_Mixture):
    """A mixture of Gaussians over 16-bit samples; a single one does well (ClariNet, 1807.07281).

    The probability of a value is the density there times the width of a 16-bit step: near enough
    the mass within half a step of it, the scales being at least 4 steps. What lies beyond full
    scale is sampled as full scale, but its mass is not counted there.

    Args:
        num_mixtures: components; may be 1.
        means: what the network's means are: "relative" to the previous value, in scales, or
            "absolute".
        log_scale_floor: smallest natural logarithm of a scale; None takes -9.
        rounding: whether values are rounded to 16 bits; otherwise they are clipped to [-1, 1] only.

    Example:
    >>> distribution = GaussianMixture(num_mixtures=1)
    >>> nats = -distribution.log_likelihood(tf.constant([[0.0, 0.0, 0.0]]), tf.constant([0.0]))
    >>> round(float(nats[0]) / 0.693147, 2)  # of 16 bits, at a scale of exp(-4)
    10.55
    """

    # ClariNet's, section 3.1.
    smallest_log_scale = -9.0

    def _component_log_likelihood(self, values, means, log_scales):
        distances = (values - means) * tf.exp(-log_scales)
        log_width = -math.log(STEPS_OF_16_BITS)
        return log_width - 0.5 * math.log(2.0 * math.pi) - log_scales - 0.5 * distances**2

    def _quantile(self, uniform):
        # Wichura 1988, algorithm AS 241, PPND7: plain arithmetic, which TFLite has, unlike ndtri.
        offset = uniform - 0.5
        inner = 0.180625 - offset**2
        middle = offset * _polynomial(inner, 3.3871327179, 50.434271938, 159.29113202, 59.109374720)
        middle /= _polynomial(inner, 1.0, 17.895169469, 78.757757664, 67.187563600)
        depth = tf.sqrt(-tf.math.log(tf.minimum(uniform, 1.0 - uniform)))
        near, far = depth - 1.6, depth - 5.0
        tail = _polynomial(near, 1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103)
        tail /= _polynomial(near, 1.0, 0.73700164250, 0.12021132975)
        end = _polynomial(far, 6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997)
        end /= _polynomial(far, 1.0, 0.24197894225, 0.012258202635)
        outer = tf.sign(offset) * tf.where(depth <= 5.0, tail, end)
        return tf.where(tf.abs(offset) <= 0.425, middle, outer)


def _polynomial(x, *coefficients: float) -> tf.Tensor:
    """Returns the polynomial with these coefficients, from the one of `x ** 0` on."""
    result = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result
