"""Segments of recordings: their names, and recordings divided in time."""

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.lazy import Mapped, Slice
from wavenet_tf.data.manifest import Clip

if TYPE_CHECKING:
    from wavenet_tf.data.recordings import Recordings

# What `Clip.name` adds to the path of a segment: "#", its start, "-", and its end or nothing.
_NUMBER = r"\d[\d.]*(?:e[+-]?\d+)?"
_SEGMENT = re.compile(rf"#({_NUMBER})-(?:{_NUMBER})?$")


def recording_path(name: str) -> str:
    """Returns the path of the recording that a clip is a segment of.

    Args:
        name: name of the clip, see `Clip.name`.

    Example:
    >>> recording_path("george/1.wav#0.5-2.0"), recording_path("george/1.wav")
    ('george/1.wav', 'george/1.wav')
    """
    return _SEGMENT.sub("", name)


def segment_start(name: str) -> float:
    """Returns the time at which a clip starts in its recording, in seconds.

    Args:
        name: name of the clip, see `Clip.name`.

    Example:
    >>> segment_start("george/1.wav#0.5-2.0"), segment_start("george/1.wav")
    (0.5, 0.0)
    """
    match = _SEGMENT.search(name)
    return float(match.group(1)) if match else 0.0


def cut_clips(recordings: "Recordings", indices: np.ndarray, bounds: np.ndarray) -> "Recordings":
    """Returns recordings of which each clip is a segment of a clip.

    Args:
        recordings: the clips to cut.
        indices: which clips, int `[segments]`.
        bounds: start and end of each segment in samples, int `[segments, 2]`; starts are whole
            frames of features. Empty segments are left out.
    """
    non_empty = bounds[:, 1] > bounds[:, 0]
    whole, bounds = recordings.select(indices[non_empty]), bounds[non_empty]
    rate, hop = recordings.sample_rate, recordings.hop_length or 1

    def of_segment(function: Callable[[int, int, int], Any]) -> Mapped:
        segments = range(len(bounds))
        return Mapped(lambda index: function(index, *bounds[index].tolist()), segments)

    def samples(index: int, start: int, end: int) -> Slice:
        return Slice(whole.clips[index], start, end)

    def frames(index: int, start: int, end: int) -> Slice:
        return Slice(whole.features[index], start // hop, -(-end // hop))

    def metadata(index: int, start: int, end: int) -> Clip:
        clip = whole.metadata[index]
        return clip if end - start == whole.lengths[index] else _cut(clip, start, end, rate)

    def name(index: int, start: int, end: int) -> str:
        clip = whole.names[index]
        if end - start == whole.lengths[index]:
            return clip
        first, last = (round(segment_start(clip) + time / rate, 4) for time in (start, end))
        return f"{recording_path(clip)}#{first}-{last}"

    return dataclasses.replace(
        whole,
        names=of_segment(name),
        clips=of_segment(samples),
        lengths=bounds[:, 1] - bounds[:, 0],
        features=of_segment(frames) if len(whole.features) else (),
        metadata=of_segment(metadata) if len(whole.metadata) else (),
    )


def _cut(clip: Clip, start: int, end: int, sample_rate: int) -> Clip:
    """Returns the metadata of a segment of a clip, from sample `start` to sample `end`.

    The segment has no text: the text of the clip is longer than what is said in the segment.
    """
    return dataclasses.replace(
        clip,
        start=clip.start + start / sample_rate,
        end=clip.start + end / sample_rate,
        text=None,
        alignment=audio.move_alignment(clip.alignment, [(start, end)], sample_rate),
    )
