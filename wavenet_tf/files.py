"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from wavenet_tf.errors import InputError

# A file system limits the length of a name, and a temporary name is longer than its file's.
PREFIX_CHARACTERS = 40


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path` and moves it there when the block succeeds.

    Args:
        path: the file to write; its folder is made if it is missing.

    Raises:
        OSError: where the folder cannot be made or written to; it names `path`.
    """
    path = Path(path)
    prefix = f".{path.stem[:PREFIX_CHARACTERS]}-"
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept: writers such as Keras' choose the format by it.
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with _naming(path, temporary):
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Raises an OSError again with `path` as its file: for any file, or for the temporary one."""
    try:
        yield
    except OSError as error:
        if error.strerror is None or temporary not in (
            None,
            Path(os.fsdecode(error.filename or "")),
        ):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all.

    Args:
        path: the file to write.
        text: what no UTF-8 is, as in some names of files, is written as an escape sequence.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_writable(path: str | os.PathLike) -> None:
    """Raises InputError unless `atomic_path` can write a file at `path`; leaves nothing behind.

    Args:
        path: the file to write.

    Example:
    >>> check_writable("/")
    Traceback (most recent call last):
    wavenet_tf.errors.InputError: cannot write /: it is a folder
    """
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(f"cannot write {path}: it is a folder")
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(f"cannot write {path}: it is no regular file")
    _check_creates(Path(path).absolute().parent, path)


def check_writable_folder(path: str | os.PathLike) -> None:
    """Raises InputError unless `path` is, or can become, a folder to write into.

    Args:
        path: the folder.
    """
    _check_creates(Path(path).absolute(), path)


def same_file(first: str | os.PathLike, second: str | os.PathLike) -> bool:
    """Returns whether two paths lead to one file, by a link or another spelling too.

    Args:
        first: of a file, which may be missing.
        second: likewise.

    Example:
    >>> same_file("a.wav", "folder/../a.wav")
    True
    """
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _mode(path: str | os.PathLike) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _check_creates(folder: Path, path: str | os.PathLike) -> None:
    """Raises InputError unless files can be made in a folder, or in what there is of its path."""
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {folder}: {error.strerror}") from error


def lock(file: IO) -> None:
    """Locks an open file for this process, until the file is closed or the process ends.

    Args:
        file: open for writing.

    Raises:
        BlockingIOError: if another process, or another open file, holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise BlockingIOError(*error.args) from error
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
