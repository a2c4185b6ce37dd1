"""The section of a corpus report about a training batch: what a model is trained on."""

from __future__ import annotations

import dataclasses

import numpy as np

from wavenet_tf import data
from wavenet_tf.reports import html, pictures

BATCH_SIZE = 4


@dataclasses.dataclass(frozen=True)
class TrainingBatch:
    """The first batch of a training, decoded to waveforms.

    Attributes:
        waveforms: context, inputs and the last target of each crop, float `[crops, samples]`.
        scored: whether each of these samples is a target with a weight, bool `[crops, samples]`.
        speakers: id and name of each crop's speaker; empty for a model without speaker names.
        num_shared: number of targets that are inputs too.
        num_equal: number of these that equal the input one sample later; all of them, if targets
            are aligned as they should be.
    """

    waveforms: np.ndarray
    scored: np.ndarray
    speakers: list[str]
    num_shared: int
    num_equal: int


def first_training_batch(
    recordings: data.Recordings, model, crop_seconds: float, seed: int
) -> TrainingBatch:
    """Returns the first batch of training a model on recordings.

    Args:
        recordings: the training split.
        model: a `WaveNet` with the categorical output distribution.
        crop_seconds: length of the scored part of a crop, in seconds.
        seed: of the order of the crops.

    Raises:
        InputError: if an argument is out of its range, or the recordings do not suit the model.
    """
    batches = data.training_batches(recordings, model.crop_spec, BATCH_SIZE, crop_seconds, seed)
    inputs, targets, weights = next(batches.as_numpy_iterator())
    inputs = inputs if isinstance(inputs, dict) else {"audio": inputs}
    equal = inputs["audio"][:, 1:] == targets[:, :-1]
    context = inputs.get("context_audio", targets[:, :0])
    # The last target is no input.
    codes = np.concatenate([context, inputs["audio"], targets[:, -1:]], axis=1)
    scored = np.zeros(codes.shape, bool)
    scored[:, -targets.shape[1] :] = weights > 0
    speakers = []
    if model.config.speaker_names:
        speakers = [f"id {id}, {model.config.speaker_names[id]}" for id in inputs["speaker_id"]]
    return TrainingBatch(
        waveforms=np.asarray(model.distribution.decode(codes)),
        scored=scored,
        speakers=speakers,
        num_shared=equal.size,
        num_equal=int(np.count_nonzero(equal)),
    )


def training_batch_section(batch: TrainingBatch, model, preset: str, seed: int) -> html.Html:
    """Returns the section that shows and plays the crops of a batch.

    Args:
        batch: the batch.
        model: the `WaveNet` that it is for.
        preset: name of the model's preset.
        seed: of the order of the crops.
    """
    return html.section(
        "Training batch",
        html.paragraph(
            f"The first batch of a training with preset {preset} and seed {seed}, decoded from its "
            "mu-law codes. Samples that are inputs but not scored are shaded: the "
            f"{model.receptive_field - 1:,} samples of context at the start, which are silence if "
            "the crop is the first of its clip, and those after the end of the clip. "
            f"{batch.scored.mean():.1%} of the batch is scored."
        ),
        html.paragraph(
            "Each target is the input one sample later: this holds for "
            f"{batch.num_equal:,} of the {batch.num_shared:,} targets that are inputs too."
        ),
        html.grid(*(_crop_card(batch, crop, model) for crop in range(len(batch.waveforms)))),
    )


def _crop_card(batch: TrainingBatch, crop: int, model) -> html.Html:
    waveform, scored = batch.waveforms[crop], batch.scored[crop]
    facts = {}
    if batch.speakers:
        facts["Speaker"] = batch.speakers[crop]
    facts["Scored"] = (
        f"{np.count_nonzero(scored):,} of {len(scored):,} samples ({scored.mean():.1%})"
    )
    return html.card(
        f"Crop {crop + 1}",
        html.picture(
            pictures.crop_figure(waveform, scored, model.sample_rate),
            "Waveform; samples that are not scored are shaded",
        ),
        html.player(waveform, model.sample_rate),
        html.facts(facts),
    )
