"""Batches of crops, `(inputs, targets, sample_weight)`, for training and evaluation."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from wavenet_tf.data.augmentation import draw_variation
from wavenet_tf.data.condition_source import ConditionSource
from wavenet_tf.data.crops import CropContents, Cropper, CropSpec, crops_per_clip
from wavenet_tf.data.raw import read_recordings
from wavenet_tf.data.recordings import Recordings
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.errors import InputError, check_seed, positive_integer, positive_number

# Added to the seed, these give independent random numbers for the same crop number: of the speaker,
# of the speaker's crop, of each further crop that is tried if one cannot be read (times the number
# of the attempt), and of the augmentation.
SPEAKER_DRAW, CROP_DRAW, REPLACEMENT_DRAW, AUGMENTATION_DRAW = 2**33, 2**34, 2**35, 2**45
MAX_REPLACEMENTS = 100


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
    sources: Sequence[ConditionSource] = (),
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Makes datasets for training and validation from a folder of recordings.

    Args:
        directory: a folder with WAV, AIFF, FLAC, OGG or MP3 files in it or below it, or a prepared
            corpus.
        model: the `WaveNet` or `WaveNetClassifier` to train. Its `crop_spec` says what batches
            hold. If its frames are not normalized yet, it adapts to those of the training split.
        batch_size: crops per batch.
        crop_seconds: scored part of a crop, in seconds.
        validation_fraction: share of the duration for validation, unless the corpus names a
            validation split, see `Recordings.split`.
        seed: seed of the order and the positions of crops.
        speakers: "corpus", "folder", "table.csv:column" or a regular expression, see
            `Recordings.with_speakers`; for a model with `num_speakers`. Ids are indices into the
            model's `speaker_names`, or into the sorted names if it has none.
        layout: layout of the corpus, see `corpora.read_corpus`; "auto" detects it.
        balance_speakers: see `training_batches`.
        sources: sources that replace those of the model, of conditions, such as a
            `FrameFileSource`, or of the classes that a classifier learns, such as a
            `ClipClassSource`.

    Returns:
        Endless training batches, for `fit` with `steps_per_epoch`; and validation batches that
        score every sample of the validation split once.

    Raises:
        InputError: if the folder has too few recordings for a split, or these lack something that
            the model is conditioned on.
    """
    # Arguments are checked before the recordings are read, which may take long.
    batch_size = positive_integer("batch_size", batch_size)
    crop_seconds = positive_number("crop_seconds", crop_seconds)
    seed = _checked_seed(seed)
    check_fraction("validation_fraction", validation_fraction)
    spec = model.crop_spec.with_sources(*sources)
    recordings = read_recordings(directory, spec.sample_rate, layout)
    if speakers is not None:
        recordings = recordings.with_speakers(speakers, model.config.speaker_names)
    print(recordings.summary)
    sides = recordings.split(validation_fraction, spec.full_receptive_field)
    training, validation = (spec.prepare(side) for side in sides)
    for source in spec.frame_sources:
        # Unnamed features of a prepared corpus are used as they are.
        normalizes = model.config.features or source in sources
        if normalizes and not model.trunk.upsampler.adapted:
            model.trunk.adapt(source.sample_frames(training))
    longest = longest_crop_seconds(training, spec, crop_seconds)
    if longest < crop_seconds:
        print(f"crops of {longest:.2f} s, the longest recording, instead of {crop_seconds:g} s")
    return (
        training_batches(
            training, spec, batch_size, longest, seed, balance_speakers=balance_speakers
        ),
        evaluation_batches(
            validation, spec, batch_size, longest_crop_seconds(validation, spec, crop_seconds)
        ),
    )


