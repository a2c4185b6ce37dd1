"""Which clips, or which parts of clips, are for training and which are for validation."""

import hashlib
import os
import re
from typing import TYPE_CHECKING

import numpy as np

from wavenet_tf.data.segments import cut_clips, recording_path, segment_start
from wavenet_tf.errors import InputError

if TYPE_CHECKING:
    from wavenet_tf.data.recordings import Recordings

# Allowed difference between the requested and the resulting duration of the validation split, as a
# share of the smaller side. Recordings change sides only beyond it: those of a large corpus, which
# stays within it, never change sides when others are added.
TOLERANCE = 0.2
# For a recording that is divided in time, in seconds: shorter parts of clips are not used, and the
# recording itself must be longer than this plus the gap.
SHORTEST_PART_SECONDS, SHORTEST_RECORDING_SECONDS = 0.1, 1.0
# VCTK records a sentence with two microphones at once.
_MICROPHONE = re.compile(r"_mic\d(?=[.]\w+$)")


def check_fraction(name: str, value) -> None:
    """Raises InputError unless `value` is a number between 0 and 1, both excluded.

    Args:
        name: name of the argument, for the error.
        value: the number.
    """
    try:
        valid = 0.0 < value < 1.0
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(f"{name} must be between 0 and 1; received {value!r}")


def unit_hash(name: str) -> float:
    """Returns a hash of a recording's path as a number in [0, 1).

    All segments of a recording have the same hash, and so have VCTK's two microphones.

    Args:
        name: name of a clip, see `Clip.name`.
    """
    path = os.fsencode(_MICROPHONE.sub("", recording_path(name)))
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big") / 2**64


def split_by_recording(
    hashes: np.ndarray, lengths: np.ndarray, validation_fraction: float
) -> np.ndarray:
    """Chooses the recordings for validation: those whose hash is below `validation_fraction`.

    If their duration differs from the requested one by more than `TOLERANCE`, recordings change
    sides in the order of their hashes, as long as each reduces the difference. Both sides get at
    least one recording.

    Args:
        hashes: hash of each clip, see `unit_hash`; equal for clips of one recording.
        lengths: length of each clip, in samples or seconds.
        validation_fraction: requested share of the duration, between 0 and 1.

    Returns:
        bool `[clips]`: whether a clip is for validation.

    Example:
    >>> split_by_recording(np.array([0.1, 0.3, 0.7, 0.7]), np.array([2, 2, 5, 1]), 0.25).tolist()
    [True, False, False, False]
    """
    recordings, clip_recordings = np.unique(hashes, return_inverse=True)
    durations = np.bincount(clip_recordings, weights=lengths)
    requested = validation_fraction * durations.sum()
    tolerance = TOLERANCE * min(validation_fraction, 1.0 - validation_fraction) * durations.sum()
    chosen = recordings < validation_fraction
    excess, before = float(durations[chosen].sum() - requested), np.inf
    # After a long recording the difference may have the other sign: others then change back.
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
        chosen[np.argmin(np.abs(durations - requested))] = True
    if chosen.all():
        chosen[np.argmin(np.abs(durations.sum() - durations - requested))] = False
    return chosen[clip_recordings]


def split_by_time(
    starts: np.ndarray, lengths: np.ndarray, validation_fraction: float, gap: int, shortest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits the clips of one recording in time: the end of the recording is for validation.

    The validation part starts with a clip if that misses the requested fraction by at most
    `TOLERANCE`, otherwise inside a clip.

    Args:
        starts: time at which each clip starts in the recording, in samples.
        lengths: length of each clip, in samples.
        validation_fraction: requested share of the duration, between 0 and 1.
        gap: samples before the validation part that are not used for training.
        shortest: parts of clips with fewer samples are left out.

    Returns:
        Start and end of each clip's part for training and of its part for validation, int64
        `[clips, 2]`, in samples from the clip's start; both are 0 for no part.

    Raises:
        InputError: if the recording is too short for two parts and the gap between them.

    Example:
    >>> training, validation = split_by_time(np.array([0]), np.array([1000]), 0.1, 50, 10)
    >>> training.tolist(), validation.tolist()
    ([[0, 850]], [[900, 1000]])
    """
    starts, lengths = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)

    def parts(start: int) -> tuple[np.ndarray, np.ndarray]:
        bounds = np.stack([np.zeros_like(lengths), start - gap - starts], axis=1)
        training = np.clip(bounds, 0, lengths[:, None])
        validation = np.stack([np.clip(start - starts, 0, lengths), lengths], axis=1)
        for bounds in (training, validation):
            bounds[bounds[:, 1] - bounds[:, 0] < shortest] = 0
        return training, validation

    def duration(start) -> int:
        return int(np.clip(starts + lengths - start, 0, lengths).sum())

    total = int(lengths.sum())
    requested = validation_fraction * total
    tolerance = TOLERANCE * min(validation_fraction, 1.0 - validation_fraction) * total
    # Bisection: the later the validation part starts, the shorter it is.
    low, high = int(starts.min()), int((starts + lengths).max())
    first, last = low, high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if duration(middle) >= requested else (low, middle)
    clip_starts = np.unique(starts)
    after = int(np.searchsorted(clip_starts, low))
    nearest = min(
        clip_starts[max(after - 1, 0) : after + 1],
        key=lambda start: abs(duration(start) - requested),
    )
    start = int(nearest) if abs(duration(nearest) - requested) <= tolerance else low
    # Neither side is empty if the recording is long enough.
    start = max(min(start, last - shortest), first + gap + shortest)
    training, validation = parts(start)
    if not (training.any() and validation.any()):
        raise InputError(
            f"a recording of {last - first} samples is too short for two parts of {shortest} "
            f"samples and a gap of {gap} samples between them"
        )
    return training, validation


def split_in_time(
    recordings: "Recordings", indices: np.ndarray, validation_fraction: float, gap: int
) -> tuple["Recordings", "Recordings"]:
    """Splits the clips of one recording in time, see `split_by_time`.

    Args:
        recordings: the clips.
        indices: which of the clips to split, int `[clips]`; all are of one recording.
        validation_fraction: requested share of the duration, between 0 and 1.
        gap: samples before the validation part that are not used for training.

    Returns:
        The parts for training and for validation; those for validation start with a whole frame of
        features.

    Raises:
        InputError: if the recording is too short.
    """
    rate, hop = recordings.sample_rate, recordings.hop_length or 1
    lengths = recordings.lengths[indices]
    seconds, shortest_seconds = int(lengths.sum()) / rate, SHORTEST_RECORDING_SECONDS + gap / rate
    if seconds < shortest_seconds:
        raise InputError(
            "a split into training and validation takes at least 2 recordings, or one of "
            f"{shortest_seconds:.2f} s; {recordings.directory} has one of {seconds:.2f} s"
            f"{recordings.skipped_note}"
        )
    starts = [round(segment_start(recordings.names[index]) * rate) for index in indices]
    shortest = round(SHORTEST_PART_SECONDS * rate) + hop - 1
    try:
        training, validation = split_by_time(
            np.array(starts), lengths, validation_fraction, gap, shortest
        )
    except InputError as error:
        raise InputError(f"{recordings.directory}: {error}{recordings.skipped_note}") from error
    validation[:, 0] += -validation[:, 0] % hop
    return cut_clips(recordings, indices, training), cut_clips(recordings, indices, validation)
