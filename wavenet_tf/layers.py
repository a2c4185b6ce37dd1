"""Causal layers in one form for whole signals, chunks and single samples.

A layer called without `state` works on a whole signal, with digital silence or zeros before it.
Called with the state of the samples before, it continues from there and returns the next state
too: any split of a signal into chunks, down to one sample, gives the outputs of the whole.
States are plain tensors, so that they compose with `tf.while_loop`, XLA and exports.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, optional_positive_integer, positive_integer


@keras.saving.register_keras_serializable(package="wavenet_tf")
class CausalConv1D(keras.layers.Layer):
    """A dilated causal convolution: output `t` sees inputs up to `t` only (WaveNet, section 2.1).

    Args:
        filters: output channels.
        kernel_size: number of taps.
        dilation_rate: distance between taps, in samples.
        kernel_initializer: of the kernel `[kernel_size, channels, filters]`.

    Input shape:
        `[batch, time, channels]`, and optionally the state `[batch, context, channels]` with
        `context = (kernel_size - 1) * dilation_rate`.

    Output shape:
        `[batch, time, filters]`, and the next state where a state was given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> layer = CausalConv1D(filters=4, kernel_size=2, dilation_rate=8)
    >>> layer(tf.zeros([1, 100, 3])).shape
    TensorShape([1, 100, 4])
    >>> outputs, state = layer(tf.zeros([1, 100, 3]), state=layer.initial_state(batch_size=1))
    >>> state.shape
    TensorShape([1, 8, 3])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 2,
        dilation_rate: int = 1,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = positive_integer("filters", filters)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.dilation_rate = positive_integer("dilation_rate", dilation_rate)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def context(self) -> int:
        """Samples before the current one that an output depends on: the state's length."""
        return (self.kernel_size - 1) * self.dilation_rate

    def build(self, input_shape):
        self._add_weights(channels=input_shape[-1])

    def _add_weights(self, channels: int):
        self.channels = channels
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def initial_state(self, batch_size) -> tf.Tensor:
        """The state before the first sample: the causal padding, zeros.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            `[batch, context, channels]`.
        """
        return tf.zeros([batch_size, self.context, self.channels], self.compute_dtype)

    def call(self, inputs, state=None):
        before = self.initial_state(tf.shape(inputs)[0]) if state is None else state
        signal = tf.concat([before, inputs], axis=1) if self.context else inputs
        # Shifted slices and a matrix product a tap: one code for training, steps and converters.
        taps = [
            self._tap(_slice_time(signal, tap * self.dilation_rate, tf.shape(inputs)[1]), kernel)
            for tap, kernel in enumerate(tf.unstack(self.kernel))
        ]
        outputs = tf.nn.bias_add(tf.add_n(taps), tf.cast(self.bias, self.compute_dtype))
        if state is None:
            return outputs
        return outputs, _slice_time(signal, tf.shape(inputs)[1], self.context)

    def _tap(self, inputs, kernel):
        return tf.tensordot(inputs, tf.cast(kernel, self.compute_dtype), axes=1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="wavenet_tf")
