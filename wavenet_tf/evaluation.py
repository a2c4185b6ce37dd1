"""Scoring recordings under a model."""

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio, data
from wavenet_tf.errors import InputError

# Of `log_spectral_distance`: levels below this, in dB of full scale, count as this.
FLOOR_DB = -80.0


@dataclasses.dataclass(frozen=True)
class Scores:
    """How well a model predicts each clip.

    Attributes:
        names: of the clips.
        nats: a clip's negative log-likelihood, in nats.
        samples: how many samples of a clip were scored: all that could be read.
    """

    names: Sequence[str]
    nats: np.ndarray
    samples: np.ndarray

    @property
    def bits_per_sample(self) -> float:
        """Over all samples of all clips; 8 is uniform guessing among 256 codes."""
        return float(self.nats.sum() / self.samples.sum() / math.log(2.0))

    @property
    def bits_per_sample_by_name(self) -> dict[str, float]:
        """Of each clip that could be read, the best first."""
        scored = np.flatnonzero(self.samples)
        bits = self.nats[scored] / self.samples[scored] / math.log(2.0)
        order = np.argsort(bits)
        return {self.names[scored[place]]: float(bits[place]) for place in order}


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

    Raises:
        InputError: if an argument is out of its range, or no clip can be read.
    """
    batches = data.evaluation_batches(recordings, model.crop_spec, batch_size, crop_seconds)

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
    samples_of_clips = np.bincount(clips, weights=np.concatenate(samples))
    if not samples_of_clips.any():
        name, why = next(iter(recordings.unreadable.items()))
        raise InputError(f"no sample could be scored: {name}: {why}")
    return Scores(
        recordings.names, np.bincount(clips, weights=np.concatenate(nats)), samples_of_clips
    )


def check_has_speakers(model) -> None:
    """Raises InputError unless a model is conditioned on speakers, as `score_speakers` needs it."""
    if not model.num_speakers:
        raise InputError("the model knows no speakers: train it with speakers to identify them")


def check_has_features(model) -> None:
    """Raises InputError unless a model is conditioned on features, as `resynthesise` needs it."""
    if not model.local_channels:
        raise InputError("the model makes nothing from features: train it with some")


def score_speakers(
    model, recordings: data.Recordings, batch_size: int = 4, progress: bool = False
) -> np.ndarray:
    """Scores every clip under each speaker that the model knows.

    Args:
        model: a `WaveNet` with speakers.
        recordings: with speakers, at the model's sample rate.
        batch_size: crops scored at once.
        progress: show a progress bar for each speaker.

    Returns:
        Each clip's negative log-likelihood in nats, `[clips, speakers]`: the least is the speaker
        who is heard.

    Raises:
        InputError: for a model without speakers.
    """
    check_has_speakers(model)
    nats = []
    for speaker in range(model.num_speakers):
        ids = np.full(len(recordings.names), speaker, np.int32)
        as_speaker = dataclasses.replace(recordings, speaker_ids=ids)
        nats.append(score(model, as_speaker, batch_size, progress=progress).nats)
    return np.stack(nats, axis=1)


def resynthesise(
    model,
    recordings: data.Recordings,
    temperature: float = 1.0,
    seed: int | None = None,
    progress: bool = False,
) -> list[np.ndarray]:
    """Makes the clips again from their features, all at once.

    Args:
        model: a `WaveNet` with local conditioning.
        recordings: with features, at the model's sample rate; with speakers, if the model has them.
        temperature: as `WaveNet.generate` takes it.
        seed: as `WaveNet.generate` takes it.
        progress: show a progress bar.

    Returns:
        A clip each, float32 `[samples]` in [-1, 1], as long as the recording.

    Raises:
        InputError: for a model or recordings without features.
    """
    check_has_features(model)
    if not len(recordings.features):
        raise InputError("the recordings have no features: see `Recordings.with_features`")
    features = [frames[:] for frames in recordings.features]
    longest = max(map(len, features))
    # The last frame holds, as it does at every end.
    frames = [np.pad(part, [(0, longest - len(part)), (0, 0)], "edge") for part in features]
    generated = model.generate(
        longest * model.hop_length,
        batch_size=len(frames),
        speaker_id=recordings.speaker_ids if model.num_speakers else None,
        local_conditioning=np.stack(frames),
        temperature=temperature,
        seed=seed,
        progress=progress,
    )
    return [clip[:length] for clip, length in zip(generated, recordings.lengths, strict=True)]


def log_spectral_distance(reference, waveform, sample_rate: int) -> float:
    """How far two recordings are apart: the root mean square over frequencies of the difference of
    their levels, averaged over frames; windows of 50 ms, hops of 12.5 ms.

    Args:
        reference: float `[samples]` in [-1, 1].
        waveform: as long.
        sample_rate: in Hz.

    Returns:
        dB; 0 for the same magnitudes everywhere.

    Raises:
        InputError: if they are not equally long.

    Example:
    >>> noise = np.random.default_rng(0).uniform(-1.0, 1.0, 8000)
    >>> round(log_spectral_distance(noise, 0.1 * noise, sample_rate=8000), 2)
    20.0
    """
    if len(reference) != len(waveform):
        raise InputError(
            f"recordings must be equally long; received {len(reference)} and {len(waveform)}"
        )
    levels = [audio.spectral_levels(part, sample_rate) for part in (reference, waveform)]
    levels = [np.maximum(part, FLOOR_DB) for part in levels]
    return float(np.mean(np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=-1))))
