"""Hygiene of recordings: silence is cut away, levels are measured and evened out.

Functions of one clip, float `[samples]` in [-1, 1].
"""

import dataclasses
import itertools
import math

import numpy as np

from wavenet_tf.errors import InputError, positive_integer

FRAME_SECONDS = 0.05
HOP_SECONDS = 0.0125
# Of what lies around sound, so much is kept: it may be its quiet beginning or its decay.
MARGIN_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
# Levels below are silence: a 16-bit step is 30 dB above it.
FLOOR_DB = -120.0
# The largest value that 16 bits hold.
HIGHEST_16_BITS = 1.0 - 2.0**-15
SHORTEST_CLIPPED_RUN = 3
# Channels whose mean has less than this share of their power, -20 dB, cancel out.
CANCELLED_POWER = 0.01
# What may be wrong with a recording whose samples can be read.
PROBLEMS = {
    "silent": "is silent: no sample differs from 0",
    "opposite_phase": "has channels of opposite phase, which cancel out in their mean",
    "beyond_full_scale": "has values beyond [-1, 1], which are clipped where it is trained on",
}

Alignment = dict[str, list[tuple[float, float, str]]]


@dataclasses.dataclass(frozen=True)
class Levels:
    """Levels of a clip.

    Attributes:
        peak: of the largest magnitude, in dBFS (0 for magnitude 1), at least -120.
        rms: of the root mean square, in dBFS (-3 for a sine of amplitude 1), at least -120.
        dc_offset: the mean, of full scale.
        clipped: how many samples are in runs of 3 or more that stay within a 16-bit step of +1, or
            of -1, or beyond. One or two such samples in a row are the peak of a loud wave; a flat
            top is a wave that was cut off. A recording that was clipped first and made quieter
            after is not found out: low notes have flat tops of 16-bit values too.
    """

    peak: float
    rms: float
    dc_offset: float
    clipped: int


def measure_levels(audio) -> Levels:
    """Measures how loud a clip is, and whether it is clipped.

    Args:
        audio: float `[samples]` in [-1, 1].

    Returns:
        Its levels.

    Raises:
        InputError: if the audio is no finite numbers of that shape, or empty.

    Example:
    >>> measure_levels([0.5, -0.5, 0.5, -0.5]).peak
    -6.020599913279624
    """
    audio = _checked(audio)
    return Levels(
        peak=_decibels(np.abs(audio).max()),
        rms=_decibels(math.sqrt(np.square(audio).mean())),
        dc_offset=float(audio.mean()),
        clipped=_samples_in_runs(audio >= HIGHEST_16_BITS)
        + _samples_in_runs(audio <= -HIGHEST_16_BITS),
    )


