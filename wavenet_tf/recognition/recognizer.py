"""Computes the logits of a classifier block by block, in constant memory."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.layers import TrunkState

BLOCK_SECONDS = 1.0  # of audio that is processed at once, if a caller gives no blocks of its own


class RecognizerState(NamedTuple):
    """State of a recognizer after the audio before a block.

    Attributes:
        trunk: state of the trunk.
        frames: the last `2 * look_ahead` frames, `[batch, frames, channels]`.
        mask: 1 for those of these frames that are in the clip, `[batch, frames]`.
    """

    trunk: TrunkState
    frames: tf.Tensor
    mask: tf.Tensor


class Recognizer:
    """Computes the logits of a classifier's frames block by block.

    The logits are those of the whole clip, up to rounding, and come `look_ahead` frames late.

    Args:
        model: a `WaveNetClassifier`.

    Example:
    >>> from wavenet_tf.models import WaveNetClassifier
    >>> model = WaveNetClassifier({"num_stacks": 1, "layers_per_stack": 4}, num_classes=3)
    >>> Recognizer(model).logits(np.zeros([2, 1600])).shape  # 10 frames of 10 ms
    (2, 10, 3)
    """

    def __init__(self, model):
        self.model = model
        self.block_frames = max(1, round(BLOCK_SECONDS / model.frame_seconds))
        self._process = tf.function(self.process, reduce_retracing=True)

    def initial_state(self, batch_size) -> RecognizerState:
        """Returns the state before the first sample.

        Args:
            batch_size: int or scalar tensor.
        """
        model, frames = self.model, 2 * self.model.look_ahead
        return RecognizerState(
            model.trunk.initial_state(batch_size),
            tf.zeros([batch_size, frames, model.channels], model.compute_dtype),
            tf.zeros([batch_size, frames]),
        )

    def process(self, audio, mask, state: RecognizerState) -> tuple[tf.Tensor, RecognizerState]:
        """Returns the logits of the frames that are `look_ahead` frames before those of a block.

        Args:
            audio: float32 in [-1, 1], `[batch, samples]`, in whole frames.
            mask: float32 `[batch, frames]`, 0 for frames after the end of a clip.
            state: after the samples before.

        Returns:
            Logits `[batch, frames, classes]`, and the next state.
        """
        model = self.model
        gated, trunk = model.trunk(model.distribution.encode(audio), state.trunk)
        frames = tf.concat([state.frames, model.frames(model.rectified_skip_sum(gated))], axis=1)
        mask = tf.concat([state.mask, mask], axis=1)
        end = tf.shape(frames)[1] - model.look_ahead
        logits = model.frame_logits(frames, mask)[:, model.look_ahead : end]
        kept = tf.shape(frames)[1] - 2 * model.look_ahead
        return logits, RecognizerState(trunk, frames[:, kept:], mask[:, kept:])

    def logits(self, audio) -> np.ndarray:
        """Returns the logits of all frames of a batch of waveforms.

        Args:
            audio: float `[batch, samples]` in [-1, 1]. The last frame is filled up with digital
                silence.

        Returns:
            float32 `[batch, frames, classes]`.

        Raises:
            InputError: for audio of another shape, or without a sample.
        """
        audio = np.asarray(audio, np.float32)
        if audio.ndim != 2 or not audio.size:
            raise InputError(
                f"audio must be [batch, samples] with at least one sample; received "
                f"{list(audio.shape)}"
            )
        block = self.block_frames * self.model.frame_length
        blocks = (audio[:, start : start + block] for start in range(0, audio.shape[1], block))
        return np.concatenate(list(self.stream(blocks)), axis=1)

    def log_probabilities(self, waveform) -> np.ndarray:
        """Returns the log-probabilities of the classes of each frame, float32 `[frames, classes]`.

        Args:
            waveform: float `[samples]` in [-1, 1].

        Raises:
            InputError: for a waveform of another shape, or without a sample.
        """
        logits = self.logits(np.asarray(waveform)[None])[0]
        return tf.nn.log_softmax(logits).numpy()

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Computes the logits of blocks of audio as they come, for microphones and long files.

        Args:
            blocks: float `[batch, samples]` in [-1, 1], of any lengths.

        Returns:
            An iterator over logits, float32 `[batch, frames, classes]`, of the frames that are
            complete, `look_ahead` frames late; and at the end those of the rest. Together they are
            those of all frames; the last one is filled up with digital silence.
        """
        state, late = None, self.model.look_ahead
        for block, in_clip in self._whole_frames(blocks):
            if state is None:
                state = self.initial_state(len(block))
            logits, state = self._run(block, in_clip, state)
            # The first logits are those of frames before the audio.
            dropped = min(late, logits.shape[1])
            late -= dropped
            yield logits[:, dropped:]

    def _whole_frames(self, blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, float]]:
        """Yields whole frames of audio with 1, then silence for the look-ahead with 0.

        A block without a whole frame gives none.
        """
        frame_length, rest = self.model.frame_length, None
        for block in blocks:
            block = np.asarray(block, np.float32)
            rest = block if rest is None else np.concatenate([rest, block], axis=1)
            end = rest.shape[1] // frame_length * frame_length
            if end:
                yield rest[:, :end], 1.0
            rest = rest[:, end:]
        if rest is None:
            return
        if rest.shape[1]:
            yield np.pad(rest, [(0, 0), (0, frame_length - rest.shape[1])]), 1.0
        yield np.zeros([len(rest), self.model.look_ahead * frame_length], np.float32), 0.0

    def _run(self, audio: np.ndarray, in_clip: float, state: RecognizerState):
        mask = np.full([len(audio), audio.shape[1] // self.model.frame_length], in_clip, np.float32)
        logits, state = self._process(audio, mask, state)
        return logits.numpy(), state
