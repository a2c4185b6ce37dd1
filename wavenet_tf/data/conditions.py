"""Condition sources: speakers, tags, audio features and files of frames."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wavenet_tf.conditioning import GLOBAL_CONDITIONING, LOCAL_CONDITIONING, ConditioningSpec
from wavenet_tf.data.condition_source import ConditionSource, FrameSource
from wavenet_tf.data.labels import UNKNOWN
from wavenet_tf.data.linguistic import LinguisticSource
from wavenet_tf.data.recordings import NAMED_IN_SUMMARY, Recordings
from wavenet_tf.data.segments import recording_path, segment_start
from wavenet_tf.errors import InputError

# A frame file may have this many frames more than its recording: framing with padding adds some.
MAX_EXTRA_FRAMES = 4


@dataclasses.dataclass(frozen=True)
class SpeakerSource(ConditionSource):
    """The id of a clip's speaker, see `Recordings.with_speakers`.

    Args:
        num_speakers: number of speakers that the model has an embedding for.
        name: name of the model input.
    """

    num_speakers: int
    name: str = "speaker_id"
    shape = ()
    dtype = np.int32

    def check(self, recordings: Recordings) -> None:
        found = len(recordings.speaker_names)
        if self.num_speakers != found:
            raise InputError(
                f"the model is conditioned on {self.num_speakers} speakers; the recordings are "
                f"labelled with {found or 'none'}"
            )
        if UNKNOWN in recordings.speaker_ids:
            first = int(np.argmax(recordings.speaker_ids == UNKNOWN))
            raise InputError(f"{recordings.names[first]} has no speaker")

    def clip_value(self, recordings: Recordings, index: int):
        return recordings.speaker_ids[index]


@dataclasses.dataclass(frozen=True)
class TagSource(ConditionSource):
    """A clip's tags as a multi-hot vector: 1 for each tag that the clip has, 0 for the others.

    Tags that are not in `tag_names` are ignored, with one warning. A clip without tags gives zeros.

    Args:
        tag_names: a tag for each element of the vector, such as `Recordings.tag_names`.
        name: name of the model input.

    Example:
    >>> from wavenet_tf.data.manifest import Clip
    >>> clips = [Clip("1.wav", tags=("slow", "piano")), Clip("2.wav")]
    >>> recordings = Recordings(Path(), ["1.wav", "2.wav"], [], np.zeros(2), 8000, metadata=clips)
    >>> TagSource(["guitar", "piano", "slow"]).clip_value(recordings, 0).tolist()
    [0.0, 1.0, 1.0]
    """

    tag_names: Sequence[str]
    name: str = "global_conditioning"
    dtype = np.float32

    def __post_init__(self):
        object.__setattr__(self, "tag_names", tuple(self.tag_names))
        if not self.tag_names or len(set(self.tag_names)) != len(self.tag_names):
            raise InputError(f"tag_names must be different tags; received {list(self.tag_names)}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.tag_names),)

    def check(self, recordings: Recordings) -> None:
        found = recordings.tag_names
        if not set(found) & set(self.tag_names):
            raise InputError(
                f"the model is conditioned on the tags {_listed(self.tag_names)}; the recordings "
                f"have {_listed(found) or 'none'}"
            )
        if ignored := [tag for tag in found if tag not in self.tag_names]:
            warnings.warn(
                f"the model has no input for the tags {', '.join(ignored)}: they are ignored",
                stacklevel=2,
            )

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        tags = recordings.metadata[index].tags
        return np.array([tag in tags for tag in self.tag_names], np.float32)


@dataclasses.dataclass(frozen=True)
class FeatureSource(FrameSource):
    """Audio features of a clip: those of `Recordings.features`.

    Args:
        channels: values in a frame.
        hop_length: samples per frame.
        features: names of the features to extract, of `audio.FEATURES`; None for the features that
            the recordings have.
        name: name of the model input.
    """

    channels: int
    hop_length: int
    features: Sequence[str] | None = None
    name: str = "local_conditioning"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels,)

    def prepare(self, recordings: Recordings) -> Recordings:
        if self.features is None:
            return recordings
        return recordings.with_features(self.features, self.hop_length)

    def check(self, recordings: Recordings) -> None:
        found = recordings.num_feature_channels
        if found != self.channels:
            raise InputError(
                f"the model is conditioned on {self.channels} local channels; the recordings have "
                f"features of {found or 'none'}"
            )
        if recordings.hop_length != self.hop_length:
            raise InputError(
                f"the model is conditioned on frames of {self.hop_length} samples; the features of "
                f"the recordings have {recordings.hop_length} samples per frame"
            )

    def clip_value(self, recordings: Recordings, index: int):
        return recordings.features[index]


@dataclasses.dataclass(frozen=True)
class FrameFileSource(FrameSource):
    """Frames in an .npy file beside each recording, `[frames, channels]`.

    A recording `a/b.flac` has the frames of `a/b.npy`. The frames cover the recording: there is one
    for each `hop_length` samples at the sample rate of training, the last one for the rest. A clip
    that is a segment of a recording has the frames from the one nearest to its start.

    Args:
        channels: values in a frame.
        hop_length: samples per frame.
        folder: folder of the files, either `folder/a/b.npy` or `folder/b.npy`; None for the folder
            of the recordings.
        name: name of the model input.
    """

    channels: int
    hop_length: int
    folder: str | Path | None = None
    name: str = "local_conditioning"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels,)

    def check(self, recordings: Recordings) -> None:
        recording_of_file: dict[Path, str] = {}
        for index, name in enumerate(recordings.names):
            path = self._path(recordings, name)
            recording = recording_path(name)
            if recording_of_file.setdefault(path, recording) != recording:
                raise InputError(
                    f"{path} must hold the frames of one recording; it is the file of "
                    f"{recording_of_file[path]} and of {recording}"
                )
            self._read(recordings, index)

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        return self._read(recordings, index)

    def _path(self, recordings: Recordings, name: str) -> Path:
        """Returns the path of the file with the frames of a clip."""
        below = Path(recording_path(name)).with_suffix(".npy")
        if self.folder is None:
            return recordings.directory / below
        path = Path(self.folder) / below
        return path if path.exists() else Path(self.folder) / below.name

    def _read(self, recordings: Recordings, index: int) -> np.ndarray:
        """Opens the frames of a clip; their values are read when they are accessed."""
        name, length = recordings.names[index], int(recordings.lengths[index])
        path = self._path(recordings, name)
        try:
            frames = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"cannot read {path}, the frames of {name}: {error}") from error
        shape = np.shape(frames)
        if len(shape) != 2 or shape[1] != self.channels or frames.dtype.kind not in "fiu":
            raise InputError(
                f"{path} must hold an array of numbers, [frames, {self.channels}]; received "
                f"{getattr(frames, 'dtype', 'an archive')} {list(shape)}"
            )
        first = round(segment_start(name) * recordings.sample_rate / self.hop_length)
        required = -(-length // self.hop_length)
        # Rounding to the nearest frame may leave the end of a segment without its last frame.
        missing = first + required - len(frames)
        is_segment = name != recording_path(name)
        if missing > is_segment or (not is_segment and -missing > MAX_EXTRA_FRAMES):
            raise InputError(
                f"{path} must hold {first + required} frames, one for each {self.hop_length} of "
                f"the {length} samples of {name}; received {len(frames)}"
            )
        return frames[first : first + required]


@dataclasses.dataclass(frozen=True)
class JoinedFrameSource(FrameSource):
    """The frames of several sources side by side.

    Args:
        sources: with the same hop length.
        name: name of the model input.
    """

    sources: Sequence[FrameSource]
    name: str = LOCAL_CONDITIONING

    @property
    def hop_length(self) -> int:  # type: ignore[override]  # an attribute of the base class
        return self.sources[0].hop_length

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(source.shape[0] for source in self.sources),)

    def prepare(self, recordings: Recordings) -> Recordings:
        for source in self.sources:
            recordings = source.prepare(recordings)
        return recordings

    def check(self, recordings: Recordings) -> None:
        for source in self.sources:
            source.check(recordings)

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        parts = [source.clip_value(recordings, index)[:] for source in self.sources]
        return np.concatenate(parts, axis=-1)


@dataclasses.dataclass(frozen=True)
class MissingSource(ConditionSource):
    """Stands for an input or a target that recordings do not hold: `check` raises InputError.

    Args:
        name: name of the input or target.
        shape: shape of its value.
    """

    name: str
    shape: tuple[int, ...] = ()  # type: ignore[assignment]  # a property of the base class
    dtype = np.float32

    def check(self, recordings: Recordings) -> None:
        raise InputError(
            f"recordings have no {self.name}: give a condition source for it, such as a TagSource "
            "(for classes a ClipClassSource), to CropSpec.with_sources or to the argument sources"
        )

    def clip_value(self, recordings: Recordings, index: int):
        self.check(recordings)


def condition_sources(spec: ConditioningSpec) -> tuple[ConditionSource, ...]:
    """Returns the condition sources of a model.

    Args:
        spec: names and sizes of the inputs that condition the model.

    Example:
    >>> condition_sources(
    ...     ConditioningSpec(num_speakers=3, global_channels=2, tag_names=("fast", "slow"))
    ... )
    (SpeakerSource(num_speakers=3, name='speaker_id'),
     TagSource(tag_names=('fast', 'slow'), name='global_conditioning'))
    """
    sources: list[ConditionSource] = []
    if spec.num_speakers:
        sources.append(SpeakerSource(spec.num_speakers))
    if spec.tag_names:
        sources.append(TagSource(spec.tag_names))
    elif spec.global_channels:
        sources.append(MissingSource(GLOBAL_CONDITIONING, (spec.global_channels,)))
    if spec.local_channels and spec.hop_length:
        sources.append(_frame_source(spec, spec.local_channels, spec.hop_length))
    return tuple(sources)


def _frame_source(spec: ConditioningSpec, channels: int, hop_length: int) -> FrameSource:
    """Returns the source of local conditioning: linguistic features, audio features, or both."""
    if spec.phone_set is None:
        return FeatureSource(channels, hop_length, spec.features)
    linguistic = LinguisticSource(spec.phone_set, hop_length)
    if spec.features is None:
        return linguistic
    others = FeatureSource(channels - linguistic.shape[0], hop_length, spec.features)
    return JoinedFrameSource((linguistic, others))


def clip_conditions(
    sources: Sequence[ConditionSource], recordings: Recordings
) -> dict[str, np.ndarray]:
    """Returns the inputs that condition a model on whole clips, a row for each clip.

    Frames of shorter clips repeat their last one, as an upsampler does at the end of a signal.

    Args:
        sources: condition sources of the model.
        recordings: the clips, with what the sources need.

    Raises:
        InputError: if the recordings lack something, or a clip cannot be read.
    """
    conditions = {}
    for source in sources:
        source.check(recordings)
        values = [source.clip_value(recordings, index) for index in range(len(recordings.names))]
        if isinstance(source, FrameSource):
            arrays = [np.asarray(frames[:]) for frames in values]
            longest = max(map(len, arrays))
            values = [np.pad(a, [(0, longest - len(a)), (0, 0)], "edge") for a in arrays]
        conditions[source.name] = np.stack(values).astype(source.dtype)
    return conditions


def _listed(names: Sequence[str]) -> str:
    """Returns the first few names, for an error."""
    return ", ".join(names[:NAMED_IN_SUMMARY]) + (", ..." if len(names) > NAMED_IN_SUMMARY else "")
