"""Recordings as a table of clips, whose samples are read when they are asked for."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.data.parallel import map_in_threads
from wavenet_tf.data.speakers import speaker_by_rule
from wavenet_tf.data.splits import (
    SHORTEST_PART_SECONDS,
    SHORTEST_RECORDING_SECONDS,
    check_fraction,
    recording_path,
    segment_start,
    split_by_recording,
    split_by_time,
    unit_hash,
)
from wavenet_tf.errors import InputError

NAMED_IN_SUMMARY = 3
# Of `Recordings.splits` and `Recordings.speaker_ids`: the corpus does not say.
UNKNOWN = -1
# More than this is read, or extracted, when it is asked for.
IN_MEMORY_BYTES = 2**30
# Frames to take mean and deviation of: precise to a thousandth of a deviation.
FRAMES_OF_STATISTICS = 2**20


def first_reasons(reasons: Mapping[str, str]) -> str:
    """The first few of some files with what is said of each.

    Args:
        reasons: what is said, by the file's name.

    Example:
    >>> first_reasons({"a.wav": "too short", "b.m4a": "Format not recognised."})
    'a.wav: too short; b.m4a: Format not recognised.'
    """
    first = [f"{name}: {why}" for name, why in list(reasons.items())[:NAMED_IN_SUMMARY]]
    return "; ".join(first) + (", ..." if len(reasons) > NAMED_IN_SUMMARY else "")


def describe_problems(problems: Sequence[str]) -> str:
    """What is wrong with a clip, in words.

    Args:
        problems: kinds of `audio.PROBLEMS`.
    """
    return "; ".join(audio.PROBLEMS[problem] for problem in problems)


class Mapped(Sequence):
    """What a function gives for each of some arguments, called when an element is asked for.

    Args:
        function: of one argument.
        arguments: of the elements.
    """

    def __init__(self, function: Callable[[Any], Any], arguments: Sequence | np.ndarray):
        self.function = function
        self.arguments = arguments

    def __len__(self) -> int:
        return len(self.arguments)

    def __getitem__(self, index):
        return self.function(self.arguments[index])


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Clips of one sample rate and one channel.

    `clips` and `features` may lie in memory or in files: what is not in memory is read when an
    element is sliced, and only the slice.

    Attributes:
        directory: the folder they come from.
        names: a clip's path below the folder, see `Clip.name`.
        clips: a clip's samples, int16 `[samples]`.
        lengths: of the clips, in samples; int64.
        sample_rate: in Hz.
        skipped: names of the files that could not be used, and why.
        problems: names of the clips of which all was read and something is wrong, and what, see
            `audio.PROBLEMS`; all selections share it.
        speaker_names: sorted; empty where clips have no speakers.
        speaker_ids: of each clip, its speaker's place in `speaker_names`, or `UNKNOWN`; int32.
        features: a clip's frames, float32 `[frames, channels]`; empty where clips have none.
        feature_names: what the channels are, see `audio.FEATURES`.
        hop_length: of the features, in samples.
        splits: of each clip, the place of its split in `SPLITS`, or `UNKNOWN`; int8.
        path_hashes: of each clip, see `unit_hash`; empty where they are not computed yet.
        metadata: of each clip, what the corpus says of it: a `Clip`, whose alignments are in
            seconds from the start of the samples in `clips`; empty where nothing is known.
        unreadable: of this corpus, the clips that could not be read when a crop of them was
            requested, and why; all selections share it, and batches fill it.
    """

    directory: Path
    names: Sequence[str]
    clips: Sequence[Any]
    lengths: np.ndarray
    sample_rate: int
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    speaker_names: Sequence[str] = ()
    speaker_ids: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
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
        """What is said in each clip; empty where there is no metadata."""
        return Mapped(lambda clip: clip.text, self.metadata)

    @property
    def tags(self) -> Sequence[tuple[str, ...]]:
        """The tags of each clip; empty where there is no metadata."""
        return Mapped(lambda clip: clip.tags, self.metadata)

    @property
    def alignments(self) -> Sequence[dict[str, list[tuple[float, float, str]]]]:
        """The alignments of each clip, in seconds from its start; empty without metadata."""
        return Mapped(lambda clip: clip.alignment, self.metadata)

    @property
    def seconds(self) -> float:
        """Duration of all clips together."""
        return int(self.lengths.sum()) / self.sample_rate

    @property
    def summary(self) -> str:
        """One line: what was read, what was skipped and what has problems, the first few named."""
        line = f"{len(self.names)} recordings, {self.seconds:,.1f} s at {self.sample_rate} Hz"
        line += self._skipped_note
        if self.problems:
            line += f"; look at {len(self.problems)} clips ({first_reasons(self.problems)})"
        return line

    @property
    def _skipped_note(self) -> str:
        """What was skipped and why, to be added to a sentence; empty where nothing was."""
        if not self.skipped:
            return ""
        return f"; skipped {len(self.skipped)} files ({first_reasons(self.skipped)})"

    def add_unreadable(self, index: int, error: InputError) -> None:
        """Adds a clip to `unreadable`, with a warning the first time.

        Args:
            index: of the clip.
            error: why it cannot be read.
        """
        name = self.names[index]
        if name not in self.unreadable:
            warnings.warn(f"left out: {error}", stacklevel=3)
        self.unreadable[name] = str(error)

    @property
    def unreadable_summary(self) -> str:
        """One line: how many clips could not be read, and the first few of them."""
        named = first_reasons(self.unreadable)
        return f"left out: {len(self.unreadable)} recordings could not be read ({named})"

    def select(self, indices) -> "Recordings":
        """The recordings of only these clips, in this order."""
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
        """The recordings with a speaker for each clip.

        Args:
            rule: "corpus" for the speakers that the corpus' layout, manifest or preparation names;
                "folder" for the name of the folder that a clip is in; or "table.csv:column" for
                that column of a CSV file in the folder of recordings, whose column "path" has the
                clips' names (their paths below that folder); or a regular expression that is
                searched for in the clip's name: its first group is the speaker, or all of it where
                it has no group.
            known: the speakers there may be, in the order of their ids; None for those found.

        Raises:
            InputError: for a rule that is none of these, a clip without a speaker, or a speaker
                who is not known.
        """
        if rule == "corpus":
            found, ids = list(self.speaker_names), self.speaker_ids
            if not found:
                raise InputError(
                    f"{self.directory} names no speakers: say how a recording's path tells them, "
                    "by a rule such as 'folder' or a regular expression"
                )
        else:
            found, ids = self._speakers_found(speaker_by_rule(rule, self.directory))
        if UNKNOWN in ids:
            name = self.names[int(np.argmax(ids == UNKNOWN))]
            raise InputError(f"{name} has no speaker: {rule!r} finds none for it")
        names = sorted(found) if known is None else list(known)
        places = {name: place for place, name in enumerate(names)}
        for number in np.unique(ids):
            if found[number] not in places:
                name = self.names[int(np.argmax(ids == number))]
                raise InputError(
                    f"{name} is of speaker {found[number]!r}; known are {', '.join(names)}"
                )
        new_ids = np.array([places.get(name, UNKNOWN) for name in found], np.int32)
        return dataclasses.replace(self, speaker_names=names, speaker_ids=new_ids[ids])

    def _speakers_found(
        self, speaker_of: Callable[[str], str | None]
    ) -> tuple[list[str], np.ndarray]:
        """Speakers by name, as they are met, and each clip's place among them."""
        places: dict[str, int] = {}
        ids = np.full(len(self.names), UNKNOWN, np.int32)
        for index, name in enumerate(self.names):
            if speaker := speaker_of(name):
                ids[index] = places.setdefault(speaker, len(places))
        return list(places), ids

    def with_features(self, names: Sequence[str], hop_length: int | None) -> "Recordings":
        """The recordings with the features of each clip, see `audio.extract_features`.

        Features that were prepared are taken as they are. Others are extracted, once if they fit
        in memory, and else each time that they are asked for.

        Args:
            names: of `audio.FEATURES`.
            hop_length: in samples; None takes 12.5 ms.

        Raises:
            InputError: for an unknown name, or prepared features that are others.
        """
        if hop_length is None:
            hop_length = max(1, round(audio.HOP_SECONDS * self.sample_rate))
        if self.feature_names:
            wanted, prepared = (
                (list(names), hop_length),
                (list(self.feature_names), self.hop_length),
            )
            if wanted != prepared:
                raise InputError(
                    f"{self.directory} was prepared with features {','.join(self.feature_names)} "
                    f"each {self.hop_length} samples; wanted are {','.join(names)} each "
                    f"{hop_length} samples"
                )
            return self

        def extract(index: int) -> np.ndarray:
            return audio.extract_features(self.waveform(index), self.sample_rate, hop_length, names)

        def extract_readable(index: int):
            try:
                return extract(index)
            except InputError as error:
                return Unreadable(error)

        features: Sequence = Mapped(extract, range(len(self.names)))
        values = int(self.lengths.sum()) // hop_length * audio.feature_channels(names)
        if values * np.float32().itemsize <= IN_MEMORY_BYTES:
            features = map_in_threads(extract_readable, range(len(self.names)), "features of clip")
        return dataclasses.replace(
            self, features=features, feature_names=list(names), hop_length=hop_length
        )

    @property
    def num_feature_channels(self) -> int | None:
        """Values of a frame of the features; None where clips have none."""
        if self.feature_names:
            return audio.feature_channels(self.feature_names)
        return self.features[0][:1].shape[1] if len(self.features) else None

    def sample_frames(self) -> np.ndarray:
        """Frames to take mean and deviation of: all, or those of clips spread evenly over them.

        Returns:
            float32 `[frames, channels]`.

        Raises:
            InputError: if none of these clips can be read.
        """
        frames = int(-(-self.lengths // self.hop_length).sum())
        step = -(-frames // FRAMES_OF_STATISTICS)
        sampled = []
        for index in range(0, len(self.names), step):
            try:
                sampled.append(self.features[index][:])
            except InputError as error:
                self.add_unreadable(index, error)
        if not sampled:
            name, why = next(iter(self.unreadable.items()))
            raise InputError(f"no recording in {self.directory} can be read; {name}: {why}")
        return np.concatenate(sampled)

    def clip(self, index: int) -> np.ndarray:
        """One clip, int16 `[samples]`; adds what is wrong with it to `problems`.

        Raises:
            InputError: if its file cannot be read, or has become shorter.
        """
        source = self.clips[index]
        samples = source[:]
        # Resampling rounds lengths.
        if len(samples) < self.lengths[index] - 1:
            raise InputError(
                f"{self.directory / self.names[index]} is shorter than it was when the corpus was "
                f"opened: {len(samples)} samples of {self.lengths[index]}"
            )
        if problems := getattr(source, "problems", ()):  # of a file
            self.problems[self.names[index]] = describe_problems(problems)
        return samples

    def waveform(self, index: int) -> np.ndarray:
        """One clip, float32 `[samples]` in [-1, 1)."""
        return self.clip(index) / np.float32(audio.STEPS_OF_16_BITS)

    def waveforms(self) -> Iterator[np.ndarray]:
        """Every clip, one after the other."""
        return map(self.waveform, range(len(self.names)))

    @property
    def has_split(self) -> bool:
        """Whether the corpus itself says what to validate on."""
        return bool((self.splits == SPLITS.index("validation")).any())

    @property
    def splits_by_time(self) -> bool:
        """Whether `split` divides one recording in time, as there is no other recording."""
        return not self.has_split and len(np.unique(self._hashes(self._split_candidates()))) == 1

    def split(self, validation_fraction: float, gap: int = 0) -> tuple["Recordings", "Recordings"]:
        """Splits the clips into training and validation.

        As the corpus says, where it does; what it calls "test" is then in neither. Otherwise by a
        hash of each recording's path, with all segments of a recording on one side, see
        `split_by_recording`. Where all clips are of one recording its end is validated on,
        see `split_by_time`. Both sides have at least one clip. Clips for validation come in
        the order of their hashes, so that any first part of them is a fair sample.

        Args:
            validation_fraction: of the duration, between 0 and 1, where the corpus does not say.
            gap: samples between the parts of a recording that is split in time, such as the
                model's receptive field.

        Raises:
            InputError: if there is nothing to train on or to validate on, or for a fraction out of
                range.
        """
        check_fraction("validation_fraction", validation_fraction)
        candidates = self._split_candidates()
        hashes = self._hashes(candidates)
        if self.has_split:
            validated = self.splits[candidates] == SPLITS.index("validation")
            if validated.all():
                raise InputError(
                    f"{self.directory} has recordings to validate on, none to train on"
                    f"{self._skipped_note}"
                )
        elif len(np.unique(hashes)) == 1:
            return self._split_by_time(candidates, validation_fraction, gap)
        else:
            lengths = self.lengths[candidates]
            validated = split_by_recording(hashes, lengths, validation_fraction)
        by_hash = np.argsort(hashes[validated], kind="stable")
        return (
            self.select(candidates[~validated]),
            self.select(candidates[validated][by_hash]),
        )

    @property
    def has_test_part(self) -> bool:
        """Whether the corpus has a test set beside what is trained and validated on.

        A folder of test recordings alone is somebody's training set.
        """
        test = self.splits == SPLITS.index("test")
        return bool(test.any() and not test.all())

    def _split_candidates(self) -> np.ndarray:
        """The clips to train or validate on: all but the corpus' test set."""
        if self.has_test_part:
            return np.flatnonzero(self.splits != SPLITS.index("test"))
        return np.arange(len(self.names))

    def _hashes(self, indices: np.ndarray) -> np.ndarray:
        """Of these clips, see `unit_hash`; float64."""
        if len(self.path_hashes):
            return np.asarray(self.path_hashes)[indices]
        return np.array([unit_hash(self.names[index]) for index in indices], np.float64)

    def _split_by_time(
        self, indices: np.ndarray, validation_fraction: float, gap: int
    ) -> tuple["Recordings", "Recordings"]:
        rate, hop = self.sample_rate, self.hop_length or 1
        seconds = int(self.lengths[indices].sum()) / rate
        shortest_seconds = SHORTEST_RECORDING_SECONDS + gap / rate
        if seconds < shortest_seconds:
            raise InputError(
                "a split into training and validation takes at least 2 recordings, or one of "
                f"{shortest_seconds:.2f} s; {self.directory} has one of {seconds:.2f} s"
                f"{self._skipped_note}"
            )
        starts = [round(segment_start(self.names[index]) * rate) for index in indices]
        shortest = round(SHORTEST_PART_SECONDS * rate) + hop - 1
        try:
            training, validation = split_by_time(
                np.array(starts), self.lengths[indices], validation_fraction, gap, shortest
            )
        except InputError as error:
            raise InputError(f"{self.directory}: {error}{self._skipped_note}") from error
        # Parts begin with a whole frame of features.
        validation[:, 0] += -validation[:, 0] % hop
        return self._cut(indices, training), self._cut(indices, validation)

    def _cut(self, indices: np.ndarray, bounds: np.ndarray) -> "Recordings":
        """The recordings of parts of clips.

        Args:
            indices: of the clips.
            bounds: of each part in samples, int `[clips, 2]`, on whole frames of features; parts
                of no sample are left out.
        """
        kept = bounds[:, 1] > bounds[:, 0]
        part, bounds = self.select(indices[kept]), bounds[kept]
        hop = self.hop_length or 1

        def of_part(function) -> Mapped:
            numbers = range(len(bounds))
            return Mapped(lambda number: function(number, *bounds[number].tolist()), numbers)

        def clip(number: int, begin: int, end: int):
            return Slice(part.clips[number], begin, end)

        def frames(number: int, begin: int, end: int):
            return Slice(part.features[number], begin // hop, -(-end // hop))

        def metadata(number: int, begin: int, end: int) -> Clip:
            whole = part.metadata[number]
            if end - begin == part.lengths[number]:
                return whole
            return _cut_metadata(whole, begin, end, self.sample_rate)

        def name(number: int, begin: int, end: int) -> str:
            whole = part.names[number]
            if end - begin == part.lengths[number]:
                return whole
            start = segment_start(whole)
            times = [round(start + place / self.sample_rate, 4) for place in (begin, end)]
            return f"{recording_path(whole)}#{times[0]}-{times[1]}"

        return dataclasses.replace(
            part,
            names=of_part(name),
            clips=of_part(clip),
            lengths=bounds[:, 1] - bounds[:, 0],
            features=of_part(frames) if len(part.features) else (),
            metadata=of_part(metadata) if len(part.metadata) else (),
        )

    def test_part(self) -> "Recordings":
        """The clips that the corpus calls "test".

        Raises:
            InputError: if it calls none so.
        """
        test = np.flatnonzero(self.splits == SPLITS.index("test"))
        if not len(test):
            raise InputError(f"{self.directory} names no recordings as its test set")
        return self.select(test)


class Unreadable:
    """In place of what cannot be read: raises the error where a slice is requested.

    Args:
        error: why it cannot be read.
    """

    def __init__(self, error: InputError):
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, part: slice):
        raise self.error


class Slice:
    """A part of what can be sliced, which is read only where the part itself is sliced.

    Args:
        whole: an array, or what reads its slices from files.
        begin: of the part.
        end: of the part.
    """

    def __init__(self, whole, begin: int, end: int):
        self.whole = whole
        self.begin = begin
        self.end = end

    def __len__(self) -> int:
        return self.end - self.begin

    def __getitem__(self, part: slice) -> np.ndarray:
        first, last, _ = part.indices(len(self))
        return self.whole[self.begin + first : self.begin + last]


def _cut_metadata(clip: Clip, begin: int, end: int, sample_rate: int) -> Clip:
    """What is known of a part of a clip: its text is not, as it is that of the whole clip.

    Args:
        clip: the whole.
        begin: of the part, in samples from the clip's start.
        end: of the part, likewise.
        sample_rate: in Hz.
    """
    return dataclasses.replace(
        clip,
        start=clip.start + begin / sample_rate,
        end=clip.start + end / sample_rate,
        text=None,
        alignment=audio.move_alignment(clip.alignment, [(begin, end)], sample_rate),
    )
