"""`Recordings`: a table of clips whose samples are read when they are accessed."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.features import default_hop_length, extract_of_clips, sample_frames
from wavenet_tf.data.labels import UNKNOWN, find_speakers, label_by_rule, reindex_speakers
from wavenet_tf.data.lazy import Mapped
from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.data.splits import (
    check_fraction,
    split_by_recording,
    split_in_time,
    unit_hash,
)
from wavenet_tf.errors import InputError

NAMED_IN_SUMMARY = 3


def first_reasons(reasons: Mapping[str, str]) -> str:
    """Returns the first few names of files, each with its reason, for a log line or an error.

    Args:
        reasons: a reason by the file's name.

    Example:
    >>> first_reasons({"a.wav": "too short", "b.m4a": "Format not recognised."})
    'a.wav: too short; b.m4a: Format not recognised.'
    """
    first = [f"{name}: {why}" for name, why in list(reasons.items())[:NAMED_IN_SUMMARY]]
    return "; ".join(first) + (", ..." if len(reasons) > NAMED_IN_SUMMARY else "")


def describe_problems(problems: Sequence[str]) -> str:
    """Returns the description of a clip's problems.

    Args:
        problems: keys of `audio.PROBLEMS`.
    """
    return "; ".join(audio.PROBLEMS[problem] for problem in problems)


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Clips of one sample rate and one channel, with their labels, features and metadata.

    `clips` and `features` may be in memory or in files. Slicing an element that is in a file reads
    the slice.

    Attributes:
        directory: the folder of the corpus.
        names: name of each clip: its path below the folder, see `Clip.name`.
        clips: samples of each clip, int16 or float32 `[samples]`.
        lengths: length of each clip in samples, int64 `[clips]`.
        sample_rate: in Hz.
        skipped: the reason why a file could not be used, by its name.
        speaker_names: names of the speakers, sorted; empty if clips have no speakers.
        speaker_ids: index of each clip's speaker in `speaker_names`, or `UNKNOWN`; int32 `[clips]`.
        tag_names: all tags of the corpus, sorted; empty if clips have no tags.
        features: frames of each clip, float32 `[frames, channels]`; empty if clips have none.
        feature_names: names of the features in a frame, see `audio.FEATURES`.
        hop_length: samples per frame of features.
        splits: index of each clip's split in `SPLITS`, or `UNKNOWN`; int8 `[clips]`.
        path_hashes: hash of each clip's path, see `unit_hash`; empty if not computed yet.
        metadata: text, tags, alignments and all else that the corpus gives for each clip. Times of
            alignments are seconds from the start of the samples in `clips`. Empty if there is no
            metadata.
        unreadable: the error by the name of each clip that could not be read for a batch. All
            selections of these recordings share this dict.
        problems: a description by the name of each clip that was read whole and has problems, see
            `audio.PROBLEMS`. All selections of these recordings share this dict.
    """

    directory: Path
    names: Sequence[str]
    clips: Sequence[Any]
    lengths: np.ndarray
    sample_rate: int
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    speaker_names: Sequence[str] = ()
    speaker_ids: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    tag_names: Sequence[str] = ()
    features: Sequence[Any] = ()
    feature_names: Sequence[str] = ()
    hop_length: int | None = None
    splits: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int8))
    path_hashes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    metadata: Sequence[Clip] = ()
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def texts(self) -> Sequence[str | None]:
        """Text of each clip; empty if there is no metadata."""
        return Mapped(lambda clip: clip.text, self.metadata)

    @property
    def tags(self) -> Sequence[tuple[str, ...]]:
        """Tags of each clip; empty if there is no metadata."""
        return Mapped(lambda clip: clip.tags, self.metadata)

    @property
    def alignments(self) -> Sequence[dict[str, list[tuple[float, float, str]]]]:
        """Alignments of each clip, in seconds from its start; empty if there is no metadata."""
        return Mapped(lambda clip: clip.alignment, self.metadata)

    @property
    def seconds(self) -> float:
        """Duration of all clips together, in seconds."""
        return int(self.lengths.sum()) / self.sample_rate

    @property
    def summary(self) -> str:
        """One line for a log: number and duration of clips, skipped files, clips with problems."""
        line = f"{len(self.names)} recordings, {self.seconds:,.1f} s at {self.sample_rate} Hz"
        line += self.skipped_note
        if self.problems:
            line += f"; problems in {len(self.problems)} clips ({first_reasons(self.problems)})"
        return line

    @property
    def skipped_note(self) -> str:
        """The end of a sentence about skipped files; empty if none was skipped."""
        if not self.skipped:
            return ""
        return f"; skipped {len(self.skipped)} files ({first_reasons(self.skipped)})"

    @property
    def unreadable_summary(self) -> str:
        """One line for a log: number of clips that could not be read, the first few named."""
        named = first_reasons(self.unreadable)
        return f"left out: {len(self.unreadable)} recordings could not be read ({named})"

    def add_unreadable(self, index: int, error: InputError) -> None:
        """Adds a clip to `unreadable`; warns the first time.

        Args:
            index: index of the clip.
            error: why the clip cannot be read.
        """
        name = self.names[index]
        if name not in self.unreadable:
            warnings.warn(f"left out: {error}", stacklevel=3)
        self.unreadable[name] = str(error)

    def clip(self, index: int) -> np.ndarray:
        """Reads a clip, int16 or float32 `[samples]`; adds its problems to `problems`.

        Args:
            index: index of the clip.

        Raises:
            InputError: if the file cannot be read, or is shorter than when it was opened.
        """
        source = self.clips[index]
        samples = source[:]
        # Resampling rounds lengths.
        if len(samples) < self.lengths[index] - 1:
            raise InputError(
                f"{self.directory / self.names[index]} is shorter than it was when the corpus was "
                f"opened: {len(samples)} samples of {self.lengths[index]}"
            )
        if problems := getattr(source, "problems", ()):  # of a `FileClip`
            self.problems[self.names[index]] = describe_problems(problems)
        return samples

    def waveform(self, index: int) -> np.ndarray:
        """Reads a clip as `clip` does, float32 `[samples]` in [-1, 1)."""
        return audio.to_waveform(self.clip(index))

    def waveforms(self) -> Iterator[np.ndarray]:
        """Reads all clips, one at a time."""
        return map(self.waveform, range(len(self.names)))

    def select(self, indices) -> "Recordings":
        """Returns recordings of the clips with these indices, in the order of the indices."""
        indices = np.asarray(indices, np.int64)
        return dataclasses.replace(
            self,
            names=Mapped(self.names.__getitem__, indices),
            clips=Mapped(self.clips.__getitem__, indices),
            lengths=self.lengths[indices],
            speaker_ids=self.speaker_ids[indices] if len(self.speaker_ids) else self.speaker_ids,
            features=Mapped(self.features.__getitem__, indices) if len(self.features) else (),
            splits=self.splits[indices] if len(self.splits) else self.splits,
            path_hashes=self.path_hashes[indices] if len(self.path_hashes) else self.path_hashes,
            metadata=Mapped(self.metadata.__getitem__, indices) if len(self.metadata) else (),
        )

    def with_speakers(self, rule: str, known: Sequence[str] | None = None) -> "Recordings":
        """Returns the recordings with a speaker for each clip.

        Args:
            rule: "corpus" for the speakers that the layout, manifest or preparation of the corpus
                gives; or a rule that finds them by the clips' names, see `labels.label_by_rule`.
            known: the possible speakers, in the order of their ids; None for all that are found,
                sorted.

        Raises:
            InputError: for an invalid rule, a clip without a speaker, or a speaker that is not in
                `known`.
        """
        if rule == "corpus":
            found, ids = self.speaker_names, self.speaker_ids
            if not len(found):
                raise InputError(
                    f"{self.directory} names no speakers: give a rule that finds a recording's "
                    "speaker in its path, such as 'folder' or a regular expression"
                )
        else:
            found, ids = find_speakers(self.names, label_by_rule(rule, self.directory))
        if UNKNOWN in ids:
            name = self.names[int(np.argmax(ids == UNKNOWN))]
            raise InputError(f"{name} has no speaker: {rule!r} finds none for it")
        speakers = sorted(found) if known is None else list(known)
        ids = reindex_speakers(found, ids, speakers, self.names)
        return dataclasses.replace(self, speaker_names=speakers, speaker_ids=ids)

    def with_features(self, names: Sequence[str], hop_length: int | None) -> "Recordings":
        """Returns the recordings with the features of each clip, see `audio.extract_features`.

        Features of a prepared corpus are used as they are. Other features are extracted at once if
        they fit in memory, otherwise at each access.

        Args:
            names: names of features, of `audio.FEATURES`.
            hop_length: samples per frame; None for 12.5 ms.

        Raises:
            InputError: for an unknown name, or if the corpus was prepared with other features.
        """
        hop = default_hop_length(self.sample_rate) if hop_length is None else hop_length
        if not self.feature_names:
            features = extract_of_clips(self.waveform, self.lengths, self.sample_rate, hop, names)
            return dataclasses.replace(
                self, features=features, feature_names=list(names), hop_length=hop
            )
        if (list(names), hop) != (list(self.feature_names), self.hop_length):
            raise InputError(
                f"{self.directory} was prepared with features {','.join(self.feature_names)} "
                f"each {self.hop_length} samples; requested are {','.join(names)} each {hop} "
                "samples"
            )
        return self

    @property
    def num_feature_channels(self) -> int | None:
        """Number of values in a frame of features; None if clips have no features."""
        if self.feature_names:
            return audio.feature_channels(self.feature_names)
        return self.features[0][:1].shape[1] if len(self.features) else None

    def sample_frames(self) -> np.ndarray:
        """Returns frames of features to compute mean and deviation from, `[frames, channels]`.

        Raises:
            InputError: if no clip can be read.
        """
        return sample_frames(self, self.features, self.hop_length or 1)

    @property
    def has_split(self) -> bool:
        """Whether the corpus itself names a validation split."""
        return bool((self.splits == SPLITS.index("validation")).any())

    @property
    def splits_by_time(self) -> bool:
        """Whether `split` divides one recording in time, because there is no other recording."""
        return not self.has_split and len(np.unique(self._hashes(self._split_candidates()))) == 1

    @property
    def has_test_split(self) -> bool:
        """Whether the corpus has a test split beside the clips for training and validation.

        A folder that holds nothing but test recordings counts as a folder without a test split.
        """
        test = self.splits == SPLITS.index("test")
        return bool(test.any() and not test.all())

    def test_split(self) -> "Recordings":
        """Returns the clips of the corpus' test split.

        Raises:
            InputError: if the corpus names no test split.
        """
        test = np.flatnonzero(self.splits == SPLITS.index("test"))
        if not len(test):
            raise InputError(f"{self.directory} names no recordings as its test set")
        return self.select(test)

    def split(
        self, validation_fraction: float, gap: int = 0, by: str = "recording"
    ) -> tuple["Recordings", "Recordings"]:
        """Splits the clips into training and validation; both get at least one clip.

        - A corpus that names a validation split is split as it says; its test split is left out.
        - Other corpora are split by a hash of each recording's path, see `split_by_recording`. All
          segments of a recording are on the same side.
        - A single recording is divided in time, see `split_in_time`; its end is for validation.

        Clips for validation are in the order of their hashes: the first clips are an unbiased
        sample of them.

        Args:
            validation_fraction: share of the duration, between 0 and 1, unless the corpus names a
                validation split.
            gap: samples between the two sides of a recording that is divided in time, such as the
                model's receptive field.
            by: "speaker" puts all recordings of a speaker on the same side, even of a corpus that
                names a validation split.

        Raises:
            InputError: if a side would be empty, or for a fraction out of range.
        """
        check_fraction("validation_fraction", validation_fraction)
        candidates = self._split_candidates()
        hashes = self._hashes(candidates)
        if by == "speaker":
            groups = self._speaker_hashes(candidates)
            validated = split_by_recording(groups, self.lengths[candidates], validation_fraction)
        elif self.has_split:
            validated = self.splits[candidates] == SPLITS.index("validation")
            if validated.all():
                raise InputError(
                    f"{self.directory} has recordings to validate on, none to train on"
                    f"{self.skipped_note}"
                )
        elif len(np.unique(hashes)) == 1:
            return split_in_time(self, candidates, validation_fraction, gap)
        else:
            lengths = self.lengths[candidates]
            validated = split_by_recording(hashes, lengths, validation_fraction)
        by_hash = np.argsort(hashes[validated], kind="stable")
        return (
            self.select(candidates[~validated]),
            self.select(candidates[validated][by_hash]),
        )

    def _split_candidates(self) -> np.ndarray:
        """Returns the indices of the clips for training or validation: all but the test split."""
        if self.has_test_split:
            return np.flatnonzero(self.splits != SPLITS.index("test"))
        return np.arange(len(self.names))

    def _speaker_hashes(self, indices: np.ndarray) -> np.ndarray:
        """Returns a hash of each clip's speaker, float64 `[clips]`.

        Raises:
            InputError: if there are fewer than two speakers.
        """
        speakers = self.speaker_ids[indices] if len(self.speaker_names) else np.zeros(0, np.int32)
        if len(np.unique(speakers)) < 2 or UNKNOWN in speakers:
            raise InputError(
                "a split by speaker needs at least two speakers, and each recording's: give a "
                "rule that finds them (--speakers)"
            )
        hashes = np.array([unit_hash(name) for name in self.speaker_names])
        return hashes[speakers]

    def _hashes(self, indices: np.ndarray) -> np.ndarray:
        """Returns the path hashes of clips, float64 `[clips]`."""
        if len(self.path_hashes):
            return np.asarray(self.path_hashes)[indices]
        return np.array([unit_hash(self.names[index]) for index in indices], np.float64)
