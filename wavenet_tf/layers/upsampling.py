"""From frames of local conditioning to samples."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.layers.convolutions import CausalConv1D, slice_time

UPSAMPLINGS = ("learned", "repeat")


@keras.saving.register_keras_serializable(package="wavenet_tf")
class ConditioningUpsampler(keras.layers.Layer):
    """Brings local conditioning from frames to samples: `y = f(h)` (WaveNet, section 2.5).

    Learned, it is one transposed convolution a factor, with leaky ReLU between them; their weights
    start as repetition. The first one overlaps, so that sample `t` sees frame `floor(t / hop)`, the
    one before it and, unless `causal`, the one after it; the others do not. Repeated, sample `t`
    sees frame `floor(t / hop)` only. Beyond the first and the last frame, these hold.

    Frames are normalised first, by the statistics that `adapt` takes.

    Args:
        channels: of the output.
        upsample_factors: of the transposed convolutions; their product is the hop length.
        upsampling: "learned", or "repeat", which is cheaper and slightly worse.
        causal: whether a sample may see no frame after its own.

    Input shape:
        `[batch, frames, features]`.

    Output shape:
        `[batch, frames * hop_length, channels]`.

    Raises:
        InputError: for a factor that is no positive whole number, or an unknown upsampling.

    Example:
    >>> upsampler = ConditioningUpsampler(channels=16, upsample_factors=(5, 20))
    >>> upsampler.hop_length, upsampler.look_ahead
    (100, 100)
    >>> upsampler(tf.zeros([1, 7, 80])).shape
    TensorShape([1, 700, 16])
    """

    def __init__(
        self,
        channels: int,
        upsample_factors: Sequence[int],
        upsampling: str = "learned",
        causal: bool = False,
        **kwargs,
    ):
        # Frames are normalised in float32: they may be far larger than their changes.
        super().__init__(**{"autocast": False, **kwargs})
        self.channels = positive_integer("channels", channels)
        self.upsample_factors = [
            positive_integer("upsample_factors", factor) for factor in upsample_factors
        ]
        if upsampling not in UPSAMPLINGS:
            raise InputError(
                f"upsampling must be one of {', '.join(UPSAMPLINGS)}; received {upsampling!r}"
            )
        self.upsampling = upsampling
        self.causal = causal
        # Frames that a sample sees before and after its own.
        self.frames_before = 1 if upsampling == "learned" else 0
        self.frames_after = 1 if upsampling == "learned" and not causal else 0

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return math.prod(self.upsample_factors)

    @property
    def held_samples(self) -> int:
        """Samples over which the output stays the same."""
        return self.hop_length if self.upsampling == "repeat" else 1

    @property
    def look_ahead(self) -> int:
        """Samples by which the newest frame that a sample sees is ahead of its own."""
        return self.frames_after * self.hop_length

    def build(self, input_shape):
        features = input_shape[-1]
        statistic = {
            "shape": (features,),
            "trainable": False,
            "dtype": "float32",
            "autocast": False,
        }
        self.mean = self.add_weight(name="mean", initializer="zeros", **statistic)
        self.scale = self.add_weight(name="scale", initializer="ones", **statistic)
        taps = self.frames_before + 1 + self.frames_after
        factors = self.upsample_factors if self.upsampling == "learned" else [1]
        self.convolutions = [
            CausalConv1D(
                factor * self.channels,
                kernel_size=1 if index else taps,
                kernel_initializer=_RepeatedPhases(factor),
                dtype=self.dtype_policy,
                name=f"upsampling_{index}",
            )
            for index, factor in enumerate(factors)
        ]
        for index, convolution in enumerate(self.convolutions):
            convolution.build((None, None, self.channels if index else features))

    def adapt(self, frames) -> None:
        """Takes the mean and deviation of each feature, to normalise by.

        Args:
            frames: float `[..., features]`, those of the training set or a fair part of them.

        Raises:
            InputError: for frames of another width, no frames, or values that are not finite.
        """
        frames = np.asarray(frames)
        if frames.shape[-1:] != tuple(self.mean.shape):
            raise InputError(
                f"frames must have {self.mean.shape[0]} features; received shape "
                f"{list(frames.shape)}"
            )
        frames = frames.reshape(-1, frames.shape[-1])
        if not len(frames):
            raise InputError("frames must hold at least one frame; received none")
        if not np.isfinite(frames).all():
            raise InputError("frames holds values that are not finite (NaN or infinity)")
        self.mean.assign(frames.mean(axis=0, dtype=np.float64))
        # A feature that never changes is left alone.
        deviation = frames.std(axis=0, dtype=np.float64)
        self.scale.assign(1.0 / np.where(deviation > 1e-5, deviation, 1.0))

    @property
    def adapted(self) -> bool:
        """Whether the statistics are other than those that a new layer begins with."""
        return bool(np.any(self.mean.numpy() != 0.0) or np.any(self.scale.numpy() != 1.0))

    def call(self, inputs):
        return self.samples(inputs, 0, tf.shape(inputs)[1] * self.hop_length)

    def samples(self, frames, first, length) -> tf.Tensor:
        """The conditioning of some samples only.

        Args:
            frames: `[batch, frames, features]`, of the whole signal.
            first: the first sample; may be negative.
            length: number of samples; may go beyond the last frame.

        Returns:
            `[batch, length, channels]`.
        """
        rows, skipped = self.held_rows(frames, first, length)
        if self.held_samples > 1:
            rows = tf.repeat(rows, self.held_samples, axis=1)
        return slice_time(rows, skipped, length)

    def held_rows(self, frames, first, length) -> tuple[tf.Tensor, tf.Tensor]:
        """The conditioning of some samples only, a row for each stretch over which it is held.

        Args:
            frames: `[batch, frames, features]`, of the whole signal.
            first: the first sample; may be negative.
            length: number of samples; may go beyond the last frame.

        Returns:
            `[batch, 1 + ceil((length - 1) / held_samples), channels]`, and how many samples of the
            first row come before the first sample.
        """
        held, hop = self.held_samples, self.hop_length
        first_row, rows = first // held, 1 - (1 - length) // held
        first_frame = first_row * held // hop
        last_frame = ((first_row + rows) * held - 1) // hop
        seen = tf.range(first_frame - self.frames_before, last_frame + self.frames_after + 1)
        seen = tf.gather(frames, tf.clip_by_value(seen, 0, tf.shape(frames)[1] - 1), axis=1)
        signal = (tf.cast(seen, tf.float32) - self.mean) * self.scale
        signal = tf.cast(signal, self.compute_dtype)
        batch = tf.shape(frames)[0]
        for index, convolution in enumerate(self.convolutions):
            # As a convolution to all phases of a frame, laid out in time: the transposed one.
            phases = convolution(tf.nn.leaky_relu(signal) if index else signal)
            if index == 0:
                phases = phases[:, self.frames_before + self.frames_after :]
            signal = tf.reshape(phases, [batch, -1, self.channels])
        return slice_time(signal, first_row - first_frame * hop // held, rows), first % held

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, frames and frames * self.hop_length, self.channels

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "upsample_factors": self.upsample_factors,
            "upsampling": self.upsampling,
            "causal": self.causal,
        }


@keras.saving.register_keras_serializable(package="wavenet_tf")
class _RepeatedPhases(keras.initializers.Initializer):
    """The same weights for each of `factor` phases, so that upsampling begins as repetition."""

    def __init__(self, factor: int):
        self.factor = factor

    def __call__(self, shape, dtype=None):
        *taps_and_channels, filters = shape
        shape = (*taps_and_channels, filters // self.factor)
        return tf.tile(keras.initializers.GlorotUniform()(shape, dtype), [1, 1, self.factor])

    def get_config(self):
        return {"factor": self.factor}
