"""The untrained model of a run, for the task and the labels of the recordings."""

from collections.abc import Sequence
from typing import Any

import keras

from wavenet_tf import audio, data
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet, WaveNetClassifier, WaveNetConfig
from wavenet_tf.models.config import frame_channels
from wavenet_tf.options import CLASSIFIER_TASKS
from wavenet_tf.runs.recordings import with_labels
from wavenet_tf.runs.settings import Settings

# WaveNet's linguistic features and F0 come 200 times a second (section 3.2).
SPEECH_FRAME_SECONDS = 0.005
TAGS = "tags"  # in place of a rule for classes


def new_model(settings: Settings) -> tuple[WaveNet | WaveNetClassifier, data.Recordings]:
    """Returns an untrained model for a run's task and recordings, and all recordings.

    Args:
        settings: of the run.

    Raises:
        InputError: if the recordings cannot be used, or lack the labels of the task.
    """
    arguments = dict(settings.overrides)
    if settings.task in CLASSIFIER_TASKS:
        # A classifier learns much faster from the waveform than from codes, which have no order.
        arguments = {"output_distribution": "logistic_mixture", **arguments}
    if "sample_rate" not in arguments and data.is_prepared(settings.data_dir):
        arguments["sample_rate"] = data.open_prepared(settings.data_dir).sample_rate
    # Invalid arguments raise here, before the recordings are read, which may take long.
    sample_rate = WaveNetConfig.from_preset(settings.preset, **arguments).sample_rate
    recordings = data.read_recordings(settings.data_dir, sample_rate, settings.layout)
    recordings = with_labels(settings, recordings)
    dtype = None if settings.precision == "float32" else settings.precision
    if settings.task in CLASSIFIER_TASKS:
        config = WaveNetConfig.from_preset(settings.preset, **arguments)
        classes = _classifier_arguments(settings, recordings)
        keras.utils.set_random_seed(settings.seed)
        return WaveNetClassifier(config, dtype=dtype, **classes), recordings
    arguments |= _condition_arguments(settings, recordings)
    keras.utils.set_random_seed(settings.seed)
    return WaveNet.from_preset(settings.preset, dtype=dtype, **arguments), recordings


def class_sources(
    settings: Settings, model: WaveNet | WaveNetClassifier
) -> tuple[data.ConditionSource, ...]:
    """Returns the sources of what a classifier learns; none for a generator.

    Args:
        settings: of the run.
        model: of the run.
    """
    if isinstance(model, WaveNet):
        return ()
    names = model.class_names or ()
    if model.targets == "frames":
        return (data.FrameClassSource(names, model.frame_length, settings.labels),)
    if model.targets == "sequence":
        return (
            data.SequenceSource(names, model.frame_length, settings.labels, settings.crop_seconds),
        )
    if model.targets == "tags":
        return (data.TagSource(names, name=data.CLASSES),)
    return (data.ClipClassSource(settings.classes or "", names),)


def _classifier_arguments(settings: Settings, recordings: data.Recordings) -> dict[str, Any]:
    """Returns the targets and the classes of a classifier."""
    if settings.learns_sequences:
        targets, names = "sequence", data.find_sequence_classes(settings.labels, recordings)
    elif settings.task == "recognize":
        targets, names = "frames", data.find_frame_classes(settings.labels, recordings)
    elif settings.classes == TAGS:
        targets, names = "tags", choose_tags("all", recordings.tag_names)
    else:
        targets, names = "clip", data.find_clip_classes(settings.classes or "", recordings)
    return {
        "targets": targets,
        "class_names": names,
        "num_classes": len(names),
        "next_sample": settings.next_sample_weight > 0.0,
    }


def _condition_arguments(settings: Settings, recordings: data.Recordings) -> dict[str, Any]:
    """Returns the arguments of a generator for the conditions in the recordings."""
    arguments: dict[str, Any] = {}
    if settings.speakers is not None:
        names = recordings.speaker_names
        arguments |= {"num_speakers": len(names), "speaker_names": list(names)}
    if settings.tags is not None:
        tag_names = choose_tags(settings.tags, recordings.tag_names)
        arguments |= {"global_channels": len(tag_names), "tag_names": tag_names}
    features = settings.feature_names or None
    phone_set = data.find_phone_set(recordings) if settings.task == "speak" else None
    if features is not None or phone_set is not None:
        seconds = SPEECH_FRAME_SECONDS if phone_set else audio.HOP_SECONDS
        default = max(1, round(seconds * recordings.sample_rate))
        arguments |= {
            "local_channels": frame_channels(features, phone_set),
            "upsample_factors": upsample_factors(recordings.hop_length or default),
            "features": features,
            "phone_set": phone_set,
        }
    return arguments


def choose_tags(tags: str, found: Sequence[str]) -> list[str]:
    """Returns the tags that a model is conditioned on.

    Args:
        tags: names joined by commas, or "all".
        found: all tags of the recordings.

    Raises:
        InputError: if the recordings have no tags, or not one of those named.

    Example:
    >>> choose_tags("all", ["guitar", "piano"]), choose_tags("piano", ["guitar", "piano"])
    (['guitar', 'piano'], ['piano'])
    """
    if not found:
        raise InputError(
            "tags need recordings with tags, from a manifest's column tags or a layout that has "
            "them; these have none"
        )
    names = list(found) if tags == "all" else [name.strip() for name in tags.split(",")]
    for name in names:
        if name not in found:
            raise InputError(f"tags must be some of {', '.join(found)}, or all; received {name!r}")
    return names


def upsample_factors(hop_length: int) -> tuple[int, int]:
    """Returns two factors of a hop length, as close to each other as possible, in ascending order.

    Example:
    >>> upsample_factors(200)
    (10, 20)
    """
    smaller = max(n for n in range(1, int(hop_length**0.5) + 1) if hop_length % n == 0)
    return smaller, hop_length // smaller
