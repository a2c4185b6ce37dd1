"""Computes the logits of a classifier block by block, in constant memory."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.layers import TrunkState, slice_time
from wavenet_tf.recognition.logit_stream import BLOCK_SECONDS, BlockRecognizer, LogitStream
from wavenet_tf.recognition.spec import RecognizerSpec


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


class Recognizer(BlockRecognizer):
    """Computes the logits of a classifier's frames block by block.

    The logits are those of the whole clip, up to rounding, and come `look_ahead` frames late.

    Args:
        model: a `WaveNetClassifier`.

    Attributes:
        spec: the `RecognizerSpec` of the model.
        block_frames: frames that are processed at once if a caller gives whole recordings.

    Example:
    >>> from wavenet_tf.models import WaveNetClassifier
    >>> model = WaveNetClassifier({"num_stacks": 1, "layers_per_stack": 4}, num_classes=3)
    >>> Recognizer(model).logits(np.zeros([2, 1600])).shape  # 10 frames of 10 ms
    (2, 10, 3)
    """

    def __init__(self, model):
        self.model, self.spec = model, RecognizerSpec.from_model(model)
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
        kept = 2 * model.look_ahead
        new = tf.shape(frames)[1] - kept
        logits = slice_time(model.frame_logits(frames, mask), model.look_ahead, new)
        after = slice_time(frames, new, kept), slice_time(mask, new, kept)
        return logits, RecognizerState(trunk, *after)

    def stream(self, blocks: Iterable[np.ndarray]) -> LogitStream:
        return LogitStream(self._run, self.spec, blocks)

    def _run(self, audio: np.ndarray, mask: np.ndarray, state: RecognizerState | None):
        if state is None:
            state = self.initial_state(len(audio))
        logits, state = self._process(audio, mask, state)
        return logits.numpy(), state
