"""The recordings of a run."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wavenet_tf import data
from wavenet_tf.data.splits import check_fraction, unit_hash
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet, WaveNetClassifier
from wavenet_tf.runs.adaptation import label_adapted
from wavenet_tf.runs.settings import Settings, stored_settings


def read_run_recordings(
    settings: Settings,
    model: WaveNet | WaveNetClassifier,
    directory: str | os.PathLike,
    full_precision: bool = False,
) -> data.Recordings:
    """Reads a folder of recordings at a model's sample rate, with the run's choice of speakers.

    Args:
        settings: of the run.
        model: which gives the sample rate and, if it has speakers, their order.
        directory: of recordings.
        full_precision: see `data.read_recordings`.

    Raises:
        InputError: as `data.read_recordings` and `Recordings.with_speakers` raise it.
    """
    recordings = data.read_recordings(
        directory, model.sample_rate, settings.layout, full_precision=full_precision
    )
    return with_labels(settings, recordings, model.config.speaker_names)


def with_labels(
    settings: Settings, recordings: data.Recordings, speaker_names: Sequence[str] | None = None
) -> data.Recordings:
    """Returns recordings with the speakers, alignments and folding that the settings name.

    Args:
        settings: of the run.
        recordings: as they were read.
        speaker_names: the possible speakers, in the order of their ids; None for all, sorted.

    Raises:
        InputError: as `Recordings.with_speakers` and `data.with_alignments` raise it.
    """
    if settings.alignments is not None:
        recordings = data.with_alignments(recordings, settings.alignments)
    if settings.folding is not None:
        recordings = data.fold_alignments(recordings, settings.labels, settings.folding)
    if settings.adapt_from is not None:
        return label_adapted(settings, recordings, speaker_names)
    if settings.speakers is not None:
        recordings = recordings.with_speakers(settings.speakers, speaker_names)
    return recordings


def split_recordings(
    settings: Settings, recordings: data.Recordings, gap: int
) -> tuple[data.Recordings, data.Recordings]:
    """Splits the recordings of a run into those for training and those for validation.

    Args:
        settings: of the run.
        recordings: all of them.
        gap: see `Recordings.split`.

    Raises:
        InputError: if a side would be empty, or speakers are needed and there are none.
    """
    if settings.validation_pattern is None:
        return recordings.split(settings.validation_fraction, gap, settings.split_by)
    try:
        pattern = re.compile(settings.validation_pattern)
    except re.error as error:
        raise InputError(
            f"validation_pattern must be a regular expression; received "
            f"{settings.validation_pattern!r}: {error}"
        ) from error
    validated = np.array([bool(pattern.search(name)) for name in recordings.names])
    if validated.all() or not validated.any():
        raise InputError(
            f"validation_pattern {settings.validation_pattern!r} is found in "
            f"{int(validated.sum())} of {len(validated)} recordings: both training and validation "
            "need some"
        )
    training, validation = np.flatnonzero(~validated), np.flatnonzero(validated)
    # The first recordings for validation are an unbiased sample of them.
    hashes = [unit_hash(recordings.names[index]) for index in validation]
    return recordings.select(training), recordings.select(validation[np.argsort(hashes)])


def recordings_from_run(
    model_dir: str | os.PathLike,
    model: WaveNet,
    directory: str | os.PathLike,
    split: str = "all",
    validation_fraction: float | None = None,
    full_precision: bool = False,
) -> data.Recordings:
    """Reads a folder of recordings with the speakers and features that a run's model needs.

    Args:
        model_dir: of the training run.
        model: of the run.
        directory: of recordings.
        split: "all" of the recordings; "validation" for the validation split of training on the
            same folder; "test" for the corpus' test set.
        validation_fraction: fraction of the duration to validate on, if the corpus has no
            validation split; None for that of the run.
        full_precision: see `data.read_recordings`.

    Raises:
        InputError: as `read_run_recordings` raises it.
    """
    if validation_fraction is not None:
        check_fraction("validation_fraction", validation_fraction)
    settings = Settings.from_run(model_dir, data_dir=str(directory))
    if Path(directory).resolve() != Path(stored_settings(model_dir).get("data_dir", "")).resolve():
        settings = dataclasses.replace(settings, layout="auto")
    recordings = read_run_recordings(settings, model, directory, full_precision)
    if split == "validation":
        if validation_fraction is not None:
            settings = dataclasses.replace(settings, validation_fraction=validation_fraction)
        _, recordings = split_recordings(settings, recordings, model.receptive_field)
    elif split == "test":
        recordings = recordings.test_split()
    return model.crop_spec.prepare(recordings)
