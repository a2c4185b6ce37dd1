"""The recordings of a run."""

import dataclasses
import os
from pathlib import Path

from wavenet_tf import data
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.models import WaveNet
from wavenet_tf.runs.settings import Settings, stored_settings


def read_recordings(
    settings: Settings, model: WaveNet, directory: str | os.PathLike
) -> data.Recordings:
    """Reads a folder for the model of a run, with the speakers that the run tells apart.

    Args:
        settings: of the run.
        model: whose sample rate and, if it has them, speakers count.
        directory: of recordings.

    Raises:
        InputError: as `data.read_recordings` and `Recordings.with_speakers` raise it.
    """
    recordings = data.read_recordings(directory, model.sample_rate, settings.layout)
    if settings.speakers is None:
        return recordings
    return recordings.with_speakers(settings.speakers, model.speaker_names)


def recordings_of_run(
    model_dir: str | os.PathLike,
    model: WaveNet,
    directory: str | os.PathLike,
    split: str = "all",
    validation_fraction: float | None = None,
) -> data.Recordings:
    """Reads a folder as a run's own: with the speakers and features that its model wants.

    Args:
        model_dir: of the training run.
        model: of it.
        directory: of recordings.
        split: "all" of them, "validation" for the validation split of training on the same folder,
            or "test" for the corpus' test set.
        validation_fraction: of the duration, where the corpus does not say what to validate on;
            None takes the run's.

    Raises:
        InputError: as `read_recordings` raises it.
    """
    if validation_fraction is not None:
        check_fraction("validation_fraction", validation_fraction)
    settings = Settings.of_run(model_dir, data_dir=str(directory))
    if Path(directory).resolve() != Path(stored_settings(model_dir).get("data_dir", "")).resolve():
        settings = dataclasses.replace(settings, layout="auto")
    recordings = read_recordings(settings, model, directory)
    if split == "validation":
        if validation_fraction is None:
            validation_fraction = settings.validation_fraction
        _, recordings = recordings.split(validation_fraction, model.receptive_field)
    elif split == "test":
        recordings = recordings.test_split()
    if model.features:
        recordings = recordings.with_features(model.features, model.hop_length)
    return recordings
