"""Audio features of the clips of recordings, and a sample of them for statistics."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.lazy import Mapped, Unreadable
from wavenet_tf.data.parallel import map_in_threads
from wavenet_tf.errors import InputError

if TYPE_CHECKING:
    from wavenet_tf.data.recordings import Recordings

# Features of more bytes are extracted at each access instead of once.
IN_MEMORY_BYTES = 2**30
# Number of frames for the mean and deviation: precise to a thousandth of a deviation.
FRAMES_OF_STATISTICS = 2**20


def default_hop_length(sample_rate: int) -> int:
    """Returns the samples per frame of features for which no hop length is given: 12.5 ms.

    Args:
        sample_rate: in Hz.
    """
    return max(1, round(audio.HOP_SECONDS * sample_rate))


def extract_of_clips(
    waveform: Callable[[int], np.ndarray],
    lengths: np.ndarray,
    sample_rate: int,
    hop_length: int,
    names: Sequence[str],
) -> Sequence:
    """Extracts the features of clips, see `audio.extract_features`.

    Features that fit in memory are extracted at once, in threads; otherwise those of a clip are
    extracted at each access.

    Args:
        waveform: returns a clip, float `[samples]`, by its index; raises InputError for one that
            cannot be read.
        lengths: length of each clip, in samples.
        sample_rate: in Hz.
        hop_length: samples per frame.
        names: names of features, of `audio.FEATURES`.

    Returns:
        The features of each clip, float32 `[frames, channels]`; slicing those of a clip that cannot
        be read raises the InputError.
    """

    def extract(index: int) -> np.ndarray:
        return audio.extract_features(waveform(index), sample_rate, hop_length, names)

    def extract_if_readable(index: int) -> np.ndarray | Unreadable:
        try:
            return extract(index)
        except InputError as error:
            return Unreadable(error)

    clips = range(len(lengths))
    values = int(lengths.sum()) // hop_length * audio.feature_channels(names)
    if values * np.float32().itemsize > IN_MEMORY_BYTES:
        return Mapped(extract, clips)
    return map_in_threads(extract_if_readable, clips, "features of clip")


def sample_frames(recordings: "Recordings", frames: Sequence, hop_length: int) -> np.ndarray:
    """Returns frames to compute a mean and a deviation from.

    These are the frames of all clips, or of clips at regular distances if there are more than
    `FRAMES_OF_STATISTICS`. Clips that cannot be read are left out, with a warning.

    Args:
        recordings: the clips.
        frames: the frames of each clip, `[frames, channels]`; read by slicing.
        hop_length: samples per frame.

    Returns:
        `[frames, channels]`.

    Raises:
        InputError: if none of these clips can be read.
    """
    num_frames = int(-(-recordings.lengths // hop_length).sum())
    sampled = []
    for index in range(0, len(recordings.names), -(-num_frames // FRAMES_OF_STATISTICS)):
        try:
            sampled.append(frames[index][:])
        except InputError as error:
            recordings.add_unreadable(index, error)
    if not sampled:
        name, reason = next(iter(recordings.unreadable.items()))
        raise InputError(f"no recording in {recordings.directory} can be read; {name}: {reason}")
    return np.concatenate(sampled)
