"""Copy synthesis: recordings are generated again from their own features, as by a vocoder."""

import numpy as np

from wavenet_tf import data
from wavenet_tf.errors import InputError


def check_has_features(model) -> None:
    """Raises InputError unless a model is conditioned on features."""
    if not model.config.local_channels:
        raise InputError(
            "the model is not conditioned on features: copy synthesis takes one that was trained "
            "with features"
        )


def copy_synthesis(
    model,
    recordings: data.Recordings,
    temperature: float = 1.0,
    seed: int | None = None,
    progress: bool = False,
) -> list[np.ndarray]:
    """Generates every clip from its features, all clips in one batch.

    Args:
        model: a `WaveNet` with local conditioning.
        recordings: at the model's sample rate, with features and with the speakers or tags that
            the model is conditioned on.
        temperature: see `WaveNet.generate`.
        seed: see `WaveNet.generate`.
        progress: shows a progress bar.

    Returns:
        The generated clips, float32 `[samples]` in [-1, 1], each as long as the recorded one.

    Raises:
        InputError: for a model or recordings without features.
    """
    check_has_features(model)
    if not len(recordings.features) and model.config.phone_set is None:
        raise InputError("the recordings have no features: see `Recordings.with_features`")
    conditions = data.clip_conditions(model.crop_spec.conditions, recordings)
    generated = model.generate(
        conditions["local_conditioning"].shape[1] * model.hop_length,
        batch_size=len(recordings.names),
        temperature=temperature,
        seed=seed,
        progress=progress,
        **conditions,
    )
    return [clip[:length] for clip, length in zip(generated, recordings.lengths, strict=True)]
