"""The upsampler that repeats frames and smooths them by short filters."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from wavenet_tf.errors import positive_integer
from wavenet_tf.layers.convolutions import CausalConv1D
from wavenet_tf.layers.upsampling import ConditioningUpsampler


@keras.saving.register_keras_serializable(package="wavenet_tf")
class StretchUpsampler(ConditioningUpsampler):
    """Upsamples frames by repetition and a short filter for each factor.

    A convolution over frames comes first. Then, for each factor `s`, every vector is repeated `s`
    times, and a filter of `2 s + 1` taps in time, which all channels share, smooths the steps. At
    first the filters are moving averages.

    Args:
        channels: channels of the output.
        upsample_factors: their product is the hop length, in samples.
        context: frames before and after its own that a frame is convolved with.
        reach: frames on each side that the filters reach, see `models.config.stretch_reach`.
        bands: channels that each filter spans, odd; beyond the outermost channels are zeros.

    Input shape:
        `[batch, frames, features]`.

    Output shape:
        `[batch, frames * hop_length, channels]`.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> upsampler = StretchUpsampler(channels=80, upsample_factors=(4, 4), context=2, reach=2)
    >>> upsampler.hop_length, upsampler.look_ahead  # samples
    (16, 64)
    >>> upsampler(tf.zeros([1, 7, 80])).shape
    TensorShape([1, 112, 80])
    """

    def __init__(
        self,
        channels: int,
        upsample_factors: Sequence[int],
        context: int,
        reach: int,
        bands: int = 1,
        **kwargs,
    ):
        super().__init__(
            channels,
            upsample_factors,
            frames_before=context + reach,
            frames_after=context + reach,
            **kwargs,
        )
        self.context, self.reach = context, positive_integer("reach", reach)
        self.bands = positive_integer("bands", bands)

    @property
    def samples_per_row(self) -> int:
        """Number of consecutive samples with the same output: every sample has its own."""
        return 1

    def _build_convolutions(self, features):
        self.convolution = CausalConv1D(
            self.channels,
            kernel_size=2 * self.context + 1,
            dtype=self.dtype_policy,
            name="upsampling_0",
        )
        self.convolution.build((None, None, features))
        self.filters = [
            self.add_weight(
                name=f"filter_{index}",
                shape=(2 * factor + 1, self.bands),
                initializer=keras.initializers.Constant(1.0 / ((2 * factor + 1) * self.bands)),
                autocast=False,
            )
            for index, factor in enumerate(self.upsample_factors)
        ]

    def _upsample(self, signal):
        # The frames at both ends are context of the convolution, then of the filters.
        signal = self.convolution(signal)[:, 2 * self.context :]
        for factor, taps in zip(self.upsample_factors, self.filters, strict=True):
            repeated = tf.tile(signal[:, :, None], [1, 1, factor, 1])
            repeated = tf.reshape(repeated, [tf.shape(signal)[0], -1, self.channels, 1])
            kernel = tf.cast(taps, signal.dtype)[:, :, None, None]
            signal = tf.nn.conv2d(repeated, kernel, strides=1, padding="SAME")[..., 0]
        margin = self.reach * self.hop_length
        return signal[:, margin:-margin]

    def get_config(self):
        return {
            **super().get_config(),
            "context": self.context,
            "reach": self.reach,
            "bands": self.bands,
        }