def training_batches(
    recordings: Recordings,
    spec: CropSpec,
    batch_size: int,
    crop_seconds: float,
    seed: int = 0,
    first_batch: int = 0,
    balance_speakers: bool = False,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Makes endless batches of random crops.

    - Seed and crop number alone determine clip and position. A run that is resumed at `first_batch`
      gets the batches that it would have got, and an iterator may be saved in a
      `tf.train.Checkpoint`.
    - An epoch takes one crop from each clip for every crop length in it: the first at the clip's
      start, the others at random positions, shuffled over all clips.
    - If the spec asks for it, a slow drift is added to half of the crops, and the targets decrease
      it; or the crops are varied, see `augmentation.vary_waveform`.
    - A crop that cannot be read is replaced by another random crop; if none of these can be read,
      its weights are 0. `Recordings.unreadable` names the clips.

    Args:
        recordings: the clips.
        spec: what a crop holds, such as `WaveNet.crop_spec`.
        batch_size: crops per batch.
        crop_seconds: scored part of a crop, in seconds.
        seed: seed of the order and the positions of crops.
        first_batch: number of the first batch.
        balance_speakers: draw a speaker first, all with equal probability, then one of the
            speaker's crops.
        worker: index of the worker whose share of each batch this is.
        num_workers: workers that share each batch. Their shares together are the batch that a
            single worker gets.

    Returns:
        Batches `(values, values one sample later, weights)`, each `[batch_size, context + crop]`,
        with at least `spec.receptive_field - 1` samples of context. If the spec has condition
        sources, the inputs are a dict of the values as `audio` and the sources' values by name.
        Frames are those of the targets; crops then start and end with a whole frame. If the spec
        has context samples, the dict has them as `context_audio`.

    Raises:
        InputError: if an argument is out of its range, or the recordings lack something that a
            condition source needs.
    """
    batch_size = positive_integer("batch_size", batch_size)
    num_workers = positive_integer("num_workers", num_workers)
    share, rest = divmod(batch_size, num_workers)
    if rest or not 0 <= worker < num_workers:
        raise InputError(
            f"batch_size must be a multiple of num_workers, and worker below it; received "
            f"{batch_size}, {num_workers} and {worker}"
        )
    seed = _checked_seed(seed)
    if balance_speakers:
        recordings = _sorted_by_speaker(recordings)
    cropper = Cropper(recordings, spec, spec.crop_samples(crop_seconds))
    crops = _RandomCrops(cropper, seed, balance_speakers)

    def crop_of_share(index):
        # The crops of a batch are numbered worker by worker.
        return crops.crop(index // share * batch_size + worker * share + index % share)

    indices = tf.data.Dataset.range(first_batch * share, np.iinfo(np.int64).max)
    dataset = indices.map(crop_of_share, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(share, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    recordings: Recordings,
    spec: CropSpec,
    batch_size: int,
    crop_seconds: float,
    whole_batches: bool = False,
) -> tf.data.Dataset:
    """Makes crops that together score every sample of every clip once, each with full context.

    Args:
        recordings: the clips; crops come in their order.
        spec: what a crop holds, such as `WaveNet.crop_spec`.
        batch_size: crops per batch; the last batch may have fewer.
        crop_seconds: scored part of a crop, in seconds; scores do not depend on it.
        whole_batches: fill the last batch up with crops whose weights are 0.

    Returns:
        Batches like those of `training_batches`. Crops that cannot be read have weights of 0;
        `Recordings.unreadable` names their clips.

    Raises:
        InputError: as `training_batches` raises it.
    """
    batch_size = positive_integer("batch_size", batch_size)
    cropper = Cropper(recordings, spec, spec.crop_samples(crop_seconds))

    def next_crop(number):
        clip, index = cropper.locate(tf.minimum(number, cropper.num_crops - 1))
        start = index * cropper.crop_samples
        inputs, targets, weights = cropper.crop(clip, start, cropper.read(clip, start))
        padding = number >= cropper.num_crops
        return (
            inputs,
            targets,
            tf.nest.map_structure(lambda weight: tf.where(padding, 0.0, weight), weights),
        )

    batches = -(-cropper.num_crops // batch_size)
    end = batches * batch_size if whole_batches else cropper.num_crops
    crops = tf.data.Dataset.range(end).map(next_crop, num_parallel_calls=tf.data.AUTOTUNE)
    return crops.batch(batch_size, drop_remainder=whole_batches).prefetch(tf.data.AUTOTUNE)


def clips_of_crops(recordings: Recordings, spec: CropSpec, crop_seconds: float) -> np.ndarray:
    """Returns the index of the clip that each crop of `evaluation_batches` is of, int `[crops]`.

    Args:
        recordings: the clips.
        spec: what a crop holds.
        crop_seconds: scored part of a crop, in seconds.
    """
    crops = crops_per_clip(recordings, spec.crop_samples(crop_seconds))
    return np.repeat(np.arange(len(crops)), crops)


def longest_crop_seconds(recordings: Recordings, spec: CropSpec, crop_seconds: float) -> float:
    """Returns `crop_seconds`, or the length of the longest clip in whole frames if that is shorter.

    Longer crops would hold nothing more but padding.

    Args:
        recordings: the clips.
        spec: what a crop holds.
        crop_seconds: requested length of a crop, in seconds.

    Raises:
        InputError: if `crop_seconds` is out of its range.
    """
    longest = spec.crop_samples(int(recordings.lengths.max()) / spec.sample_rate)
    if spec.crop_samples(crop_seconds) <= longest:
        return crop_seconds
    return longest / spec.sample_rate


class _RandomCrops:
    """The endless sequence of random crops that `training_batches` batches.

    Args:
        cropper: cuts the crops.
        seed: seed of the order and the positions.
        balance_speakers: draw a speaker first; clips are then sorted by speaker.
    """

    def __init__(self, cropper: Cropper, seed: int, balance_speakers: bool):
        self.cropper = cropper
        self.seed = seed
        self.balance_speakers = balance_speakers
        # Crops start with a whole frame.
        self.hop = cropper.spec.hop_length or 1
        lengths, speaker_ids = cropper.recordings.lengths, cropper.recordings.speaker_ids
        last_starts = np.maximum(lengths - cropper.crop_samples, 0)
        self.num_starts = tf.constant(-(-last_starts // self.hop) + 1)
        # Number of crops before the first crop of each speaker.
        self.speaker_bounds = tf.constant([0, cropper.num_crops], tf.int64)
        if balance_speakers:
            first_clips = np.unique(speaker_ids, return_index=True)[1]
            self.speaker_bounds = tf.gather(cropper.crops_before, [*first_clips, len(lengths)])

    def crop(self, number):
        """Returns inputs, targets and weights of a crop.

        Args:
            number: number of the crop in the sequence, int64 scalar.
        """
        cropper, seed = self.cropper, self.seed

        def replace(attempt, *_):
            other_seed = seed + REPLACEMENT_DRAW * attempt
            clip, start = self._position(self._draw(other_seed, number), other_seed, number)
            return attempt + 1, clip, start, cropper.read(clip, start)

        def is_unreadable(attempt, clip, start, contents: CropContents):
            return ~contents.readable

        clip, start = self._position(self._next(number), seed, number)
        _, clip, start, contents = tf.while_loop(
            is_unreadable,
            replace,
            [tf.constant(1, tf.int64), clip, start, cropper.read(clip, start)],
            parallel_iterations=1,
            maximum_iterations=MAX_REPLACEMENTS,
        )
        drift_draws = None
        if cropper.spec.drift:
            drift_draws = tf.random.stateless_uniform([4], tf.stack([seed, -1 - number]))
        variation = None
        if cropper.spec.augment:
            variation = draw_variation(tf.stack([seed + AUGMENTATION_DRAW, number]))
        return cropper.crop(clip, start, contents, drift_draws, variation)

    def _next(self, number):
        """Returns which of the cropper's crops comes next: a shuffled epoch, or a random crop."""
        if self.balance_speakers:
            return self._draw(self.seed, number)
        num_crops = self.cropper.num_crops
        epoch, index = number // num_crops, number % num_crops
        order_seed = tf.cast(tf.stack([self.seed, epoch]), tf.int32)
        return tf.random.experimental.index_shuffle(index, order_seed, num_crops - 1)

    def _draw(self, seed, number):
        """Returns the number of a random crop, among all or among those of a random speaker."""
        speaker = 0
        if self.balance_speakers:
            num_speakers = len(self.speaker_bounds) - 1
            speaker = tf.random.stateless_uniform(
                [], tf.stack([seed + SPEAKER_DRAW, number]), maxval=num_speakers, dtype=tf.int32
            )
        first, end = self.speaker_bounds[speaker], self.speaker_bounds[speaker + 1]
        return tf.random.stateless_uniform(
            [], tf.stack([seed + CROP_DRAW, number]), minval=first, maxval=end, dtype=tf.int64
        )

    def _position(self, crop_number, seed, number):
        """Returns the clip of a crop, and its first scored sample."""
        clip, index = self.cropper.locate(crop_number)
        start = tf.random.stateless_uniform(
            [], tf.stack([seed, number]), maxval=self.num_starts[clip], dtype=tf.int64
        )
        return clip, tf.where(index == 0, tf.constant(0, tf.int64), start * self.hop)


def _checked_seed(seed) -> int:
    """Returns a seed as an int; raises InputError unless it is a whole number."""
    if seed is None:
        raise InputError("seed must be a whole number; received None")
    check_seed(seed)
    return int(seed)


def _sorted_by_speaker(recordings: Recordings) -> Recordings:
    """Returns the recordings in the order of their speakers' ids."""
    if not len(recordings.speaker_names):
        raise InputError("balance_speakers needs recordings with speakers; these have none")
    return recordings.select(np.argsort(recordings.speaker_ids, kind="stable"))
