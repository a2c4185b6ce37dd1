"""Distances between the spectra of two recordings."""

import numpy as np

from wavenet_tf import audio
from wavenet_tf.errors import InputError

# Lower levels count as this one, in dB of full scale.
FLOOR_DB = -80.0


def log_spectral_distance(reference, waveform, sample_rate: int) -> float:
    """Computes the log-spectral distance of two recordings.

    It is the root mean square, over frequencies, of the difference of their levels in dB, averaged
    over frames (Gray and Markel 1976, "Distance measures for speech processing"). Windows have
    50 ms, hops 12.5 ms.

    Args:
        reference: float `[samples]` in [-1, 1].
        waveform: float `[samples]` in [-1, 1].
        sample_rate: in Hz.

    Returns:
        The distance in dB; 0 if all magnitudes are the same.

    Raises:
        InputError: if the recordings differ in length.

    Example:
    >>> noise = np.random.default_rng(0).uniform(-1.0, 1.0, 8000)
    >>> round(log_spectral_distance(noise, 0.1 * noise, sample_rate=8000), 2)
    20.0
    """
    if len(reference) != len(waveform):
        raise InputError(
            f"recordings must be equally long; received {len(reference)} and {len(waveform)}"
        )
    reference_levels, levels = (
        np.maximum(audio.spectral_levels(samples, sample_rate), FLOOR_DB)
        for samples in (reference, waveform)
    )
    return float(np.mean(np.sqrt(np.mean((reference_levels - levels) ** 2, axis=-1))))
