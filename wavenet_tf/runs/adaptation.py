"""A run that adapts a trained model to a further speaker."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wavenet_tf import data
from wavenet_tf.data.labels import UNKNOWN, find_speakers, label_by_rule, reindex_speakers
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet, add_speaker
from wavenet_tf.runs.checkpointing import load_model
from wavenet_tf.runs.settings import Settings, stored_settings

# In the model directory of a run that adapts all weights: the run before, which learns the row.
ROW = "speaker_embedding"


def label_adapted(
    settings: Settings, recordings: data.Recordings, known: Sequence[str] | None
) -> data.Recordings:
    """Returns recordings with their speakers, for a run that adapts a model.

    The rule is that of the settings, or else that of the run whose model is adapted. If it finds no
    speaker in some recording, all recordings are of the new speaker, named after their folder.

    Args:
        settings: of the run.
        recordings: as they were read.
        known: the speakers of the adapted model, the new one last; None for a new run.

    Raises:
        InputError: for a new run whose recordings have more than one speaker, or for a speaker that
            is not known.
    """
    rule = settings.speakers or stored_settings(settings.adapt_from or "").get("speakers")
    found, ids = recordings.speaker_names, recordings.speaker_ids
    if rule not in (None, "corpus"):
        found, ids = find_speakers(recordings.names, label_by_rule(rule, recordings.directory))
    if not len(found) or UNKNOWN in ids:
        found = [known[-1] if known else Path(settings.data_dir).resolve().name]
        ids = np.zeros(len(recordings.names), np.int32)
    if known is None:
        if len(found) > 1:
            raise InputError(
                f"adapt_from takes recordings of one new speaker; {settings.data_dir} has "
                f"{len(found)}: {', '.join(sorted(found))}"
            )
        known = list(found)
    ids = reindex_speakers(found, ids, known, recordings.names)
    return dataclasses.replace(recordings, speaker_names=list(known), speaker_ids=ids)


def adapted_model(
    settings: Settings, row_dir: str | os.PathLike | None = None
) -> tuple[WaveNet, data.Recordings]:
    """Returns the model that a run adapts, and the recordings of the new speaker.

    Args:
        settings: of the run.
        row_dir: model directory of the run that has learned the speaker's row, before all weights
            are adapted; None to add the row to the model of `settings.adapt_from`.

    Raises:
        InputError: if there is no model with named speakers, it has the new speaker already, or the
            recordings have several speakers.
    """
    model = load_model(row_dir or settings.adapt_from or "", kind=WaveNet)
    recordings = data.read_recordings(settings.data_dir, model.sample_rate, settings.layout)
    if row_dir is None:
        (name,) = label_adapted(settings, recordings, None).speaker_names
        model = add_speaker(model, name)
        model.trained = "all" if settings.adapt_all else "speaker_embedding"
    else:
        row = model
        model = WaveNet(dtype=row.dtype_policy, **row.config.to_dict())  # not compiled yet
        model.set_weights(row.get_weights())
    return model, label_adapted(settings, recordings, model.config.speaker_names)
