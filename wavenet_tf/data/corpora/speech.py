"""Corpora of read speech whose file names contain the speaker."""

import re
from collections.abc import Iterator
from pathlib import Path

from wavenet_tf.data.corpora.walking import (
    join_path,
    matching_files,
    not_in_layout,
    read_lines,
    read_text,
    require_non_empty,
)
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError

MICROPHONES = ("mic1", "mic2", "both")
VCTK_NAME = re.compile(r"((?P<speaker>[a-z]+\d+)_\d+)(_(?P<microphone>mic[12]))?\.(?i:wav|flac)")
LIBRISPEECH_NAME = re.compile(r"((?P<chapter>(?P<speaker>\d+)-\d+)-\d+)\.(?i:flac)")
LIBRITTS_NAME = re.compile(r"((?P<speaker>\d+)_\d+_\d+_\d+)\.(?i:wav)")
FSDD_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)\.(?i:wav)")
FSDD_TEST_TAKES = 5
LIBRI_SUBSET = re.compile("(train|dev|test)-")
LIBRI_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
LJSPEECH_SPEAKER = "LJ"


def find_vctk(directory: Path) -> str | None:
    """Returns the folder of VCTK's recordings; None if there is no VCTK.

    Args:
        directory: folder of the corpus; the path returned is below it.
    """
    for parent in ("", "VCTK-Corpus-0.92", "VCTK-Corpus"):
        for name in ("wav48_silence_trimmed", "wav48"):
            if (directory / parent / name).is_dir():
                return join_path(parent, name)
    return None


def vctk(directory: Path, *, microphone: str = "mic1") -> Iterator[Clip]:
    """VCTK, versions 0.80 and 0.92: English by some 110 speakers, with texts.

    Args:
        directory: folder with wav48/ or wav48_silence_trimmed/, and txt/; or the folder with
            VCTK-Corpus/ or VCTK-Corpus-0.92/ in it.
        microphone: "mic1", "mic2" or "both". Version 0.80 and some speakers of 0.92 have only
            "mic1".

    Returns:
        The clips, speaker by speaker.

    Raises:
        InputError: for another layout or microphone.
    """
    if microphone not in MICROPHONES:
        raise InputError(
            f"microphone must be one of {', '.join(MICROPHONES)}; received {microphone!r}"
        )
    recordings = find_vctk(directory)
    if recordings is None:
        raise not_in_layout(directory, "vctk", "a folder wav48 or wav48_silence_trimmed")
    required = f"recordings such as {recordings}/p225/p225_001.wav of microphone {microphone}"
    return require_non_empty(
        _vctk_clips(directory, recordings, microphone), directory, "vctk", required
    )


def _vctk_clips(directory: Path, recordings: str, microphone: str) -> Iterator[Clip]:
    texts = (directory / recordings).parent / "txt"
    for folder, match in matching_files(directory, VCTK_NAME, recordings):
        # Version 0.80 has one microphone, which file names do not contain.
        if microphone in ("both", match["microphone"] or "mic1"):
            speaker = match["speaker"]
            text = read_text(texts / speaker / f"{match[1]}.txt")
            yield Clip(join_path(folder, match.string), speaker=speaker, text=text)


def find_ljspeech(directory: Path) -> str | None:
    """Returns the folder of LJ Speech's table; None if there is no LJ Speech.

    Args:
        directory: folder of the corpus; the path returned is below it.
    """
    for folder in ("", "LJSpeech-1.1"):
        table = directory / folder / "metadata.csv"
        if table.is_file() and (directory / folder / "wavs").is_dir():
            # Other corpora have a table of the same name.
            with open(table, encoding="utf-8", errors="replace") as file:
                return folder if "|" in file.readline() else None
    return None


def ljspeech(directory: Path) -> Iterator[Clip]:
    """LJ Speech, and corpora of the same layout: one speaker, with texts.

    Args:
        directory: folder with wavs/ and metadata.csv, of lines "id|text|normalized text"; or the
            folder with LJSpeech-1.1/ in it.

    Returns:
        A clip for each line, with the normalized text if the line has one.

    Raises:
        InputError: for another layout, or a line of another format.
    """
    folder = find_ljspeech(directory)
    if folder is None:
        required = "a folder wavs and a file metadata.csv of lines id|text|normalized text"
        raise not_in_layout(directory, "ljspeech", required)
    return require_non_empty(
        _ljspeech_clips(directory, folder), directory, "ljspeech", "lines in metadata.csv"
    )