class OneHotCausalConv1D(CausalConv1D):
    """A causal convolution of one-hot vectors, given and computed as their integer codes.

    Equal to `CausalConv1D` over `one_hot(codes)`, at the price of a table look-up a tap. Before
    the first sample lies digital silence, the middle code.

    Args:
        filters: output channels.
        num_codes: length of the one-hot vectors.
        kernel_size: number of taps.

    Input shape:
        int32 codes `[batch, time]`, and optionally the state, codes `[batch, kernel_size - 1]`.

    Output shape:
        `[batch, time, filters]`, and the next state where a state was given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> layer = OneHotCausalConv1D(filters=4, num_codes=256)
    >>> layer(tf.constant([[128, 130, 127]])).shape
    TensorShape([1, 3, 4])
    """

    def __init__(self, filters: int, num_codes: int, kernel_size: int = 2, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.num_codes = positive_integer("num_codes", num_codes)

    def build(self, input_shape):
        self._add_weights(channels=self.num_codes)

    def initial_state(self, batch_size) -> tf.Tensor:
        """The state before the first sample: digital silence, the middle code.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            int32 `[batch, kernel_size - 1]`.
        """
        return tf.fill([batch_size, self.context], self.num_codes // 2)

    def _tap(self, inputs, kernel):
        return tf.gather(tf.cast(kernel, self.compute_dtype), inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.filters)

    def get_config(self):
        config = {**super().get_config(), "num_codes": self.num_codes}
        del config["dilation_rate"]
        return config


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveformCausalConv1D(CausalConv1D):
    """A causal convolution of a waveform, one number a sample.

    Equal to `CausalConv1D` over `waveform[..., None]`. Before the first sample lies silence, 0.

    Args:
        filters: output channels.
        kernel_size: number of taps.

    Input shape:
        float `[batch, time]`, and optionally the state, `[batch, kernel_size - 1]`.

    Output shape:
        `[batch, time, filters]`, and the next state where a state was given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> layer = WaveformCausalConv1D(filters=4)
    >>> layer(tf.constant([[0.0, 0.5, -0.25]])).shape
    TensorShape([1, 3, 4])
    """

    def __init__(self, filters: int, kernel_size: int = 2, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)

    def build(self, input_shape):
        self._add_weights(channels=1)

    def initial_state(self, batch_size) -> tf.Tensor:
        """The state before the first sample: silence.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            float `[batch, kernel_size - 1]`.
        """
        return tf.zeros([batch_size, self.context], self.compute_dtype)

    def _tap(self, inputs, kernel):
        return inputs[..., None] * tf.cast(kernel[0], self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.filters)

    def get_config(self):
        config = super().get_config()
        del config["dilation_rate"]
        return config


@keras.saving.register_keras_serializable(package="wavenet_tf")
class GatedResidualBlock(keras.layers.Layer):
    """Dilated convolution, gate, and a 1x1 convolution added to the input (WaveNet, figure 4).

    The gate is equation 2, `z = tanh(W_f * x) . sigmoid(W_g * x)`; filter and gate are the two
    halves of one convolution's channels. The block returns `z` beside its output: the
    parameterised skip connections of all blocks, `sum_k S_k z_k`, are one product with the
    concatenation of the `z_k`, which costs less than a product and an addition a block.

    Args:
        gate_channels: of the filter and of the gate, each.
        kernel_size: number of taps.
        dilation_rate: distance between taps, in samples.
        residual: whether there is a residual output. The last block of a model has none: nothing
            would use it.
        global_channels: of the conditioning `h` of the whole signal, which joins the gate as
            `V^T h` (section 2.5); None for none.
        local_channels: of the conditioning `y` of each sample, which joins the gate as `V * y`
            (section 2.5); None for none.

    Input shape:
        `[batch, time, residual_channels]`, the global conditioning `[batch, 1, global_channels]`
        and the local conditioning `[batch, time, local_channels]` where there are such, and
        optionally the state `[batch, (kernel_size - 1) * dilation_rate, residual_channels]`.

    Output shape:
        The residual output `[batch, time, residual_channels]` (the input itself where `residual`
        is false), the gated activation `[batch, time, gate_channels]`, and the next state where a
        state was given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> block = GatedResidualBlock(gate_channels=16, dilation_rate=4)
    >>> outputs, gated = block(tf.zeros([1, 100, 8]))
    >>> outputs.shape, gated.shape
    (TensorShape([1, 100, 8]), TensorShape([1, 100, 16]))
    """

    def __init__(
        self,
        gate_channels: int,
        kernel_size: int = 2,
        dilation_rate: int = 1,
        residual: bool = True,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.gate_channels = positive_integer("gate_channels", gate_channels)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.dilation_rate = positive_integer("dilation_rate", dilation_rate)
        self.residual = residual
        self.global_channels = optional_positive_integer("global_channels", global_channels)
        self.local_channels = optional_positive_integer("local_channels", local_channels)
        self.dilated_convolution = CausalConv1D(
            2 * self.gate_channels,
            self.kernel_size,
            self.dilation_rate,
            dtype=self.dtype_policy,
            name="dilated_convolution",
        )

    def build(self, input_shape):
        self.dilated_convolution.build(input_shape)
        if self.global_channels:
            self.global_projection = self._projection("global_projection", self.global_channels)
        if self.local_channels:
            self.local_projection = self._projection("local_projection", self.local_channels)
        if self.residual:
            self.residual_convolution = CausalConv1D(
                input_shape[-1], kernel_size=1, dtype=self.dtype_policy, name="residual_convolution"
            )
            self.residual_convolution.build((*input_shape[:-1], self.gate_channels))

    def initial_state(self, batch_size) -> tf.Tensor:
        """The state before the first sample: the causal padding, zeros.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            `[batch, (kernel_size - 1) * dilation_rate, residual_channels]`.
        """
        return self.dilated_convolution.initial_state(batch_size)

    def _projection(self, name: str, channels: int) -> keras.layers.Dense:
        # Without a bias: the dilated convolution has one.
        projection = keras.layers.Dense(
            2 * self.gate_channels, use_bias=False, dtype=self.dtype_policy, name=name
        )
        projection.build((None, None, channels))
        return projection

    def call(self, inputs, global_conditioning=None, local_conditioning=None, state=None):
        if state is None:
            activation = self.dilated_convolution(inputs)
        else:
            activation, state = self.dilated_convolution(inputs, state=state)
        if self.global_channels:
            activation += self.global_projection(global_conditioning)
        if self.local_channels:
            activation += self.local_projection(local_conditioning)
        gated = gated_activation(activation)
        outputs = inputs + self.residual_convolution(gated) if self.residual else inputs
        return (outputs, gated) if state is None else (outputs, gated, state)

    def compute_output_shape(self, input_shape):
        return input_shape, (*input_shape[:-1], self.gate_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "gate_channels": self.gate_channels,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "residual": self.residual,
            "global_channels": self.global_channels,
            "local_channels": self.local_channels,
        }


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
        super().__init__(**kwargs)
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
    def look_ahead(self) -> int:
        """Samples by which the newest frame that a sample sees is ahead of its own."""
        return self.frames_after * self.hop_length

    def build(self, input_shape):
        features = input_shape[-1]
        self.mean = self.add_weight(
            name="mean", shape=(features,), initializer="zeros", trainable=False, dtype="float32"
        )
        self.scale = self.add_weight(
            name="scale", shape=(features,), initializer="ones", trainable=False, dtype="float32"
        )
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
            InputError: for frames of another width.
        """
        frames = np.asarray(frames, np.float64)
        if frames.shape[-1:] != tuple(self.mean.shape):
            raise InputError(
                f"frames must have {self.mean.shape[0]} features; received shape "
                f"{list(frames.shape)}"
            )
        frames = frames.reshape(-1, frames.shape[-1])
        self.mean.assign(frames.mean(axis=0))
        # A feature that never changes is left alone.
        deviation = frames.std(axis=0)
        self.scale.assign(1.0 / np.where(deviation > 1e-5, deviation, 1.0))

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
        first_frame = first // self.hop_length
        last_frame = (first + length - 1) // self.hop_length
        seen = tf.range(first_frame - self.frames_before, last_frame + self.frames_after + 1)
        seen = tf.gather(frames, tf.clip_by_value(seen, 0, tf.shape(frames)[1] - 1), axis=1)
        # In float32: features may be far larger than their changes.
        signal = (tf.cast(seen, tf.float32) - self.mean) * self.scale
        signal = tf.cast(signal, self.compute_dtype)
        batch = tf.shape(frames)[0]
        for index, convolution in enumerate(self.convolutions):
            # As a convolution to all phases of a frame, laid out in time: the transposed one.
            phases = convolution(tf.nn.leaky_relu(signal) if index else signal)
            if index == 0:
                phases = phases[:, self.frames_before + self.frames_after :]
            signal = tf.reshape(phases, [batch, -1, self.channels])
        if self.upsampling == "repeat":
            signal = tf.repeat(signal, self.hop_length, axis=1)
        return _slice_time(signal, first - first_frame * self.hop_length, length)

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


def gated_activation(activation) -> tf.Tensor:
    """The gated activation unit, `tanh(filter) . sigmoid(gate)` (WaveNet, equation 2).

    Args:
        activation: `[..., 2 * gate_channels]`, the filter's channels before the gate's.

    Returns:
        `[..., gate_channels]`.
    """
    filter_half, gate_half = tf.split(activation, 2, axis=-1)
    return tf.tanh(filter_half) * tf.sigmoid(gate_half)


def _slice_time(signal, start, length) -> tf.Tensor:
    """`signal[:, start : start + length]`.

    Written with `tf.slice`: the gradient of an indexed slice is an order of magnitude slower on
    the CPU, and was two thirds of a training step.
    """
    others = [0] * (signal.shape.rank - 2)
    return tf.slice(signal, [0, start, *others], [-1, length, *(-1 for _ in others)])
