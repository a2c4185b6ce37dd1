"""Reading, resampling and writing recordings."""

import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from wavenet_tf import files
from wavenet_tf.errors import InputError

AUDIO_SUFFIXES = (".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3")
# 16 bits a sample: values are whole multiples of 2**-15, from -1 to just below 1.
STEPS_OF_16_BITS = 2**15
LOSSY_SUFFIXES = (".ogg", ".mp3")


def read_audio(path: str | os.PathLike, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Reads a recording as one channel.

    Args:
        path: a WAV, AIFF, FLAC, OGG or MP3 file of any sample rate, width and channel count.
        sample_rate: the rate wanted, in Hz; the recording is resampled to it (band-limited).
            None keeps the file's own.

    Returns:
        The audio, float32 `[samples]`, channels averaged, and its sample rate in Hz.

    Raises:
        InputError: if the file is missing, not audio, holds no sample, or samples that are not
            finite numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no audio file at {path}")
    try:
        audio, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"cannot read {path} as audio: {error}") from error
    audio = audio.mean(axis=1)
    if not audio.size:
        raise InputError(f"{path} holds no samples")
    if not np.isfinite(audio).all():
        raise InputError(f"{path} holds samples that are not finite numbers (NaN or infinity)")
    if sample_rate is None or sample_rate == file_rate:
        return audio, file_rate
    return soxr.resample(audio, file_rate, sample_rate), sample_rate


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
        soundfile.write(temporary, audio, sample_rate, subtype=subtype, format=file_format)


def to_16_bits(audio) -> np.ndarray:
    """Float audio in [-1, 1] as int16, in steps of 2**-15; values beyond are clipped."""
    steps = np.round(np.asarray(audio, np.float32) * STEPS_OF_16_BITS)
    return np.clip(steps, -STEPS_OF_16_BITS, STEPS_OF_16_BITS - 1).astype(np.int16)


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError if `write_audio` knows no format for the path's suffix."""
    if Path(path).suffix.lower() not in AUDIO_SUFFIXES:
        raise InputError(
            f"cannot write audio to {path}: its suffix must be one of {', '.join(AUDIO_SUFFIXES)}"
        )
