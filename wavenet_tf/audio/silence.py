"""Silence of clips: where it is, and clips without it."""

import itertools

import numpy as np

from wavenet_tf.audio.levels import FLOOR_DB, checked_clip
from wavenet_tf.errors import InputError, positive_integer

FRAME_SECONDS = 0.05
HOP_SECONDS = 0.0125
# Kept around sound, as its quiet beginning or its decay.
MARGIN_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5

Alignment = dict[str, list[tuple[float, float, str]]]


def audible_segments(
    audio, sample_rate: int, trim_db: float = 60.0, inner: bool = False
) -> list[tuple[int, int]]:
    """Returns the segments of a clip without the silence at its ends.

    A frame of 50 ms is silent if its root mean square is more than `trim_db` below that of the
    loudest frame, as in `librosa.effects.trim`; a constant offset counts as sound. 50 ms around
    sound belong to the segments.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        trim_db: distance of silence from the loudest frame, in dB, above 0.
        inner: whether to shorten pauses inside the clip too, to 0.5 s.

    Returns:
        Index of the first sample of each segment, and of the sample after its last, in order and
        without overlap. A clip of silence only, below -120 dBFS, is one segment.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> sound, silence = np.ones(8000), np.zeros(16000)
    >>> clip = np.concatenate([silence, sound, silence, sound])
    >>> audible_segments(clip, sample_rate=8000)
    [(15500, 48000)]
    >>> audible_segments(clip, sample_rate=8000, inner=True)
    [(15500, 26200), (37900, 48000)]
    """
    audio = checked_clip(audio)
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


def join_segments(audio, segments: list[tuple[int, int]]) -> np.ndarray:
    """Returns the segments of a clip, one after the other.

    Args:
        audio: `[samples]`.
        segments: as `audible_segments` returns them.

    Returns:
        `[samples of all segments]`.

    Example:
    >>> join_segments([0.1, 0.2, 0.3, 0.4], [(0, 1), (2, 4)]).tolist()
    [0.1, 0.3, 0.4]
    """
    return np.concatenate([np.asarray(audio)[begin:end] for begin, end in segments])


def move_alignment(
    alignment: Alignment, segments: list[tuple[int, int]], sample_rate: int
) -> Alignment:
    """Returns the alignment of a clip of which only some segments are kept.

    Args:
        alignment: labels by kind, {"phones": [(0.0, 0.14, "h#"), ...]}; start and end in seconds
            from the start of the clip.
        segments: the segments that are kept, as `audible_segments` returns them.
        sample_rate: sample rate of the clip, in Hz.

    Returns:
        The labels of the clip that `join_segments` returns, with times on whole samples. Labels are
        cut to the parts that are kept; labels without such a part are left out.

    Example:
    >>> words = [(0.0, 0.5, "um"), (0.5, 1.5, "yes"), (1.5, 3.0, "indeed")]
    >>> move_alignment({"words": words}, [(8000, 12000), (20000, 24000)], sample_rate=8000)
    {'words': [(0.0, 0.5, 'yes'), (0.5, 1.0, 'indeed')]}
    """
    sample_rate = positive_integer("sample_rate", sample_rate)
    bounds = np.array(segments).flatten()
    lengths = np.diff(bounds)
    lengths[1::2] = 0  # the new time does not advance between segments
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


def _frame_powers(audio: np.ndarray, frame: int, hop: int) -> np.ndarray:
    """Returns mean squares of frames that are centered on the hops, with zeros beyond both ends."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(audio))])
    begins = np.arange(0, audio.size + 1, hop) - frame // 2
    ends = np.minimum(begins + frame, audio.size)
    return (sums[ends] - sums[np.maximum(begins, 0)]) / frame
