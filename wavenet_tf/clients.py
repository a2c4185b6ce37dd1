"""What clients of exported models share, on devices and of servers; it needs numpy only."""

import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wavenet_tf.conditioning import (
    LOCAL_CONDITIONING,
    ConditionChanges,
    ConditioningSpec,
    as_finite_floats,
    samples_after_prompt,
)
from wavenet_tf.errors import InputError, check_temperature, positive_number
from wavenet_tf.text.linguistic import LinguisticFeatures, SpokenPhone

# Calls a signature of an exported model by its name, with its inputs as keyword arguments.
CallSignature = Callable[..., dict[str, np.ndarray]]

STATE_PREFIX = "state_"
# What an exported model does, `task` in its metadata.
GENERATION, RECOGNITION = "generation", "recognition"
# What a recognizer's classes are of.
TARGETS_OF_FRAMES, TARGETS_OF_CLIPS = ("frames", "sequence"), ("clip", "tags")
TARGETS = (*TARGETS_OF_FRAMES, *TARGETS_OF_CLIPS)
# In the error of a SavedModel for streams at different positions in a frame of a context stack.
UNLIKE_PHASES = "be the same for all streams of a batch"
# By which an exported voice raises or lowers F0.
MAX_SEMITONES = 24.0
# The sizes of each condition that the metadata must hold.
CONDITION_SIZES = {
    "speaker_id": ("num_speakers",),
    "global_conditioning": ("global_channels",),
    "local_conditioning": ("local_channels", "hop_length"),
}


def checked_metadata(metadata: Any, source: str, limit: str) -> dict[str, Any]:
    """Returns the metadata of an exported model, in which everything exists that clients read.

    The model is a generator if the metadata states no task.

    Args:
        metadata: as it was read.
        source: the file or server it comes from, for the error.
        limit: one more whole number above 0 that it must hold: "batch_size" or "max_samples".

    Raises:
        InputError: for metadata that is no dict, or has a value missing or of the wrong kind.
    """
    require = functools.partial(_require, source)
    require(isinstance(metadata, dict), "a JSON object", metadata)
    metadata = {"task": GENERATION, **metadata}
    tasks = (GENERATION, RECOGNITION)
    require(metadata["task"] in tasks, f"task: one of {', '.join(tasks)}", metadata["task"])
    if metadata["task"] == RECOGNITION:
        return _checked_recognizer(metadata, require, limit)
    return _checked_generator(metadata, require, limit)


def _require(source: str, valid: bool, expected: str, received) -> None:
    """Raises InputError for metadata that has a value missing or of the wrong kind."""
    if not valid:
        raise InputError(
            f"the metadata of {source} must hold {expected}; received {str(received)[:80]!r}"
        )


def _checked_recognizer(metadata: dict[str, Any], require: Callable, limit: str) -> dict[str, Any]:
    """Returns the metadata of a recognizer; see `checked_metadata`."""
    for name in ("sample_rate", "frame_length", "num_classes", limit):
        value = metadata.get(name)
        require(type(value) is int and value > 0, f"{name}: a whole number above 0", value)
    value = metadata.get("look_ahead")
    require(type(value) is int and value >= 0, "look_ahead: a whole number", value)
    targets = metadata.get("targets")
    require(targets in TARGETS, f"targets: one of {', '.join(TARGETS)}", targets)
    names = metadata.setdefault("class_names", None)
    named = isinstance(names, list) and len(names) == metadata["num_classes"]
    require(names is None or named, "class_names: null, or a name for each class", names)
    if limit == "batch_size":
        value = metadata.get("block_size")
        whole = type(value) is int and value > 0 and value % metadata["frame_length"] == 0
        require(whole, f"block_size: a multiple of frame_length {metadata['frame_length']}", value)
    return metadata


