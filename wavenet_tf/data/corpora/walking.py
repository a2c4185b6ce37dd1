"""Iterating over the files of a corpus, and errors of folders that hold no such corpus.

Paths below the folder of a corpus are strings with "/" between folders; "" is the folder itself.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError


def join_path(folder: str, name: str) -> str:
    """Returns the path of a file in a folder; both paths are below the folder of a corpus.

    Args:
        folder: path of the folder.
        name: name of the file.

    Example:
    >>> join_path("wavs", "1.wav"), join_path("", "1.wav")
    ('wavs/1.wav', '1.wav')
    """
    return f"{folder}/{name}" if folder else name


def list_folder(path: Path) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of the files in a folder, sorted, without hidden ones.

    Args:
        path: path of the folder.

    Raises:
        InputError: for a folder that cannot be read.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise InputError(f"cannot read the folder {path}: {error.strerror}") from error
    return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry) -> bool:
    # entry.is_dir() raises for a link to itself.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry))


def subfolders(path: Path, *names: str) -> list[str]:
    """Returns the folders in a folder that have one of some names.

    Args:
        path: path of the folder.
        *names: names in lower case; the case of the folders' names does not matter.
    """
    return [name for name in list_folder(path)[0] if name.lower() in names]


def walk(directory: Path, below: str = "") -> Iterator[tuple[str, list[str]]]:
    """Iterates over a folder and all folders below it; follows links, but not in circles.

    Args:
        directory: the folder that paths are relative to.
        below: path of the folder to start from.

    Returns:
        The path of each folder and the sorted names of its files; a folder comes before those in
        it.
    """
    pending: list[tuple[str, tuple[str, ...]]] = [(below, ())]
    while pending:
        folder, parents = pending.pop()
        real_path = os.path.realpath(directory / folder)
        if real_path in parents:
            continue
        folders, names = list_folder(directory / folder)
        yield folder, names
        parents = (*parents, real_path)
        pending += ((join_path(folder, name), parents) for name in reversed(folders))


def matching_files(
    directory: Path, pattern: re.Pattern[str], below: str = ""
) -> Iterator[tuple[str, re.Match[str]]]:
    """Iterates over the files whose names match a pattern.

    Args:
        directory: the folder that paths are relative to.
        pattern: expression for the whole name of a file.
        below: path of the folder to start from.

    Returns:
        The path of each file's folder and the match of the file's name, in the order of `walk`.
    """
    for folder, names in walk(directory, below):
        for name in names:
            if match := pattern.fullmatch(name):
                yield folder, match


def read_lines(path: Path) -> list[str]:
    """Returns the stripped lines of a small text file, without empty ones; none without a file.

    Args:
        path: path of the file.

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
    """Returns the text of a small file as one line; None if there is no file, or no text in it.

    Args:
        path: path of the file.
    """
    return " ".join(read_lines(path)) or None


def not_in_layout(directory: Path, layout: str, required: str) -> InputError:
    """Returns the error about a folder that does not hold a corpus of some layout.

    Args:
        directory: the folder.
        layout: name of the layout.
        required: the files or folders that the layout must have.
    """
    return InputError(
        f"no usable recording in {directory}, as a corpus of layout {layout!r}: looked for "
        f"{required}"
    )


def require_non_empty(
    clips: Iterable[Clip], directory: Path, layout: str, required: str
) -> Iterator[Clip]:
    """Yields clips, and raises InputError at the end if there was none.

    Args:
        clips: the clips.
        directory: folder of the corpus, for the error.
        layout: name of the layout, for the error.
        required: the files or folders that the layout must have, for the error.
    """
    empty = True
    for clip in clips:
        empty = False
        yield clip
    if empty:
        raise not_in_layout(directory, layout, required)
