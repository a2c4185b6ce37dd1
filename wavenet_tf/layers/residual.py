"""The gated residual block."""

import functools

import keras
import tensorflow as tf

from wavenet_tf.errors import optional_positive_integer, positive_integer, positive_number
from wavenet_tf.layers.convolutions import CausalConv1D
from wavenet_tf.layers.observation import observe


@keras.saving.register_keras_serializable(package="wavenet_tf")
class GatedResidualBlock(keras.layers.Layer):
    """Dilated convolution, gate, and a 1x1 convolution added to the input (WaveNet, figure 4).

    The gate is equation 2, `z = tanh(W_f * x) . sigmoid(W_g * x)`; filter and gate are the two
    halves of one convolution's channels. The block returns `z` beside its output: the
    parameterized skip connections of all blocks, `sum_k S_k z_k`, are one product with the
    concatenation of the `z_k`, which costs less than a product and an addition per block.

    Args:
        gate_channels: channels of the filter and of the gate, each.
        kernel_size: number of taps.
        dilation_rate: distance between taps, in samples.
        residual: whether the block has a residual output. The last block of a stack has none,
            because no layer would use it.
        residual_scale: factor of the residual output, `residual_scale * (x + R z)`.
        global_channels: channels of the conditioning `h` of the whole signal, which is added to
            the gate as `V^T h` (section 2.5); None for no global conditioning.
        local_channels: channels of the conditioning `y` of each sample, which is added to the gate
            as `V * y` (section 2.5); None for no local conditioning.

    Input shape:
        `[batch, time, residual_channels]`; with global conditioning also
        `[batch, 1, global_channels]`, with local conditioning also `[batch, time, local_channels]`;
        optionally the state `[batch, (kernel_size - 1) * dilation_rate, residual_channels]`.

    Output shape:
        The residual output `[batch, time, residual_channels]` (the input itself if `residual` is
        false), the gated activation `[batch, time, gate_channels]`, and the next state if a state
        is given.

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
        residual_scale: float = 1.0,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.gate_channels = positive_integer("gate_channels", gate_channels)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.dilation_rate = positive_integer("dilation_rate", dilation_rate)
        self.residual = residual
        self.residual_scale = positive_number("residual_scale", residual_scale)
        self.global_channels = optional_positive_integer("global_channels", global_channels)
        self.local_channels = optional_positive_integer("local_channels", local_channels)
        self.dilated_convolution = CausalConv1D(
            2 * self.gate_channels,
            self.kernel_size,
            self.dilation_rate,
            dtype=self.dtype_policy,
            name="dilated_convolution",
        )

    def build(self, inputs_shape):
        self.dilated_convolution.build(inputs_shape)
        if self.global_channels:
            self.global_projection = self._projection(
                "global_projection", self.global_channels, "glorot_uniform"
            )
        if self.local_channels:
            # Zeros: an untrained upsampler or context stack would only add noise to the gates.
            self.local_projection = self._projection(
                "local_projection", self.local_channels, "zeros"
            )
        if self.residual:
            self.residual_convolution = CausalConv1D(
                inputs_shape[-1],
                kernel_size=1,
                dtype=self.dtype_policy,
                name="residual_convolution",
            )
            self.residual_convolution.build((*inputs_shape[:-1], self.gate_channels))

    def initial_state(self, batch_size) -> tf.Tensor:
        """Returns the state before the first sample: the causal padding, zeros.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            `[batch, (kernel_size - 1) * dilation_rate, residual_channels]`.
        """
        return self.dilated_convolution.initial_state(batch_size)

    def _projection(self, name: str, channels: int, initializer: str) -> keras.layers.Dense:
        # No bias: the dilated convolution has one.
        projection = keras.layers.Dense(
            2 * self.gate_channels,
            use_bias=False,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
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
        gated = gated_activation(activation, functools.partial(observe, self))
        outputs = inputs
        if self.residual:
            outputs = observe(self, "residual_sum", inputs + self.residual_convolution(gated))
            if self.residual_scale != 1.0:
                outputs = observe(self, "outputs", outputs * self.residual_scale)
        return (outputs, gated) if state is None else (outputs, gated, state)

    def compute_output_shape(self, inputs_shape, state_shape=None):
        shapes = inputs_shape, (*inputs_shape[:-1], self.gate_channels)
        return shapes if state_shape is None else (*shapes, state_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "gate_channels": self.gate_channels,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "residual": self.residual,
            "residual_scale": self.residual_scale,
            "global_channels": self.global_channels,
            "local_channels": self.local_channels,
        }


def gated_activation(activation, observe=lambda name, part: part) -> tf.Tensor:
    """Computes the gated activation unit, `tanh(filter) . sigmoid(gate)` (WaveNet, equation 2).

    Args:
        activation: `[..., 2 * gate_channels]`, the filter's channels before the gate's.
        observe: takes a name and an activation, and returns the activation.

    Returns:
        `[..., gate_channels]`.
    """
    filter_half, gate_half = tf.split(activation, 2, axis=-1)
    filtered = observe("tanh", tf.tanh(filter_half))
    return observe("gated", filtered * observe("sigmoid", tf.sigmoid(gate_half)))