def _ljspeech_clips(directory: Path, folder: str) -> Iterator[Clip]:
    table = directory / folder / "metadata.csv"
    try:
        with open(table, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                name, *texts = (field.strip() for field in line.split("|"))
                if not name or not 1 <= len(texts) <= 2:
                    raise InputError(
                        f"line {number} must be id|text|normalized text; received {line.strip()!r}"
                    )
                path = join_path(folder, f"wavs/{name}.wav")
                yield Clip(path, speaker=LJSPEECH_SPEAKER, text=texts[-1] or texts[0] or None)
    except (InputError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {table}: {error}") from error


def librispeech(directory: Path) -> Iterator[Clip]:
    """LibriSpeech: English books read aloud by many speakers, with texts.

    Args:
        directory: folder with `<speaker>-<chapter>-<utterance>.flac` files at any depth, and with
            their texts in `<speaker>-<chapter>.trans.txt` beside them: the folder with LibriSpeech/
            in it, a subset, or some speakers' folders.

    Returns:
        The clips. The subsets train-*, dev-* and test-* give the split.

    Raises:
        InputError: for another layout.
    """
    required = "files <speaker>-<chapter>-<utterance>.flac"
    return require_non_empty(_librispeech_clips(directory), directory, "librispeech", required)


def _librispeech_clips(directory: Path) -> Iterator[Clip]:
    current, texts = None, {}
    for folder, match in matching_files(directory, LIBRISPEECH_NAME):
        table = directory / folder / f"{match['chapter']}.trans.txt"
        if table != current:
            current, texts = table, _transcripts(table)
        yield Clip(
            join_path(folder, match.string),
            speaker=match["speaker"],
            text=texts.get(match[1]),
            split=_libri_split(directory, folder),
        )


def _transcripts(table: Path) -> dict[str, str]:
    """Reads the texts of a chapter, by utterance."""
    lines = (line.partition(" ") for line in read_lines(table))
    return {utterance: text for utterance, _, text in lines if text}


def _libri_split(directory: Path, folder: str) -> str | None:
    """Returns the split of a folder in a subset such as dev-clean; None outside subsets."""
    for name in reversed((directory.absolute().name, *folder.split("/"))):
        if match := LIBRI_SUBSET.match(name):
            return LIBRI_SPLITS[match[1]]
    return None


def libritts(directory: Path) -> Iterator[Clip]:
    """LibriTTS and LibriTTS-R: English books read aloud by many speakers, by sentence.

    Args:
        directory: folder with `<speaker>_<chapter>_<paragraph>_<utterance>.wav` files at any depth,
            and with their texts in `.normalized.txt` or `.original.txt` files beside them: the
            folder with LibriTTS/ in it, a subset, or some speakers' folders.

    Returns:
        The clips, with the normalized text if there is one. The subsets train-*, dev-* and test-*
        give the split.

    Raises:
        InputError: for another layout.
    """
    required = "files <speaker>_<chapter>_<paragraph>_<utterance>.wav"
    return require_non_empty(_libritts_clips(directory), directory, "libritts", required)


def _libritts_clips(directory: Path) -> Iterator[Clip]:
    for folder, match in matching_files(directory, LIBRITTS_NAME):
        text = read_text(directory / folder / f"{match[1]}.normalized.txt")
        yield Clip(
            join_path(folder, match.string),
            speaker=match["speaker"],
            text=text or read_text(directory / folder / f"{match[1]}.original.txt"),
            split=_libri_split(directory, folder),
        )


def fsdd(directory: Path) -> Iterator[Clip]:
    """The Free Spoken Digit Dataset: English digits by a few speakers.

    Args:
        directory: folder with `<digit>_<speaker>_<take>.wav` files in it or in recordings/.

    Returns:
        The clips; a clip's text is its digit. Takes 0 to 4 are the test split of the corpus, all
        others are for training; none are for validation.

    Raises:
        InputError: for another layout.
    """
    clips = (
        Clip(
            join_path(folder, match.string),
            speaker=match["speaker"],
            text=match["digit"],
            split="test" if int(match["take"]) < FSDD_TEST_TAKES else "train",
        )
        for folder, match in matching_files(directory, FSDD_NAME)
    )
    return require_non_empty(clips, directory, "fsdd", "files <digit>_<speaker>_<take>.wav")
