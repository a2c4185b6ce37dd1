"""A folder of recordings, or a corpus, or what was prepared from one, as `Recordings`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data import prepared
from wavenet_tf.data.corpora import corpus_root, read_corpus
from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.data.recordings import (
    IN_MEMORY_BYTES,
    UNKNOWN,
    Recordings,
    describe_problems,
    first_reasons,
)
from wavenet_tf.errors import InputError

# A clip shorter than this holds nothing to learn from.
SHORTEST_SECONDS = 0.02
# A clip may end so much after its file does, in seconds.
MOST_BEYOND_END = 0.1


def read_recordings(
    directory: str | os.PathLike,
    sample_rate: int,
    layout: str = "auto",
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> Recordings:
    """Opens a folder of recordings, a corpus, or what `prepare` made of one.

    Recordings that fit in memory are read, resampled and checked at once. Of more, only the
    headers are read, and the samples when they are asked for.

    Args:
        directory: holds audio files of any rate, width and channel count, in it and below it, see
            `audio.read_audio`, or is prepared.
        sample_rate: to resample them to, in Hz; prepared ones must have it.
        layout: of a corpus, see `corpora.read_corpus`; "auto" looks.
        in_memory_bytes: up to so much audio is read into memory.

    Returns:
        The clips, in the corpus' order. Files that cannot be used are skipped, and listed in
        `skipped`. What is wrong with clips that were read is listed in `problems`.

    Raises:
        InputError: if there is no such folder, or no file in it that can be used.
    """
    directory = Path(directory)
    if not directory.exists():
        raise InputError(f"no folder of recordings at {directory}")
    if prepared.is_prepared(directory):
        return prepared.open_prepared(directory, sample_rate)
    root = corpus_root(directory)
    clips = list(read_corpus(directory, layout))
    results: list[np.ndarray | FileClip | str]
    # libsndfile and soxr work outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        opened = list(pool.map(lambda clip: _open_clip(root, clip, sample_rate), clips))
        results = list(opened)
        samples = sum(len(result) for result in opened if isinstance(result, FileClip))
        if samples * np.int16().itemsize <= in_memory_bytes:
            results = list(pool.map(_read_clip, opened))
    skipped = {
        clip.name: result
        for clip, result in zip(clips, results, strict=True)
        if isinstance(result, str)
    }
    if len(skipped) == len(clips):
        raise InputError(
            f"no usable recording in {directory}: found {len(clips)} files, none of them usable; "
            f"{first_reasons(skipped)}"
        )
    used = [
        (clip, result)
        for clip, result in zip(clips, results, strict=True)
        if not isinstance(result, str)
    ]
    kept = [clip for clip, _ in used]
    problems = {
        clip.name: describe_problems(file.problems)
        for clip, file in zip(clips, opened, strict=True)
        if isinstance(file, FileClip) and file.problems
    }
    return Recordings(
        root,
        names=[clip.name for clip in kept],
        clips=[result for _, result in used],
        lengths=np.array([len(result) for _, result in used], np.int64),
        sample_rate=sample_rate,
        skipped=skipped,
        problems=problems,
        **label(kept),
    )


def label(clips: Sequence[Clip]) -> dict:
    """Speakers, splits and metadata of clips, as attributes of `Recordings`."""
    names = sorted({clip.speaker for clip in clips if clip.speaker is not None})
    ids = {speaker: place for place, speaker in enumerate(names)}
    speakers = [UNKNOWN if clip.speaker is None else ids[clip.speaker] for clip in clips]
    splits = [UNKNOWN if clip.split is None else SPLITS.index(clip.split) for clip in clips]
    return {
        "speaker_names": names,
        "speaker_ids": np.array(speakers, np.int32),
        "splits": np.array(splits, np.int8),
        "metadata": clips,
    }


class FileClip:
    """A clip's int16 samples in a file; slicing it reads the slice.

    Args:
        path: of the file.
        clip: what of it.
        sample_rate: to resample to, in Hz.

    Attributes:
        problems: kinds of `audio.PROBLEMS` that were found when the clip was last read.

    Raises:
        InputError: if the file's header cannot be read, or the clip is not in it.
    """

    def __init__(self, path: Path, clip: Clip, sample_rate: int):
        with audio.open_audio(path, path, search=False) as sound:
            seconds = sound.frames / sound.samplerate
            self.as_it_is = sound.samplerate == sample_rate
            audio.check_some_values(sound, path)
        self.path, self.sample_rate = path, sample_rate
        self.start, self.end = clip.start, seconds if clip.end is None else clip.end
        self.is_to_end = clip.end is None
        self.problems: tuple[str, ...] = ()
        # Manifests round.
        if self.end - seconds < MOST_BEYOND_END:
            self.end = min(self.end, seconds)
        if not self.start <= self.end <= seconds:
            raise InputError(
                f"from {clip.start} to {clip.end} s is not in {path}, which lasts {seconds:g} s"
            )
        self.length = round((self.end - self.start) * sample_rate)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> np.ndarray:
        if part == slice(None):
            return audio.to_16_bits(self.waveform())
        first, last, _ = part.indices(self.length)
        if self.as_it_is:
            start, end = (self.start + place / self.sample_rate for place in (first, last))
            waveform, _, problems = audio.read_and_check(self.path, None, start, end, search=False)
            # A part of a clip may well be silent.
            problems = tuple(problem for problem in problems if problem != "silent")
            audio.warn_of_problems(problems, self.path)
            samples = audio.to_16_bits(waveform)
        else:
            samples = self[:][first:last]
        # Resampling rounds lengths; a file that ends before its header says is another matter.
        if len(samples) < last - first - 1:
            raise InputError(f"{self.path} is shorter than its header says")
        return np.pad(samples, (0, last - first - len(samples)))

    def waveform(self) -> np.ndarray:
        """The whole clip, float32 `[samples]`; sets `problems`."""
        end = None if self.is_to_end else self.end
        waveform, _, self.problems = audio.read_and_check(
            self.path, self.sample_rate, self.start, end, search=self.is_to_end
        )
        return waveform


def _open_clip(root: Path, clip: Clip, sample_rate: int) -> FileClip | str:
    """The clip in its file, or why it cannot be used."""
    path = root / clip.path
    if not path.is_file():
        return f"no file at {path}"
    try:
        opened = FileClip(path, clip, sample_rate)
    except InputError as error:
        return reason(error, path)
    why = too_short(opened, sample_rate)
    return opened if why is None else why


def _read_clip(opened: FileClip | str) -> np.ndarray | str:
    """The clip in memory, or why it cannot be used."""
    if isinstance(opened, str):
        return opened
    try:
        samples = opened[:]
    except InputError as error:
        return reason(error, opened.path)
    why = too_short(samples, opened.sample_rate)
    return samples if why is None else why


def reason(error: InputError, path: Path) -> str:
    """Why a file cannot be read, without its path."""
    return str(error).removeprefix(f"cannot read {path} as audio: ").removeprefix(f"{path} ")


def too_short(samples, sample_rate: int) -> str | None:
    """Why a clip of so many samples cannot be used, if it cannot."""
    if len(samples) >= SHORTEST_SECONDS * sample_rate:
        return None
    return f"too short ({len(samples)} samples)"
