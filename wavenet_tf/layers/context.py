"""A context stack: a smaller network that hears far more of the signal than the main one."""

import keras
import tensorflow as tf

from wavenet_tf.errors import positive_integer
from wavenet_tf.layers.blocks import GatedResidualBlock
from wavenet_tf.layers.convolutions import CausalConv1D, slice_time, with_state_shape

# Samples between the end of a frame and the first sample that sees it: so many samples can be drawn
# with all that the context stacks say of them known beforehand.
CONTEXT_DELAY = 16


@keras.saving.register_keras_serializable(package="wavenet_tf")
class ContextStack(keras.layers.Layer):
    """A smaller stack over a long stretch, which conditions the main one (WaveNet, section 2.6).

    Frames of `pooling` samples become one vector each (a strided convolution, ReLU); over these run
    gated residual blocks of dilations 1, 2, 4 and so on; the sum of their skip connections, after a
    ReLU, is held for the samples that follow: sample `t` sees frame
    `floor((t - CONTEXT_DELAY) / pooling) - 1` and those before it.

    Args:
        pooling: samples a frame; 1 keeps the sample rate, at a price in generation.
        num_stacks: how often the dilations repeat.
        layers_per_stack: blocks in a stack.
        kernel_size: taps of the dilated convolutions.
        channels: of the frames, the gates and the output.

    Input shape:
        float `[batch, time]`, companded audio, 0 for silence; and optionally the state, a dict.

    Output shape:
        `[batch, time, channels]`, and the next state where a state was given.

    Raises:
        InputError: for an argument that is not a positive whole number.

    Example:
    >>> stack = ContextStack(pooling=64, layers_per_stack=10, channels=16)
    >>> stack.context  # samples
    65615
    >>> stack(tf.zeros([1, 300])).shape
    TensorShape([1, 300, 16])
    """

    def __init__(
        self,
        pooling: int,
        num_stacks: int = 1,
        layers_per_stack: int = 8,
        kernel_size: int = 2,
        channels: int = 32,
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
        num_blocks = self.num_stacks * self.layers_per_stack
        self.blocks = [
            GatedResidualBlock(
                self.channels,
                self.kernel_size,
                dilation_rate=2 ** (index % self.layers_per_stack),
                residual=index < num_blocks - 1,
                dtype=self.dtype_policy,
                name=f"block_{index}",
            )
            for index in range(num_blocks)
        ]
        self.skip_convolution = CausalConv1D(
            self.channels, kernel_size=1, dtype=self.dtype_policy, name="skip_convolution"
        )
        # Frames whose outputs are still seen by samples that are not drawn yet.
        self.outputs_kept = 1 - (-CONTEXT_DELAY // self.pooling)

    @property
    def context(self) -> int:
        """Samples before the current one that an output depends on, at the most."""
        frames = 1 + sum(block.dilated_convolution.context for block in self.blocks)
        return (frames + 1) * self.pooling + CONTEXT_DELAY - 1

    def build(self, inputs_shape):
        self.frame_projection.build((None, None, self.pooling))
        for block in self.blocks:
            block.build((None, None, self.channels))
        self.skip_convolution.build((None, None, len(self.blocks) * self.channels))

    def initial_state(self, batch_size) -> dict[str, tf.Tensor]:
        """The state before the first sample: silence, and zeros within the stack.

        Args:
            batch_size: int or scalar tensor.

        Returns:
            `recent`, the newest samples `[batch, pooling + CONTEXT_DELAY]`; `phase`, how many of
            them lie behind the newest whole frame, less 1, int32 `[batch]`; `outputs`, of the
            newest frames, `[batch, frames, channels]`; and a state a block.
        """
        return {
            "recent": tf.zeros([batch_size, self.pooling + CONTEXT_DELAY], self.compute_dtype),
            "phase": tf.fill([batch_size], -1),
            "outputs": tf.zeros([batch_size, self.outputs_kept, self.channels], self.compute_dtype),
            **{block.name: block.initial_state(batch_size) for block in self.blocks},
        }

    def call(self, inputs, state=None):
        batch, time = tf.shape(inputs)[0], tf.shape(inputs)[1]
        before = self.initial_state(batch) if state is None else state
        phase = before["phase"][0]
        signal = tf.concat([before["recent"], inputs], axis=1)
        # A frame is taken in with the first sample after it.
        frames = (phase + time) // self.pooling
        first = self.pooling + CONTEXT_DELAY - 1 - phase
        signal_of_frames = slice_time(signal, first, frames * self.pooling)
        signal_of_frames = tf.reshape(signal_of_frames, [batch, frames, self.pooling])

        after = {}
        hidden, gated = self.frame_projection(signal_of_frames), []
        for block in self.blocks:
            hidden, activation, after[block.name] = block(hidden, state=before[block.name])
            gated.append(activation)
        outputs = tf.nn.relu(self.skip_convolution(tf.concat(gated, axis=-1)))
        outputs = tf.concat([before["outputs"], outputs], axis=1)
        held = tf.gather(outputs, held_frames(self.pooling, phase, time), axis=1)
        if state is None:
            return held
        after["recent"] = slice_time(signal, time, self.pooling + CONTEXT_DELAY)
        after["phase"] = (before["phase"] + time) % self.pooling
        after["outputs"] = slice_time(outputs, frames, self.outputs_kept)
        return held, after

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


def held_frames(pooling: int, phase, time) -> tf.Tensor:
    """Which of the frames in a context stack's state, and after it, each next sample sees.

    Args:
        pooling: samples a frame.
        phase: of the state, an int32 scalar.
        time: number of samples.

    Returns:
        int32 `[time]`, places in the state's `outputs` followed by those of later frames.
    """
    samples = tf.range(time) + phase + 1
    return (samples - CONTEXT_DELAY) // pooling - (-CONTEXT_DELAY // pooling)