def _checked_generator(metadata: Any, require: Callable, limit: str) -> dict[str, Any]:
    """Returns the metadata of a generator; see `checked_metadata`."""
    conditioning = metadata.get("conditioning")
    known = isinstance(conditioning, list) and all(
        isinstance(name, str) and name in CONDITION_SIZES for name in conditioning
    )
    require(known, f"conditioning: a list of any of {', '.join(CONDITION_SIZES)}", conditioning)
    sizes = ["sample_rate", "block_size", "uniforms_per_sample", limit]
    for condition, names in CONDITION_SIZES.items():
        if condition in conditioning:
            sizes.extend(names)
        elif any(metadata.get(name) is not None for name in names):
            require(False, f"no {' or '.join(names)} without {condition}", conditioning)
    if metadata.get("prosody") and limit == "batch_size":
        sizes.extend(("max_phones", "max_frames"))
    for name in sizes:
        value = metadata.get(name)
        require(type(value) is int and value > 0, f"{name}: a whole number above 0", value)
    if "local_conditioning" in conditioning:
        for name in ("frames_before", "frames_after"):
            value = metadata.get(name)
            require(type(value) is int and value >= 0, f"{name}: a whole number", value)
        block_size = metadata["block_size"]
        whole = f"block_size: a multiple of hop_length {metadata['hop_length']}"
        require(block_size % metadata["hop_length"] == 0, whole, block_size)
    for name, size, owner in (
        ("speaker_names", "num_speakers", "speaker"),
        ("tag_names", "global_channels", "channel"),
    ):
        names = metadata.get(name)
        named = isinstance(names, list) and len(names) == metadata.get(size)
        require(names is None or named, f"{name}: null, or a name for each {owner}", names)
    optional = (field.name for field in dataclasses.fields(ConditioningSpec))
    return {**dict.fromkeys(optional), "prosody": False, **metadata}


def checked_audio(metadata: dict[str, Any], batch_size: int, audio) -> np.ndarray:
    """Returns audio that primes a model, as float32.

    Args:
        metadata: of the exported model.
        batch_size: number of streams.
        audio: float `[streams or 1, samples]` in [-1, 1]; with local conditioning, whole frames
            of it.

    Raises:
        InputError: for audio of another shape, or with numbers that are not finite.
    """
    audio = as_finite_floats("audio", audio)
    if audio.ndim != 2 or audio.shape[0] not in (1, batch_size):
        raise InputError(
            f"audio must have shape [{batch_size} or 1, samples]; received shape "
            f"{list(audio.shape)}"
        )
    hop = metadata["hop_length"] or 1
    if audio.shape[1] % hop:
        raise InputError(
            f"audio must hold whole frames of {hop} samples; received {audio.shape[1]}"
        )
    return audio


def check_uniforms(value: np.ndarray) -> None:
    """Raises InputError unless all uniform numbers are in [0, 1)."""
    if not ((value >= 0.0) & (value < 1.0)).all():
        raise InputError(
            f"uniforms must be in [0, 1); received numbers from {np.min(value)} to {np.max(value)}"
        )


def checked_state(answer: Any, streams: int) -> dict[str, np.ndarray]:
    """Returns a model's answer if it is a state, with a row for each stream.

    Args:
        answer: of `initial_state`, `prime` or, without its audio, `generate_block`.
        streams: number of streams.

    Raises:
        InputError: for any other answer.
    """
    for name, value in answer.items():
        array = np.asarray(value)
        is_state = name.startswith(STATE_PREFIX) and array.dtype.kind in "iuf"
        if not is_state or array.shape[:1] != (streams,):
            raise InputError(
                f"the model must answer with a state of {streams} streams; received {name}: "
                f"{array.dtype} of shape {list(array.shape)}"
            )
    if not answer:
        raise InputError("the model must answer with a state; received nothing")
    return answer


def checked_answer_audio(audio: Any, streams: int, samples: int) -> np.ndarray:
    """Returns the audio of a model's answer if it is audio, as float32.

    Args:
        audio: value of "audio" in the answer; None if it has none.
        streams: number of streams.
        samples: smallest number of samples of each stream.

    Raises:
        InputError: for another shape or type, NaN or infinity.
    """
    array = np.asarray(audio)
    if array.dtype.kind not in "iuf" or array.ndim != 2 or len(array) != streams:
        found = "nothing" if audio is None else f"{array.dtype} of shape {list(array.shape)}"
        raise InputError(f"the model must answer with audio of {streams} streams; received {found}")
    if array.shape[1] < samples:
        raise InputError(
            f"the model must answer with {samples} samples of audio; received {array.shape[1]}"
        )
    if not np.isfinite(array).all():
        raise InputError("the model answered with audio that holds NaN or infinity")
    return array.astype(np.float32, copy=False)


