"""Selections of recordings: clips of as many speakers as possible, and their starts."""

import collections
import dataclasses

import numpy as np

from wavenet_tf.data.recordings import Recordings


def alternate_speakers(recordings: Recordings) -> np.ndarray:
    """Returns the indices of all clips: each speaker's first clip, each one's second, and so on.

    Clips without speakers stay in their order.

    Args:
        recordings: the clips.
    """
    if not len(recordings.speaker_ids):
        return np.arange(len(recordings.names))
    counts: collections.Counter = collections.Counter()
    rounds = []
    for speaker in recordings.speaker_ids.tolist():
        rounds.append(counts[speaker])
        counts[speaker] += 1
    return np.argsort(rounds, kind="stable")


def select_excerpts(recordings: Recordings, maximum: int, seconds: float) -> Recordings:
    """Returns the starts of clips, of as many different speakers as possible.

    Args:
        recordings: the clips.
        maximum: number of clips to select, if there are as many.
        seconds: length of an excerpt, in seconds; shorter clips are taken whole.
    """
    selected = recordings.select(alternate_speakers(recordings)[:maximum])
    samples = max(1, round(seconds * recordings.sample_rate))
    lengths = np.minimum(selected.lengths, samples)
    excerpts = dataclasses.replace(
        selected,
        clips=[selected.clips[index][:length] for index, length in enumerate(lengths.tolist())],
        lengths=lengths,
    )
    if recordings.hop_length is None or not len(recordings.features):
        return excerpts
    frames = (-(-lengths // recordings.hop_length)).tolist()
    features = [selected.features[index][:number] for index, number in enumerate(frames)]
    return dataclasses.replace(excerpts, features=features)
