"""Levels of clips: how loud they are, whether they are clipped, and normalization."""

import dataclasses
import math

import numpy as np

from wavenet_tf.errors import InputError

# Levels below this are silence: a 16-bit step is 30 dB above it.
FLOOR_DB = -120.0
# The largest value of 16-bit audio.
HIGHEST_16_BITS = 1.0 - 2.0**-15
SHORTEST_CLIPPED_RUN = 3
# Channels whose mean has less than this share of their power, -20 dB, cancel out.
CANCELLED_POWER = 0.01
# Problems of a recording whose samples can be read.
PROBLEMS = {
    "silent": "is silent: no sample differs from 0",
    "opposite_phase": "has channels of opposite phase, which cancel out in their mean",
    "beyond_full_scale": "has values beyond [-1, 1], which are clipped where it is trained on",
}


@dataclasses.dataclass(frozen=True)
class Levels:
    """Levels of a clip.

    Attributes:
        peak: level of the largest magnitude, in dBFS (0 for magnitude 1), at least -120.
        rms: level of the root mean square, in dBFS (-3 for a sine of amplitude 1), at least -120.
        dc_offset: mean of the samples, full scale being 1.
        clipped: number of samples in runs of 3 or more that stay within a 16-bit step of +1, or
            of -1, or beyond. One or two such samples in a row are the peak of a loud wave; a flat
            top is a wave that was cut off. A recording that was clipped first and made quieter
            later is not detected: low notes have flat tops of 16-bit values too.
    """

    peak: float
    rms: float
    dc_offset: float
    clipped: int


def measure_levels(audio) -> Levels:
    """Measures how loud a clip is, and whether it is clipped.

    Args:
        audio: float `[samples]` in [-1, 1].

    Raises:
        InputError: unless the audio has this shape, is finite and has at least one sample.

    Example:
    >>> measure_levels([0.5, -0.5, 0.5, -0.5]).peak
    -6.020599913279624
    """
    audio = checked_clip(audio)
    return Levels(
        peak=_decibels(np.abs(audio).max()),
        rms=_decibels(math.sqrt(np.square(audio).mean())),
        dc_offset=float(audio.mean()),
        clipped=_samples_in_runs(audio >= HIGHEST_16_BITS)
        + _samples_in_runs(audio <= -HIGHEST_16_BITS),
    )


def find_problems(channels, full_scale: float = 1.0) -> tuple[str, ...]:
    """Returns the problems of a recording whose samples can be read.

    Args:
        channels: float `[samples, channels]`, finite.
        full_scale: the largest magnitude of samples that are not beyond full scale.

    Returns:
        Kinds of `PROBLEMS`.

    Example:
    >>> find_problems([[0.5, -0.5], [1.5, -1.5]])
    ('opposite_phase', 'beyond_full_scale')
    """
    channels = np.asarray(channels, np.float32)
    peak = max(float(channels.max()), -float(channels.min()))
    if peak < 0.5 * 2.0**-15:  # 0 in 16 bits
        return ("silent",)
    found = []
    if channels.shape[1] > 1:
        power = np.square(channels).mean(dtype=np.float64)
        mixed = np.square(channels.mean(axis=1)).mean(dtype=np.float64)
        if mixed < CANCELLED_POWER * power:
            found.append("opposite_phase")
    if peak > full_scale:
        found.append("beyond_full_scale")
    return tuple(found)


def normalize(audio, kind: str, level_db: float) -> np.ndarray:
    """Scales a clip to a level, or to the highest level at which it does not clip.

    Args:
        audio: float `[samples]` in [-1, 1].
        kind: level to set, "peak" or "rms", see `Levels`.
        level_db: the new level, in dBFS, at most 0. It stays lower if the peak would otherwise be
            above 32767 / 32768, the highest value of 16 bits.

    Returns:
        float32 `[samples]`. Silence, whose peak is below -120 dBFS, is unchanged.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> normalize([0.0, 0.25, -0.125], "peak", level_db=0.0).tolist()
    [0.0, 0.999969482421875, -0.4999847412109375]
    """
    if kind not in ("peak", "rms"):
        raise InputError(f"kind must be 'peak' or 'rms'; received {kind!r}")
    if not -math.inf < level_db <= 0.0:
        raise InputError(f"level_db must be a finite number, at most 0; received {level_db!r}")
    audio = checked_clip(audio)
    levels = measure_levels(audio)
    if levels.peak > FLOOR_DB:
        gain = 10.0 ** ((level_db - getattr(levels, kind)) / 20.0)
        audio = audio * min(gain, HIGHEST_16_BITS / np.abs(audio).max())
    return audio.astype(np.float32)


def checked_clip(audio) -> np.ndarray:
    """Returns a clip as float64 `[samples]`; raises InputError unless it is finite."""
    audio = np.asarray(audio, np.float64)
    if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
        raise InputError(
            "audio must be finite numbers of shape [samples], at least one; received shape "
            f"{list(audio.shape)}"
        )
    return audio


def _decibels(magnitude: float) -> float:
    return 20.0 * math.log10(max(magnitude, 10.0 ** (FLOOR_DB / 20.0)))


def _samples_in_runs(flags: np.ndarray) -> int:
    """Counts flags in runs that are long enough to be a flat top."""
    lengths = np.diff(np.flatnonzero(np.diff(flags, prepend=False, append=False)))[::2]
    return int(lengths[lengths >= SHORTEST_CLIPPED_RUN].sum())
