"""What clients of an exported model need to know of it, as JSON holds it."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.clients import GENERATION
from wavenet_tf.errors import InputError, positive_integer


def model_metadata(model, task: str) -> dict[str, Any]:
    """Returns what clients of any exported model need, as JSON holds it.

    Args:
        model: a `WaveNet` or a `WaveNetClassifier`.
        task: what the model does.
    """
    from wavenet_tf import __version__

    config = model.config
    return {
        "wavenet_tf_version": __version__,
        "tensorflow_version": tf.__version__,
        "keras_version": keras.__version__,
        "task": task,
        "sample_rate": config.sample_rate,
        "receptive_field": model.receptive_field,
        "output_distribution": config.output_distribution,
        "quantization_channels": config.quantization_channels,
    }


def checked_block_size(block_size: int | None, default: int, unit: int, frames: str) -> int:
    """Returns the samples of a block.

    Args:
        block_size: number of samples; None takes the default.
        default: the default, or the next multiple of `unit`.
        unit: samples of a frame, of which a block has whole ones.
        frames: what the frames are, for the error.

    Raises:
        InputError: for a block size that is no multiple of `unit`.
    """
    if block_size is None:
        return -(-default // unit) * unit
    if positive_integer("block_size", block_size) % unit:
        raise InputError(
            f"block_size must be a multiple of {unit}, {frames}; received {block_size}"
        )
    return block_size


def generator_metadata(model, block_size: int) -> dict[str, Any]:
    """Returns what clients of any exported generator need, as JSON holds it.

    Args:
        model: a `WaveNet`.
        block_size: samples of a block.
    """
    spec = model.conditioning
    has_frames = spec.local_channels is not None
    mean, deviation = frame_statistics(model) or (None, None)
    return {
        **model_metadata(model, GENERATION),
        "block_size": block_size,
        "uniforms_per_sample": math.prod(model.distribution.uniforms_shape),
        "conditioning": list(spec.names),
        "num_speakers": spec.num_speakers,
        "speaker_names": _optional_list(spec.speaker_names),
        "global_channels": spec.global_channels,
        "tag_names": _optional_list(spec.tag_names),
        "local_channels": spec.local_channels,
        "features": _optional_list(spec.features),
        "phone_set": _optional_list(spec.phone_set),
        "hop_length": spec.hop_length,
        # Frames that a block takes, besides its own.
        "frames_before": spec.frames_before if has_frames else None,
        "frames_after": spec.frames_after if has_frames else None,
        # Of the frames of the training data.
        "frame_mean": None if mean is None else mean.tolist(),
        "frame_deviation": None if deviation is None else deviation.tolist(),
        # Whether there is the signature `prosody`.
        "prosody": False,
    }


def frame_statistics(model) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the mean and the deviation of each channel of a model's frames in training.

    Args:
        model: a `WaveNet`.

    Returns:
        None for a model without frames of audio features, or one that was not trained.
    """
    if model.trunk.upsampler is None or model.config.phone_set is not None:
        return None
    return model.trunk.upsampler.statistics


def _optional_list(values) -> list[str] | None:
    return None if values is None else list(values)
