"""`Clip`, the metadata of a recording, and manifests: files that list the clips of a corpus.

A manifest is a JSONL file with one clip per line, or a CSV file with a header. Its columns are the
attributes of `Clip`; only `path` is required. Other columns are kept in `Clip.other`; a
classifier can learn them as classes.
"""

import csv
import dataclasses
import difflib
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from wavenet_tf import files
from wavenet_tf.errors import InputError

SPLITS = ("train", "validation", "test")
MANIFEST_SUFFIXES = (".jsonl", ".csv")


@dataclasses.dataclass(frozen=True)
class Clip:
    """Metadata of a recording, or of a segment of one.

    Attributes:
        path: path of the file below the corpus' folder, with "/" between folders.
        start: start of the clip in the file, in seconds.
        end: end of the clip in the file, in seconds; None for the end of the file.
        speaker: name of the speaker, or None.
        text: transcript, or None.
        tags: labels of the recording, such as "guitar".
        alignment: labelled segments by kind, such as {"phones": [(0.0, 0.14, "h#"), ...]}; start
            and end in seconds from the clip's start.
        split: "train", "validation" or "test", or None if the corpus names no split.
        other: values of the manifest's other columns; JSON values that are not strings are kept as
            JSON text.

    Raises:
        InputError: if an attribute is out of its range.

    Example:
    >>> Clip("george/1.wav", start=0.5, end=2.0, speaker="george").name
    'george/1.wav#0.5-2.0'
    """

    path: str
    start: float = 0.0
    end: float | None = None
    speaker: str | None = None
    text: str | None = None
    tags: tuple[str, ...] = ()
    alignment: dict[str, list[tuple[float, float, str]]] = dataclasses.field(default_factory=dict)
    split: str | None = None
    other: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if not self.path:
            raise InputError("path must name a file; received none")
        if not (math.isfinite(self.start) and self.start >= 0.0):
            raise InputError(f"start must be at least 0 seconds; received {self.start!r}")
        if self.end is not None and not (math.isfinite(self.end) and self.end > self.start):
            raise InputError(f"end must be after start, {self.start} s; received {self.end!r}")
        if self.split is not None and self.split not in SPLITS:
            raise InputError(f"split must be one of {', '.join(SPLITS)}; received {self.split!r}")

    @property
    def name(self) -> str:
        """The path, followed by start and end in seconds for a segment of a recording."""
        if not self.start and self.end is None:
            return self.path
        return f"{self.path}#{self.start}-{'' if self.end is None else self.end}"

    def to_json(self) -> str:
        """Returns the line of a JSONL manifest, without attributes that have no value."""
        values = {
            name: value
            for name in COLUMNS
            if (value := getattr(self, name)) not in (None, (), {}, 0.0)
        }
        return json.dumps({**self.other, **values})

    @classmethod
    def from_row(cls, row: dict) -> "Clip":
        """Makes the clip of a manifest's line.

        Args:
            row: values by column. Values of a CSV file are strings: tags are joined by commas,
                alignments are JSON, and an empty string means no value.

        Raises:
            InputError: for a value of a wrong type or out of its range.

        Example:
        >>> Clip.from_row({"path": "1.wav", "tags": "piano, slow", "take": "2"})
        Clip(path='1.wav', start=0.0, end=None, speaker=None, text=None, tags=('piano', 'slow'),
             alignment={}, split=None, other={'take': '2'})
        """
        row = {name: value for name, value in row.items() if value not in (None, "")}
        if None in row:  # the key under which csv.DictReader collects surplus values
            raise InputError("more values than columns")
        other = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in row.items()
            if name not in COLUMNS
        }
        values = {name: value for name, value in row.items() if name in COLUMNS}
        if not isinstance(values.get("path"), str):
            raise InputError("no path")
        for name in ("speaker", "text", "split"):
            if name in values:
                values[name] = str(values[name])
        try:
            for name in ("start", "end"):
                if name in values:
                    values[name] = float(values[name])
            if isinstance(tags := values.get("tags", ()), str):
                tags = [tag.strip() for tag in tags.split(",")]
            values["tags"] = tuple(str(tag) for tag in tags if tag != "")
            if isinstance(alignment := values.get("alignment", {}), str):
                alignment = json.loads(alignment)
            values["alignment"] = {
                str(kind): [(float(start), float(end), str(label)) for start, end, label in parts]
                for kind, parts in alignment.items()
            }
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"a value of the wrong kind: {error}") from error
        return cls(**values, other=other)


# Columns of a manifest that are attributes of a clip.
COLUMNS = tuple(field.name for field in dataclasses.fields(Clip) if field.name != "other")


def read_manifest(path: str | os.PathLike) -> Iterator[Clip]:
    """Reads a manifest one line at a time.

    Args:
        path: path of a JSONL or CSV file.

    Returns:
        The clips, in the file's order.

    Raises:
        InputError: if the file cannot be read; names the number of an invalid line.
    """
    path = Path(path)
    if path.suffix not in MANIFEST_SUFFIXES:
        raise InputError(f"a manifest is a .jsonl or .csv file; received {path}")
    number, known = 0, {*COLUMNS}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, line in _lines(file, path.suffix):  # noqa: B007  (for the error)
                clip = _parse(line)
                for name in clip.other.keys() - known:
                    known.add(name)
                    if alike := difflib.get_close_matches(name.lower(), COLUMNS, n=1, cutoff=0.8):
                        warnings.warn(
                            f"{path}: column {name!r} is not read; did you mean {alike[0]!r}?",
                            stacklevel=2,
                        )
                yield clip
    except FileNotFoundError as error:
        raise InputError(f"no manifest at {path}") from error
    except (InputError, OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        where = f", line {number}" if number else ""
        raise InputError(f"cannot read {path}{where}: {error}") from error


def _lines(file: TextIO, suffix: str) -> Iterator[tuple[int, str | dict]]:
    """Yields number and content of each line: values by column for CSV, text for JSONL."""
    if suffix == ".csv":
        table = csv.DictReader(file)
        if "path" not in (table.fieldnames or ()):
            raise InputError("no column 'path'")
        for row in table:
            yield table.line_num, row
        return
    for number, text in enumerate(file, 1):
        if text.strip():
            yield number, text


def _parse(line: str | dict) -> Clip:
    """Makes the clip of a line as `_lines` yields it."""
    row = json.loads(line) if isinstance(line, str) else line
    if not isinstance(row, dict):
        raise InputError(f"a line must be an object; received {str(line).strip()[:40]}")
    return Clip.from_row(row)


def write_manifest(path: str | os.PathLike, clips: Iterable[Clip]) -> int:
    """Writes a JSONL manifest one line at a time; an error leaves no incomplete file behind.

    Args:
        path: path of the file.
        clips: the clips; may be an iterator over more than fits in memory.

    Returns:
        The number of clips.
    """
    count = 0
    with files.atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for count, clip in enumerate(clips, 1):  # noqa: B007
            file.write(clip.to_json() + "\n")
    return count
