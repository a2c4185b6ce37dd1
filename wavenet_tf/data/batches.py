"""Batches of crops, `(inputs, targets, sample_weight)`, for training and evaluation.

This is the one place where targets are shifted by a sample: `targets[:, t]` is the sample after
`inputs[:, t]`.
"""

import functools
import math
import os

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import STEPS_OF_16_BITS
from wavenet_tf.data.recordings import Recordings, read_recordings
from wavenet_tf.errors import InputError

# Slow drifts that 16-bit models hear in part of the crops. Recordings have none, so that a model
# that drifts while it generates would not know the way back: the targets lead towards zero.
DRIFTING_CROPS = 0.5
LARGEST_DRIFT = 0.2  # of full scale
FASTEST_DRIFT = 60.0  # Hz
DRIFT_KEPT = 0.98  # by the next sample


def audio_datasets(
    directory: str | os.PathLike,
    model,
    batch_size: int = 4,
    crop_seconds: float = 1.0,
    validation_fraction: float = 0.1,
    seed: int = 0,
    speakers: str | None = None,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Makes the datasets for training and validation from a folder of recordings.

    Args:
        directory: holds WAV, AIFF, FLAC, OGG or MP3 files, in it or below it.
        model: the `WaveNet` to train; it says the sample rate, the context, the coding and the
            `features` it is conditioned on, whose mean and deviation it takes from the training
            part if it has none yet.
        batch_size: crops a batch.
        crop_seconds: scored part of a crop, in seconds.
        validation_fraction: of the files, kept aside by a hash of their names.
        seed: of the order and places of the crops.
        speakers: "folder", "table.csv:column" or a regular expression, see
            `Recordings.with_speakers`; for a model with `num_speakers`, whose `speaker_names` say
            the ids; without these, ids follow the names' order.

    Returns:
        Training batches without end (give `fit` the `steps_per_epoch`), and validation batches
        that score every sample of the files kept aside once.

    Raises:
        InputError: if the folder has fewer than two usable recordings, or these lack what the
            model is conditioned on.
    """
    recordings = read_recordings(directory, model.sample_rate)
    if speakers is not None:
        recordings = recordings.with_speakers(speakers, model.speaker_names)
    print(recordings.summary)
    training, validation = recordings.split(validation_fraction)
    if model.features:
        training, validation = (
            part.with_features(model.features, model.hop_length) for part in (training, validation)
        )
        if not model.upsampler.adapted:
            model.adapt(np.concatenate(training.features))
    return (
        training_batches(training, model, batch_size, crop_seconds, seed),
        evaluation_batches(validation, model, batch_size, crop_seconds),
    )


def training_batches(
    recordings: Recordings,
    model,
    batch_size: int,
    crop_seconds: float,
    seed: int = 0,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Random crops, without end.

    The crop number alone decides clip and place, so that a run resumed at `first_batch` sees what
    it would have seen. An epoch takes from each clip one crop for each crop length in it, the
    first at the clip's start and the others anywhere, in shuffled order. 16-bit models hear a slow
    drift in half of the crops, which the targets decrease.

    Args:
        recordings: to crop.
        model: a `WaveNet`.
        batch_size: crops a batch.
        crop_seconds: scored part of a crop, in seconds.
        seed: of the order and places.
        first_batch: to begin with.

    Returns:
        Batches `(values, values one sample later, weights)`, each
        `[batch_size, context + crop]`, with at least `receptive_field - 1` samples of context. For
        a model with conditions the inputs are a dict of the values as `audio`, `speaker_id`,
        `[batch_size]`, and `local_conditioning`, `[batch_size, frames, local_channels]`, whose
        frames are those of the targets; crops then begin and end with a frame.
    """
    crop_samples = _crop_samples(crop_seconds, model)
    cropper = _Cropper(recordings, model, crop_samples)
    hop = model.hop_length or 1
    places = -(-np.maximum(np.diff(recordings.starts) - crop_samples, 0) // hop) + 1
    places = tf.constant(places)

    def random_crop(number):
        epoch, turn = number // cropper.crops, number % cropper.crops
        order_seed = tf.cast(tf.stack([seed, epoch]), tf.int32)
        turn = tf.random.experimental.index_shuffle(turn, order_seed, cropper.crops - 1)
        clip, index = cropper.locate(turn)
        place = tf.random.stateless_uniform(
            [], tf.stack([seed, number]), maxval=places[clip], dtype=tf.int64
        )
        start = tf.where(index == 0, tf.constant(0, tf.int64), place * hop)
        if model.output_distribution == "categorical":
            return cropper.crop(clip, start)
        draws = tf.random.stateless_uniform([4], tf.stack([seed, -1 - number]))
        return cropper.crop(clip, start, functools.partial(_drift, draws, model.sample_rate))

    numbers = tf.data.Dataset.range(first_batch * batch_size, np.iinfo(np.int64).max)
    crops = numbers.map(random_crop, num_parallel_calls=tf.data.AUTOTUNE)
    return crops.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    recordings: Recordings, model, batch_size: int, crop_seconds: float
) -> tf.data.Dataset:
    """Crops that together score every sample of every clip once, each with its full context.

    Args:
        recordings: to score, in their order.
        model: a `WaveNet`.
        batch_size: crops a batch; the last batch may have fewer.
        crop_seconds: scored part of a crop, in seconds; the result does not depend on it.

    Returns:
        Batches like those of `training_batches`.
    """
    crop_samples = _crop_samples(crop_seconds, model)
    cropper = _Cropper(recordings, model, crop_samples)

    def next_crop(number):
        clip, index = cropper.locate(number)
        return cropper.crop(clip, index * crop_samples)

    crops = tf.data.Dataset.range(cropper.crops).map(next_crop, num_parallel_calls=tf.data.AUTOTUNE)
    return crops.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def clips_of_crops(recordings: Recordings, model, crop_seconds: float) -> np.ndarray:
    """Which clip each crop of `evaluation_batches` is of: int `[crops]`, rising."""
    crops = _crops_per_clip(recordings, _crop_samples(crop_seconds, model))
    return np.repeat(np.arange(len(crops)), crops)


def _crop_samples(crop_seconds: float, model) -> int:
    samples = round(crop_seconds * model.sample_rate)
    if samples < 1:
        raise InputError(f"crop_seconds must give at least one sample; received {crop_seconds}")
    # Whole frames, of features and of context stacks, so that each crop finds them in one place.
    frame = math.lcm(model.hop_length or 1, *(stack.pooling for stack in model.context_stacks))
    return -(-samples // frame) * frame


def _crops_per_clip(recordings: Recordings, crop_samples: int) -> np.ndarray:
    return -(-np.diff(recordings.starts) // crop_samples)


class _Cropper:
    """Cuts crops out of recordings, with the context that the model needs before them."""

    def __init__(self, recordings: Recordings, model, crop_samples: int):
        if model.global_channels:
            raise InputError(
                "recordings have no global_conditioning: add it to the batches' inputs yourself"
            )
        if (model.num_speakers or 0) != len(recordings.speaker_names):
            raise InputError(
                f"the model is conditioned on {model.num_speakers or 'no'} speakers; the "
                f"recordings are labelled with {len(recordings.speaker_names) or 'none'}"
            )
        found = recordings.features[0].shape[1] if recordings.features else None
        if model.local_channels != found:
            raise InputError(
                f"the model is conditioned on {model.local_channels or 'no'} local channels; the "
                f"recordings have features of {found or 'none'}"
            )
        self.speaker_ids = tf.constant(recordings.speaker_ids) if model.num_speakers else None
        self.crop_samples = crop_samples
        # What only context stacks hear.
        self.context = model.receptive_field - model.main_receptive_field
        # Samples before and after the scored ones.
        self.before, self.after, self.hop = model.main_receptive_field - 1, 0, model.hop_length
        if self.hop:
            frames_before = -(-self.before // self.hop) + model.upsampler.frames_before
            self.before = frames_before * self.hop
            self.after = model.upsampler.look_ahead
            self.frames = tf.constant(np.concatenate(recordings.features))
            ends = np.cumsum([0, *map(len, recordings.features)])
            self.frame_starts = tf.constant(ends)
        self.distribution = model.distribution
        self.samples = tf.constant(recordings.samples)
        self.starts = tf.constant(recordings.starts)
        # Crop numbers: those of the first clip, then those of the second, and so on.
        crops_before = np.cumsum([0, *_crops_per_clip(recordings, crop_samples)])
        self.crops = int(crops_before[-1])
        self.crops_before = tf.constant(crops_before)

    def locate(self, number):
        """The clip that a crop number falls in, and which of the clip's crops it is."""
        clip = tf.searchsorted(self.crops_before, number[None], side="right")[0] - 1
        return clip, number - self.crops_before[clip]

    def crop(self, clip, start, drift=None):
        """Inputs, targets and weights of the crop that scores the clip from `start` on.

        Args:
            clip: its number.
            start: in samples.
            drift: makes so many samples of a drift to be heard; None for none.
        """
        begin, length = self.starts[clip], self.starts[clip + 1] - self.starts[clip]
        targets = self.before + self.crop_samples + self.after
        first = -1 - self.context
        places = start - self.before + tf.range(first, targets, dtype=tf.int64)
        inside = (places >= 0) & (places < length)
        clipped = begin + tf.clip_by_value(places, 0, length - 1)
        waveform = tf.cast(tf.gather(self.samples, clipped), tf.float32) / STEPS_OF_16_BITS
        # Around the clip lies digital silence, which is where generation starts from.
        waveform = tf.where(inside, waveform, 0.0)
        values = targeted = self.distribution.encode(waveform)
        if drift is not None:
            heard = drift(tf.shape(places)[0])
            values = self.distribution.encode(waveform + heard)
            targeted = self.distribution.encode(waveform + DRIFT_KEPT * heard)
        scored = inside & (places >= start) & (places < start + self.crop_samples)
        context, values = values[: self.context], values[self.context :]
        targeted, scored = targeted[self.context :], scored[self.context :]
        inputs = {"audio": values[:-1]}
        if self.context:
            inputs["context_audio"] = context
        if self.speaker_ids is not None:
            inputs["speaker_id"] = self.speaker_ids[clip]
        if self.hop:
            begin, end = self.frame_starts[clip], self.frame_starts[clip + 1]
            frames = tf.range(targets // self.hop, dtype=tf.int64)
            frames += begin + (start - self.before) // self.hop
            # Around the clip, its first and last frame hold, as they do in generation.
            frames = tf.clip_by_value(frames, begin, end - 1)
            inputs["local_conditioning"] = tf.gather(self.frames, frames)
        if len(inputs) == 1:
            inputs = inputs["audio"]
        return inputs, targeted[1:], tf.cast(scored[1:], tf.float32)


def _drift(draws, sample_rate: int, length) -> tf.Tensor:
    """A slow sine, or zeros, float32 `[length]`, as four uniform numbers say."""
    level, frequency, phase, chosen = tf.unstack(draws)
    time = tf.cast(tf.range(length), tf.float32) / sample_rate
    wave = tf.sin(2.0 * math.pi * (FASTEST_DRIFT * frequency * time + phase))
    # Small ones are more frequent.
    return tf.where(chosen < DRIFTING_CROPS, LARGEST_DRIFT * level**2 * wave, 0.0)
