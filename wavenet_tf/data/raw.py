"""Recordings from audio files: `read_recordings`, for folders, corpora and prepared corpora."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data import prepared
from wavenet_tf.data.corpora import corpus_root, read_corpus
from wavenet_tf.data.labels import label_arrays
from wavenet_tf.data.manifest import Clip
from wavenet_tf.data.recordings import Recordings, describe_problems, first_reasons
from wavenet_tf.errors import InputError

# Recordings of more bytes are read at each access instead of once.
IN_MEMORY_BYTES = 2**30
# Shorter clips are skipped, in seconds.
SHORTEST_SECONDS = 0.02
# A clip's end may be this much after the end of its file, in seconds: manifests round.
END_TOLERANCE = 0.1


def read_recordings(
    directory: str | os.PathLike,
    sample_rate: int,
    layout: str = "auto",
    in_memory_bytes: int = IN_MEMORY_BYTES,
    full_precision: bool = False,
) -> Recordings:
    """Opens a folder of recordings, a corpus, or a corpus that `prepare` has prepared.

    Recordings that fit in memory are read, resampled and checked at once. For more recordings, only
    the headers are read, and the samples at each access.

    Args:
        directory: a folder with audio files of any rate, width and channel count in it and below
            it, see `audio.read_audio`, or a prepared corpus.
        sample_rate: rate to resample to, in Hz; a prepared corpus must have this rate.
        layout: layout of the corpus, see `corpora.read_corpus`; "auto" detects it.
        in_memory_bytes: the most bytes of audio to read into memory.
        full_precision: keep samples as the files have them, or as averaging and resampling give
            them, instead of rounding to 16 bits; a prepared corpus has 16 bits anyway.

    Returns:
        The clips, in the order of the corpus. `skipped` lists files that cannot be used, `problems`
        lists problems of clips that were read.

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
    # libsndfile and soxr release Python's global lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        open_clip = functools.partial(_open_clip, root, sample_rate, full_precision)
        opened = list(pool.map(open_clip, clips))
        results = list(opened)
        samples = sum(len(result) for result in opened if isinstance(result, FileClip))
        sample_bytes = 4 if full_precision else 2
        if samples * sample_bytes <= in_memory_bytes:
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
    metadata = [clip for clip, _ in used]
    problems = {
        clip.name: describe_problems(file.problems)
        for clip, file in zip(clips, opened, strict=True)
        if isinstance(file, FileClip) and file.problems
    }
    return Recordings(
        root,
        names=[clip.name for clip in metadata],
        clips=[result for _, result in used],
        lengths=np.array([len(result) for _, result in used], np.int64),
        sample_rate=sample_rate,
        skipped=skipped,
        problems=problems,
        metadata=metadata,
        **label_arrays(metadata),
    )


class FileClip:
    """The samples of a clip in a file; slicing it reads the slice.

    Args:
        path: path of the file.
        clip: the segment of the file.
        sample_rate: rate to resample to, in Hz.
        full_precision: whether samples are float32 as they are read, instead of int16.

    Attributes:
        problems: keys of `audio.PROBLEMS` found when the whole clip was last read.

    Raises:
        InputError: if the file's header cannot be read, or the clip is outside the file.
    """

    def __init__(self, path: Path, clip: Clip, sample_rate: int, full_precision: bool = False):
        with audio.open_audio(path, path, search=False) as sound:
            seconds = sound.frames / sound.samplerate
            self.has_sample_rate = sound.samplerate == sample_rate
            audio.check_some_values(sound, path)
        self.path, self.sample_rate, self.full_precision = path, sample_rate, full_precision
        self.start, self.end = clip.start, seconds if clip.end is None else clip.end
        self.is_to_end = clip.end is None
        self.problems: tuple[str, ...] = ()
        if self.end - seconds < END_TOLERANCE:
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
            return self._stored(self.waveform())
        first, last, _ = part.indices(self.length)
        if self.has_sample_rate:
            start, end = (self.start + index / self.sample_rate for index in (first, last))
            waveform, _, problems = audio.read_and_check(self.path, None, start, end, search=False)
            # A part of a clip may be silent without being a problem.
            problems = tuple(problem for problem in problems if problem != "silent")
            audio.warn_of_problems(problems, self.path)
            samples = self._stored(waveform)
        else:
            samples = self[:][first:last]
        # Resampling rounds lengths by up to one sample.
        if len(samples) < last - first - 1:
            raise InputError(f"{self.path} is shorter than its header says")
        return np.pad(samples, (0, last - first - len(samples)))

    def _stored(self, waveform: np.ndarray) -> np.ndarray:
        return waveform if self.full_precision else audio.to_16_bits(waveform)

    def waveform(self) -> np.ndarray:
        """Reads the whole clip, float32 `[samples]`; sets `problems`."""
        end = None if self.is_to_end else self.end
        waveform, _, self.problems = audio.read_and_check(
            self.path, self.sample_rate, self.start, end, search=self.is_to_end
        )
        return waveform


def _open_clip(root: Path, sample_rate: int, full_precision: bool, clip: Clip) -> FileClip | str:
    """Opens a clip in its file; returns the reason if the clip cannot be used."""
    path = root / clip.path
    if not path.is_file():
        return f"no file at {path}"
    try:
        opened = FileClip(path, clip, sample_rate, full_precision)
    except InputError as error:
        return reason_without_path(error, path)
    reason = reason_if_too_short(opened, sample_rate)
    return opened if reason is None else reason


def _read_clip(opened: FileClip | str) -> np.ndarray | str:
    """Reads a clip into memory; returns the reason if the clip cannot be used."""
    if isinstance(opened, str):
        return opened
    try:
        samples = opened[:]
    except InputError as error:
        return reason_without_path(error, opened.path)
    reason = reason_if_too_short(samples, opened.sample_rate)
    return samples if reason is None else reason


def reason_without_path(error: InputError, path: Path) -> str:
    """Returns the message of an error about a file without the file's path.

    Args:
        error: the error.
        path: path of the file.
    """
    return str(error).removeprefix(f"cannot read {path} as audio: ").removeprefix(f"{path} ")


def reason_if_too_short(samples, sample_rate: int) -> str | None:
    """Returns why a clip is skipped if it is too short, otherwise None.

    Args:
        samples: the clip.
        sample_rate: in Hz.

    Example:
    >>> reason_if_too_short([0, 1, 0], sample_rate=8000)
    'too short (3 samples)'
    """
    if len(samples) >= SHORTEST_SECONDS * sample_rate:
        return None
    return f"too short ({len(samples)} samples)"
