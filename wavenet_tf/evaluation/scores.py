"""Log-likelihoods of recordings under a model, in nats and in bits per sample."""

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import data
from wavenet_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Scores:
    """Negative log-likelihoods of clips.

    Attributes:
        names: names of the clips.
        nats: negative log-likelihood of each clip in nats, float64 `[clips]`.
        samples: number of scored samples of each clip, float64 `[clips]`; 0 for a clip that cannot
            be read.

    Example:
    >>> scores = Scores(["a.wav", "b.wav"], nats=np.array([5.5, 2.8]), samples=np.array([2.0, 2.0]))
    >>> round(scores.bits_per_sample, 2)
    2.99
    >>> list(scores.bits_per_sample_by_name)
    ['b.wav', 'a.wav']
    """

    names: Sequence[str]
    nats: np.ndarray
    samples: np.ndarray

    @property
    def bits_per_sample(self) -> float:
        """Mean over the samples of all clips; 8 is uniform guessing among 256 codes."""
        return float(self.nats.sum() / self.samples.sum() / math.log(2.0))

    @property
    def bits_per_sample_by_name(self) -> dict[str, float]:
        """Mean over the samples of each scored clip, the best clip first."""
        scored = self.scored_clips
        bits = self.nats[scored] / self.samples[scored] / math.log(2.0)
        return {self.names[scored[rank]]: float(bits[rank]) for rank in np.argsort(bits)}

    def bits_per_sample_by_speaker(self, recordings: data.Recordings) -> dict[str, float]:
        """Returns the mean over the samples of each speaker, by name; empty without speakers.

        Args:
            recordings: those that were scored.
        """
        bits = {}
        for index, name in enumerate(recordings.speaker_names):
            clips = recordings.speaker_ids == index
            if samples := float(self.samples[clips].sum()):
                bits[name] = float(self.nats[clips].sum()) / samples / math.log(2.0)
        return bits

    @property
    def scored_clips(self) -> np.ndarray:
        """Indices of the clips that could be read."""
        return np.flatnonzero(self.samples)


def score(
    model,
    recordings: data.Recordings,
    batch_size: int = 4,
    crop_seconds: float = 1.0,
    progress: bool = False,
    whole_context: bool = False,
) -> Scores:
    """Scores every sample of every clip once; each clip starts after digital silence.

    Args:
        model: a `WaveNet`.
        recordings: at the model's sample rate.
        batch_size: number of crops that are scored at once.
        crop_seconds: length of a crop in seconds; the scores do not depend on it.
        progress: shows a progress bar.
        whole_context: scores only samples whose whole receptive field lies in the clip, without
            the digital silence before it.

    Returns:
        The scores, in the order of the clips.

    Raises:
        InputError: if an argument is out of its range, no clip can be read, or with
            `whole_context` all clips are too short.
    """
    spec = model.crop_spec
    if whole_context:
        spec = dataclasses.replace(spec, unscored_samples=model.receptive_field)
    batches = data.evaluation_batches(recordings, spec, batch_size, crop_seconds)

    @tf.function(reduce_retracing=True)
    def score_batch(inputs, targets, weights):
        log_likelihood = model.distribution.log_likelihood(model(inputs), targets)
        return -tf.reduce_sum(log_likelihood * weights, axis=1), tf.reduce_sum(weights, axis=1)

    bar = keras.utils.Progbar(int(batches.cardinality()), unit_name="batch") if progress else None
    nats, samples = [], []
    for batch in batches:
        batch_nats, batch_samples = score_batch(*batch)
        nats.append(batch_nats)
        samples.append(batch_samples)
        if bar:
            bar.add(1)
    clips = data.clips_of_crops(recordings, model.crop_spec, crop_seconds)
    clip_samples = np.bincount(clips, weights=np.concatenate(samples))
    if not clip_samples.any() and not recordings.unreadable:
        raise InputError(
            f"no sample has the whole receptive field of {model.receptive_field} samples before "
            f"it: the longest recording has {recordings.lengths.max()} samples"
        )
    if not clip_samples.any():
        name, reason = next(iter(recordings.unreadable.items()))
        raise InputError(f"no sample could be scored: {name}: {reason}")
    clip_nats = np.bincount(clips, weights=np.concatenate(nats))
    return Scores(recordings.names, clip_nats, clip_samples)


def check_has_speakers(model) -> None:
    """Raises InputError unless a model is conditioned on speakers."""
    if not model.config.num_speakers:
        raise InputError(
            "the model is not conditioned on speakers: only one that was trained with speakers "
            "can identify them"
        )


def score_speakers(
    model, recordings: data.Recordings, batch_size: int = 4, progress: bool = False
) -> np.ndarray:
    """Scores every clip once per speaker of the model, conditioned on that speaker.

    Args:
        model: a `WaveNet` with speakers.
        recordings: with speakers, at the model's sample rate.
        batch_size: number of crops that are scored at once.
        progress: shows a progress bar for each speaker.

    Returns:
        Negative log-likelihoods in nats, float64 `[clips, speakers]`; the speaker with the lowest
        one is the most likely speaker of the clip.

    Raises:
        InputError: for a model without speakers.
    """
    check_has_speakers(model)
    nats = []
    for speaker in range(model.config.num_speakers):
        ids = np.full(len(recordings.names), speaker, np.int32)
        as_speaker = dataclasses.replace(recordings, speaker_ids=ids)
        nats.append(score(model, as_speaker, batch_size, progress=progress).nats)
    return np.stack(nats, axis=1)
