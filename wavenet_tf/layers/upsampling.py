"""Upsamplers of local conditioning, from frames to samples."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.layers.convolutions import CausalConv1D, slice_time


class RepeatedFrames(NamedTuple):
    """Local conditioning of consecutive samples, one row for all samples that share it.

    Attributes:
        rows: `[batch, rows, channels]`; each row serves `samples_per_row` samples.
        offset: number of samples of the first row that come before the first sample.
    """

    rows: tf.Tensor
    offset: tf.Tensor


class ConditioningUpsampler(keras.layers.Layer):
    """Base of the upsamplers of local conditioning, `y = f(h)` (WaveNet, section 2.5).

    Frames are normalized first, with the statistics that `adapt` computes. Before the first frame
    and after the last one, these frames are repeated.

    Args:
        channels: channels of the output.
        upsample_factors: their product is the hop length, in samples.

    Attributes:
        frames_before: frames before its own that a sample depends on.
        frames_after: frames after its own that a sample depends on.
        samples_per_row: number of consecutive samples with the same output.

    Input shape:
        `[batch, frames, features]`.

    Output shape:
        `[batch, frames * hop_length, channels]`.

    Raises:
        InputError: for an argument that is not a positive whole number.
    """

    def __init__(
        self,
        channels: int,
        upsample_factors: Sequence[int],
        frames_before: int,
        frames_after: int,
        **kwargs,
    ):
        # Frames are normalized in float32: their mean may be far larger than their deviation.
        super().__init__(**{"autocast": False, **kwargs})
        self.channels = positive_integer("channels", channels)
        self.upsample_factors = [
            positive_integer("upsample_factors", factor) for factor in upsample_factors
        ]
        self.frames_before = frames_before
        self.frames_after = frames_after

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.upsample_factors)

    @property
    def samples_per_row(self) -> int:
        """Number of consecutive samples with the same output."""
        raise NotImplementedError

    @property
    def look_ahead(self) -> int:
        """Number of samples after its own frame that a sample depends on."""
        return self.frames_after * self.hop_length

    def build(self, input_shape):
        statistic = {
            "shape": (input_shape[-1],),
            "trainable": False,
            "dtype": "float32",
            "autocast": False,
        }
        self.mean = self.add_weight(name="mean", initializer="zeros", **statistic)
        self.scale = self.add_weight(name="scale", initializer="ones", **statistic)
        self._build_convolutions(input_shape[-1])

    def _build_convolutions(self, features: int) -> None:
        raise NotImplementedError

    def _upsample(self, signal) -> tf.Tensor:
        """Upsamples normalized frames, of which the outermost are context only.

        Args:
            signal: `[batch, frames_before + frames + frames_after, features]`.

        Returns:
            `[batch, frames * hop_length / samples_per_row, channels]`.
        """
        raise NotImplementedError

    @property
    def statistics(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The mean and the deviation of each feature; None before `adapt`."""
        with tf.init_scope():  # exports ask for it while they trace
            mean, scale = np.asarray(self.mean), np.asarray(self.scale)
        return (mean, 1.0 / scale) if np.any(mean) else None

    def adapt(self, frames) -> None:
        """Computes the mean and the deviation of each feature, which normalize it.

        The deviation of a constant or binary feature, such as voicing or one-hot phones, counts
        as 1.

        Args:
            frames: float `[..., features]`, frames of the training set or a sample of them.

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
        deviation = frames.std(axis=0, dtype=np.float64)
        # Constant and binary features are not scaled: rare labels would outweigh all numbers.
        unscaled = (deviation <= 1e-5) | ((frames == 0.0) | (frames == 1.0)).all(axis=0)
        self.scale.assign(1.0 / np.where(unscaled, 1.0, deviation))

    @property
    def adapted(self) -> bool:
        """Whether `adapt` has changed the statistics of a new layer."""
        return bool(np.any(self.mean.numpy() != 0.0) or np.any(self.scale.numpy() != 1.0))

    def call(self, inputs):
        return self.samples(inputs, 0, tf.shape(inputs)[1] * self.hop_length)

    def samples(self, frames, first, length) -> tf.Tensor:
        """Computes the conditioning of some samples only.

        Args:
            frames: `[batch, frames, features]`, of the whole signal.
            first: index of the first sample; may be negative.
            length: number of samples; may go beyond the last frame.

        Returns:
            `[batch, length, channels]`.
        """
        rows, offset = self.repeated_frames(frames, first, length)
        if self.samples_per_row > 1:
            rows = tf.repeat(rows, self.samples_per_row, axis=1)
        return slice_time(rows, offset, length)

    def repeated_frames(self, frames, first, length) -> RepeatedFrames:
        """Computes the conditioning of some samples only, one row for samples that share it.

        Args:
            frames: `[batch, frames, features]`, of the whole signal.
            first: index of the first sample; may be negative.
            length: number of samples; may go beyond the last frame.

        Returns:
            `1 + ceil((length - 1) / samples_per_row)` rows.
        """
        repeats, hop = self.samples_per_row, self.hop_length
        first_row, rows = first // repeats, 1 - (1 - length) // repeats
        first_frame = first_row * repeats // hop
        last_frame = ((first_row + rows) * repeats - 1) // hop
        indices = tf.range(first_frame - self.frames_before, last_frame + self.frames_after + 1)
        used = tf.gather(frames, tf.clip_by_value(indices, 0, tf.shape(frames)[1] - 1), axis=1)
        signal = (tf.cast(used, tf.float32) - self.mean) * self.scale
        signal = self._upsample(tf.cast(signal, self.compute_dtype))
        skipped_rows = first_row - first_frame * hop // repeats
        return RepeatedFrames(slice_time(signal, skipped_rows, rows), first % repeats)

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, frames and frames * self.hop_length, self.channels

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "upsample_factors": self.upsample_factors,
        }


@keras.saving.register_keras_serializable(package="wavenet_tf")
class LearnedUpsampler(ConditioningUpsampler):
    """Upsamples frames by transposed convolutions, with a nonlinearity between them.

    There is one convolution per factor; their initial weights repeat frames. The first one
    overlaps: sample `t` depends on frame `floor(t / hop_length)`, the frame before it and, unless
    `causal`, the frame after it. The others do not overlap.

    Args:
        channels: channels of the output.
        upsample_factors: strides of the transposed convolutions; their product is the hop length,
            in samples.
        causal: whether samples depend on no frame after their own.
        activation: "leaky_relu" between the convolutions, or "relu" after each of them.

    Input shape:
        `[batch, frames, features]`.

    Output shape:
        `[batch, frames * hop_length, channels]`.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> upsampler = LearnedUpsampler(channels=16, upsample_factors=(5, 20))
    >>> upsampler.hop_length, upsampler.look_ahead  # samples
    (100, 100)
    >>> upsampler(tf.zeros([1, 7, 80])).shape
    TensorShape([1, 700, 16])
    """

    def __init__(
        self,
        channels: int,
        upsample_factors: Sequence[int],
        causal: bool = False,
        activation: str = "leaky_relu",
        **kwargs,
    ):
        super().__init__(
            channels,
            upsample_factors,
            frames_before=1,
            frames_after=0 if causal else 1,
            **kwargs,
        )
        self.causal, self.activation = causal, activation

    @property
    def samples_per_row(self) -> int:
        """Number of consecutive samples with the same output: every sample has its own."""
        return 1

    def _build_convolutions(self, features):
        self.convolutions = []
        for index, factor in enumerate(self.upsample_factors):
            convolution = CausalConv1D(
                factor * self.channels,
                kernel_size=1 if index else self.frames_before + 1 + self.frames_after,
                kernel_initializer=_RepeatedPhases(factor),
                dtype=self.dtype_policy,
                name=f"upsampling_{index}",
            )
            convolution.build((None, None, self.channels if index else features))
            self.convolutions.append(convolution)

    def _upsample(self, signal):
        batch = tf.shape(signal)[0]
        rectified = self.activation == "relu"
        for index, convolution in enumerate(self.convolutions):
            if index and not rectified:
                signal = tf.nn.leaky_relu(signal)
            # A transposed convolution as a convolution to all phases of a frame, laid out in time.
            phases = convolution(signal)
            if rectified:
                phases = tf.nn.relu(phases)
            if index == 0:
                phases = phases[:, self.frames_before + self.frames_after :]
            signal = tf.reshape(phases, [batch, -1, self.channels])
        return signal

    def get_config(self):
        return {**super().get_config(), "causal": self.causal, "activation": self.activation}


@keras.saving.register_keras_serializable(package="wavenet_tf")
class RepeatUpsampler(ConditioningUpsampler):
    """Repeats each frame, after a 1x1 convolution, for the samples of the frame.

    It costs less than `LearnedUpsampler` and predicts slightly worse.

    Args:
        channels: channels of the output.
        upsample_factors: their product is the hop length, in samples.

    Input shape:
        `[batch, frames, features]`.

    Output shape:
        `[batch, frames * hop_length, channels]`.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> upsampler = RepeatUpsampler(channels=16, upsample_factors=(5, 20))
    >>> upsampler.samples_per_row, upsampler.look_ahead  # samples
    (100, 0)
    >>> upsampler(tf.zeros([1, 7, 80])).shape
    TensorShape([1, 700, 16])
    """

    def __init__(self, channels: int, upsample_factors: Sequence[int], **kwargs):
        super().__init__(channels, upsample_factors, frames_before=0, frames_after=0, **kwargs)

    @property
    def samples_per_row(self) -> int:
        """Number of consecutive samples with the same output: those of a frame."""
        return self.hop_length

    def _build_convolutions(self, features):
        self.convolution = CausalConv1D(
            self.channels,
            kernel_size=1,
            kernel_initializer=_RepeatedPhases(1),
            dtype=self.dtype_policy,
            name="upsampling_0",
        )
        self.convolution.build((None, None, features))

    def _upsample(self, signal):
        return self.convolution(signal)


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
