"""What clients of an exported model share, on a device or of a server: numpy is all it needs."""

import numbers
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError

# Calls a signature by its name, with its inputs by theirs.
Ask = Callable[..., dict[str, np.ndarray]]


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
        self.temperature = np.full(len(next(iter(state.values()))), temperature, np.float32)
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
        if self.num_samples is not None and self.made >= self.num_samples:
            raise StopIteration
        of_sample = () if self.metadata["uniforms_per_sample"] == 1 else (2,)
        # Time before batch, as `WaveNet.generate` draws them.
        shape = self.metadata["block_size"], len(self.temperature), *of_sample
        uniforms = self.generator.random(shape, np.float32).swapaxes(0, 1)
        started = time.perf_counter()
        answer = self.ask(
            "generate_block",
            uniforms=uniforms,
            temperature=self.temperature,
            **conditions_of_block(self.metadata, self.conditions, self.start + self.made),
            **self.state,
        )
        self.seconds += time.perf_counter() - started
        audio = answer.pop("audio")
        self.state = answer
        self.made += self.metadata["block_size"]
        if self.num_samples is not None and self.made > self.num_samples:
            audio = audio[:, : self.num_samples - self.made]
        return audio

    @property
    def real_time_factor(self) -> float:
        """Seconds of audio made, of each stream, by a second of sampling."""
        return self.made / self.metadata["sample_rate"] / self.seconds if self.seconds else 0.0
