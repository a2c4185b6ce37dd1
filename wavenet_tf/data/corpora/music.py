"""Music with tags."""

import collections
import csv
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from wavenet_tf.data.corpora.walking import join_path, list_folder, not_in_layout, require_non_empty
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError, positive_integer

TABLE = "annotations_final.csv"
# The usual split, by the first folder in a recording's path.
SPLITS = {
    **dict.fromkeys("0123456789ab", "train"),
    "c": "validation",
    **dict.fromkeys("def", "test"),
}
# Usual groups of tags that mean the same; the first name of a group stands for all.
SYNONYMS = (
    ("beat", "beats"),
    ("chant", "chanting"),
    ("choir", "choral"),
    ("classical", "clasical", "classic"),
    ("drum", "drums"),
    ("electro", "electronic", "electronica", "electric"),
    ("fast", "fast beat", "quick"),
    (
        "female",
        "female singer",
        "female singing",
        "female vocal",
        "female vocals",
        "female voice",
        "woman",
        "woman singing",
        "women",
    ),
    ("flute", "flutes"),
    ("guitar", "guitars"),
    ("hard", "hard rock"),
    ("harpsichord", "harpsicord"),
    ("heavy", "heavy metal", "metal"),
    ("horn", "horns"),
    ("india", "indian"),
    ("jazz", "jazzy"),
    (
        "male",
        "male singer",
        "male vocal",
        "male vocals",
        "male voice",
        "man",
        "man singing",
        "men",
    ),
    ("no beat", "no drums"),
    (
        "no singer",
        "no singing",
        "no vocal",
        "no vocals",
        "no voice",
        "no voices",
        "instrumental",
    ),
    ("opera", "operatic"),
    ("orchestra", "orchestral"),
    ("quiet", "silence"),
    ("singer", "singing"),
    ("space", "spacey"),
    ("strange", "weird"),
    ("string", "strings"),
    ("synth", "synthesizer"),
    ("violin", "violins"),
    ("vocal", "vocals", "voice", "voices"),
)
MERGED = {tag: group[0] for group in SYNONYMS for tag in group}


def magnatagatune(
    directory: Path, *, top_tags: int = 50, negations: int = 1, min_clips: int = 1
) -> Iterator[Clip]:
    """MagnaTagATune: 29-second segments of music, with tags; synonymous tags are merged.

    Args:
        directory: folder with annotations_final.csv, and with the folders 0 to f of MP3 files in
            it or in a folder in it.
        top_tags: number of tags to keep: the most frequent ones, in alphabetical order among
            equally frequent ones.
        negations: 0 leaves out tags such as "no vocal", from which nothing can be generated.
        min_clips: smallest number of clips of a tag that is kept.

    Returns:
        A clip for each line of the table, with sorted tags, or none. Folders 0 to b are for
        training, c is for validation, d to f are for testing.

    Raises:
        InputError: for another layout, or a table that cannot be read.
    """
    top_tags = positive_integer("top_tags", top_tags)
    min_clips = positive_integer("min_clips", min_clips)
    if negations not in (0, 1):
        raise InputError(f"negations must be 0 or 1; received {negations!r}")
    if not (directory / TABLE).is_file():
        raise not_in_layout(directory, "magnatagatune", TABLE)
    kept = functools.partial(_kept_tags, directory, top_tags, bool(negations), min_clips)
    clips = _clips(directory, _recordings_folder(directory), kept)
    return require_non_empty(clips, directory, "magnatagatune", f"lines in {TABLE}")


def _recordings_folder(directory: Path) -> str:
    """Returns the folder that the paths in the table are relative to."""
    for folder in ("", *list_folder(directory)[0]):
        if any((directory / folder / name).is_dir() for name in SPLITS):
            return folder
    required = f"folders 0 to f of MP3 files beside {TABLE}, or in a folder beside it"
    raise not_in_layout(directory, "magnatagatune", required)


def _kept_tags(directory: Path, top_tags: int, negations: bool, min_clips: int) -> set[str]:
    counts: collections.Counter[str] = collections.Counter()
    for _, tags in _rows(directory / TABLE):
        counts.update(tag for tag in tags if negations or not tag.startswith("no "))
    frequent = (tag for tag in counts if counts[tag] >= min_clips)
    return set(sorted(frequent, key=lambda tag: (-counts[tag], tag))[:top_tags])


def _clips(directory: Path, folder: str, find_kept: Callable[[], set[str]]) -> Iterator[Clip]:
    kept = find_kept()
    for path, tags in _rows(directory / TABLE):
        split = SPLITS.get(path.partition("/")[0])
        yield Clip(join_path(folder, path), tags=tuple(sorted(tags & kept)), split=split)


def _rows(table: Path) -> Iterator[tuple[str, set[str]]]:
    """Yields path and merged tags of each recording."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t")
            header = next(reader, [])
            if len(header) < 2 or header[0] != "clip_id" or header[-1] != "mp3_path":
                raise InputError("the columns must be clip_id, the tags and mp3_path, by tabs")
            names = [MERGED.get(name, name) for name in header[1:-1]]
            for row in reader:
                if len(row) != len(header):
                    raise InputError(
                        f"line {reader.line_num} must have {len(header)} columns; has {len(row)}"
                    )
                marks = row[1:-1]
                yield (
                    row[-1],
                    {name for name, mark in zip(names, marks, strict=True) if mark == "1"},
                )
    except (InputError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {table}: {error}") from error
