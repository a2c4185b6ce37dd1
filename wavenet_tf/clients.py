"""What clients of an exported model share, on a device or of a server: numpy is all it needs."""

import numbers
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError

# Calls a signature by its name, with its inputs by theirs.
Ask = Callable[..., dict[str, np.ndarray]]

STATE_PREFIX = "state_"
# In a SavedModel's error for a batch of streams that are at different samples of a context frame.
UNLIKE_PHASES = "be the same for all streams of a batch"
# For each condition, the sizes that the metadata must hold.
CONDITION_SIZES = {
    "speaker_id": ("num_speakers",),
    "global_conditioning": ("global_channels",),
    "local_conditioning": ("local_channels", "hop_length"),
}


def checked_metadata(metadata: Any, source: str, limit: str) -> dict[str, Any]:
    """Returns the metadata of an exported model if it holds what clients need.

    Args:
        metadata: what was read of the model.
        source: the file or server it comes from, for the error.
        limit: one more whole number above 0 that it must hold: "batch_size" or "max_samples".

    Returns:
        The metadata, in which all keys that clients read exist.

    Raises:
        InputError: for metadata that is no dict, or has a value missing or of the wrong kind.
    """

    def require(valid: bool, expected: str, received) -> None:
        if not valid:
            raise InputError(
                f"the metadata of {source} must hold {expected}; received {str(received)[:80]!r}"
            )

    require(isinstance(metadata, dict), "a JSON object", metadata)
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
    names = metadata.get("speaker_names")
    named = isinstance(names, list) and len(names) == metadata.get("num_speakers")
    require(names is None or named, "speaker_names: null, or a name for each speaker", names)
    optional = ("num_speakers", "speaker_names", "global_channels", "local_channels", "hop_length")
    return {**dict.fromkeys(optional), **metadata}


def checked_conditions(
    metadata: dict[str, Any], batch_size: int, conditions: dict[str, Any]
) -> dict[str, np.ndarray]:
    """The conditions, a row for each stream.

    Args:
        metadata: what the exporter told of the model.
        batch_size: the number of streams.
        conditions: what the model is conditioned on, as `WaveNet.generate` takes it.

    Raises:
        InputError: for one that is missing, not wanted, or of the wrong shape or range.
    """
    given = {name for name, value in conditions.items() if value is not None}
    if given != set(metadata["conditioning"]):
        raise InputError(
            f"the model is conditioned on {', '.join(metadata['conditioning']) or 'nothing'}; "
            f"received {', '.join(sorted(given)) or 'nothing'}"
        )
    checked = {}
    for name in metadata["conditioning"]:
        width: tuple[Any, ...] = ()
        if name == "speaker_id":
            value = np.atleast_1d(conditions[name])
            known = metadata["num_speakers"]
            if value.dtype.kind not in "iu" or ((value < 0) | (value >= known)).any():
                raise InputError(
                    f"speaker_id must be whole numbers from 0 to {known - 1}; received "
                    f"{value.tolist()}"
                )
            value = value.astype(np.int32)
        else:
            value = _as_floats(name, conditions[name])
            width = (metadata["global_channels"],)
            if name == "local_conditioning":
                width = (*value.shape[1:2], metadata["local_channels"])
        if value.shape not in ((1, *width), (batch_size, *width)) or 0 in value.shape:
            if name == "local_conditioning":
                width = ("frames", metadata["local_channels"])
            expected = [f"{batch_size} or 1", *width]
            raise InputError(
                f"{name} must have shape [{', '.join(map(str, expected))}]; received shape "
                f"{list(value.shape)}"
            )
        checked[name] = np.broadcast_to(value, (batch_size, *value.shape[1:]))
    return checked


def checked_audio(metadata: dict[str, Any], batch_size: int, audio) -> np.ndarray:
    """Audio that a model is primed with, as float32.

    Args:
        metadata: what the exporter told of the model.
        batch_size: the number of streams.
        audio: float `[streams or 1, samples]` in [-1, 1]; with local conditioning, whole frames
            of it.

    Raises:
        InputError: for audio of another shape, or with numbers that are not finite.
    """
    audio = _as_floats("audio", audio)
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


def _as_floats(name: str, value) -> np.ndarray:
    """The value as finite float32 numbers; raises InputError for any other."""
    try:
        with np.errstate(over="ignore"):  # infinity is told below
            value = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    check_finite(name, value)
    return value


