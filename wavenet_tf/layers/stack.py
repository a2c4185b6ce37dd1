"""A stack of gated residual blocks, which the trunk and every context stack share."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from wavenet_tf.layers.residual import GatedResidualBlock


@keras.saving.register_keras_serializable(package="wavenet_tf")
class DilatedStack(keras.layers.Layer):
    """Gated residual blocks one after the other, one per dilation (WaveNet, figure 4).

    Args:
        residual_channels: channels of the signal that runs through the blocks.
        gate_channels: channels of the filter and of the gate of each block, each.
        kernel_size: taps of each dilated convolution.
        dilations: dilation of each block, in samples.
        residual_scale: factor of each residual output, see `GatedResidualBlock`.
        global_channels: channels of the conditioning of the whole signal; None for none.
        local_channels: channels of the conditioning of each sample; None for none.

    Input shape:
        `[batch, time, residual_channels]`; with global conditioning also
        `[batch, 1, global_channels]`, with local conditioning also `[batch, time, local_channels]`;
        optionally the state, a tuple with one tensor per block.

    Output shape:
        The gated activations of all blocks side by side,
        `[batch, time, len(dilations) * gate_channels]`, and the next state if a state is given.

    Example:
    >>> stack = DilatedStack(residual_channels=8, gate_channels=6, kernel_size=2, dilations=(1, 2))
    >>> stack.context  # samples
    3
    >>> stack(tf.zeros([1, 100, 8])).shape
    TensorShape([1, 100, 12])
    """

    def __init__(
        self,
        residual_channels: int,
        gate_channels: int,
        kernel_size: int,
        dilations: Sequence[int],
        residual_scale: float = 1.0,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.residual_channels = residual_channels
        self.blocks = [
            GatedResidualBlock(
                gate_channels,
                kernel_size,
                dilation_rate,
                residual=index < len(dilations) - 1,
                residual_scale=residual_scale,
                global_channels=global_channels,
                local_channels=local_channels,
                dtype=self.dtype_policy,
                name=f"block_{index}",
            )
            for index, dilation_rate in enumerate(dilations)
        ]

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The blocks, which `summary(expand_nested=True)` lists."""
        return self.blocks

    @property
    def context(self) -> int:
        """Number of samples before the current one that an output depends on."""
        return sum(block.dilated_convolution.context for block in self.blocks)

    def build(self, inputs_shape=None):
        for block in self.blocks:
            block.build((None, None, self.residual_channels))

    def initial_state(self, batch_size) -> tuple[tf.Tensor, ...]:
        """Returns the state before the first sample: zeros for every block.

        Args:
            batch_size: int or scalar tensor.
        """
        return tuple(block.initial_state(batch_size) for block in self.blocks)

    def call(self, inputs, global_conditioning=None, local_conditioning=None, state=None):
        # Rematerialized blocks take neither None nor keyword arguments.
        conditions = [] if global_conditioning is None else [global_conditioning]
        if local_conditioning is not None:
            no_global = tf.zeros([1, 1, 0], local_conditioning.dtype)
            conditions = [*(conditions or [no_global]), local_conditioning]
        signal, gated, next_state = inputs, [], []
        for index, block in enumerate(self.blocks):
            if state is None:
                signal, activation = block(signal, *conditions)
            else:
                signal, activation, after = block(signal, *conditions, state=state[index])
                next_state.append(after)
            gated.append(activation)
        outputs = tf.concat(gated, axis=-1)
        return outputs if state is None else (outputs, tuple(next_state))

    def compute_output_shape(self, inputs_shape, state_shape=None):
        channels = sum(block.gate_channels for block in self.blocks)
        shape = (*inputs_shape[:-1], channels)
        return shape if state_shape is None else (shape, state_shape)

    def get_config(self):
        first = self.blocks[0]
        return {
            **super().get_config(),
            "residual_channels": self.residual_channels,
            "gate_channels": first.gate_channels,
            "kernel_size": first.kernel_size,
            "dilations": [block.dilation_rate for block in self.blocks],
            "residual_scale": first.residual_scale,
            "global_channels": first.global_channels,
            "local_channels": first.local_channels,
        }
