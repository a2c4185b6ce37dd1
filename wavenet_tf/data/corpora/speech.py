"""Corpora of read speech whose files' names say who speaks."""

import re
from collections.abc import Iterator
from pathlib import Path

from wavenet_tf.data.corpora.walking import (
    join,
    matching_files,
    not_in_layout,
    read_lines,
    read_text,
    some,
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
    """The folder of VCTK's recordings, below `directory`."""
    for parent in ("", "VCTK-Corpus-0.92", "VCTK-Corpus"):
        for name in ("wav48_silence_trimmed", "wav48"):
            if (directory / parent / name).is_dir():
                return join(parent, name)
    return None


def vctk(directory: Path, *, microphone: str = "mic1") -> Iterator[Clip]:
    """VCTK, versions 0.80 and 0.92: English by some 110 speakers, with texts.

    Args:
        directory: holds wav48/ or wav48_silence_trimmed/, beside txt/; or the folder that has
            VCTK-Corpus/ or VCTK-Corpus-0.92/ in it.
        microphone: "mic1", "mic2" or "both". Version 0.80 has only "mic1", and so have a few
            speakers of 0.92.

    Returns:
        The clips of each speaker in turn.

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
    wanted = f"recordings such as {recordings}/p225/p225_001.wav of microphone {microphone}"
    return some(_vctk_clips(directory, recordings, microphone), directory, "vctk", wanted)


def _vctk_clips(directory: Path, recordings: str, microphone: str) -> Iterator[Clip]:
    texts = (directory / recordings).parent / "txt"
    for folder, match in matching_files(directory, VCTK_NAME, recordings):
        # Version 0.80 does not name its one microphone.
        if microphone in ("both", match["microphone"] or "mic1"):
            speaker = match["speaker"]
            text = read_text(texts / speaker / f"{match[1]}.txt")
            yield Clip(join(folder, match.string), speaker=speaker, text=text)


def find_ljspeech(directory: Path) -> str | None:
    """The folder of LJ Speech's table, below `directory`."""
    for folder in ("", "LJSpeech-1.1"):
        table = directory / folder / "metadata.csv"
        if table.is_file() and (directory / folder / "wavs").is_dir():
            # Other corpora have tables of that name too.
            with open(table, encoding="utf-8", errors="replace") as file:
                return folder if "|" in file.readline() else None
    return None


def ljspeech(directory: Path) -> Iterator[Clip]:
    """LJ Speech, and what is laid out as it is: one speaker, with texts.

    Args:
        directory: holds wavs/ and metadata.csv, of lines "id|text|normalised text"; or the folder
            that has LJSpeech-1.1/ in it.

    Returns:
        A clip for each line, with the normalised text if it has one.

    Raises:
        InputError: for another layout, or a line that is not as above.
    """
    folder = find_ljspeech(directory)
    if folder is None:
        wanted = "a folder wavs and a file metadata.csv of lines id|text|normalised text"
        raise not_in_layout(directory, "ljspeech", wanted)
    return some(_ljspeech_clips(directory, folder), directory, "ljspeech", "lines in metadata.csv")


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
                        f"line {number} must be id|text|normalised text; received {line.strip()!r}"
                    )
                path = join(folder, f"wavs/{name}.wav")
                yield Clip(path, speaker=LJSPEECH_SPEAKER, text=texts[-1] or texts[0] or None)
    except (InputError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {table}: {error}") from error


def librispeech(directory: Path) -> Iterator[Clip]:
    """LibriSpeech: English books read aloud by many speakers, with texts.

    Args:
        directory: holds `<speaker>-<chapter>-<utterance>.flac` files at any depth, each beside
            `<speaker>-<chapter>.trans.txt` if texts are there: the folder with LibriSpeech/ in it,
            a subset, or some speakers' folders.

    Returns:
        The clips. Those of a subset train-*, dev-* or test-* are of that split.

    Raises:
        InputError: for another layout.
    """
    wanted = "files <speaker>-<chapter>-<utterance>.flac"
    return some(_librispeech_clips(directory), directory, "librispeech", wanted)


def _librispeech_clips(directory: Path) -> Iterator[Clip]:
    current, texts = None, {}
    for folder, match in matching_files(directory, LIBRISPEECH_NAME):
        table = directory / folder / f"{match['chapter']}.trans.txt"
        if table != current:
            current, texts = table, _transcripts(table)
        yield Clip(
            join(folder, match.string),
            speaker=match["speaker"],
            text=texts.get(match[1]),
            split=_libri_split(directory, folder),
        )


def _transcripts(table: Path) -> dict[str, str]:
    """The texts of a chapter, by utterance."""
    lines = (line.partition(" ") for line in read_lines(table))
    return {utterance: text for utterance, _, text in lines if text}


def _libri_split(directory: Path, folder: str) -> str | None:
    """The split that a subset's name stands for, where the folder is in a subset."""
    for name in reversed((directory.absolute().name, *folder.split("/"))):
        if match := LIBRI_SUBSET.match(name):
            return LIBRI_SPLITS[match[1]]
    return None


def libritts(directory: Path) -> Iterator[Clip]:
    """LibriTTS and LibriTTS-R: English books read aloud by many speakers, by sentence.

    Args:
        directory: holds `<speaker>_<chapter>_<paragraph>_<utterance>.wav` files at any depth, each
            beside a `.normalized.txt` or `.original.txt`: the folder with LibriTTS/ in it, a
            subset, or some speakers' folders.

    Returns:
        The clips, with normalised text if they have one. Those of a subset train-*, dev-* or
        test-* are of that split.

    Raises:
        InputError: for another layout.
    """
    wanted = "files <speaker>_<chapter>_<paragraph>_<utterance>.wav"
    return some(_libritts_clips(directory), directory, "libritts", wanted)


def _libritts_clips(directory: Path) -> Iterator[Clip]:
    for folder, match in matching_files(directory, LIBRITTS_NAME):
        text = read_text(directory / folder / f"{match[1]}.normalized.txt")
        yield Clip(
            join(folder, match.string),
            speaker=match["speaker"],
            text=text or read_text(directory / folder / f"{match[1]}.original.txt"),
            split=_libri_split(directory, folder),
        )


def fsdd(directory: Path) -> Iterator[Clip]:
    """The Free Spoken Digit Dataset: English digits by a few speakers.

    Args:
        directory: holds `<digit>_<speaker>_<take>.wav` files, or has them in recordings/.

    Returns:
        The clips; a clip's text is its digit. Takes 0 to 4 are the corpus' own test split, and
        all others are of the training split: there is none for validation.

    Raises:
        InputError: for another layout.
    """
    clips = (
        Clip(
            join(folder, match.string),
            speaker=match["speaker"],
            text=match["digit"],
            split="test" if int(match["take"]) < FSDD_TEST_TAKES else "train",
        )
        for folder, match in matching_files(directory, FSDD_NAME)
    )
    return some(clips, directory, "fsdd", "files <digit>_<speaker>_<take>.wav")
