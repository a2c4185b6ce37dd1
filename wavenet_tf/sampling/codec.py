"""From audio to the values of a distribution, and back, across blocks of a stream."""

import tensorflow as tf

from wavenet_tf.audio import Emphasis
from wavenet_tf.clients import STATE_PREFIX

# The most recent sample of the audio, by which the filter of the next block begins.
AUDIO = f"{STATE_PREFIX}audio"
Memory = dict[str, tf.Tensor]


class AudioCodec:
    """Encodes audio as a distribution's values and decodes them, with the model's emphasis.

    The memory holds what the next block depends on: nothing for a model without emphasis, otherwise
    the most recent sample of the audio, `[batch]`, as `state_audio`.

    Args:
        distribution: of the model.
        emphasis: of the model; None for none.
    """

    def __init__(self, distribution, emphasis: Emphasis | None):
        self.distribution, self.emphasis = distribution, emphasis

    def initial_memory(self, batch_size) -> Memory:
        """Returns the memory after digital silence.

        Args:
            batch_size: int or scalar tensor.
        """
        return {} if self.emphasis is None else {AUDIO: tf.zeros([batch_size])}

    def encode(self, audio, memory: Memory) -> tuple[tf.Tensor, Memory]:
        """Returns the values of audio, `[batch, time]`, and the memory after it.

        Args:
            audio: float `[batch, time]` in [-1, 1].
            memory: after the audio before; other tensors among it are ignored.
        """
        if self.emphasis is None:
            return self.distribution.encode(audio), {}
        audio = tf.cast(audio, tf.float32)
        values = self.distribution.encode(self.emphasis.analyze(audio, memory[AUDIO]))
        last = tf.concat([memory[AUDIO][:, None], audio], axis=1)[:, -1]
        return values, {AUDIO: last}

    def decode(self, values, memory: Memory) -> tuple[tf.Tensor, Memory]:
        """Returns the audio of values, float32 `[batch, time]` in [-1, 1], and the memory after it.

        Args:
            values: of the distribution, `[batch, time]`.
            memory: after the audio before; other tensors among it are ignored.
        """
        waveform = self.distribution.decode(values)
        if self.emphasis is None:
            return waveform, {}
        audio = self.emphasis.synthesize(waveform, memory[AUDIO])
        return tf.clip_by_value(audio, -1.0, 1.0), {AUDIO: audio[:, -1]}
