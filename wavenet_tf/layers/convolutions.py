"""Causal convolutions of signals, codes and waveforms."""

import keras
import tensorflow as tf

from wavenet_tf.audio import mu_law_compand
from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.layers.observation import observe

# A minute at 16 kHz: the state of one layer is as long.
LARGEST_DILATION = 2**20


@keras.saving.register_keras_serializable(package="wavenet_tf")
class CausalConv1D(keras.layers.Layer):
    """A dilated causal convolution: output `t` depends on inputs up to `t` (WaveNet, section 2.1).

    Args:
        filters: output channels.
        kernel_size: number of taps.
        dilation_rate: distance between taps, in samples.
        kernel_initializer: initializer of the kernel `[kernel_size, channels, filters]`.

    Input shape:
        `[batch, time, channels]`; optionally the state `[batch, context, channels]` with
        `context = (kernel_size - 1) * dilation_rate`.

    Output shape:
        `[batch, time, filters]`, and the next state if a state is given.

    Raises:
        InputError: for an argument that is not a positive whole number, or too large a dilation.

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
        if self.dilation_rate > LARGEST_DILATION:
            raise InputError(
                f"dilation_rate must be at most {LARGEST_DILATION} (layers_per_stack at most "
                f"{LARGEST_DILATION.bit_length()}); received {self.dilation_rate}"
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def context(self) -> int:
        """Samples before the current one that an output depends on: the state's length."""
        return (self.kernel_size - 1) * self.dilation_rate

    def build(self, inputs_shape):
        self._add_weights(channels=inputs_shape[-1])

    def _add_weights(self, channels: int):
        self.channels = channels
        # Weights are cast where they are used: `add_bias` and look-ups sum gradients in float32.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
            autocast=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros", autocast=False
        )

    def initial_state(self, batch_size) -> tf.Tensor:
        """Returns the state before the first sample: the causal padding, zeros.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            `[batch, context, channels]`.
        """
        return tf.zeros([batch_size, self.context, self.channels], self.compute_dtype)

    def call(self, inputs, state=None):
        before = self.initial_state(tf.shape(inputs)[0]) if state is None else state
        signal = tf.concat([before, inputs], axis=1) if self.context else inputs
        signal = self._observed_inputs(signal)
        # Shifted slices and a matrix product per tap: one code for training, steps and converters.
        taps = [
            self._tap(slice_time(signal, tap * self.dilation_rate, tf.shape(inputs)[1]), kernel)
            for tap, kernel in enumerate(tf.unstack(self.kernel))
        ]
        # Not `tf.add_n`, which converters cannot quantize.
        outputs = observe(self, "tap_0", add_bias(taps[0], tf.convert_to_tensor(self.bias)))
        for index, tap in enumerate(taps[1:], start=1):
            outputs = observe(self, f"sum_{index}", outputs + observe(self, f"tap_{index}", tap))
        if state is None:
            return outputs
        return outputs, slice_time(signal, tf.shape(inputs)[1], self.context)

    def _observed_inputs(self, signal):
        return observe(self, "inputs", signal)

    def _tap(self, inputs, kernel):
        return tf.tensordot(inputs, tf.cast(kernel, self.compute_dtype), axes=1)

    def compute_output_shape(self, inputs_shape, state_shape=None):
        return with_state_shape((*inputs_shape[:-1], self.filters), state_shape)

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
    """A causal convolution of one-hot vectors, which are given as integer codes.

    Equal to `CausalConv1D` over `one_hot(codes)`, computed as one table look-up per tap. The state
    before the first sample is digital silence.

    Args:
        filters: output channels.
        num_codes: number of codes, the length of the one-hot vectors.
        kernel_size: number of taps.
        silence: code of digital silence; None takes the middle code.

    Input shape:
        int32 codes `[batch, time]`; optionally the state, codes `[batch, kernel_size - 1]`.

    Output shape:
        `[batch, time, filters]`, and the next state if a state is given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> layer = OneHotCausalConv1D(filters=4, num_codes=256)
    >>> layer(tf.constant([[128, 130, 127]])).shape
    TensorShape([1, 3, 4])
    """

    def __init__(
        self,
        filters: int,
        num_codes: int,
        kernel_size: int = 2,
        silence: int | None = None,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        self.num_codes = positive_integer("num_codes", num_codes)
        self.silence = self.num_codes // 2 if silence is None else silence
        if self.silence not in range(self.num_codes):
            raise InputError(
                f"silence must be a code from 0 to {self.num_codes - 1}; received {silence!r}"
            )

    def build(self, inputs_shape):
        self._add_weights(channels=self.num_codes)

    def initial_state(self, batch_size) -> tf.Tensor:
        """Returns the state before the first sample: digital silence.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            int32 `[batch, kernel_size - 1]`.
        """
        return tf.fill([batch_size, self.context], self.silence)

    def _observed_inputs(self, signal):
        return signal  # integers

    def _tap(self, inputs, kernel):
        # Cast after the look-up: half precision would lose part of the sum of a row's gradients.
        return tf.cast(tf.gather(kernel, inputs), self.compute_dtype)

    def compute_output_shape(self, inputs_shape, state_shape=None):
        return with_state_shape((*inputs_shape, self.filters), state_shape)

    def get_config(self):
        config = {**super().get_config(), "num_codes": self.num_codes, "silence": self.silence}
        del config["dilation_rate"]
        return config


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveformCausalConv1D(CausalConv1D):
    """A causal convolution of a companded waveform, in which quiet and loud speech are alike.

    Equal to `CausalConv1D` over `mu_law_compand(waveform)[..., None]`. The state before the first
    sample is silence, 0.

    Args:
        filters: output channels.
        kernel_size: number of taps.
        compand: whether the waveform is companded; otherwise it is taken as it is.

    Input shape:
        float `[batch, time]`; optionally the state, `[batch, kernel_size - 1]`.

    Output shape:
        `[batch, time, filters]`, and the next state if a state is given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> layer = WaveformCausalConv1D(filters=4)
    >>> layer(tf.constant([[0.0, 0.5, -0.25]])).shape
    TensorShape([1, 3, 4])
    """

    def __init__(self, filters: int, kernel_size: int = 2, compand: bool = True, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.compand = compand

    def build(self, inputs_shape):
        self._add_weights(channels=1)

    def initial_state(self, batch_size) -> tf.Tensor:
        """Returns the state before the first sample: silence.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            float `[batch, kernel_size - 1]`.
        """
        return tf.zeros([batch_size, self.context], self.compute_dtype)

    def _observed_inputs(self, signal):
        return signal  # 8 bits are too few before companding

    def _tap(self, inputs, kernel):
        waveform = mu_law_compand(inputs) if self.compand else inputs
        return waveform[..., None] * tf.cast(kernel[0], self.compute_dtype)

    def compute_output_shape(self, inputs_shape, state_shape=None):
        return with_state_shape((*inputs_shape, self.filters), state_shape)

    def get_config(self):
        config = {**super().get_config(), "compand": self.compand}
        del config["dilation_rate"]
        return config


def with_state_shape(shape, state_shape):
    """Returns the output shape of a layer, with the shape of the next state if a state is given."""
    return shape if state_shape is None else (shape, state_shape)


def add_bias(inputs, bias) -> tf.Tensor:
    """Returns `inputs + bias` in the precision of the inputs.

    The gradient of the bias is summed in float32: in half precision a sum over tens of thousands
    of samples loses a third of its value, which costs a model some 0.05 bits per sample.

    Args:
        inputs: `[..., channels]`.
        bias: float32 `[channels]`.
    """
    if inputs.dtype == tf.float32:
        return tf.nn.bias_add(inputs, bias)

    @tf.custom_gradient
    def add(inputs, bias):
        def gradient(upstream):
            summed = tf.cast(upstream, tf.float32)
            return upstream, tf.reduce_sum(summed, axis=list(range(inputs.shape.rank - 1)))

        return tf.nn.bias_add(inputs, tf.cast(bias, inputs.dtype)), gradient

    return add(inputs, bias)


def slice_time(signal, start, length) -> tf.Tensor:
    """Returns `signal[:, start : start + length]`.

    It calls `tf.slice`: the gradient of an indexed slice is an order of magnitude slower on the
    CPU, and took two thirds of a training step.
    """
    others = [0] * (signal.shape.rank - 2)
    return tf.slice(signal, [0, start, *others], [-1, length, *(-1 for _ in others)])
