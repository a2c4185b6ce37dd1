"""Which clips, or which parts of them, are trained on and which are validated on."""

import hashlib
import os
import re

import numpy as np

from wavenet_tf.errors import InputError

# Share of the smaller side, by duration, by which a split by path hashes may miss the requested
# fraction before recordings change sides. Large corpora stay within it whatever is added to them.
TOLERANCE = 0.2
# Of a recording that is split in time, in seconds: parts of its clips that are shorter are not
# used, and all of it must last so long beside the gap.
SHORTEST_PART_SECONDS, SHORTEST_RECORDING_SECONDS = 0.1, 1.0
# What `Clip.name` adds to the path of a segment: "#", its start, "-", and its end or nothing.
_NUMBER = r"\d[\d.]*(?:e[+-]?\d+)?"
_SEGMENT = re.compile(rf"#({_NUMBER})-(?:{_NUMBER})?$")
_MICROPHONE = re.compile(r"_mic\d(?=[.]\w+$)")


def check_fraction(name: str, value) -> None:
    """Raises InputError unless `value` is a number between 0 and 1, both excluded."""
    try:
        valid = 0.0 < value < 1.0
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(f"{name} must be between 0 and 1; received {value!r}")


def unit_hash(name: str) -> float:
    """A number in [0, 1) for each recording: the same for all segments of a recording, and for
    VCTK's two microphones.

    Args:
        name: of a clip, see `Clip.name`.
    """
    path = os.fsencode(_MICROPHONE.sub("", recording_path(name)))
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big") / 2**64


def recording_path(name: str) -> str:
    """The path of the recording that a clip is of.

    Args:
        name: of the clip, see `Clip.name`.
    """
    return _SEGMENT.sub("", name)


def segment_start(name: str) -> float:
    """Where a clip begins in its recording, in seconds.

    Args:
        name: of the clip, see `Clip.name`.

    Example:
    >>> segment_start("george/1.wav#0.5-2.0"), segment_start("george/1.wav")
    (0.5, 0.0)
    """
    match = _SEGMENT.search(name)
    return float(match.group(1)) if match else 0.0


def split_by_recording(
    hashes: np.ndarray, lengths: np.ndarray, validation_fraction: float
) -> np.ndarray:
    """Chooses the recordings to validate on: those whose hash is below `validation_fraction`.

    Where their duration misses the fraction by more than `TOLERANCE`, recordings change sides, in
    the order of their hashes, as long as each brings the duration nearer. Both sides get at least
    one recording.

    Args:
        hashes: of each clip, see `unit_hash`; those of one recording are equal.
        lengths: of each clip, in samples or seconds.
        validation_fraction: requested share of the duration, between 0 and 1.

    Returns:
        bool `[clips]`: whether a clip is validated on.

    Example:
    >>> split_by_recording(np.array([0.1, 0.3, 0.7, 0.7]), np.array([2, 2, 5, 1]), 0.25).tolist()
    [True, False, False, False]
    """
    recordings, of_clip = np.unique(hashes, return_inverse=True)
    durations = np.bincount(of_clip, weights=lengths)
    wanted = validation_fraction * durations.sum()
    tolerance = TOLERANCE * min(validation_fraction, 1.0 - validation_fraction) * durations.sum()
    chosen = recordings < validation_fraction
    excess, before = float(durations[chosen].sum() - wanted), np.inf
    # A long recording may lead beyond the fraction: others then change sides the other way.
    while tolerance < abs(excess) < before:
        before, too_much = abs(excess), excess > 0.0
        order = np.flatnonzero(chosen)[::-1] if too_much else np.flatnonzero(~chosen)
        for index in order:
            changed = excess - durations[index] if too_much else excess + durations[index]
            if abs(changed) < abs(excess):
                chosen[index], excess = not too_much, changed
            if abs(excess) <= tolerance or (excess > 0.0) != too_much:
                break
    if not chosen.any():
        chosen[np.argmin(np.abs(durations - wanted))] = True
    if chosen.all():
        chosen[np.argmin(np.abs(durations.sum() - durations - wanted))] = False
    return chosen[of_clip]


def split_by_time(
    starts: np.ndarray, lengths: np.ndarray, validation_fraction: float, gap: int, shortest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits the clips of one recording in time: its end is validated on.

    Where a clip begins near the requested fraction, within `TOLERANCE`, the validation part begins
    with that clip. Otherwise it begins inside a clip.

    Args:
        starts: where each clip begins in the recording, in samples.
        lengths: of each clip, in samples.
        validation_fraction: requested share of the duration, between 0 and 1.
        gap: samples before the validation part that are not trained on.
        shortest: parts of clips with fewer samples are left out.

    Returns:
        The bounds of each clip's part for training and of its part for validation, int64
        `[clips, 2]`, in samples from the clip's start; both bounds are 0 where there is no part.

    Raises:
        InputError: if the recording is too short for two parts and the gap between them.

    Example:
    >>> training, validation = split_by_time(np.array([0]), np.array([1000]), 0.1, 50, 10)
    >>> training.tolist(), validation.tolist()
    ([[0, 850]], [[900, 1000]])
    """
    starts, lengths = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)

    def parts(begin: int) -> tuple[np.ndarray, np.ndarray]:
        bounds = np.stack([np.zeros_like(lengths), begin - gap - starts], axis=1)
        training = np.clip(bounds, 0, lengths[:, None])
        validation = np.stack([np.clip(begin - starts, 0, lengths), lengths], axis=1)
        for bounds in (training, validation):
            bounds[bounds[:, 1] - bounds[:, 0] < shortest] = 0
        return training, validation

    def duration(begin) -> int:
        return int(np.clip(starts + lengths - begin, 0, lengths).sum())

    total = int(lengths.sum())
    wanted = validation_fraction * total
    tolerance = TOLERANCE * min(validation_fraction, 1.0 - validation_fraction) * total
    # The duration of the validation part falls as its begin rises: bisection.
    low, high = int(starts.min()), int((starts + lengths).max())
    first, last = low, high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if duration(middle) >= wanted else (low, middle)
    clip_starts = np.unique(starts)
    after = int(np.searchsorted(clip_starts, low))
    nearest = min(
        clip_starts[max(after - 1, 0) : after + 1], key=lambda start: abs(duration(start) - wanted)
    )
    begin = int(nearest) if abs(duration(nearest) - wanted) <= tolerance else low
    # Both sides have something where the recording is long enough.
    begin = max(min(begin, last - shortest), first + gap + shortest)
    training, validation = parts(begin)
    if not (training.any() and validation.any()):
        raise InputError(
            f"a recording of {last - first} samples is too short for two parts of {shortest} "
            f"samples and a gap of {gap} samples between them"
        )
    return training, validation
