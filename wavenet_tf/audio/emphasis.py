"""Pre-emphasis and gain of the waveform that a model is trained on, and the inverse filter."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Emphasis:
    """A filter of one sample of memory between audio and the waveform that a model takes.

    The model's waveform is `gain * (x[t] - coefficient * x[t - 1])` for audio `x`. Pre-emphasis
    makes the noise of a model less audible (LPCNet, arXiv 1810.11846, section 3.2).

    Attributes:
        coefficient: of the sample before, at least 0 and below 1.
        gain: factor, above 0.

    Example:
    >>> emphasis = Emphasis(coefficient=0.5, gain=2.0)
    >>> waveform = emphasis.analyze(tf.constant([[0.1, 0.2, 0.3]]), previous=tf.zeros([1]))
    >>> audio = emphasis.synthesize(waveform, previous=tf.zeros([1]))
    >>> [round(float(sample), 3) for sample in audio[0]]
    [0.1, 0.2, 0.3]
    """

    coefficient: float
    gain: float

    def analyze(self, audio, previous) -> tf.Tensor:
        """Returns the model's waveform of audio.

        Args:
            audio: float32 `[batch, time]`.
            previous: sample of the audio before, `[batch]`.
        """
        before = tf.concat([previous[:, None], audio[:, :-1]], axis=1)
        return self.gain * (audio - self.coefficient * before)

    def synthesize(self, waveform, previous) -> tf.Tensor:
        """Returns the audio of the model's waveform.

        The recursive filter is computed in as many steps as the length has binary digits, each of
        which doubles the samples that are summed: a loop over samples would take much longer.

        Args:
            waveform: float32 `[batch, time]`, of known length.
            previous: sample of the audio before, `[batch]`.
        """
        length = waveform.shape[1]
        powers = self.coefficient ** tf.range(1.0, length + 1.0)
        audio, span = waveform / self.gain, 1
        while span < length:
            earlier = tf.pad(audio[:, :-span], [[0, 0], [span, 0]])
            audio, span = audio + self.coefficient**span * earlier, 2 * span
        return audio + previous[:, None] * powers
