"""Reading, resampling and writing recordings."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from wavenet_tf import files
from wavenet_tf.errors import InputError

WRITTEN_SUFFIXES = (".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3")
AUDIO_SUFFIXES = (*WRITTEN_SUFFIXES, ".sph")
# 16 bits a sample: values are whole multiples of 2**-15, from -1 to just below 1.
STEPS_OF_16_BITS = 2**15
LOSSY_SUFFIXES = (".ogg", ".mp3")
LOSSY_FORMATS = ("OGG", "MP3")


def _use_soundfile_once() -> None:
    """Opens, reads and fails to open, before several threads do.

    cffi makes what stands for C's types when each is first used, and two threads that do so at once
    can end the process (python-cffi/cffi#271).
    """
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1, np.int16), 8000, format="WAV", subtype="PCM_16")
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        sound.read(1, "float32")
        sound.seek(0)
        sound.read(1, "int16")
    with contextlib.suppress(soundfile.LibsndfileError):
        soundfile.SoundFile(os.devnull)


_use_soundfile_once()


def read_audio(
    path: str | os.PathLike,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Reads a recording, or a stretch of it, as one channel.

    Args:
        path: a WAV, AIFF, FLAC, OGG, MP3 or NIST SPHERE file of any sample rate, width and channel
            count.
        sample_rate: the rate wanted, in Hz; the recording is resampled to it (band-limited).
            None keeps the file's own.
        start: where to begin, in seconds.
        end: where to end, in seconds; None for the end of the file.

    Returns:
        The audio, float32 `[samples]`, channels averaged, and its sample rate in Hz.

    Raises:
        InputError: if the file is missing, not audio, holds no sample, or samples that are not
            finite numbers, or if the stretch is empty or not in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no audio file at {path}")
    with open_audio(path, path) as sound:
        channels = read_channels(sound, path, start, end)
        file_rate = sound.samplerate
    sample_rate = file_rate if sample_rate is None else sample_rate
    return to_one_channel(channels, file_rate, sample_rate), sample_rate


@contextlib.contextmanager
def open_audio(file, name) -> Iterator[soundfile.SoundFile]:
    """Opens a path or a binary file; errors of reading become InputErrors that tell its name."""
    try:
        # soundfile fails to encode names that are no text.
        is_path = isinstance(file, os.PathLike) and os.name == "posix"
        with soundfile.SoundFile(os.fsencode(file) if is_path else file) as sound:
            yield sound
    except InputError:
        raise
    # soundfile's own are RuntimeErrors. A damaged header may claim more samples than fit in memory.
    except (RuntimeError, MemoryError, ValueError) as error:
        reason = getattr(error, "error_string", error)
        raise InputError(f"cannot read {name} as audio: {reason}") from error


def read_channels(
    sound: soundfile.SoundFile, name, start: float = 0.0, end: float | None = None
) -> np.ndarray:
    """The samples of a file just opened, float32 `[samples, channels]`; see `read_audio`."""
    if not sound.frames:
        raise InputError(f"{name} holds no samples")
    first = np.rint(start * sound.samplerate)
    last = sound.frames if end is None else np.rint(end * sound.samplerate)
    if not 0 <= first < last <= sound.frames:
        raise InputError(
            f"start and end must be a stretch of {name}, which lasts "
            f"{sound.frames / sound.samplerate:g} s; received {start!r} and {end!r}"
        )
    # After a jump, a lossy format's decoder may give other samples.
    begin = 0 if sound.format in LOSSY_FORMATS else int(first)
    sound.seek(begin)
    channels = sound.read(int(last) - begin, "float32", always_2d=True)[int(first) - begin :]
    if not channels.size:
        raise InputError(f"{name} holds no samples")
    if not np.isfinite(channels).all():
        raise InputError(f"{name} holds samples that are not finite numbers (NaN or infinity)")
    return channels


def to_one_channel(channels: np.ndarray, file_rate: int, sample_rate: int) -> np.ndarray:
    """Averages `[samples, channels]` and resamples (band-limited) from one rate to the other."""
    audio = channels.mean(axis=1)
    return audio if sample_rate == file_rate else soxr.resample(audio, file_rate, sample_rate)


def write_audio(path: str | os.PathLike, audio, sample_rate: int) -> None:
    """Writes one channel of audio, 16 bits a sample, in the format of the path's suffix.

    Whole multiples of 1 / 32768 in [-1, 1) are read back exactly, but from `.ogg` and `.mp3`,
    which are lossy.

    Args:
        path: the file to write, whole or not at all; `.wav`, `.flac`, `.ogg`, `.aiff` or `.mp3`.
        audio: float `[samples]` in [-1, 1]; values beyond are clipped.
        sample_rate: in Hz.

    Raises:
        InputError: if the suffix names no known format.
    """
    check_output(path)
    suffix = Path(path).suffix.lower()
    audio = np.clip(np.asarray(audio, np.float32), -1.0, 1.0)
    subtype = None
    if suffix not in LOSSY_SUFFIXES:
        # soundfile would scale floats by 32767, and divides by 32768 when it reads.
        audio = to_16_bits(audio)
        subtype = "PCM_16"
    file_format = "AIFF" if suffix == ".aif" else None  # a suffix that soundfile does not know
    with files.atomic_path(path) as temporary:
        soundfile.write(
            os.fsencode(temporary), audio, sample_rate, subtype=subtype, format=file_format
        )


def to_16_bits(audio) -> np.ndarray:
    """Float audio in [-1, 1] as int16, in steps of 2**-15; values beyond are clipped."""
    steps = np.round(np.asarray(audio, np.float32) * STEPS_OF_16_BITS)
    return np.clip(steps, -STEPS_OF_16_BITS, STEPS_OF_16_BITS - 1).astype(np.int16)


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError if `write_audio` knows no format for the path's suffix."""
    if Path(path).suffix.lower() not in WRITTEN_SUFFIXES:
        raise InputError(
            f"cannot write audio to {path}: its suffix must be one of {', '.join(WRITTEN_SUFFIXES)}"
        )
