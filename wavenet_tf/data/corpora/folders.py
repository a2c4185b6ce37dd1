"""Layouts of no particular corpus: a manifest, and any folder of recordings."""

from collections.abc import Callable, Iterator
from pathlib import Path

from wavenet_tf.audio import AUDIO_SUFFIXES, WRITTEN_SUFFIXES
from wavenet_tf.data.corpora.walking import join, not_in_layout, some, walk
from wavenet_tf.data.manifest import MANIFEST_SUFFIXES, Clip, read_manifest
from wavenet_tf.data.speakers import speaker_by_rule
from wavenet_tf.errors import InputError

MANIFESTS = tuple(f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES)


def is_manifest(path: Path) -> bool:
    """Whether the path is that of a manifest, rather than of a folder."""
    return path.suffix in MANIFEST_SUFFIXES and not path.is_dir()


def find_manifest(directory: Path) -> Path | None:
    """The manifest at the top of a folder, or the one that `directory` is the path of."""
    if is_manifest(directory):
        return directory
    paths = (directory / name for name in MANIFESTS)
    return next((path for path in paths if path.is_file()), None)


def manifest(directory: Path) -> Iterator[Clip]:
    """A corpus that says itself what its clips are, see `data.manifest`.

    Args:
        directory: has manifest.jsonl or manifest.csv at its top; or the path of a .jsonl or .csv
            file, whose clips have paths below the folder it is in.

    Returns:
        The clips, in the manifest's order.

    Raises:
        InputError: if there is no manifest, or an unusable one.
    """
    path = find_manifest(directory)
    if path is None:
        raise not_in_layout(directory, "manifest", " or ".join(MANIFESTS))
    return some(read_manifest(path), directory, "manifest", f"clips in {path.name}")


def folder(directory: Path, *, speakers: str | None = None) -> Iterator[Clip]:
    """Every recording in a folder and the folders below it.

    Args:
        directory: holds audio files, whose names end in one of `audio.AUDIO_SUFFIXES`.
        speakers: "folder" for the name of the folder that a file is in; or a regular expression
            that is searched for in the path: its first group is the speaker, or all of it where
            it has no group. None for clips without speakers.

    Returns:
        A clip for each file, also for those of formats that cannot be read, which are skipped and
        named where the clips are.

    Raises:
        InputError: for another `speakers`, a file without a speaker where speakers are asked for,
            or if there is no recording.
    """
    speaker_of = None if speakers is None else speaker_by_rule(speakers, directory)
    clips = _folder_clips(directory, speaker_of, speakers)
    wanted = f"{', '.join(WRITTEN_SUFFIXES)} and other audio files in it and below it"
    return some(clips, directory, "folder", wanted)


def _folder_clips(
    directory: Path, speaker_of: Callable[[str], str | None] | None, rule: str | None
) -> Iterator[Clip]:
    for parent, names in walk(directory):
        for path in (join(parent, name) for name in names if is_recording(name)):
            speaker = speaker_of and speaker_of(path)
            if speaker_of and not speaker:
                raise InputError(f"{path} has no speaker: speakers={rule!r} finds none for it")
            yield Clip(path, speaker=speaker)


def is_recording(name: str) -> bool:
    """Whether a file's name has the suffix of a recording, in letters of any case."""
    return name.lower().endswith(AUDIO_SUFFIXES)