def check_finite(name: str, value: np.ndarray) -> None:
    """Raises InputError if the value holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise InputError(f"{name} holds numbers that are not finite (NaN or infinity)")


def check_uniforms(value: np.ndarray) -> None:
    """Raises InputError unless all uniform numbers are in [0, 1)."""
    if not ((value >= 0.0) & (value < 1.0)).all():
        raise InputError(
            f"uniforms must be in [0, 1); received numbers from {np.min(value)} to {np.max(value)}"
        )


def checked_state(answer: Any, streams: int) -> dict[str, np.ndarray]:
    """Returns a model's answer if it is a state, with a row for each stream.

    Args:
        answer: what `initial_state`, `prime` or, without its audio, `generate_block` gave.
        streams: number of streams.

    Raises:
        InputError: for any other answer.
    """
    for name, value in answer.items():
        array = np.asarray(value)
        known = name.startswith(STATE_PREFIX) and array.dtype.kind in "iuf"
        if not known or array.shape[:1] != (streams,):
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
        audio: what the answer holds under the name "audio"; None for none.
        streams: number of streams.
        samples: the least number of samples of each stream.

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


def conditions_of_block(
    metadata: dict[str, Any], conditions: dict[str, np.ndarray], first: int
) -> dict[str, np.ndarray]:
    """What a block is conditioned on; around the signal its first and last frame hold.

    Args:
        metadata: what the exporter told of the model.
        conditions: of `checked_conditions`.
        first: the block's first sample, counted from the first frame.
    """
    if "local_conditioning" not in conditions:
        return conditions
    frames, hop = conditions["local_conditioning"], metadata["hop_length"]
    begin = first // hop - metadata["frames_before"]
    end = (first + metadata["block_size"]) // hop + metadata["frames_after"]
    places = np.clip(np.arange(begin, end), 0, frames.shape[1] - 1)
    return {**conditions, "local_conditioning": frames[:, places]}


class AudioStream(Iterator[np.ndarray]):
    """Audio without end, or to the end of its frames, a block at a time.

    Threads may share a stream: each block goes to one of them.

    Args:
        ask: calls a signature of the model.
        metadata: what the exporter told of it.
        conditions: of `checked_conditions`; frames begin with the prompt.
        state: to go on from, with a row for each stream.
        start: samples of the prompt.
        temperature: as `WaveNet.generate` takes it.
        seed: as `WaveNet.generate` takes it: the same seed gives the same audio as there.

    Attributes:
        state: after the newest block, for another stream to go on from.
        num_samples: until it ends; None for without end.
        made: samples so far, of each stream.
        seconds: that sampling them took.

    Raises:
        InputError: for a temperature or a seed out of range, or frames that end with the prompt.
    """

    def __init__(
        self,
        ask: Ask,
        metadata: dict[str, Any],
        conditions: dict[str, np.ndarray],
        state: dict[str, np.ndarray],
        start: int = 0,
        temperature: float = 1.0,
        seed: int | None = None,
    ):
        number = isinstance(temperature, numbers.Real)
        if not (number and temperature >= 0.0 and np.isfinite(temperature)):
            raise InputError(f"temperature must be 0 or above; received {temperature!r}")
        self.ask, self.metadata = ask, metadata
        self.conditions, self.state, self.start = conditions, state, start
        streams = len(next(iter(state.values())))
        self.temperature = np.full(streams, temperature, np.float32)
        self.lock = threading.Lock()
        try:
            self.generator = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"seed must be a whole number of at least 0; received {seed!r}"
            ) from error
        self.num_samples = None
        if "local_conditioning" in conditions:
            frames, hop = conditions["local_conditioning"].shape[1], metadata["hop_length"]
            self.num_samples = frames * hop - start
            if self.num_samples < 1:
                raise InputError(
                    f"local_conditioning must go beyond the prompt of {start} samples; "
                    f"received {frames} frames of {hop} samples"
                )
        self.made, self.seconds = 0, 0.0

    def __next__(self) -> np.ndarray:
        with self.lock:
            return self._next_block()

    def _next_block(self) -> np.ndarray:
        if self.num_samples is not None and self.made >= self.num_samples:
            raise StopIteration
        per_sample = self.metadata["uniforms_per_sample"]
        of_sample = () if per_sample == 1 else (per_sample,)
        streams, block_size = len(self.temperature), self.metadata["block_size"]
        # Time before batch, as `WaveNet.generate` draws them.
        uniforms = self.generator.random((block_size, streams, *of_sample), np.float32)
        started = time.perf_counter()
        answer = self.ask(
            "generate_block",
            uniforms=uniforms.swapaxes(0, 1),
            temperature=self.temperature,
            **conditions_of_block(self.metadata, self.conditions, self.start + self.made),
            **self.state,
        )
        self.seconds += time.perf_counter() - started
        audio = checked_answer_audio(answer.pop("audio", None), streams, block_size)
        self.state = checked_state(answer, streams)
        self.made += block_size
        if self.num_samples is not None and self.made > self.num_samples:
            audio = audio[:, : self.num_samples - self.made]
        return audio

    @property
    def real_time_factor(self) -> float:
        """Seconds of audio made, of each stream, by a second of sampling."""
        return self.made / self.metadata["sample_rate"] / self.seconds if self.seconds else 0.0
