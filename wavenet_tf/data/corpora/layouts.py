"""`read_corpus`: reading a corpus in any layout, which is given by name or detected."""

import inspect
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from wavenet_tf.data.corpora import aligned_speech, folders, music, speech, walking
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError

LAYOUTS: dict[str, Callable[..., Iterator[Clip]]] = {
    "vctk": speech.vctk,
    "ljspeech": speech.ljspeech,
    "librispeech": speech.librispeech,
    "libritts": speech.libritts,
    "timit": aligned_speech.timit,
    "magnatagatune": music.magnatagatune,
    "fsdd": speech.fsdd,
    "manifest": folders.manifest,
    "folder": folders.folder,
}
# Patterns of file names, for layouts that are detected by the names of the first files alone.
FILE_NAMES = {
    "fsdd": speech.FSDD_NAME,
    "librispeech": speech.LIBRISPEECH_NAME,
    "libritts": speech.LIBRITTS_NAME,
}
FILES_CHECKED = 100


def read_corpus(directory: str | os.PathLike, layout: str = "auto") -> Iterator[Clip]:
    """Reads the clips of a corpus, one at a time; folders are read during the iteration.

    Args:
        directory: folder of the corpus, or path of its manifest.
        layout: "auto" to detect it, a key of `LAYOUTS`, or a key and arguments of its function,
            such as "vctk:microphone=mic2" or "folder:speakers=folder".

    Returns:
        The clips, in the same order every time.

    Raises:
        InputError: for an unknown layout or argument, or a folder that is missing or has another
            layout; during the iteration, if there is no clip, or a table of the corpus cannot be
            used.

    Example:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "7_george_3.wav").touch()
    ...     for clip in read_corpus(folder, "fsdd"):
    ...         print(clip.path, clip.speaker, clip.text, clip.split)
    7_george_3.wav george 7 test
    """
    directory = Path(directory)
    name, _, arguments = layout.partition(":")
    if name != "auto" and name not in LAYOUTS:
        raise InputError(
            f"layout must be auto or one of {', '.join(LAYOUTS)}, which takes arguments as in "
            f"vctk:microphone=mic2; received {layout!r}"
        )
    root = corpus_root(directory)
    if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
        raise InputError(f"directory must be a folder that can be read; received {directory}")
    if name == "auto":
        name = detect_layout(directory)
    return LAYOUTS[name](directory, **_parse_arguments(name, arguments))


def corpus_root(directory: str | os.PathLike) -> Path:
    """Returns the folder that the paths of a corpus' clips are relative to.

    Args:
        directory: folder of the corpus, or path of its manifest.

    Example:
    >>> corpus_root("corpora/vctk").as_posix(), corpus_root("corpora/men.csv").as_posix()
    ('corpora/vctk', 'corpora')
    """
    path = Path(directory)
    return path.parent if folders.is_manifest(path) else path


def detect_layout(directory: str | os.PathLike) -> str:
    """Detects the layout of a corpus by the names of some of its files and folders.

    Args:
        directory: folder of the corpus, or path of its manifest.

    Returns:
        A key of `LAYOUTS`; "folder" if no other layout matches.

    Raises:
        InputError: for a folder that cannot be read.
    """
    directory = Path(directory)
    if folders.find_manifest(directory):
        return "manifest"
    if speech.find_vctk(directory) is not None:
        return "vctk"
    if speech.find_ljspeech(directory) is not None:
        return "ljspeech"
    if (directory / music.TABLE).is_file():
        return "magnatagatune"
    if aligned_speech.find_timit(directory):
        return "timit"
    return _layout_by_names(directory)


def _layout_by_names(directory: Path) -> str:
    """Detects a layout by the names of the first files."""
    files = (name for _, names in walking.walk(directory) for name in names)
    recordings = list(filter(folders.is_recording, itertools.islice(files, FILES_CHECKED)))
    for layout, pattern in FILE_NAMES.items():
        if recordings and all(map(pattern.fullmatch, recordings)):
            return layout
    return "folder"


def _parse_arguments(name: str, text: str) -> dict[str, str | int]:
    """Parses the arguments of a layout's function, "name=value,name=value"."""
    parameters = inspect.signature(LAYOUTS[name]).parameters.values()
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    arguments: dict[str, str | int] = {}
    while text:
        argument, _, rest = text.partition("=")
        if argument not in defaults:
            known = f"one of {', '.join(defaults)}, as in {name}:" if defaults else "none"
            raise InputError(f"layout {name} takes {known}; received {text!r}")
        # The value of speakers may be a regular expression with commas in it.
        value, _, text = (rest, "", "") if argument == "speakers" else rest.partition(",")
        whole = isinstance(defaults[argument], int) and value.isdecimal()
        arguments[argument] = int(value) if whole else value
    return arguments
