"""Streams of logits: blocks of audio in, the logits of complete frames out; it needs numpy only."""

import abc
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from wavenet_tf import clients
from wavenet_tf.conditioning import as_finite_floats
from wavenet_tf.errors import InputError
from wavenet_tf.recognition.spec import RecognizerSpec

BLOCK_SECONDS = 1.0  # of audio that is processed at once, if a caller gives no blocks of its own

# Computes the logits of a block from audio `[batch, samples]`, the mask of its frames
# `[batch, frames]` and a state, None before the first block; returns logits and the next state.
ProcessBlock = Callable[[np.ndarray, np.ndarray, Any], tuple[np.ndarray, Any]]


class LogitStream(Iterator[np.ndarray]):
    """The logits of a stream of audio, `look_ahead` frames late.

    Each item is float32 `[batch, frames, classes]`, the logits of the frames that are complete; the
    last items are those of the rest. Together they are those of all frames; the last frame is
    filled up with digital silence.

    Args:
        process: computes the logits of a block of whole frames.
        spec: of the model.
        blocks: float `[batch, samples]` in [-1, 1], of any lengths.
        block_frames: frames of each call of `process`; None for any number.

    Attributes:
        samples_done: samples processed so far, the silence after the end included.
        seconds: time spent on processing them, in seconds.

    Raises:
        InputError: from the iterator, for a block of another shape or batch size, or with numbers
            that are not finite.
    """

    def __init__(
        self,
        process: ProcessBlock,
        spec: RecognizerSpec,
        blocks: Iterable[np.ndarray],
        block_frames: int | None = None,
    ):
        self.process, self.spec, self.block_frames = process, spec, block_frames
        self.state: Any = None
        self.samples_done, self.seconds = 0, 0.0
        self._blocks = self._whole_frames(_checked(blocks))
        # Frames of the audio so far, and logits so far: the first ones are of frames before it.
        self._frames_in, self._frames_out = 0, -spec.look_ahead

    def __next__(self) -> np.ndarray:
        audio, mask = next(self._blocks)
        started = time.perf_counter()
        logits, self.state = self.process(audio, mask, self.state)
        self.seconds += time.perf_counter() - started
        self.samples_done += audio.shape[1]
        self._frames_in += int(mask[0].sum())
        first = self._frames_out
        self._frames_out += logits.shape[1]
        return logits[:, max(0, -first) : max(0, self._frames_in - first)]

    @property
    def real_time_factor(self) -> float:
        """Seconds of audio of each stream per second of processing."""
        return self.samples_done / self.spec.sample_rate / self.seconds if self.seconds else 0.0

    def _whole_frames(
        self, blocks: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields whole frames of audio, and 1 for each; then silence for the look-ahead with 0."""
        length, rest = self.spec.frame_length, None
        for block in blocks:
            rest = block if rest is None else np.concatenate([rest, block], axis=1)
            unit = length * (self.block_frames or rest.shape[1] // length or 1)
            while rest.shape[1] >= unit:
                yield self._masked(rest[:, :unit], unit // length)
                rest = rest[:, unit:]
        if rest is None:
            return
        in_clip = -(-rest.shape[1] // length)
        frames = in_clip + self.spec.look_ahead
        unit = self.block_frames or frames
        if not unit:
            return
        frames = -(-frames // unit) * unit
        silence = frames * length - rest.shape[1]
        padded = np.pad(rest, [(0, 0), (0, silence)])
        for first in range(0, frames, unit):
            block = padded[:, first * length : (first + unit) * length]
            yield self._masked(block, in_clip - first)

    def _masked(self, audio: np.ndarray, in_clip: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a block with the mask of its frames, of which the first `in_clip` are audio."""
        frames = np.arange(audio.shape[1] // self.spec.frame_length)
        mask = np.tile((frames < in_clip).astype(np.float32), [len(audio), 1])
        return np.ascontiguousarray(audio), mask


class BlockRecognizer(abc.ABC):
    """Computes the logits of a classifier's frames, of whole recordings and of streams.

    Attributes:
        spec: the `RecognizerSpec` of the model.
        block_frames: frames that are processed at once if a caller gives whole recordings.
    """

    spec: RecognizerSpec
    block_frames: int

    @abc.abstractmethod
    def stream(self, blocks: Iterable[np.ndarray]) -> LogitStream:
        """Computes the logits of blocks of audio as they come, for microphones and long files.

        Args:
            blocks: float `[batch, samples]` in [-1, 1], of any lengths.

        Returns:
            An iterator over logits, float32 `[batch, frames, classes]`, of the frames that are
            complete, `look_ahead` frames late; and at the end those of the rest. Together they are
            those of all frames; the last one is filled up with digital silence.
        """

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
        audio = as_finite_floats("audio", audio)
        if audio.ndim != 2 or not audio.size:
            raise InputError(
                f"audio must be [batch, samples] with at least one sample; received "
                f"{list(audio.shape)}"
            )
        block = self.block_frames * self.spec.frame_length
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
        return log_softmax(logits)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns log-probabilities.

    Args:
        logits: `[..., classes]`.

    Example:
    >>> np.exp(log_softmax(np.array([0.0, 0.0]))).tolist()
    [0.5, 0.5]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _checked(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields blocks of audio as float32; raises InputError for one that does not fit."""
    batch = None
    for block in blocks:
        block = as_finite_floats("audio", block)
        if block.ndim != 2 or len(block) != (len(block) if batch is None else batch):
            raise InputError(
                f"audio must be [{'batch' if batch is None else batch}, samples]; received shape "
                f"{list(block.shape)}"
            )
        batch = len(block)
        yield block


def process_with_signatures(
    call_signature: clients.CallSignature, initial_inputs: dict[str, np.ndarray]
) -> ProcessBlock:
    """Returns a function that computes the logits of a block with an exported model.

    Args:
        call_signature: calls a signature of the exported model.
        initial_inputs: inputs of its `initial_state`.
    """

    def process(audio, mask, state):
        if state is None:
            answer = call_signature("initial_state", **initial_inputs)
            state = clients.checked_state(answer, len(audio))
        answer = call_signature("recognize_block", audio=audio, frame_mask=mask, **state)
        logits = checked_answer(answer.pop("logits", None), "logits", (*mask.shape, None))
        return logits, clients.checked_state(answer, len(audio))

    return process


class SignatureRecognizer(BlockRecognizer):
    """Computes logits with an exported SavedModel, whose state travels with each block.

    Args:
        call_signature: calls a signature of the exported model.
        metadata: of the exported model.
        block_seconds: of audio that is processed at once if a caller gives whole recordings.
    """

    def __init__(
        self,
        call_signature: clients.CallSignature,
        metadata: dict[str, Any],
        block_seconds: float = BLOCK_SECONDS,
    ):
        self.call_signature = call_signature
        self.spec = RecognizerSpec.from_metadata(metadata)
        frame_seconds = self.spec.frame_length / self.spec.sample_rate
        self.block_frames = max(1, round(block_seconds / frame_seconds))

    def stream(self, blocks: Iterable[np.ndarray]) -> LogitStream:
        """Computes the logits of blocks of one stream; see `BlockRecognizer.stream`."""
        streams = {"streams": np.zeros(1, np.int32)}
        process = process_with_signatures(self.call_signature, streams)
        return LogitStream(process, self.spec, blocks)

    def probabilities(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the probabilities of a recording, computed in one call.

        Args:
            waveform: float32 `[samples]` in [-1, 1].

        Returns:
            float32 `[frames, classes]`, or `[classes]` of the clip.
        """
        answer = self.call_signature(
            "recognize",
            audio=waveform[None],
            num_samples=np.array([len(waveform)], np.int32),
        )
        frames = [-(-len(waveform) // self.spec.frame_length)] * self.spec.per_frame
        shape = (1, *frames, len(self.spec.output_names))
        return checked_answer(answer.get("probabilities"), "probabilities", shape)[0]


def checked_answer(value: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Returns a tensor of a model's answer as float32.

    Args:
        value: of the answer; None if it has none of that name.
        name: of the tensor.
        shape: that it must have; None for any size.

    Raises:
        InputError: for another shape or type, NaN or infinity.
    """
    array = np.asarray(value)
    fits = len(array.shape) == len(shape) and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind not in "iuf" or not fits:
        found = "nothing" if value is None else f"{array.dtype} of shape {list(array.shape)}"
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(f"the model must answer with {name} [{expected}]; received {found}")
    if not np.isfinite(array).all():
        raise InputError(f"the model answered with {name} that hold NaN or infinity")
    return array.astype(np.float32, copy=False)