def find_problems(channels, full_scale: float = 1.0) -> tuple[str, ...]:
    """Finds what is wrong with a recording whose samples can be read.

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
    if peak < 0.5 * 2.0**-15:  # what 16 bits hold as 0
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


def normalise(audio, kind: str, level_db: float) -> np.ndarray:
    """Makes a clip as loud as wanted, but never so loud that it clips.

    Args:
        audio: float `[samples]` in [-1, 1].
        kind: which level, "peak" or "rms", see `Levels`.
        level_db: what it becomes, in dBFS, at most 0. It stays below where the peak would
            otherwise be above 32767 / 32768, the highest value of 16 bits.

    Returns:
        float32 `[samples]`. Silence, whose peak is below -120 dBFS, is unchanged.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> normalise([0.0, 0.25, -0.125], "peak", level_db=0.0).tolist()
    [0.0, 0.999969482421875, -0.4999847412109375]
    """
    if kind not in ("peak", "rms"):
        raise InputError(f"kind must be 'peak' or 'rms'; received {kind!r}")
    if not -math.inf < level_db <= 0.0:
        raise InputError(f"level_db must be a finite number, at most 0; received {level_db!r}")
    audio = _checked(audio)
    levels = measure_levels(audio)
    if levels.peak > FLOOR_DB:
        gain = 10.0 ** ((level_db - getattr(levels, kind)) / 20.0)
        audio = audio * min(gain, HIGHEST_16_BITS / np.abs(audio).max())
    return audio.astype(np.float32)


def kept_stretches(
    audio, sample_rate: int, trim_db: float = 60.0, inner: bool = False
) -> list[tuple[int, int]]:
    """Finds what is left of a clip without the silence at its ends.

    A frame of 50 ms is silent where its root mean square is so far below that of the clip's loudest
    frame, as in `librosa.effects.trim`; a constant offset counts as sound. 50 ms around sound are
    kept.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        trim_db: how far below the loudest frame silence begins, in dB, above 0.
        inner: whether to shorten pauses inside, too: those above 0.5 s to 0.5 s.

    Returns:
        The stretches to keep, as the sample where each begins and the one where it ends, which is
        not in it; in order and apart from each other. A clip of nothing but silence, below
        -120 dBFS, is kept whole.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> sound, silence = np.ones(8000), np.zeros(16000)
    >>> clip = np.concatenate([silence, sound, silence, sound])
    >>> kept_stretches(clip, sample_rate=8000)
    [(15500, 48000)]
    >>> kept_stretches(clip, sample_rate=8000, inner=True)
    [(15500, 26200), (37900, 48000)]
    """
    audio = _checked(audio)
    sample_rate = positive_integer("sample_rate", sample_rate)
    if not trim_db > 0.0:
        raise InputError(f"trim_db must be above 0; received {trim_db!r}")
    hop, margin, pause = (
        max(1, round(seconds * sample_rate))
        for seconds in (HOP_SECONDS, MARGIN_SECONDS, LONGEST_PAUSE_SECONDS)
    )
    powers = _frame_powers(audio, max(1, round(FRAME_SECONDS * sample_rate)), hop)
    if powers.max() <= 10.0 ** (FLOOR_DB / 10.0):
        return [(0, audio.size)]
    loud = np.flatnonzero(powers > powers.max() * 10.0 ** (-trim_db / 10.0)) * hop
    pauses = itertools.pairwise(loud.tolist()) if inner else ()
    cuts = [
        (end + hop + pause // 2, begin - (pause - pause // 2))
        for end, begin in pauses
        if begin - (end + hop) > pause
    ]
    begin = max(0, int(loud[0]) - margin)
    end = min(audio.size, int(loud[-1]) + hop + margin)
    bounds = [begin, *itertools.chain(*cuts), end]
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def keep(audio, stretches: list[tuple[int, int]]) -> np.ndarray:
    """The stretches of a clip, one after the other.

    Args:
        audio: `[samples]`.
        stretches: first sample, and the one after the last, as of `kept_stretches`.

    Returns:
        `[kept samples]`.

    Example:
    >>> keep([0.1, 0.2, 0.3, 0.4], [(0, 1), (2, 4)]).tolist()
    [0.1, 0.3, 0.4]
    """
    return np.concatenate([np.asarray(audio)[begin:end] for begin, end in stretches])


def move_alignment(
    alignment: Alignment, stretches: list[tuple[int, int]], sample_rate: int
) -> Alignment:
    """Moves labels to where their sound is once only some stretches of a clip are kept.

    Args:
        alignment: labelled stretches by kind, {"phones": [(0.0, 0.14, "h#"), ...]}; begin and end
            in seconds from the clip's start.
        stretches: what is kept, as of `kept_stretches`.
        sample_rate: of the clip, in Hz.

    Returns:
        The same for the clip that `keep` makes, with times on whole samples. Labels are cut to
        what is kept of them, and those of which nothing is kept are left out.

    Example:
    >>> words = [(0.0, 0.5, "um"), (0.5, 1.5, "yes"), (1.5, 3.0, "indeed")]
    >>> move_alignment({"words": words}, [(8000, 12000), (20000, 24000)], sample_rate=8000)
    {'words': [(0.0, 0.5, 'yes'), (0.5, 1.0, 'indeed')]}
    """
    sample_rate = positive_integer("sample_rate", sample_rate)
    bounds = np.array(stretches).flatten()
    lengths = np.diff(bounds)
    lengths[1::2] = 0  # between stretches the new time stands still
    new_bounds = np.concatenate([[0], np.cumsum(lengths)])

    def move(seconds: float) -> float:
        return float(np.interp(round(seconds * sample_rate), bounds, new_bounds)) / sample_rate

    return {
        kind: [
            (move(begin), move(end), label)
            for begin, end, label in labels
            if move(begin) < move(end)
        ]
        for kind, labels in alignment.items()
    }


def _checked(audio) -> np.ndarray:
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
    """How many are set in runs that are long enough to be a flat top."""
    lengths = np.diff(np.flatnonzero(np.diff(flags, prepend=False, append=False)))[::2]
    return int(lengths[lengths >= SHORTEST_CLIPPED_RUN].sum())


def _frame_powers(audio: np.ndarray, frame: int, hop: int) -> np.ndarray:
    """Mean squares of frames that are centred on the hops, with zeros beyond both ends."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(audio))])
    begins = np.arange(0, audio.size + 1, hop) - frame // 2
    ends = np.minimum(begins + frame, audio.size)
    return (sums[ends] - sums[np.maximum(begins, 0)]) / frame
