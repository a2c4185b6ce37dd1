"""Recordings as a table of clips, whose samples are read when they are asked for."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.manifest import SPLITS
from wavenet_tf.data.speakers import speaker_by_rule
from wavenet_tf.errors import InputError

NAMED_IN_SUMMARY = 3
# Of `Recordings.splits` and `Recordings.speaker_ids`: the corpus does not say.
UNKNOWN = -1
# More than this is read, or extracted, when it is asked for.
IN_MEMORY_BYTES = 2**30
# Frames to take mean and deviation of: precise to a thousandth of a deviation.
FRAMES_OF_STATISTICS = 2**20
# What `Clip.name` adds to the path of a stretch.
_STRETCH = re.compile(r"#[0-9.e+-]+$")
_MICROPHONE = re.compile(r"_mic\d(?=[.]\w+$)")


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
        speaker_names: sorted; empty where clips have no speakers.
        speaker_ids: of each clip, its speaker's place in `speaker_names`, or `UNKNOWN`; int32.
        features: a clip's frames, float32 `[frames, channels]`; empty where clips have none.
        feature_names: what the channels are, see `audio.FEATURES`.
        hop_length: of the features, in samples.
        splits: of each clip, the place of its split in `SPLITS`, or `UNKNOWN`; int8.
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

    @property
    def seconds(self) -> float:
        """Duration of all clips together."""
        return int(self.lengths.sum()) / self.sample_rate

    @property
    def summary(self) -> str:
        """One line: what was read, what was skipped, and the first few of those."""
        line = f"{len(self.names)} recordings, {self.seconds:,.1f} s at {self.sample_rate} Hz"
        if not self.skipped:
            return line
        first = [f"{name}: {why}" for name, why in list(self.skipped.items())[:NAMED_IN_SUMMARY]]
        more = ", ..." if len(self.skipped) > NAMED_IN_SUMMARY else ""
        return f"{line}; skipped {len(self.skipped)} files ({'; '.join(first)}{more})"

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

        features: Sequence = Mapped(extract, range(len(self.names)))
        values = int(self.lengths.sum()) // hop_length * audio.feature_channels(names)
        if values * np.float32().itemsize <= IN_MEMORY_BYTES:
            features = list(features)
        return dataclasses.replace(
            self, features=features, feature_names=list(names), hop_length=hop_length
        )

    def sample_frames(self) -> np.ndarray:
        """Frames to take mean and deviation of: all, or those of clips spread evenly over them.

        Returns:
            float32 `[frames, channels]`.
        """
        frames = int(-(-self.lengths // self.hop_length).sum())
        step = -(-frames // FRAMES_OF_STATISTICS)
        return np.concatenate([self.features[i][:] for i in range(0, len(self.names), step)])

    def clip(self, index: int) -> np.ndarray:
        """One clip, int16 `[samples]`."""
        return self.clips[index][:]

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

    def split(self, validation_fraction: float) -> tuple["Recordings", "Recordings"]:
        """Splits the clips into training and validation.

        As the corpus says, where it does; what it calls "test" is then in neither. Otherwise by a
        hash of each clip's path: a recording stays on its side, with all stretches of it, whatever
        else is added to the folder. Both sides have at least one clip. Clips for validation then
        come in the order of their hashes, so that any first part of them is a fair sample.

        Args:
            validation_fraction: of the clips, between 0 and 1, where the corpus does not say.

        Raises:
            InputError: if there are fewer than two clips, or for a fraction out of range.
        """
        if not 0.0 < validation_fraction < 1.0:
            raise InputError(
                f"validation_fraction must be between 0 and 1; received {validation_fraction}"
            )
        test = np.isin(self.splits, SPLITS.index("test"))
        kept = np.arange(len(self.names))
        # A folder of test recordings alone is somebody's training set.
        if test.any() and not test.all():
            kept = kept[~test]
        if len(kept) < 2:
            raise InputError(
                f"a split into training and validation takes at least 2 recordings; "
                f"{self.directory} has {len(kept)} that can be used"
            )
        if self.has_split:
            validation = self.splits[kept] == SPLITS.index("validation")
            if validation.all():
                raise InputError(
                    f"{self.directory} has recordings to validate on, none to train on"
                )
            places = np.array([unit_hash(self.names[index]) for index in kept[validation]])
            return (
                self.select(kept[~validation]),
                self.select(kept[validation][np.argsort(places, kind="stable")]),
            )
        places = np.array([unit_hash(self.names[index]) for index in kept])
        by_place = kept[np.argsort(places, kind="stable")]
        held_out = min(max(int((places < validation_fraction).sum()), 1), len(kept) - 1)
        return self.select(np.sort(by_place[held_out:])), self.select(by_place[:held_out])

    def test_part(self) -> "Recordings":
        """The clips that the corpus calls "test".

        Raises:
            InputError: if it calls none so.
        """
        test = np.flatnonzero(self.splits == SPLITS.index("test"))
        if not len(test):
            raise InputError(f"{self.directory} names no recordings as its test set")
        return self.select(test)


def unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on what was recorded only: it is the same for all stretches
    of a recording, and for VCTK's two microphones.
    """
    path = os.fsencode(_MICROPHONE.sub("", _STRETCH.sub("", name)))
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big") / 2**64
