"""Batches of crops, `(inputs, targets, sample_weight)`, for training and evaluation.

This is the one place where targets are shifted by a sample: `targets[:, t]` is the sample after
`inputs[:, t]`.
"""

import functools
import math
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import STEPS_OF_16_BITS
from wavenet_tf.data.reading import read_recordings
from wavenet_tf.data.recordings import UNKNOWN, Recordings
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.errors import InputError, check_seed, positive_integer, positive_number

# Slow drifts that 16-bit models hear in part of the crops. Recordings have none, so that a model
# that drifts while it generates would not know the way back: the targets lead towards zero.
DRIFTING_CROPS = 0.5
LARGEST_DRIFT = 0.2  # of full scale
FASTEST_DRIFT = 60.0  # Hz
DRIFT_KEPT = 0.98  # by the next sample
# Make other random numbers of the same seed and crop: of the speaker, of the speaker's crop, and of
# the crop in place of one that cannot be read.
SPEAKER_DRAW, CROP_DRAW, REPLACEMENT_DRAW = 2**33, 2**34, 2**35
# Crops that are tried in place of one that cannot be read.
MOST_REPLACEMENTS = 100


def audio_datasets(
    directory: str | os.PathLike,
    model,
    batch_size: int = 4,
    crop_seconds: float = 1.0,
    validation_fraction: float = 0.1,
    seed: int = 0,
    speakers: str | None = None,
    layout: str = "auto",
    balance_speakers: bool = False,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Makes the datasets for training and validation from a folder of recordings.

    Args:
        directory: holds WAV, AIFF, FLAC, OGG or MP3 files, in it or below it, or is prepared.
        model: the `WaveNet` to train; it says the sample rate, the context, the coding and the
            `features` it is conditioned on, whose mean and deviation it takes from the training
            part if it has none yet.
        batch_size: crops a batch.
        crop_seconds: scored part of a crop, in seconds.
        validation_fraction: of the duration, where the corpus does not say itself what to validate
            on, see `Recordings.split`.
        seed: of the order and places of the crops.
        speakers: "corpus", "folder", "table.csv:column" or a regular expression, see
            `Recordings.with_speakers`; for a model with `num_speakers`, whose `speaker_names` say
            the ids; without these, ids follow the names' order.
        layout: of the corpus, see `corpora.read_corpus`; "auto" looks.
        balance_speakers: see `training_batches`.

    Returns:
        Training batches without end (give `fit` the `steps_per_epoch`), and validation batches
        that score every sample of the validation split once.

    Raises:
        InputError: if the folder has too few recordings for a split, or these lack what the model
            is conditioned on.
    """
    # Bad arguments are errors before the recordings are read, which may take long.
    batch_size = positive_integer("batch_size", batch_size)
    crop_seconds = positive_number("crop_seconds", crop_seconds)
    seed = _whole_seed(seed)
    check_fraction("validation_fraction", validation_fraction)
    recordings = read_recordings(directory, model.sample_rate, layout)
    if speakers is not None:
        recordings = recordings.with_speakers(speakers, model.config.speaker_names)
    print(recordings.summary)
    training, validation = recordings.split(validation_fraction, model.receptive_field)
    if model.config.features:
        training, validation = (
            part.with_features(model.config.features, model.hop_length)
            for part in (training, validation)
        )
        if not model.trunk.upsampler.adapted:
            model.trunk.adapt(training.sample_frames())
    longest = longest_crop_seconds(training, model, crop_seconds)
    if longest < crop_seconds:
        print(f"crops of {longest:.2f} s, the longest recording, in place of {crop_seconds:g} s")
    return (
        training_batches(
            training, model, batch_size, longest, seed, balance_speakers=balance_speakers
        ),
        evaluation_batches(
            validation, model, batch_size, longest_crop_seconds(validation, model, crop_seconds)
        ),
    )


def training_batches(
    recordings: Recordings,
    model,
    batch_size: int,
    crop_seconds: float,
    seed: int = 0,
    first_batch: int = 0,
    balance_speakers: bool = False,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Random crops, without end.

    The crop number alone decides clip and place, so that a run resumed at `first_batch` sees what
    it would have seen, and so that an iterator may be saved in a `tf.train.Checkpoint`. An epoch
    takes from each clip one crop for each crop length in it, the first at the clip's start and the
    others anywhere, shuffled over all clips. 16-bit models hear a slow drift in half of the crops,
    which the targets decrease. In place of a crop that cannot be read another one is drawn, from
    all clips; where none of these can be read either, the crop has no weight.
    `Recordings.unreadable` names the clips.

    Args:
        recordings: to crop.
        model: a `WaveNet`.
        batch_size: crops a batch.
        crop_seconds: scored part of a crop, in seconds.
        seed: of the order and places.
        first_batch: to begin with.
        balance_speakers: draw the speaker first, all alike, and then the speaker's crop.
        worker: whose part of each batch it is, from 0 on.
        num_workers: among whom each batch is divided: together they see what one would see.

    Returns:
        Batches `(values, values one sample later, weights)`, each
        `[batch_size, context + crop]`, with at least `receptive_field - 1` samples of context. For
        a model with conditions the inputs are a dict of the values as `audio`, `speaker_id`,
        `[batch_size]`, and `local_conditioning`, `[batch_size, frames, local_channels]`, whose
        frames are those of the targets; crops then begin and end with a frame.

    Raises:
        InputError: if an argument is out of its range, or the recordings lack what the model is
            conditioned on.
    """
    batch_size = positive_integer("batch_size", batch_size)
    num_workers = positive_integer("num_workers", num_workers)
    share, rest = divmod(batch_size, num_workers)
    if rest or not 0 <= worker < num_workers:
        raise InputError(
            f"batch_size must be a multiple of num_workers, and worker below it; received "
            f"{batch_size}, {num_workers} and {worker}"
        )
    seed = _whole_seed(seed)
    if balance_speakers:
        recordings = _by_speaker(recordings)
    crop_samples = _crop_samples(crop_seconds, model)
    cropper = _Cropper(recordings, model, crop_samples)
    hop = model.hop_length or 1
    starts = tf.constant(-(-np.maximum(recordings.lengths - crop_samples, 0) // hop) + 1)
    if balance_speakers:
        firsts = np.unique(recordings.speaker_ids, return_index=True)[1]
        crops_before = tf.gather(cropper.crops_before, [*firsts, len(recordings.lengths)])

    def draw_turn(seed, number):
        """A crop of all, or of a speaker who is drawn first."""
        first, last = tf.constant(0, tf.int64), tf.constant(cropper.crops, tf.int64)
        if balance_speakers:
            speaker = tf.random.stateless_uniform(
                [], tf.stack([seed + SPEAKER_DRAW, number]), maxval=len(firsts), dtype=tf.int32
            )
            first, last = crops_before[speaker], crops_before[speaker + 1]
        return tf.random.stateless_uniform(
            [], tf.stack([seed + CROP_DRAW, number]), minval=first, maxval=last, dtype=tf.int64
        )

    def next_turn(number):
        if balance_speakers:
            return draw_turn(seed, number)
        epoch, turn = number // cropper.crops, number % cropper.crops
        order_seed = tf.cast(tf.stack([seed, epoch]), tf.int32)
        return tf.random.experimental.index_shuffle(turn, order_seed, cropper.crops - 1)

    def place(turn, seed, number):
        """The clip of a crop, and where the crop begins."""
        clip, index = cropper.locate(turn)
        start = tf.random.stateless_uniform(
            [], tf.stack([seed, number]), maxval=starts[clip], dtype=tf.int64
        )
        return clip, tf.where(index == 0, tf.constant(0, tf.int64), start * hop)

    def random_crop(number):
        # This worker's n-th crop is one of its share of some batch.
        number = number // share * batch_size + worker * share + number % share

        def replace(attempt, *_):
            other = seed + REPLACEMENT_DRAW * attempt
            clip, start = place(draw_turn(other, number), other, number)
            return attempt + 1, clip, start, cropper.read(clip, start)

        clip, start = place(next_turn(number), seed, number)
        _, clip, start, contents = tf.while_loop(
            lambda attempt, clip, start, contents: ~contents.readable,
            replace,
            [tf.constant(1, tf.int64), clip, start, cropper.read(clip, start)],
            parallel_iterations=1,
            maximum_iterations=MOST_REPLACEMENTS,
        )
        if model.config.output_distribution == "categorical":
            return cropper.crop(clip, start, contents)
        draws = tf.random.stateless_uniform([4], tf.stack([seed, -1 - number]))
        drift = functools.partial(_drift, draws, model.sample_rate)
        return cropper.crop(clip, start, contents, drift)

    numbers = tf.data.Dataset.range(first_batch * share, np.iinfo(np.int64).max)
    crops = numbers.map(random_crop, num_parallel_calls=tf.data.AUTOTUNE)
    return crops.batch(share, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    recordings: Recordings,
    model,
    batch_size: int,
    crop_seconds: float,
    whole_batches: bool = False,
) -> tf.data.Dataset:
    """Crops that together score every sample of every clip once, each with its full context.

    Args:
        recordings: to score, in their order.
        model: a `WaveNet`.
        batch_size: crops a batch; the last batch may have fewer.
        crop_seconds: scored part of a crop, in seconds; the result does not depend on it.
        whole_batches: fill the last batch up with crops of no weight.

    Returns:
        Batches like those of `training_batches`. Crops that cannot be read have no weight;
        `Recordings.unreadable` names their clips.

    Raises:
        InputError: as `training_batches` raises it.
    """
    batch_size = positive_integer("batch_size", batch_size)
    crop_samples = _crop_samples(crop_seconds, model)
    cropper = _Cropper(recordings, model, crop_samples)

    def next_crop(number):
        clip, index = cropper.locate(tf.minimum(number, cropper.crops - 1))
        start = index * crop_samples
        inputs, targets, weights = cropper.crop(clip, start, cropper.read(clip, start))
        return inputs, targets, tf.where(number < cropper.crops, weights, 0.0)

    last = -(-cropper.crops // batch_size) * batch_size if whole_batches else cropper.crops
    crops = tf.data.Dataset.range(last).map(next_crop, num_parallel_calls=tf.data.AUTOTUNE)
    return crops.batch(batch_size, drop_remainder=whole_batches).prefetch(tf.data.AUTOTUNE)


def clips_of_crops(recordings: Recordings, model, crop_seconds: float) -> np.ndarray:
    """Which clip each crop of `evaluation_batches` is of: int `[crops]`, rising."""
    crops = _crops_per_clip(recordings, _crop_samples(crop_seconds, model))
    return np.repeat(np.arange(len(crops)), crops)


def longest_crop_seconds(recordings: Recordings, model, crop_seconds: float) -> float:
    """`crop_seconds`, or the length of the longest clip in whole frames where that is shorter.

    Longer crops would hold nothing more, but padding.

    Args:
        recordings: to crop.
        model: a `WaveNet`.
        crop_seconds: requested length of a crop, in seconds.

    Raises:
        InputError: if `crop_seconds` is out of its range.
    """
    longest = _crop_samples(int(recordings.lengths.max()) / model.sample_rate, model)
    if _crop_samples(crop_seconds, model) <= longest:
        return crop_seconds
    return longest / model.sample_rate


def _crop_samples(crop_seconds: float, model) -> int:
    samples = round(positive_number("crop_seconds", crop_seconds) * model.sample_rate)
    if samples < 1:
        raise InputError(f"crop_seconds must give at least one sample; received {crop_seconds}")
    # Whole frames, of features and of context stacks, so that each crop finds them in one place.
    frame = math.lcm(
        model.hop_length or 1, *(stack.pooling for stack in model.trunk.context_stacks)
    )
    return -(-samples // frame) * frame


def _whole_seed(seed) -> int:
    if seed is None:
        raise InputError("seed must be a whole number; received None")
    check_seed(seed)
    return int(seed)


def _crops_per_clip(recordings: Recordings, crop_samples: int) -> np.ndarray:
    return -(-recordings.lengths // crop_samples)


def _by_speaker(recordings: Recordings) -> Recordings:
    """The recordings in the order of their speakers."""
    if not len(recordings.speaker_names):
        raise InputError("balance_speakers needs recordings with speakers; these have none")
    return recordings.select(np.argsort(recordings.speaker_ids, kind="stable"))


class _Contents(NamedTuple):
    """What a crop is made of.

    Attributes:
        samples: int16 `[samples]`.
        frames: of the features, float32 `[frames, channels]`; none where the model takes none.
        readable: bool, whether they could be read; both are zeros otherwise.
    """

    samples: tf.Tensor
    frames: tf.Tensor
    readable: tf.Tensor


class _Cropper:
    """Cuts crops out of recordings, with the context that the model needs before them."""

    def __init__(self, recordings: Recordings, model, crop_samples: int):
        if model.config.global_channels:
            raise InputError(
                "recordings have no global_conditioning: add it to the batches' inputs yourself"
            )
        if model.config.num_speakers:
            known = len(recordings.speaker_names)
            if model.config.num_speakers != known:
                raise InputError(
                    f"the model is conditioned on {model.config.num_speakers} speakers; the "
                    f"recordings are labelled with {known or 'none'}"
                )
            if UNKNOWN in recordings.speaker_ids:
                first = int(np.argmax(recordings.speaker_ids == UNKNOWN))
                raise InputError(f"{recordings.names[first]} has no speaker")
        found = recordings.num_feature_channels
        if (model.config.local_channels or found) != found:
            raise InputError(
                f"the model is conditioned on {model.config.local_channels} local channels; the "
                f"recordings have features of {found or 'none'}"
            )
        self.recordings = recordings
        self.speaker_ids = (
            tf.constant(recordings.speaker_ids) if model.config.num_speakers else None
        )
        self.crop_samples = crop_samples
        # What only context stacks hear.
        self.context = model.receptive_field - model.config.trunk_receptive_field
        # Samples before and after the scored ones.
        self.before, self.after, self.hop = (
            model.config.trunk_receptive_field - 1,
            0,
            model.hop_length,
        )
        self.channels = 0
        if self.hop:
            frames_before = -(-self.before // self.hop) + model.trunk.upsampler.frames_before
            self.before = frames_before * self.hop
            self.after = model.trunk.upsampler.look_ahead
            self.channels = found or 0
        self.targets = self.before + self.crop_samples + self.after
        self.distribution = model.distribution
        self.lengths = tf.constant(recordings.lengths)
        # Crop numbers: those of the first clip, then those of the second, and so on.
        crops_before = np.cumsum(np.append(0, _crops_per_clip(recordings, crop_samples)))
        self.crops = int(crops_before[-1])
        self.crops_before = tf.constant(crops_before)

    def locate(self, number):
        """The clip that a crop number falls in, and which of the clip's crops it is."""
        clip = tf.searchsorted(self.crops_before, number[None], side="right")[0] - 1
        return clip, number - self.crops_before[clip]

    def read(self, clip, start) -> _Contents:
        """Reads what a crop that scores the clip from `start` on holds.

        Args:
            clip: its number.
            start: in samples.
        """
        first, last = self._bounds(start)
        contents = _Contents(
            *tf.numpy_function(
                self._read, [clip, first, last], [tf.int16, tf.float32, tf.bool], stateful=False
            )
        )
        contents.samples.set_shape([1 + self.context + self.targets])
        contents.frames.set_shape([self.targets // self.hop if self.hop else 0, self.channels])
        contents.readable.set_shape([])
        return contents

    def _bounds(self, start):
        """Where the samples of a crop begin and end in the clip."""
        return start - self.before - 1 - self.context, start - self.before + self.targets

    def crop(self, clip, start, contents: _Contents, drift=None):
        """Inputs, targets and weights of the crop that scores the clip from `start` on.

        Args:
            clip: its number.
            start: in samples.
            contents: of the crop, as `read` returns them; without weight if they are not readable.
            drift: makes so many samples of a drift to be heard; None for none.
        """
        first, last = self._bounds(start)
        waveform = tf.cast(contents.samples, tf.float32) / STEPS_OF_16_BITS
        places = tf.range(first, last)
        values = targeted = self.distribution.encode(waveform)
        if drift is not None:
            heard = drift(tf.shape(places)[0])
            values = self.distribution.encode(waveform + heard)
            targeted = self.distribution.encode(waveform + DRIFT_KEPT * heard)
        end = tf.minimum(start + self.crop_samples, self.lengths[clip])
        scored = (places >= start) & (places < end) & contents.readable
        context, values = values[: self.context], values[self.context :]
        targeted, scored = targeted[self.context :], scored[self.context :]
        inputs = {"audio": values[:-1]}
        if self.context:
            inputs["context_audio"] = context
        if self.speaker_ids is not None:
            inputs["speaker_id"] = self.speaker_ids[clip]
        if self.hop:
            inputs["local_conditioning"] = contents.frames
        if len(inputs) == 1:
            inputs = inputs["audio"]
        return inputs, targeted[1:], tf.cast(scored[1:], tf.float32)

    def _read(self, clip, first, last) -> tuple[np.ndarray, np.ndarray, np.bool_]:
        """Samples and frames of a clip, and whether they can be read."""
        samples = np.zeros(last - first, np.int16)
        frames = np.zeros([self.targets // self.hop if self.hop else 0, self.channels], np.float32)
        try:
            self._read_samples(clip, first, last, samples)
            if self.hop:
                self._read_frames(clip, (first + 1 + self.context) // self.hop, frames)
        except InputError as error:
            self.recordings.add_unreadable(clip, error)
            return np.zeros_like(samples), np.zeros_like(frames), np.bool_(False)
        return samples, frames, np.bool_(True)

    def _read_samples(self, clip, first, last, samples: np.ndarray) -> None:
        """Around a clip lies digital silence, which is where generation starts from."""
        begin, end = max(first, 0), min(last, self.recordings.lengths[clip])
        samples[begin - first : end - first] = self.recordings.clips[clip][begin:end]

    def _read_frames(self, clip, first, frames: np.ndarray) -> None:
        """Around a clip, its first and last frame are repeated, as they are in generation."""
        stored = self.recordings.features[clip]
        places = np.clip(np.arange(first, first + len(frames)), 0, len(stored) - 1)
        frames[:] = stored[places[0] : places[-1] + 1][places - places[0]]


def _drift(draws, sample_rate: int, length) -> tf.Tensor:
    """A slow sine, or zeros, float32 `[length]`, as four uniform numbers say."""
    level, frequency, phase, chosen = tf.unstack(draws)
    time = tf.cast(tf.range(length), tf.float32) / sample_rate
    wave = tf.sin(2.0 * math.pi * (FASTEST_DRIFT * frequency * time + phase))
    # Small ones are more frequent.
    return tf.where(chosen < DRIFTING_CROPS, LARGEST_DRIFT * level**2 * wave, 0.0)
