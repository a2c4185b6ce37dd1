"""Scoring recordings under a model."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import data


@dataclasses.dataclass(frozen=True)
class Scores:
    """How well a model predicts each clip.

    Attributes:
        names: of the clips.
        nats: a clip's negative log-likelihood, in nats.
        samples: a clip's length.
    """

    names: list[str]
    nats: np.ndarray
    samples: np.ndarray

    @property
    def bits_per_sample(self) -> float:
        """Over all samples of all clips; 8 is uniform guessing among 256 codes."""
        return float(self.nats.sum() / self.samples.sum() / math.log(2.0))

    @property
    def bits_per_sample_by_name(self) -> dict[str, float]:
        """Of each clip, the best first."""
        bits = self.nats / self.samples / math.log(2.0)
        return {self.names[index]: float(bits[index]) for index in np.argsort(bits)}


def score(
    model,
    recordings: data.Recordings,
    batch_size: int = 4,
    crop_seconds: float = 1.0,
    progress: bool = False,
) -> Scores:
    """Scores every sample of every clip once, each clip beginning after digital silence.

    Args:
        model: a `WaveNet`.
        recordings: at the model's sample rate.
        batch_size: crops scored at once.
        crop_seconds: their length, in seconds; the scores do not depend on it.
        progress: show a progress bar.
    """
    batches = data.evaluation_batches(recordings, model, batch_size, crop_seconds)

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
    clips = data.clips_of_crops(recordings, model.sample_rate, crop_seconds)
    return Scores(
        recordings.names,
        np.bincount(clips, weights=np.concatenate(nats)),
        np.bincount(clips, weights=np.concatenate(samples)),
    )
