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
        recordings: with features, at the model's sample rate; with speakers, if the model has them.
        temperature: see `WaveNet.generate`.
        seed: see `WaveNet.generate`.
        progress: shows a progress bar.

    Returns:
        The generated clips, float32 `[samples]` in [-1, 1], each as long as the recorded one.

    Raises:
        InputError: for a model or recordings without features.
    """
    check_has_features(model)
    if not len(recordings.features):
        raise InputError("the recordings have no features: see `Recordings.with_features`")
    features = [frames[:] for frames in recordings.features]
    longest = max(map(len, features))
    # Shorter clips repeat their last frame, as the upsampler does at the end of a signal.
    padded = [np.pad(frames, [(0, longest - len(frames)), (0, 0)], "edge") for frames in features]
    generated = model.generate(
        longest * model.hop_length,
        batch_size=len(padded),
        speaker_id=recordings.speaker_ids if model.config.num_speakers else None,
        local_conditioning=np.stack(padded),
        temperature=temperature,
        seed=seed,
        progress=progress,
    )
    return [clip[:length] for clip, length in zip(generated, recordings.lengths, strict=True)]
