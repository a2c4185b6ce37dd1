"""Target sources: each computes the classes that a classifier learns, clip by clip.

They are condition sources, see `data.conditions`, given to `CropSpec.targets`. A label of
`UNKNOWN` has weight 0 in training.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from wavenet_tf.data.conditions import ConditionSource, FrameSource
from wavenet_tf.data.labels import UNKNOWN, label_by_rule
from wavenet_tf.data.manifest import Clip
from wavenet_tf.data.recordings import Recordings
from wavenet_tf.errors import InputError

CLASSES = "classes"  # name of the target, as of the classifier's output
COLUMN = "column:"  # start of a rule that names a column


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
