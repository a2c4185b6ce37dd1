"""The manifest of a corpus: what its clips are, whatever layout they come in.

A manifest is a JSONL file, one clip a line, or a CSV file with a header; the columns are the
attributes of `Clip`, of which only `path` is needed. Other columns are kept with the clips, and not
used.
"""

import csv
import dataclasses
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
    """A recording, or a stretch of one, and what is known of it.

    Attributes:
        path: of the file, below the corpus' folder, with "/" between folders.
        start: where the clip begins in the file, in seconds.
        end: where it ends, in seconds; None for the end of the file.
        speaker: who is heard.
        text: what is said.
        tags: what is said of the recording, such as "guitar".
        alignment: labelled stretches, by kind: {"phones": [(0.0, 0.14, "h#"), ...]}; begin and end
            in seconds from the clip's start.
        split: "train", "validation" or "test" where the corpus says so.
        other: the manifest's further columns, as strings: values of JSON that are no strings are
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
        """The path, and for a stretch of a recording its seconds too."""
        if not self.start and self.end is None:
            return self.path
        return f"{self.path}#{self.start}-{'' if self.end is None else self.end}"

    def to_json(self) -> str:
        """One line of a manifest, without what is not known."""
        known = {
            name: value
            for name in COLUMNS
            if (value := getattr(self, name)) not in (None, (), {}, 0.0)
        }
        return json.dumps({**self.other, **known})

    @classmethod
    def of_row(cls, row: dict) -> "Clip":
        """The clip of a manifest's line.

        Args:
            row: values by attribute; of a CSV file they are strings, in which tags are joined by
                commas, alignments are JSON, and an empty one is not known.

        Raises:
            InputError: for a value of a wrong type or out of its range.
        """
        known = {name: value for name, value in row.items() if value not in (None, "")}
        if None in known:  # of a CSV file
            raise InputError("more values than columns")
        other = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in known.items()
            if name not in COLUMNS
        }
        known = {name: value for name, value in known.items() if name in COLUMNS}
        if not isinstance(known.get("path"), str):
            raise InputError("no path")
        for name in ("speaker", "text", "split"):
            if name in known:
                known[name] = str(known[name])
        try:
            for name in ("start", "end"):
                if name in known:
                    known[name] = float(known[name])
            if isinstance(tags := known.get("tags", ()), str):
                tags = [tag.strip() for tag in tags.split(",")]
            known["tags"] = tuple(str(tag) for tag in tags if tag != "")
            if isinstance(alignment := known.get("alignment", {}), str):
                alignment = json.loads(alignment)
            known["alignment"] = {
                str(kind): [(float(begin), float(end), str(label)) for begin, end, label in parts]
                for kind, parts in alignment.items()
            }
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"a value of the wrong kind: {error}") from error
        return cls(**known, other=other)


# The columns of a manifest that are used.
COLUMNS = tuple(field.name for field in dataclasses.fields(Clip) if field.name != "other")


def read_manifest(path: str | os.PathLike) -> Iterator[Clip]:
    """Reads a manifest, a line at a time.

    Args:
        path: a JSONL or CSV file.

    Returns:
        Its clips, in the file's order.

    Raises:
        InputError: for a file that cannot be read, or a line that is no clip, by its number.
    """
    path = Path(path)
    if path.suffix not in MANIFEST_SUFFIXES:
        raise InputError(f"a manifest is a .jsonl or .csv file; received {path}")
    number, warned = 0, False
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, line in _lines(file, path.suffix):  # noqa: B007  (for the error)
                clip = _parse(line)
                if clip.other and not warned:
                    names = ", ".join(map(repr, clip.other))
                    warnings.warn(f"{path}: columns {names} are kept and not used", stacklevel=2)
                    warned = True
                yield clip
    except FileNotFoundError as error:
        raise InputError(f"no manifest at {path}") from error
    except (InputError, OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        where = f", line {number}" if number else ""
        raise InputError(f"cannot read {path}{where}: {error}") from error


def _lines(file: TextIO, suffix: str) -> Iterator[tuple[int, str | dict]]:
    """The lines of a manifest by their numbers: of CSV as values by column, of JSONL as text."""
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
    """The clip of a manifest's line, as `_lines` gives it."""
    row = json.loads(line) if isinstance(line, str) else line
    if not isinstance(row, dict):
        raise InputError(f"a line must be an object; received {str(line).strip()[:40]}")
    return Clip.of_row(row)


def write_manifest(path: str | os.PathLike, clips: Iterable[Clip]) -> int:
    """Writes a JSONL manifest, a line at a time, whole or not at all.

    Args:
        path: the file.
        clips: may be an iterator over more than fits in memory.

    Returns:
        How many clips there were.
    """
    count = 0
    with files.atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for count, clip in enumerate(clips, 1):  # noqa: B007
            file.write(clip.to_json() + "\n")
    return count