def frames_of_phones(
    call_signature: CallSignature,
    metadata: dict[str, Any],
    phones: Sequence[SpokenPhone],
    speaker_id: int | None = None,
    rate: float = 1.0,
    semitones: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the predicted durations of phones, and the frames that condition an exported voice.

    Args:
        call_signature: calls a signature of the exported model.
        metadata: of the exported model.
        phones: of an utterance, see `text.sentence_of_phones`.
        speaker_id: index of the speaker; None for a voice without speakers.
        rate: factor of the speed.
        semitones: by which F0 is raised.

    Returns:
        The number of frames of each phone, int `[phones]`, and local conditioning, float32
        `[1, frames, local_channels]`.

    Raises:
        InputError: for a model that is no voice, phones of another set, an utterance that is too
            long for the file, or an argument out of range.
    """
    if not metadata["prosody"]:
        raise InputError("the model takes no phones: it was not exported from a voice")
    inputs = {"rate": np.array([positive_number("rate", rate)], np.float32)}
    if not abs(semitones) <= MAX_SEMITONES:
        raise InputError(f"semitones must be within {MAX_SEMITONES:g} of 0; received {semitones!r}")
    if metadata["features"]:
        inputs["semitones"] = np.array([semitones], np.float32)
    elif semitones:
        raise InputError(
            f"the pitch is given by F0, which this model has not; received {semitones!r}"
        )
    if speaker_id is not None:
        inputs["speaker_id"] = np.array([speaker_id], np.int32)
    encoded = LinguisticFeatures(tuple(metadata["phone_set"])).encode(phones)
    # TFLite files have fixed shapes; servers take any number of phones.
    max_phones = metadata.get("max_phones") or len(phones)
    max_frames = metadata.get("max_frames") or math.inf
    if len(phones) > max_phones:
        raise InputError(
            f"the model takes at most {max_phones} phones and pauses at once; received "
            f"{len(phones)}"
        )
    padding = (0, max_phones - len(phones))
    inputs |= {
        name: np.pad(numbers, padding, constant_values=-1)[None]
        for name, numbers in encoded.items()
    }
    answer = call_signature("prosody", **inputs)
    durations = np.asarray(answer["durations"][0, : len(phones)])
    if durations.sum() > max_frames:
        raise InputError(
            f"the model speaks at most {max_frames} frames at once; the phones take "
            f"{durations.sum()}"
        )
    # Zeros follow the frames of the utterance.
    return durations, np.asarray(answer[LOCAL_CONDITIONING])[:, : durations.sum()]


def conditions_of_block(
    metadata: dict[str, Any], conditions: dict[str, np.ndarray], first: int
) -> dict[str, np.ndarray]:
    """Returns the conditions of a block, in which the first and the last frame are repeated.

    Args:
        metadata: of the exported model.
        conditions: of `ConditioningSpec.checked`.
        first: index of the block's first sample, counted from the first frame.
    """
    if LOCAL_CONDITIONING not in conditions:
        return conditions
    frames, hop = conditions[LOCAL_CONDITIONING], metadata["hop_length"]
    begin = first // hop - metadata["frames_before"]
    end = (first + metadata["block_size"]) // hop + metadata["frames_after"]
    indices = np.clip(np.arange(begin, end), 0, frames.shape[1] - 1)
    return {**conditions, LOCAL_CONDITIONING: frames[:, indices]}


def conditions_of_silence(
    metadata: dict[str, Any], conditions: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the conditions of `initial_state`, with the first frames, on which silence depends.

    Args:
        metadata: of the exported model.
        conditions: of `ConditioningSpec.checked`.
    """
    if LOCAL_CONDITIONING not in conditions:
        return conditions
    frames = conditions[LOCAL_CONDITIONING]
    indices = np.arange(max(1, metadata["frames_after"]))
    return {
        **conditions,
        LOCAL_CONDITIONING: frames[:, np.minimum(indices, frames.shape[1] - 1)],
    }


class AudioStream(Iterator[np.ndarray]):
    """Audio without end, or to the end of its frames, one block after the other.

    Threads may share a stream: each block goes to one of them.

    Args:
        call_signature: calls a signature of the exported model.
        metadata: of the exported model.
        conditions: of `ConditioningSpec.checked`; frames begin with the prompt.
        state: state to continue from, with a row for each stream.
        start: samples of the prompt.
        temperature: as `WaveNet.generate` takes it.
        seed: as `WaveNet.generate` takes it: the same seed gives the same audio as there.
        description: how the streams are sampled, in words.

    Attributes:
        description: how the streams are sampled, in words.
        state: state after the last block, from which another stream may continue.
        num_samples: samples until the stream ends; None for no end.
        samples_done: samples of each stream so far.
        seconds: time spent on sampling them, in seconds.

    Raises:
        InputError: for a temperature or a seed out of range, or frames that end with the prompt.
    """

    def __init__(
        self,
        call_signature: CallSignature,
        metadata: dict[str, Any],
        conditions: dict[str, np.ndarray],
        state: dict[str, np.ndarray],
        start: int = 0,
        temperature: float = 1.0,
        seed: int | None = None,
        description: str = "",
    ):
        check_temperature(temperature)
        self.call_signature, self.metadata = call_signature, metadata
        self.description = description
        self.state, self.start = state, start
        streams = len(next(iter(state.values())))
        spec = ConditioningSpec.from_metadata(metadata)
        self.changes = ConditionChanges(spec, conditions, streams)
        self.temperature = np.full(streams, temperature, np.float32)
        self.lock = threading.Lock()
        try:
            self.generator = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"seed must be a whole number of at least 0; received {seed!r}"
            ) from error
        self.num_samples = samples_after_prompt(conditions, metadata["hop_length"], start)
        self.samples_done, self.seconds = 0, 0.0

    def __next__(self) -> np.ndarray:
        with self.lock:
            return self._next_block()

    def _next_block(self) -> np.ndarray:
        if self.num_samples is not None and self.samples_done >= self.num_samples:
            raise StopIteration
        self.changes.apply(self.samples_done)
        per_sample = self.metadata["uniforms_per_sample"]
        shape_per_sample = () if per_sample == 1 else (per_sample,)
        streams, block_size = len(self.temperature), self.metadata["block_size"]
        # Time before batch, as in `WaveNet.generate`.
        uniforms = self.generator.random((block_size, streams, *shape_per_sample), np.float32)
        started = time.perf_counter()
        answer = self.call_signature(
            "generate_block",
            uniforms=uniforms.swapaxes(0, 1),
            temperature=self.temperature,
            **conditions_of_block(
                self.metadata, self.changes.conditions, self.start + self.samples_done
            ),
            **self.state,
        )
        self.seconds += time.perf_counter() - started
        audio = checked_answer_audio(answer.pop("audio", None), streams, block_size)
        self.state = checked_state(answer, streams)
        self.samples_done += block_size
        if self.num_samples is not None and self.samples_done > self.num_samples:
            audio = audio[:, : self.num_samples - self.samples_done]
        return audio

    def change_at(self, sample: int, **conditions) -> None:
        """Changes conditions from a sample on: from the first block that begins there or later.

        Args:
            sample: counted from the start of the stream, without the prompt.
            **conditions: `speaker_id` or `global_conditioning`, as `WaveNet.generate` takes them.

        Raises:
            InputError: for another condition, or one of the wrong shape or range.
        """
        with self.lock:
            self.changes.add(sample, conditions)

    def close(self) -> None:
        """Ends the stream, after a block that another thread waits for."""
        with self.lock:
            self.num_samples = self.samples_done

    @property
    def real_time_factor(self) -> float:
        """Seconds of audio of each stream per second of sampling."""
        return (
            self.samples_done / self.metadata["sample_rate"] / self.seconds if self.seconds else 0.0
        )
