"""Layouts for any recordings: a manifest, or a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

from wavenet_tf.audio import AUDIO_SUFFIXES, WRITTEN_SUFFIXES
from wavenet_tf.data.corpora.walking import join_path, not_in_layout, require_non_empty, walk
from wavenet_tf.data.labels import label_by_rule
from wavenet_tf.data.manifest import MANIFEST_SUFFIXES, Clip, read_manifest
from wavenet_tf.errors import InputError

MANIFESTS = tuple(f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES)


def is_manifest(path: Path) -> bool:
    """Returns whether a path is the path of a manifest, rather than of a folder.

    Args:
        path: the path.
    """
    return path.suffix in MANIFEST_SUFFIXES and not path.is_dir()


def find_manifest(directory: Path) -> Path | None:
    """Returns the path of the manifest of a folder; None if there is none.

    Args:
        directory: the folder, or the path of a manifest.
    """
    if is_manifest(directory):
        return directory
    paths = (directory / name for name in MANIFESTS)
    return next((path for path in paths if path.is_file()), None)


def manifest(directory: Path) -> Iterator[Clip]:
    """A corpus whose clips are listed in a manifest, see `data.manifest`.

    Args:
        directory: folder with manifest.jsonl or manifest.csv; or the path of a .jsonl or .csv file
            whose clips have paths below the folder of the file.

    Returns:
        The clips, in the manifest's order.

    Raises:
        InputError: if there is no manifest, or it cannot be used.
    """
    path = find_manifest(directory)
    if path is None:
        raise not_in_layout(directory, "manifest", " or ".join(MANIFESTS))
    return require_non_empty(read_manifest(path), directory, "manifest", f"clips in {path.name}")


def folder(directory: Path, *, speakers: str | None = None) -> Iterator[Clip]:
    """Every recording in a folder and the folders below it.

    Args:
        directory: folder of audio files, whose names end in one of `audio.AUDIO_SUFFIXES`.
        speakers: a rule that finds a file's speaker in its path, see `labels.label_by_rule`; None
            for clips without speakers.

    Returns:
        A clip for each file. Files of formats that cannot be read have a clip too: they are skipped
        and named when the recordings are read.

    Raises:
        InputError: for an invalid rule, a file without a speaker although there is a rule, or if
            there is no recording.
    """
    speaker_of = None if speakers is None else label_by_rule(speakers, directory)
    clips = _folder_clips(directory, speaker_of, speakers)
    required = f"{', '.join(WRITTEN_SUFFIXES)} and other audio files in it and below it"
    return require_non_empty(clips, directory, "folder", required)


def _folder_clips(
    directory: Path, speaker_of: Callable[[str], str | None] | None, rule: str | None
) -> Iterator[Clip]:
    for parent, names in walk(directory):
        for path in (join_path(parent, name) for name in names if is_recording(name)):
            speaker = speaker_of and speaker_of(path)
            if speaker_of and not speaker:
                raise InputError(f"{path} has no speaker: speakers={rule!r} finds none for it")
            yield Clip(path, speaker=speaker)


def is_recording(name: str) -> bool:
    """Returns whether a file's name has the suffix of a recording, in upper or lower case.

    Args:
        name: name of the file.
    """
    return name.lower().endswith(AUDIO_SUFFIXES)
