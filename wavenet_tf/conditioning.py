"""What conditions a model, and the one check of conditions; importable without TensorFlow.

Training data, `generate`, exported models and their clients all describe conditioning by a
`ConditioningSpec`.
"""

import dataclasses
import math
import tokenize
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError

SPEAKER_ID = "speaker_id"
GLOBAL_CONDITIONING = "global_conditioning"
LOCAL_CONDITIONING = "local_conditioning"

# Frames have another scale than in training if their mean is further from that of training than so
# many times its size. Silence and loud sounds are nearer.
LARGEST_DISTANCE = 5.0
# So few frames say nothing about how frames were computed.
FEWEST_COMPARED = 20


@dataclasses.dataclass(frozen=True)
class ConditioningSpec:
    """Names and sizes of the inputs that condition a model, besides audio.

    Attributes:
        num_speakers: number of speaker ids; None for a model without speakers.
        speaker_names: the name of each id, if speakers have names.
        global_channels: length of the global conditioning vector; None for a model without.
        tag_names: the tag of each channel of the global conditioning vector, if it holds tags.
        local_channels: channels of a frame of local conditioning; None for a model without.
        hop_length: samples per frame of local conditioning.
        frames_before: frames before its own that a sample depends on.
        frames_after: frames after its own that a sample depends on.
        features: names of the audio features in local conditioning, if it holds features.
        phone_set: labels of the phones of the linguistic features that local conditioning begins
            with, if it holds any.

    Example:
    >>> spec = ConditioningSpec(num_speakers=3, local_channels=80, hop_length=200)
    >>> spec.names
    ('speaker_id', 'local_conditioning')
    """

    num_speakers: int | None = None
    speaker_names: tuple[str, ...] | None = None
    global_channels: int | None = None
    tag_names: tuple[str, ...] | None = None
    local_channels: int | None = None
    hop_length: int | None = None
    frames_before: int = 0
    frames_after: int = 0
    features: tuple[str, ...] | None = None
    phone_set: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that condition the model, in their order in signatures."""
        sizes = {
            SPEAKER_ID: self.num_speakers,
            GLOBAL_CONDITIONING: self.global_channels,
            LOCAL_CONDITIONING: self.local_channels,
        }
        return tuple(name for name, size in sizes.items() if size)

    def shapes(self, frames: int | None = None) -> dict[str, tuple[Any, ...]]:
        """Returns the shape of each conditioning input, whole numbers or None, without the batch.

        Args:
            frames: frames of local conditioning; None for any number.
        """
        shapes = {
            SPEAKER_ID: (),
            GLOBAL_CONDITIONING: (self.global_channels,),
            LOCAL_CONDITIONING: (frames, self.local_channels),
        }
        return {name: shapes[name] for name in self.names}

    def checked(self, conditions: Mapping[str, Any], batch_size: int) -> dict[str, np.ndarray]:
        """Returns conditions as arrays with a row for each stream.

        Args:
            conditions: values by input name, as `WaveNet.generate` takes them; None for no value.
            batch_size: number of streams.

        Raises:
            InputError: for a condition that is missing, that the model does not take, or that has
                the wrong shape or range.
        """
        for name, value in conditions.items():
            if value is not None and name not in self.names:
                raise InputError(
                    f"{name} must not be given: the model is conditioned on {self._listed}"
                )
        return {name: self._checked(name, conditions.get(name), batch_size) for name in self.names}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "ConditioningSpec":
        """Returns the conditioning of an exported model.

        Args:
            metadata: of the exported model, as `clients.checked_metadata` returns it.
        """
        values: dict[str, Any] = {
            field.name: metadata.get(field.name) for field in dataclasses.fields(cls)
        }
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        for name in ("frames_before", "frames_after"):
            values[name] = values[name] or 0
        return cls(**values)

    @property
    def _listed(self) -> str:
        return ", ".join(self.names) or "nothing"

    def _checked(self, name: str, value, batch_size: int) -> np.ndarray:
        if value is None:
            raise InputError(f"{name} must be given: the model is conditioned on {self._listed}")
        value = self._checked_ids(value) if name == SPEAKER_ID else as_finite_floats(name, value)
        shape = self.shapes(frames=value.shape[1] if value.ndim > 1 else None)[name]
        if value.shape not in ((1, *shape), (batch_size, *shape)) or 0 in value.shape:
            expected: list[Any] = [f"{batch_size} or 1", *self.shapes()[name]]
            sizes = ("frames" if size is None else str(size) for size in expected)
            raise InputError(
                f"{name} must have shape [{', '.join(sizes)}]; received shape {list(value.shape)}"
            )
        return np.broadcast_to(value, (batch_size, *value.shape[1:]))

    def _checked_ids(self, value) -> np.ndarray:
        ids = np.atleast_1d(value)
        last = (self.num_speakers or 0) - 1
        if ids.dtype.kind not in "iu" or ((ids < 0) | (ids > last)).any():
            raise InputError(
                f"{SPEAKER_ID} must be whole numbers from 0 to {last}; received {ids.tolist()}"
            )
        return ids.astype(np.int32)


def as_finite_floats(name: str, value) -> np.ndarray:
    """Returns a value as finite float32 numbers.

    Args:
        name: of the argument, for the error.
        value: array of any shape.

    Raises:
        InputError: if the value is not an array of finite numbers.
    """
    try:
        with np.errstate(over="ignore"):  # reported as infinity by `check_finite`
            value = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    check_finite(name, value)
    return value


def check_finite(name: str, value: np.ndarray) -> None:
    """Raises InputError if the value holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise InputError(f"{name} holds numbers that are not finite (NaN or infinity)")


