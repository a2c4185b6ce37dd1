"""A context stack: a smaller network with a longer receptive field, which conditions the trunk."""

import keras
import tensorflow as tf

from wavenet_tf.errors import positive_integer
from wavenet_tf.layers.convolutions import CausalConv1D, slice_time, with_state_shape
from wavenet_tf.layers.stack import DilatedStack
from wavenet_tf.layers.state import ContextState

# Samples between the end of a frame and the first sample that depends on it. As many samples can be
# sampled with the outputs of the context stacks computed beforehand.
CONTEXT_DELAY = 16


@keras.saving.register_keras_serializable(package="wavenet_tf")
class ContextStack(keras.layers.Layer):
    """A smaller stack with a longer receptive field than the trunk, which it conditions.

    It is the context stack of WaveNet, section 2.6.

    Each frame of `pooling` samples becomes one vector (a strided convolution, ReLU), which gated
    residual blocks of dilations 1, 2, 4 and so on process. The sum of their skip connections, after
    a ReLU, is repeated for the samples that follow: sample `t` depends on frame
    `floor((t - CONTEXT_DELAY) / pooling) - 1` and the frames before it.

    Args:
        pooling: samples per frame; 1 keeps the sample rate, and makes sampling slow.
        num_stacks: number of repetitions of the dilations.
        layers_per_stack: blocks per repetition.
        kernel_size: taps of the dilated convolutions.
        channels: channels of the frames, the gates and the output.

    Input shape:
        float `[batch, time]`, companded audio, 0 for silence; optionally a `ContextState`.

    Output shape:
        `[batch, time, channels]`, and the next state if a state is given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> stack = ContextStack(
    ...     pooling=64, num_stacks=1, layers_per_stack=10, kernel_size=2, channels=16
    ... )
    >>> stack.context  # samples
    65615
    >>> stack(tf.zeros([1, 300])).shape
    TensorShape([1, 300, 16])
    """

    def __init__(
        self,
        pooling: int,
        num_stacks: int,
        layers_per_stack: int,
        kernel_size: int,
        channels: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pooling = positive_integer("pooling", pooling)
        self.num_stacks = positive_integer("num_stacks", num_stacks)
        self.layers_per_stack = positive_integer("layers_per_stack", layers_per_stack)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.channels = positive_integer("channels", channels)
        self.frame_projection = keras.layers.Dense(
            self.channels, activation="relu", dtype=self.dtype_policy, name="frame_projection"
        )
        self.stack = DilatedStack(
            self.channels,
            self.channels,
            self.kernel_size,
            [2**layer for layer in range(self.layers_per_stack)] * self.num_stacks,
            dtype=self.dtype_policy,
            name="stack",
        )
        self.skip_convolution = CausalConv1D(
            self.channels, kernel_size=1, dtype=self.dtype_policy, name="skip_convolution"
        )
        # Frames whose outputs condition samples that are still to come.
        self.outputs_kept = 1 - (-CONTEXT_DELAY // self.pooling)

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers, which `summary(expand_nested=True)` lists."""
        return [self.frame_projection, self.stack, self.skip_convolution]

    @property
    def context(self) -> int:
        """Largest number of samples before the current one that an output depends on."""
        return (self.stack.context + 2) * self.pooling + CONTEXT_DELAY - 1

    def build(self, inputs_shape=None):
        self.frame_projection.build((None, None, self.pooling))
        self.stack.build()
        self.skip_convolution.build((None, None, len(self.stack.blocks) * self.channels))

    def initial_state(self, batch_size) -> ContextState:
        """Returns the state before the first sample: silence, and zeros within the stack.

        Args:
            batch_size: int or scalar tensor.
        """
        return ContextState(
            recent=tf.zeros([batch_size, self.pooling + CONTEXT_DELAY], self.compute_dtype),
            phase=tf.fill([batch_size], -1),
            outputs=tf.zeros([batch_size, self.outputs_kept, self.channels], self.compute_dtype),
            blocks=self.stack.initial_state(batch_size),
        )

    def call(self, inputs, state=None):
        batch, time = tf.shape(inputs)[0], tf.shape(inputs)[1]
        before = self.initial_state(batch) if state is None else state
        phase = before.phase[0]
        signal = tf.concat([before.recent, inputs], axis=1)
        # A frame is processed with the first sample after it.
        frames = (phase + time) // self.pooling
        first = self.pooling + CONTEXT_DELAY - 1 - phase
        signal_of_frames = slice_time(signal, first, frames * self.pooling)
        signal_of_frames = tf.reshape(signal_of_frames, [batch, frames, self.pooling])

        gated, blocks = self.stack(self.frame_projection(signal_of_frames), state=before.blocks)
        outputs = tf.nn.relu(self.skip_convolution(gated))
        outputs = tf.concat([before.outputs, outputs], axis=1)
        repeated = tf.gather(outputs, frame_indices(self.pooling, phase, time), axis=1)
        if state is None:
            return repeated
        return repeated, ContextState(
            recent=slice_time(signal, time, self.pooling + CONTEXT_DELAY),
            phase=(before.phase + time) % self.pooling,
            outputs=slice_time(outputs, frames, self.outputs_kept),
            blocks=blocks,
        )

    def compute_output_shape(self, inputs_shape, state_shape=None):
        return with_state_shape((*inputs_shape, self.channels), state_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "num_stacks": self.num_stacks,
            "layers_per_stack": self.layers_per_stack,
            "kernel_size": self.kernel_size,
            "channels": self.channels,
        }


def frame_indices(pooling: int, phase, time) -> tf.Tensor:
    """Returns the index of the frame that each next sample depends on.

    Args:
        pooling: samples per frame.
        phase: `ContextState.phase` of one stream, an int32 scalar.
        time: number of samples.

    Returns:
        int32 `[time]`: indices into `ContextState.outputs` followed by the outputs of later frames.
    """
    samples = tf.range(time) + phase + 1
    return (samples - CONTEXT_DELAY) // pooling - (-CONTEXT_DELAY // pooling)
