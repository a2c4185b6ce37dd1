"""Recordings as arrays: mu-law, reading, resampling and writing.

Audio is float32 in [-1, 1]. Nothing here knows of models or datasets.
"""

import os
from pathlib import Path

import numpy as np
import soundfile
import soxr
import tensorflow as tf

from wavenet_tf import files
from wavenet_tf.errors import InputError

AUDIO_SUFFIXES = (".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3")


def mu_law_encode(audio, quantization_channels: int = 256) -> tf.Tensor:
    """Compands audio and quantizes it to integer codes (WaveNet, section 2.2).

    The code is `floor((f(x) + 1) / 2 * (Q - 1) + 0.5)` with
    `f(x) = sign(x) * ln(1 + mu * |x|) / ln(1 + mu)` and `mu = Q - 1`. Digital silence is code
    `Q / 2`; values beyond [-1, 1] are clipped.

    Args:
        audio: float tensor of any shape, in [-1, 1].
        quantization_channels: `Q`, the number of codes.

    Returns:
        int32 tensor of the same shape, in `[0, Q - 1]`.

    Example:
    >>> mu_law_encode([-1.0, 0.0, 0.01, 1.0]).numpy().tolist()
    [0, 128, 157, 255]
    """
    mu = quantization_channels - 1.0
    audio = tf.clip_by_value(tf.cast(audio, tf.float32), -1.0, 1.0)
    companded = tf.sign(audio) * tf.math.log1p(mu * tf.abs(audio)) / np.log1p(mu)
    return tf.cast(tf.floor((companded + 1.0) / 2.0 * mu + 0.5), tf.int32)


def mu_law_decode(codes, quantization_channels: int = 256) -> tf.Tensor:
    """Turns mu-law codes back into audio: the inverse of `mu_law_encode` at the code's centre.

    Args:
        codes: integer tensor of any shape, in `[0, quantization_channels - 1]`.
        quantization_channels: the number of codes.

    Returns:
        float32 tensor of the same shape, in [-1, 1].

    Example:
    >>> [round(x, 4) for x in mu_law_decode([0, 128, 157, 255]).numpy().tolist()]
    [-1.0, 0.0001, 0.0102, 1.0]
    """
    mu = quantization_channels - 1.0
    companded = 2.0 * tf.cast(codes, tf.float32) / mu - 1.0
    return tf.sign(companded) * tf.math.expm1(tf.abs(companded) * np.log1p(mu)) / mu


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

    Args:
        path: the file to write, whole or not at all; `.wav`, `.flac`, `.ogg`, `.aiff` or `.mp3`.
        audio: float `[samples]` in [-1, 1]; values beyond are clipped.
        sample_rate: in Hz.

    Raises:
        InputError: if the suffix names no known format.
    """
    check_output(path)
    audio = np.clip(np.asarray(audio, np.float32), -1.0, 1.0)
    subtype = None if Path(path).suffix.lower() in (".ogg", ".mp3") else "PCM_16"
    with files.atomic_path(path) as temporary:
        soundfile.write(temporary, audio, sample_rate, subtype=subtype)


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError if `write_audio` knows no format for the path's suffix."""
    if Path(path).suffix.lower() not in AUDIO_SUFFIXES:
        raise InputError(
            f"cannot write audio to {path}: its suffix must be one of {', '.join(AUDIO_SUFFIXES)}"
        )
