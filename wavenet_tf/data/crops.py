"""Crops of recordings: `CropSpec`, what they hold for a model, and `Cropper`, which cuts them.

Inputs and targets are shifted here and nowhere else: `targets[:, t]` is the sample after
`inputs[:, t]`.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import to_waveform
from wavenet_tf.data.augmentation import (
    DRIFT_DECAY,
    Variation,
    drift_waveform,
    vary_frames,
    vary_waveform,
)
from wavenet_tf.data.condition_source import ConditionSource, FrameSource
from wavenet_tf.data.labels import UNKNOWN
from wavenet_tf.data.recordings import Recordings
from wavenet_tf.errors import InputError, positive_integer, positive_number

NEXT_SAMPLE = "next_sample"  # name of the target, if there are others


@dataclasses.dataclass(frozen=True)
class CropSpec:
    """What a crop of recordings holds for a model, so that data and models do not depend on it.

    A crop has samples that are scored, and samples before them as context. A model that takes
    frames also needs whole frames around the scored samples.

    Args:
        sample_rate: in Hz.
        receptive_field: samples that an output of the model's trunk depends on, the current one
            included.
        distribution: its `encode` maps a waveform, float32 in [-1, 1], to the values that the model
            takes and predicts; see `wavenet_tf.distributions`.
        context_samples: samples before those of the trunk, which only context stacks take.
        hop_length: samples per frame; None for a model without frames.
        frames_before: frames before that of a sample that the sample depends on.
        frames_after: frames after that of a sample that the sample depends on.
        crop_multiple: the scored part of a crop is a multiple of this, in samples: a common
            multiple of the hop length and of the poolings of context stacks.
        emphasis: filter of recordings before `encode`, with the attributes `coefficient` and
            `gain`; None for none.
        drift: whether slow drifts are added to part of the crops in training.
        augment: whether crops are varied in training, see `augmentation.vary_waveform`.
        conditions: the source of each further input of the model.
        targets: the source of each further target, beside the next sample, such as classes.
        next_sample: whether the next sample is a target.
        unscored_samples: samples at the start of each clip that are not scored.

    Raises:
        InputError: for an argument out of range, or sources that do not fit each other.

    Example:
    >>> from wavenet_tf.data.conditions import SpeakerSource
    >>> from wavenet_tf.distributions import Categorical
    >>> spec = CropSpec(
    ...     sample_rate=8000, receptive_field=1024, distribution=Categorical(256),
    ...     conditions=(SpeakerSource(3),))
    >>> spec.samples_before, spec.crop_samples(crop_seconds=0.5)
    (1023, 4000)
    """

    sample_rate: int
    receptive_field: int
    distribution: Any
    context_samples: int = 0
    hop_length: int | None = None
    frames_before: int = 0
    frames_after: int = 0
    crop_multiple: int = 1
    emphasis: Any = None
    drift: bool = False
    augment: bool = False
    conditions: tuple[ConditionSource, ...] = ()
    targets: tuple[ConditionSource, ...] = ()
    next_sample: bool = True
    unscored_samples: int = 0

    def __post_init__(self):
        for name in ("sample_rate", "receptive_field", "crop_multiple"):
            positive_integer(name, getattr(self, name))
        if self.crop_multiple % (self.hop_length or 1):
            raise InputError(
                f"crop_multiple must be a multiple of hop_length {self.hop_length}; received "
                f"{self.crop_multiple}"
            )
        names = [source.name for source in (*self.conditions, *self.targets)]
        if len({"audio", "context_audio", NEXT_SAMPLE, *names}) != 3 + len(names):
            raise InputError(
                f"each input must have one source, and each target; received {', '.join(names)}"
            )
        if not (self.next_sample or self.targets):
            raise InputError("a crop must have a target: the next sample or one of targets")
        for source in _frame_sources((*self.conditions, *self.targets)):
            if source.hop_length != self.hop_length:
                raise InputError(
                    f"{source.name} must have a frame for each {self.hop_length} samples; its "
                    f"source has one for each {source.hop_length}"
                )

    @property
    def frame_sources(self) -> tuple[FrameSource, ...]:
        """The condition sources that have a vector per frame."""
        return _frame_sources(self.conditions)

    @property
    def clip_sources(self) -> tuple[ConditionSource, ...]:
        """The condition sources that have one value per clip."""
        return tuple(source for source in self.conditions if not isinstance(source, FrameSource))

    @property
    def full_receptive_field(self) -> int:
        """Samples that an output depends on, through context stacks too."""
        return self.receptive_field + self.context_samples

    @property
    def samples_before(self) -> int:
        """Samples of a crop before the scored ones, but for those that only context stacks take."""
        before, hop = self.receptive_field - 1, self.hop_length
        return (-(-before // hop) + self.frames_before) * hop if hop else before

    @property
    def samples_after(self) -> int:
        """Samples of a crop after the scored ones."""
        return self.frames_after * (self.hop_length or 0)

    def crop_samples(self, crop_seconds: float) -> int:
        """Returns the scored samples of a crop: a multiple of `crop_multiple`.

        Args:
            crop_seconds: requested length, in seconds; rounded up.

        Raises:
            InputError: if the length is out of range.
        """
        samples = round(positive_number("crop_seconds", crop_seconds) * self.sample_rate)
        if samples < 1:
            raise InputError(f"crop_seconds must give at least one sample; received {crop_seconds}")
        return -(-samples // self.crop_multiple) * self.crop_multiple

    def with_sources(self, *sources: ConditionSource) -> "CropSpec":
        """Returns the spec with other sources of conditions and targets.

        Args:
            *sources: sources that replace those of the same input or target; others are added as
                inputs.

        Raises:
            InputError: if a source does not have the shape of the one that it replaces.

        Example:
        >>> from wavenet_tf.data.conditions import MissingSource, TagSource
        >>> from wavenet_tf.distributions import Categorical
        >>> missing = MissingSource("global_conditioning", shape=(2,))
        >>> spec = CropSpec(8000, 1024, Categorical(256), conditions=(missing,))
        >>> spec.with_sources(TagSource(["fast", "slow"])).conditions
        (TagSource(tag_names=('fast', 'slow'), name='global_conditioning'),)
        """
        conditions = {source.name: source for source in self.conditions}
        targets = {source.name: source for source in self.targets}
        for source in sources:
            by_name = targets if source.name in targets else conditions
            replaced = by_name.get(source.name, source)
            if tuple(source.shape) != tuple(replaced.shape):
                raise InputError(
                    f"{source.name} must have shape {list(replaced.shape)}; its source has shape "
                    f"{list(source.shape)}"
                )
            by_name[source.name] = source
        return dataclasses.replace(
            self, conditions=tuple(conditions.values()), targets=tuple(targets.values())
        )

    def prepare(self, recordings: Recordings) -> Recordings:
        """Returns the recordings with what the sources compute before batches are made.

        Args:
            recordings: the clips, as they were read or split.

        Raises:
            InputError: see `ConditionSource.prepare` of each source.
        """
        for source in (*self.conditions, *self.targets):
            recordings = source.prepare(recordings)
        return recordings


class CropContents(NamedTuple):
    """What a crop is made of.

    Attributes:
        samples: float32 `[samples]` in [-1, 1].
        conditions: the value of each condition source.
        targets: the value of each target source.
        readable: whether all of these could be read; otherwise samples and frames are zeros.
    """

    samples: tf.Tensor
    conditions: tuple[tf.Tensor, ...]
    targets: tuple[tf.Tensor, ...]
    readable: tf.Tensor


class Cropper:
    """Cuts crops out of recordings, each with the context that a model needs.

    Crops are numbered: those of the first clip, then those of the second, and so on.

    Args:
        recordings: the clips.
        spec: what a crop holds.
        crop_samples: scored samples of a crop, a multiple of `spec.crop_multiple`.

    Attributes:
        num_crops: number of crops of all clips.
        crops_before: int64 `[clips + 1]`, the number of crops before each clip.

    Raises:
        InputError: if the recordings lack something that a condition source needs.
    """

    def __init__(self, recordings: Recordings, spec: CropSpec, crop_samples: int):
        self.sources = (*spec.conditions, *spec.targets)
        for source in self.sources:
            source.check(recordings)
        self.recordings = recordings
        self.spec = spec
        self.crop_samples = crop_samples
        self.lengths = tf.constant(recordings.lengths)
        crops_before = np.cumsum(np.append(0, crops_per_clip(recordings, crop_samples)))
        self.num_crops = int(crops_before[-1])
        self.crops_before = tf.constant(crops_before)
        # Targets of a crop, scored or not.
        self.num_targets = spec.samples_before + crop_samples + spec.samples_after
        self.num_frames = self.num_targets // spec.hop_length if spec.hop_length else 0

    def locate(self, number):
        """Returns the index of the clip that a crop is of, and which of the clip's crops it is.

        Args:
            number: number of the crop, int64 scalar.
        """
        clip = tf.searchsorted(self.crops_before, number[None], side="right")[0] - 1
        return clip, number - self.crops_before[clip]

    def read(self, clip, start) -> CropContents:
        """Reads what a crop is made of.

        Args:
            clip: index of the clip, int64 scalar.
            start: first scored sample, int64 scalar, from the clip's start.
        """
        types = [tf.float32, tf.bool, *(tf.as_dtype(source.dtype) for source in self.sources)]
        samples, readable, *values = tf.numpy_function(
            self._read, [clip, *self._bounds(start)], types, stateful=False
        )
        samples.set_shape([1 + self.spec.context_samples + self.num_targets])
        readable.set_shape([])
        for source, value in zip(self.sources, values, strict=True):
            value.set_shape(source.crop_shape(self.num_frames))
        num_conditions = len(self.spec.conditions)
        conditions, targets = tuple(values[:num_conditions]), tuple(values[num_conditions:])
        return CropContents(samples, conditions, targets, readable)

    def crop(
        self,
        clip,
        start,
        contents: CropContents,
        drift_draws=None,
        variation: Variation | None = None,
    ):
        """Returns inputs, targets and weights of a crop.

        Args:
            clip: index of the clip, int64 scalar.
            start: first scored sample, int64 scalar, from the clip's start.
            contents: what `read` returned; without weights if it is not readable.
            drift_draws: random numbers of the drift, see `drift_waveform`; None for no drift.
            variation: see `vary_waveform`; None for none.
        """
        first, last = self._bounds(start)
        waveform = contents.samples
        if variation is not None:
            waveform = vary_waveform(variation, waveform, self.spec.sample_rate)
            contents = self._vary_frames(variation, contents)
        times = tf.range(first, last)
        encode = self.spec.distribution.encode
        values = next_values = encode(waveform)
        if drift_draws is not None:
            drift = drift_waveform(drift_draws, tf.shape(times)[0], self.spec.sample_rate)
            values = encode(waveform + drift)
            next_values = encode(waveform + DRIFT_DECAY * drift)
        end = tf.minimum(start + self.crop_samples, self.lengths[clip])
        first_scored = tf.maximum(start, self.spec.unscored_samples)
        scored = (times >= first_scored) & (times < end) & contents.readable
        context = self.spec.context_samples
        inputs = {"audio": values[context:-1]}
        if context:
            inputs["context_audio"] = values[:context]
        for source, value in zip(self.spec.conditions, contents.conditions, strict=True):
            inputs[source.name] = value
        next_values, scored = next_values[context + 1 :], scored[context + 1 :]
        targets, weights = self._targets(next_values, scored, contents)
        return _single(inputs), _single(targets), _single(weights)

    def _vary_frames(self, variation: Variation, contents: CropContents) -> CropContents:
        """Returns the contents of a crop with the frames of its varied waveform."""

        def varied(sources, values):
            return tuple(
                vary_frames(
                    variation,
                    value,
                    source.hop_length,
                    1 + self.spec.context_samples,
                    self.spec.sample_rate,
                    outside=UNKNOWN if source.dtype == np.int32 else 0,
                )
                if isinstance(source, FrameSource)
                else value
                for source, value in zip(sources, values, strict=True)
            )

        return contents._replace(
            conditions=varied(self.spec.conditions, contents.conditions),
            targets=varied(self.spec.targets, contents.targets),
        )

    def _targets(self, next_values, scored, contents: CropContents) -> tuple[dict, dict]:
        """Returns the targets of a crop and their weights, by name."""
        targets, weights = {}, {}
        if self.spec.next_sample:
            targets[NEXT_SAMPLE], weights[NEXT_SAMPLE] = next_values, scored
        for source, value in zip(self.spec.targets, contents.targets, strict=True):
            weight = contents.readable
            if isinstance(source, FrameSource):
                weight = scored[:: self.spec.hop_length]
            # Sequences have one weight for all labels.
            if source.dtype == np.int32 and weight.shape.rank == value.shape.rank:
                weight &= value != UNKNOWN
            targets[source.name], weights[source.name] = value, weight
        return targets, {name: tf.cast(weight, tf.float32) for name, weight in weights.items()}

    def _bounds(self, start):
        """Returns the first sample of a crop and the one after its last, from the clip's start."""
        first_target = start - self.spec.samples_before
        return first_target - 1 - self.spec.context_samples, first_target + self.num_targets

    def _read(self, clip, first, last) -> tuple:
        """Returns samples of a clip, whether all could be read, and the value of each source."""
        spec, recordings = self.spec, self.recordings
        samples = np.zeros(last - first, np.float32)
        values = {
            source.name: np.zeros(source.crop_shape(self.num_frames), source.dtype)
            for source in self.sources
        }
        first_frame = (first + 1 + spec.context_samples) // (spec.hop_length or 1)
        readable = True
        try:
            for source in self.sources:
                if not isinstance(source, FrameSource):
                    value = source.crop_value(recordings, clip, first_frame, self.num_frames)
                    _fill(values, source, value)
            self._read_samples(clip, first, samples)
            for source in _frame_sources(self.sources):
                frames = source.crop_value(recordings, clip, first_frame, self.num_frames)
                _fill(values, source, frames)
        except InputError as error:
            recordings.add_unreadable(clip, error)
            readable = False
            samples[:] = 0
            for source in _frame_sources(self.sources):
                values[source.name][:] = 0
        return samples, np.bool_(readable), *values.values()

    def _read_samples(self, clip, first, samples: np.ndarray) -> None:
        """Reads samples of a clip from `first` on; before and after the clip is digital silence."""
        emphasis = self.spec.emphasis
        if emphasis is not None:
            # The first sample depends on the one before.
            audio = np.zeros(len(samples) + 1, np.float32)
            self._read_audio(clip, first - 1, audio)
            samples[:] = emphasis.gain * (audio[1:] - emphasis.coefficient * audio[:-1])
            return
        self._read_audio(clip, first, samples)

    def _read_audio(self, clip, first, samples: np.ndarray) -> None:
        """Reads samples of a clip as `_read_samples`, without emphasis."""
        start, end = max(first, 0), min(first + len(samples), self.recordings.lengths[clip])
        part = self.recordings.clips[clip][start:end]
        samples[start - first : end - first] = to_waveform(part)


def crops_per_clip(recordings: Recordings, crop_samples: int) -> np.ndarray:
    """Returns how many crops together score every sample of each clip, int64 `[clips]`.

    Args:
        recordings: the clips.
        crop_samples: scored samples of a crop.
    """
    return -(-recordings.lengths // crop_samples)


def _frame_sources(sources: tuple[ConditionSource, ...]) -> tuple[FrameSource, ...]:
    """Returns the sources that have a value per frame."""
    return tuple(source for source in sources if isinstance(source, FrameSource))


def _single(values: dict[str, tf.Tensor]):
    """Returns the only value of a dict, or the dict if there are several."""
    return values if len(values) > 1 else next(iter(values.values()))


def _fill(values: dict[str, np.ndarray], source: ConditionSource, value) -> None:
    """Copies the value of a source; a value of another shape would be broadcast unnoticed."""
    expected = values[source.name].shape
    if np.shape(value) != expected:
        raise ValueError(
            f"{type(source).__name__} must give {source.name} of shape {list(expected)}; it gave "
            f"{list(np.shape(value))}"
        )
    values[source.name][...] = value
