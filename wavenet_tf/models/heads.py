"""Output layers of a WaveNet."""

import keras
import tensorflow as tf

from wavenet_tf.errors import positive_integer
from wavenet_tf.layers import CausalConv1D


@keras.saving.register_keras_serializable(package="wavenet_tf")
class OutputHead(keras.layers.Layer):
    """Sum of the skip connections, ReLU, 1x1, ReLU, 1x1 (WaveNet, figure 4).

    The skip connections of all blocks are one product with their concatenated gated activations.

    Args:
        skip_channels: channels of the sum of the skip connections.
        head_channels: channels between the last two 1x1 convolutions.
        output_channels: channels of the output.

    Input shape:
        `[..., blocks * gate_channels]`, the gated activations of all blocks side by side.

    Output shape:
        float32 `[..., output_channels]`.

    Example:
    >>> head = OutputHead(skip_channels=16, head_channels=16, output_channels=256)
    >>> head(tf.zeros([1, 50, 24])).shape
    TensorShape([1, 50, 256])
    """

    def __init__(self, skip_channels: int, head_channels: int, output_channels: int, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        self.skip_channels = positive_integer("skip_channels", skip_channels)
        self.head_channels = positive_integer("head_channels", head_channels)
        self.output_channels = positive_integer("output_channels", output_channels)
        self.skip_convolution = CausalConv1D(
            self.skip_channels, kernel_size=1, dtype=self.dtype_policy, name="skip_convolution"
        )
        self.head_convolution = CausalConv1D(
            self.head_channels, kernel_size=1, dtype=self.dtype_policy, name="head_convolution"
        )
        # Logits in float32 whatever the policy: half precision ruins the softmax's tails.
        self.output_convolution = CausalConv1D(
            self.output_channels, kernel_size=1, dtype="float32", name="output_convolution"
        )

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers, which `summary(expand_nested=True)` lists."""
        return [self.skip_convolution, self.head_convolution, self.output_convolution]

    def build(self, inputs_shape):
        self.skip_convolution.build(inputs_shape)
        self.head_convolution.build((None, None, self.skip_channels))
        self.output_convolution.build((None, None, self.head_channels))

    def call(self, inputs):
        return self.outputs(tf.nn.relu(self.skip_convolution(inputs)))

    def outputs(self, rectified_skip_sum):
        """Returns the outputs of the head, given the sum of the skip connections after its ReLU."""
        return self.output_convolution(tf.nn.relu(self.head_convolution(rectified_skip_sum)))

    def compute_output_shape(self, inputs_shape):
        return (*inputs_shape[:-1], self.output_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "skip_channels": self.skip_channels,
            "head_channels": self.head_channels,
            "output_channels": self.output_channels,
        }
