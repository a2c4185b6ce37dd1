"""Labels of clips as arrays: speakers, splits and tags."""

import csv
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.errors import InputError

# In `Recordings.speaker_ids` and `Recordings.splits`: the corpus gives no speaker, or no split.
UNKNOWN = -1


def label_arrays(clips: Sequence[Clip]) -> dict:
    """Returns the labels of clips, as the attributes of `Recordings` that hold them.

    Args:
        clips: one for each recording, in the recordings' order.

    Returns:
        `speaker_names`, `speaker_ids`, `tag_names` and `splits`.

    Example:
    >>> labels = label_arrays([Clip("1.wav", speaker="ben"), Clip("2.wav", tags=("slow", "piano"))])
    >>> labels["speaker_names"], labels["speaker_ids"].tolist(), labels["tag_names"]
    (['ben'], [0, -1], ['piano', 'slow'])
    """
    speakers = sorted({clip.speaker for clip in clips if clip.speaker is not None})
    ids = {speaker: index for index, speaker in enumerate(speakers)}
    speaker_ids = [UNKNOWN if clip.speaker is None else ids[clip.speaker] for clip in clips]
    splits = [UNKNOWN if clip.split is None else SPLITS.index(clip.split) for clip in clips]
    return {
        "speaker_names": speakers,
        "speaker_ids": np.array(speaker_ids, np.int32),
        "tag_names": sorted({tag for clip in clips for tag in clip.tags}),
        "splits": np.array(splits, np.int8),
    }


def label_by_rule(
    rule: str, directory: Path, argument: str = "speakers"
) -> Callable[[str], str | None]:
    """Returns a function that finds the label of a clip, such as its speaker, by the clip's name.

    Args:
        rule: "folder" for the name of the folder that a clip is in; or "table.csv:column" for that
            column of a CSV file, whose column "path" has the clips' names; or a regular expression
            that is searched for in the clip's name: its first group is the label, or the whole
            match if it has no group.
        directory: the folder that the names are relative to and that holds the table.
        argument: name of the argument that gives the rule, for the error.

    Returns:
        A function from a clip's name to its label, or to None if the rule finds none.

    Raises:
        InputError: for a rule that is none of these, or a table that cannot be used.

    Example:
    >>> label_by_rule("_([a-z]+)_", Path())("digits/7_george_3.wav")
    'george'
    """
    table, separator, column = rule.rpartition(":")
    if separator and table.endswith(".csv"):
        path = directory / table
        modified = path.stat().st_mtime_ns if path.exists() else 0
        return _read_column(path, column, argument, modified).get
    if rule == "folder":
        rule = "([^/]+)/[^/]*$"
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise InputError(
            f"{argument} must be 'folder', 'table.csv:column' or a regular expression; received "
            f"{rule!r}: {error}"
        ) from error

    def search(name: str) -> str | None:
        match = expression.search(name)
        return match and (match.group(1) if expression.groups else match.group())

    return search


def find_speakers(
    names: Sequence[str], speaker_of: Callable[[str], str | None]
) -> tuple[list[str], np.ndarray]:
    """Finds the speaker of each clip.

    Args:
        names: names of the clips.
        speaker_of: see `label_by_rule`.

    Returns:
        The speakers in the order of their first clips, and int32 `[clips]`: the index of each
        clip's speaker among them, or `UNKNOWN`.

    Example:
    >>> find_speakers(["b/1", "a/1", "b/2"], label_by_rule("folder", Path()))
    (['b', 'a'], array([0, 1, 0], dtype=int32))
    """
    indices: dict[str, int] = {}
    ids = np.full(len(names), UNKNOWN, np.int32)
    for clip, name in enumerate(names):
        if speaker := speaker_of(name):
            ids[clip] = indices.setdefault(speaker, len(indices))
    return list(indices), ids


def reindex_speakers(
    speakers: Sequence[str], ids: np.ndarray, known: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """Returns the id of each clip's speaker in another order of the speakers.

    Args:
        speakers: speakers of the clips.
        ids: int `[clips]`, the index of each clip's speaker in `speakers`.
        known: the possible speakers, in the order of the new ids.
        names: names of the clips, for the error.

    Raises:
        InputError: if a clip's speaker is not in `known`.
    """
    indices = {speaker: index for index, speaker in enumerate(known)}
    for number in np.unique(ids):
        if speakers[number] not in indices:
            name = names[int(np.argmax(ids == number))]
            raise InputError(
                f"{name} is of speaker {speakers[number]!r}; known are {', '.join(known)}"
            )
    new_ids = np.array([indices.get(speaker, UNKNOWN) for speaker in speakers], np.int32)
    return new_ids[ids]


@functools.lru_cache(maxsize=8)
def _read_column(table: Path, column: str, argument: str, modified: int) -> dict[str, str]:
    """Returns the values of a column of a CSV file, by the values of the column "path".

    A table is read once, and again when its time of modification, in ns, has changed.
    """
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {table} as a table of {argument}: {error}") from error
    columns = list(rows[0]) if rows else []
    for name in ("path", column):
        if name not in columns:
            raise InputError(
                f"{table} has no column {name!r}: it has {', '.join(columns) or 'none'}"
            )
    return {row["path"]: row[column] for row in rows}
