"""Going through the files of a corpus, one folder at a time.

Paths below a corpus' folder are strings with "/" between folders; "" is the folder itself.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError


def join(folder: str, name: str) -> str:
    """The path of what is called `name` in a folder.

    Example:
    >>> join("wavs", "1.wav"), join("", "1.wav")
    ('wavs/1.wav', '1.wav')
    """
    return f"{folder}/{name}" if folder else name


def list_folder(path: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder, both sorted, without hidden ones.

    Raises:
        InputError: for a folder that cannot be read.
    """
    folders: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else others).append(entry.name)
    except OSError as error:
        raise InputError(f"cannot read the folder {path}: {error.strerror}") from error
    return sorted(folders), sorted(others)


def _is_folder(entry: os.DirEntry) -> bool:
    # entry.is_dir() raises for a link to itself.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry))


def subfolders(path: Path, *names: str) -> list[str]:
    """The folders in a folder that have one of these names, whatever the case of their letters."""
    return [name for name in list_folder(path)[0] if name.lower() in names]


def walk(directory: Path, below: str = "") -> Iterator[tuple[str, list[str]]]:
    """Goes through a folder and all folders below it; links are followed, but not in circles.

    Args:
        directory: what the paths are relative to.
        below: the folder in it to start from.

    Returns:
        Of each folder, before those in it: its path, and the sorted names of its files.
    """
    pending: list[tuple[str, tuple[str, ...]]] = [(below, ())]
    while pending:
        folder, parents = pending.pop()
        place = os.path.realpath(directory / folder)
        if place in parents:
            continue
        folders, names = list_folder(directory / folder)
        yield folder, names
        parents = (*parents, place)
        pending += ((join(folder, name), parents) for name in reversed(folders))


def matching_files(
    directory: Path, pattern: re.Pattern[str], below: str = ""
) -> Iterator[tuple[str, re.Match[str]]]:
    """The files whose whole names match, as `walk` finds them: folder, and the name's match."""
    for folder, names in walk(directory, below):
        for name in names:
            if match := pattern.fullmatch(name):
                yield folder, match


def read_lines(path: Path) -> list[str]:
    """The lines of a small text file, stripped, without empty ones; none if there is no file.

    Raises:
        InputError: for a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return [line.strip() for line in text.split("\n") if line.strip()]


def read_text(path: Path) -> str | None:
    """The text of a small file on one line; None if there is none."""
    return " ".join(read_lines(path)) or None


def not_in_layout(directory: Path, layout: str, wanted: str) -> InputError:
    """The error of a folder that holds another layout than `layout`, or nothing."""
    return InputError(
        f"no usable recording in {directory}, as a corpus of layout {layout!r}: looked for {wanted}"
    )


def some(clips: Iterable[Clip], directory: Path, layout: str, wanted: str) -> Iterator[Clip]:
    """Passes clips on.

    Raises:
        InputError: at the end, if there was none.
    """
    empty = True
    for clip in clips:
        empty = False
        yield clip
    if empty:
        raise not_in_layout(directory, layout, wanted)