def check_frame_statistics(frames: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Raises InputError for frames that are not made as those that a model was trained on.

    A vocoder that is given frames of another recipe (another base of the logarithm, decibels,
    another range) makes noise. The frames are compared with the statistics of the training
    data; those that are only suspicious are a warning, as recordings differ too.

    Args:
        frames: `[streams, frames, channels]`; fewer than `FEWEST_COMPARED` frames pass.
        mean: of each channel of the training data.
        deviation: of each channel of the training data.

    Example:
    >>> frames = np.random.default_rng(0).normal(-6.0, 2.0, [1, 100, 3])
    >>> check_frame_statistics(frames, np.full(3, -6.0), np.full(3, 2.0))
    >>> check_frame_statistics(8.7 * frames, np.full(3, -6.0), np.full(3, 2.0))
    Traceback (most recent call last):
    wavenet_tf.errors.InputError: local_conditioning must be frames as in training, with the same \
scale and range; these have a mean -23.4 deviations from there, and vary by 8.83 of them
    """
    frames = np.asarray(frames, np.float64)
    if frames.shape[1] < FEWEST_COMPARED:
        return
    mean, deviation = np.asarray(mean), np.asarray(deviation)
    distance = frames.mean(axis=(0, 1)) - mean
    size = np.maximum(np.abs(mean), 3.0 * deviation)
    shift = float((distance / deviation).mean())
    spread = float((frames.std(axis=1) / deviation).mean())
    message = (
        "local_conditioning must be frames as in training, with the same scale and range; these "
        f"have a mean {shift:+.1f} deviations from there, and vary by {spread:.2f} of them"
    )
    if float(np.abs(distance / size).mean()) > LARGEST_DISTANCE:
        raise InputError(message)
    if shift > 2.5 or (shift > 1.0 and spread < 0.6):
        warnings.warn(message, stacklevel=3)


def speaker_index(names, speaker: str) -> int:
    """Returns the id of a speaker's name.

    Args:
        names: the name of each id; None for a model without names.
        speaker: the name.

    Raises:
        InputError: if there is no such name.

    Example:
    >>> speaker_index(["ana", "bo"], "bo")
    1
    """
    names = list(names or [])
    if speaker not in names:
        listed = ", ".join(names) or "none by name"
        raise InputError(f"unknown speaker {speaker!r}: the model has the speakers {listed}")
    return names.index(speaker)


def parse_tags(words: Iterable[str]) -> dict[str, float]:
    """Returns tags with their strengths, as flags write them.

    Args:
        words: a tag each, or a tag and its strength as in "piano:0.5".

    Example:
    >>> parse_tags(["piano:0.25", "slow"])
    {'piano': 0.25, 'slow': 1.0}
    """
    tags = {}
    for word in words:
        tag, _, strength = word.strip().rpartition(":")
        try:
            tags[tag or strength] = float(strength) if tag else 1.0
        except ValueError:
            tags[word.strip()] = 1.0  # a tag with a colon
    return tags


def tag_vector(names, tags: Iterable[str] | Mapping[str, float]) -> np.ndarray:
    """Returns tags as a vector of numbers from 0 to 1, the value of `global_conditioning`.

    Args:
        names: the tag of each channel; None for a model without tags.
        tags: the tags that are set, or the strength of each, from 0 to 1.

    Returns:
        float32 `[len(names)]`.

    Raises:
        InputError: for a tag that is not among the names, or a strength that is not from 0 to 1.

    Example:
    >>> tag_vector(["piano", "slow", "solo"], ["slow", "piano"])
    array([1., 1., 0.], dtype=float32)
    >>> tag_vector(["piano", "slow", "solo"], {"piano": 0.5})
    array([0.5, 0. , 0. ], dtype=float32)
    """
    names = list(names or [])
    strengths = dict(tags) if isinstance(tags, Mapping) else dict.fromkeys(tags, 1.0)
    for tag, strength in strengths.items():
        if tag not in names:
            raise InputError(f"unknown tag {tag!r}: the model has {', '.join(names) or 'no tags'}")
        if not 0.0 <= strength <= 1.0:
            raise InputError(f"strengths of tags must be from 0 to 1; received {tag}:{strength}")
    return np.array([strengths.get(name, 0.0) for name in names], np.float32)


def parse_tags_at(text: str) -> tuple[float, dict[str, float]]:
    """Returns the time and the tags of a change over time.

    Args:
        text: seconds and tags, as in "5 guitar,slow:0.5"; without tags none is set.

    Raises:
        InputError: unless the text begins with a finite number of at least 0.

    Example:
    >>> parse_tags_at("5 guitar,slow:0.5")
    (5.0, {'guitar': 1.0, 'slow': 0.5})
    """
    seconds, _, tags = text.strip().partition(" ")
    try:
        time = float(seconds)
    except ValueError:
        time = math.nan
    if not 0.0 <= time < math.inf:
        raise InputError(f"tags_at must be seconds and tags, as in '5 guitar'; received {text!r}")
    return time, parse_tags(filter(None, tags.split(",")))


class ConditionChanges:
    """Changes of conditions over time, which a stream applies to whole blocks.

    Args:
        spec: what conditions the model.
        conditions: from the start of the stream, as `ConditioningSpec.checked` returns them.
        batch_size: number of streams.

    Attributes:
        conditions: of the next block.
    """

    def __init__(
        self, spec: ConditioningSpec, conditions: Mapping[str, np.ndarray], batch_size: int
    ):
        self.spec, self.conditions, self.batch_size = spec, dict(conditions), batch_size
        self._changes: list[tuple[int, dict[str, np.ndarray]]] = []

    def add(self, sample: int, conditions: Mapping[str, Any]) -> None:
        """Adds a change.

        Args:
            sample: index of the sample, counted from the start of the stream, from which on the
                conditions hold.
            conditions: new values by input name, as `WaveNet.generate` takes them.

        Raises:
            InputError: for a condition that the model does not take, or of the wrong shape, and for
                local conditioning, whose frames change by themselves.
        """
        if LOCAL_CONDITIONING in conditions:
            raise InputError(f"{LOCAL_CONDITIONING} cannot be changed: its frames have times")
        checked = self.spec.checked({**self.conditions, **conditions}, self.batch_size)
        new = {name: checked[name] for name in conditions}
        self._changes = sorted([*self._changes, (sample, new)], key=lambda change: change[0])

    def apply(self, sample: int) -> bool:
        """Applies the changes up to a sample to `conditions`; returns whether there were any.

        Args:
            sample: index of the first sample of the next block.
        """
        due = [new for at, new in self._changes if at <= sample]
        self._changes = self._changes[len(due) :]
        for new in due:
            self.conditions.update(new)
        return bool(due)


def samples_after_prompt(
    conditions: Mapping[str, np.ndarray], hop_length: int | None, prompt_samples: int
) -> int | None:
    """Returns the samples from the end of a prompt to the end of the frames; None for no end.

    Args:
        conditions: as `ConditioningSpec.checked` returns them.
        hop_length: samples per frame; None for a model without frames.
        prompt_samples: length of the prompt, which the first frames are of.

    Raises:
        InputError: if the frames end with the prompt or before.

    Example:
    >>> samples_after_prompt({"local_conditioning": np.zeros([1, 5, 80])}, 200, 300)
    700
    """
    if LOCAL_CONDITIONING not in conditions or hop_length is None:
        return None
    frames = conditions[LOCAL_CONDITIONING].shape[1]
    if frames * hop_length <= prompt_samples:
        raise InputError(
            f"local_conditioning must go beyond the prompt of {prompt_samples} samples; received "
            f"{frames} frames of {hop_length} samples"
        )
    return frames * hop_length - prompt_samples


def read_array(path: str) -> np.ndarray:
    """Returns the array of a NumPy file, such as frames of local conditioning.

    Args:
        path: of the file.

    Raises:
        InputError: for a file that cannot be read, or holds several arrays.
    """
    try:
        array = np.load(path)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays")
    # A corrupted header may be no Python expression, or announce an array larger than the memory.
    except (
        EOFError,
        MemoryError,
        OSError,
        SyntaxError,
        ValueError,
        tokenize.TokenError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(f"cannot read {path} as a NumPy array: {error}") from error
    return array
