"""A folder of recordings, read into memory."""

import csv
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wavenet_tf import audio
from wavenet_tf.errors import InputError

# A clip shorter than this holds nothing to learn from.
SHORTEST_SECONDS = 0.02
NAMED_IN_SUMMARY = 3


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Clips of one sample rate, one channel each, side by side in memory at 16 bits a sample.

    Attributes:
        directory: the folder they come from.
        names: a clip's path below the folder.
        samples: int16 `[total samples]`.
        starts: where each clip starts in `samples`, and where the last one ends.
        sample_rate: in Hz.
        skipped: names of the files that could not be used, and why.
        speaker_names: sorted; empty where clips have no speakers.
        speaker_ids: of each clip, its speaker's place in `speaker_names`; int32.
        features: a clip's frames, float32 `[frames, channels]`; empty where clips have none.
    """

    directory: Path
    names: list[str]
    samples: np.ndarray
    starts: np.ndarray
    sample_rate: int
    skipped: dict[str, str]
    speaker_names: list[str] = dataclasses.field(default_factory=list)
    speaker_ids: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    features: list[np.ndarray] = dataclasses.field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Duration of all clips together."""
        return len(self.samples) / self.sample_rate

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
        clips = [self.clip(index) for index in indices]
        names = [self.names[index] for index in indices]
        selected = _join(self.directory, names, clips, self.sample_rate, self.skipped)
        return dataclasses.replace(
            selected,
            speaker_names=self.speaker_names,
            speaker_ids=self.speaker_ids[indices] if self.speaker_names else self.speaker_ids,
            features=[self.features[index] for index in indices] if self.features else [],
        )

    def with_speakers(self, rule: str, known: Sequence[str] | None = None) -> "Recordings":
        """The recordings with a speaker for each clip.

        Args:
            rule: "folder" for the name of the folder that a clip is in; or "table.csv:column" for
                that column of a CSV file in the folder of recordings, whose column "path" has the
                clips' names (their paths below that folder); or a regular expression that is
                searched for in the clip's name: its first group is the speaker, or all of it where
                it has no group.
            known: the speakers there may be, in the order of their ids; None for those found.

        Raises:
            InputError: for a rule that is none of these, a clip without a speaker, or a speaker
                who is not known.
        """
        speaker_of = _speakers_by_rule(rule, self.directory)
        found = []
        for name in self.names:
            speaker = speaker_of(name)
            if not speaker:
                raise InputError(f"{name} has no speaker: {rule!r} finds none for it")
            found.append(speaker)
        names = sorted(set(found)) if known is None else list(known)
        for name, speaker in zip(self.names, found, strict=True):
            if speaker not in names:
                raise InputError(f"{name} is of speaker {speaker!r}; known are {', '.join(names)}")
        ids = {speaker: index for index, speaker in enumerate(names)}
        return dataclasses.replace(
            self,
            speaker_names=names,
            speaker_ids=np.array([ids[speaker] for speaker in found], np.int32),
        )

    def with_features(self, names: Sequence[str], hop_length: int | None) -> "Recordings":
        """The recordings with the features of each clip, see `audio.extract_features`.

        Args:
            names: of `audio.FEATURES`.
            hop_length: in samples; None takes 12.5 ms.

        Raises:
            InputError: for an unknown name.
        """
        features = [
            audio.extract_features(self.waveform(index), self.sample_rate, hop_length, names)
            for index in range(len(self.names))
        ]
        return dataclasses.replace(self, features=features)

    def clip(self, index: int) -> np.ndarray:
        """One clip, int16 `[samples]`."""
        return self.samples[self.starts[index] : self.starts[index + 1]]

    def waveform(self, index: int) -> np.ndarray:
        """One clip, float32 `[samples]` in [-1, 1)."""
        return self.clip(index) / np.float32(audio.STEPS_OF_16_BITS)

    def split(self, validation_fraction: float) -> tuple["Recordings", "Recordings"]:
        """Splits the clips into training and validation, by a hash of each one's name.

        A clip stays on its side whatever else is added to the folder. Both sides have at least
        one clip. Clips for validation come in the order of their hashes, so that any first part
        of them is a fair sample.

        Args:
            validation_fraction: of the clips, between 0 and 1.

        Raises:
            InputError: if there are fewer than two clips, or for a fraction out of range.
        """
        if not 0.0 < validation_fraction < 1.0:
            raise InputError(
                f"validation_fraction must be between 0 and 1; received {validation_fraction}"
            )
        if len(self.names) < 2:
            raise InputError(
                f"a split into training and validation takes at least 2 recordings; "
                f"{self.directory} has {len(self.names)} that can be used"
            )
        places = [_unit_hash(name) for name in self.names]
        by_place = sorted(range(len(places)), key=places.__getitem__)
        held_out = sum(place < validation_fraction for place in places)
        held_out = min(max(held_out, 1), len(places) - 1)
        return self.select(sorted(by_place[held_out:])), self.select(by_place[:held_out])


