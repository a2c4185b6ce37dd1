"""The recordings of a run."""

import dataclasses
import os
from pathlib import Path

from wavenet_tf import data
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.models import WaveNet
from wavenet_tf.runs.settings import Settings, stored_settings


def read_run_recordings(
    settings: Settings, model: WaveNet, directory: str | os.PathLike
) -> data.Recordings:
    """Reads a folder of recordings at a model's sample rate, with the run's choice of speakers.

    Args:
        settings: of the run.
        model: which gives the sample rate and, if it has speakers, their order.
        directory: of recordings.

    Raises:
        InputError: as `data.read_recordings` and `Recordings.with_speakers` raise it.
    """
    recordings = data.read_recordings(directory, model.sample_rate, settings.layout)
    if settings.speakers is None:
        return recordings
    return recordings.with_speakers(settings.speakers, model.config.speaker_names)


def recordings_from_run(
    model_dir: str | os.PathLike,
    model: WaveNet,
    directory: str | os.PathLike,
    split: str = "all",
    validation_fraction: float | None = None,
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

    Raises:
        InputError: as `read_run_recordings` raises it.
    """
    if validation_fraction is not None:
        check_fraction("validation_fraction", validation_fraction)
    settings = Settings.from_run(model_dir, data_dir=str(directory))
    if Path(directory).resolve() != Path(stored_settings(model_dir).get("data_dir", "")).resolve():
        settings = dataclasses.replace(settings, layout="auto")
    recordings = read_run_recordings(settings, model, directory)
    if split == "validation":
        if validation_fraction is None:
            validation_fraction = settings.validation_fraction
        _, recordings = recordings.split(validation_fraction, model.receptive_field)
    elif split == "test":
        recordings = recordings.test_split()
    return model.crop_spec.prepare(recordings)
