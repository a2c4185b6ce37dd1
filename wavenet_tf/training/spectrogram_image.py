"""Spectrograms as images."""

from collections.abc import Sequence

import numpy as np

from wavenet_tf import audio

# Levels at or below this, in dB of full scale, are black.
FLOOR_DB = -80.0
HOP_SECONDS = 0.005
GAP_PIXELS = 8
# The colors of evenly spaced levels from the floor to full scale; levels between are interpolated.
_COLORS = np.array(
    [(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)], np.float64
)


def spectrogram_image(waveforms: Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
    """Draws spectrograms side by side with one scale of levels: black is -80 dBFS or less.

    Args:
        waveforms: float `[samples]` in [-1, 1].
        sample_rate: in Hz.

    Returns:
        uint8 `[frequencies, frames, 3]`, low frequencies at the bottom.
    """
    hop_length = max(1, round(HOP_SECONDS * sample_rate))
    parts: list[np.ndarray] = []
    for waveform in waveforms:
        levels = audio.spectral_levels(waveform, sample_rate, hop_length).T[::-1]
        if parts:
            parts.append(np.full((len(levels), GAP_PIXELS, 3), 255, np.uint8))
        parts.append(_colorize(np.clip(1.0 - levels / FLOOR_DB, 0.0, 1.0)))
    return np.concatenate(parts, axis=1)


def _colorize(values: np.ndarray) -> np.ndarray:
    """Returns values from 0 to 1 as colors, uint8 `[..., 3]`."""
    positions = np.linspace(0.0, 1.0, len(_COLORS))
    channels = [np.interp(values, positions, channel) for channel in _COLORS.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