def read_recordings(directory: str | os.PathLike, sample_rate: int) -> Recordings:
    """Reads every recording in a folder and the folders below it.

    Args:
        directory: holds WAV, AIFF, FLAC, OGG or MP3 files of any rate, width and channel count.
        sample_rate: to resample them to, in Hz.

    Returns:
        The clips, by name. Files that cannot be used are skipped, and listed in `skipped`.

    Raises:
        InputError: if there is no such folder, or no file in it that can be used.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"no folder of recordings at {directory}")
    paths = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in audio.AUDIO_SUFFIXES and not path.name.startswith(".")
    )
    names = [path.relative_to(directory).as_posix() for path in paths]
    clips: dict[str, np.ndarray] = {}
    skipped: dict[str, str] = {}
    # libsndfile and soxr work outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda path: _read_clip(path, sample_rate), paths)
        for name, result in zip(names, results, strict=True):
            if isinstance(result, str):
                skipped[name] = result
            else:
                clips[name] = result
    if not clips:
        found = f"{len(paths)} such files, none of them usable" if paths else "none"
        first = "".join(f"; {name}: {why}" for name, why in list(skipped.items())[:1])
        raise InputError(
            f"no usable recording in {directory}: looked in it and below it for "
            f"{', '.join(audio.AUDIO_SUFFIXES)} files and found {found}{first}"
        )
    return _join(directory, list(clips), list(clips.values()), sample_rate, skipped)


def _read_clip(path: Path, sample_rate: int) -> np.ndarray | str:
    """The clip as int16 samples, or why it cannot be used."""
    try:
        clip, _ = audio.read_audio(path, sample_rate)
    except InputError as error:
        return str(error.__cause__ or error)
    if len(clip) < SHORTEST_SECONDS * sample_rate:
        return f"too short ({len(clip)} samples)"
    return audio.to_16_bits(clip)


def _speakers_by_rule(rule: str, directory: Path) -> Callable[[str], str | None]:
    """What finds the speaker of a clip's name, see `Recordings.with_speakers`."""
    table, separator, column = rule.rpartition(":")
    if separator and table.endswith(".csv"):
        return _read_column(directory / table, column).get
    if rule == "folder":
        rule = "([^/]+)/[^/]*$"
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise InputError(
            "speakers must be 'folder', 'table.csv:column' or a regular expression; received "
            f"{rule!r}: {error}"
        ) from error

    def search(name: str) -> str | None:
        match = expression.search(name)
        return match and (match.group(1) if expression.groups else match.group())

    return search


def _read_column(table: Path, column: str) -> dict[str, str]:
    """A column of a CSV file, by the column "path"."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {table} as a table of speakers: {error}") from error
    known = list(rows[0]) if rows else []
    for name in ("path", column):
        if name not in known:
            raise InputError(f"{table} has no column {name!r}: it has {', '.join(known) or 'none'}")
    return {row["path"]: row[column] for row in rows}


def _join(directory, names, clips, sample_rate, skipped) -> Recordings:
    starts = np.cumsum([0, *map(len, clips)])
    return Recordings(directory, names, np.concatenate(clips), starts, sample_rate, skipped)


def _unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
