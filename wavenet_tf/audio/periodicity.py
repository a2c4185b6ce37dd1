"""The fundamental frequency of frames by their autocorrelation, with numpy alone."""

import math

import numpy as np

# A frame is pitched if its autocorrelation at a period is at least this share of its power.
MIN_PERIODICITY = 0.5
LAG_OVERSAMPLING = 4
OCTAVE_COST = 0.03


def detect_pitch(
    frames, sample_rate: int, min_hz: float = 60.0, max_hz: float = 500.0
) -> np.ndarray:
    """Returns the fundamental frequency of each frame, by the autocorrelation method.

    The autocorrelation of the windowed frame is divided by that of the window, and short periods
    are preferred a little (Boersma 1993, "Accurate short-term analysis of the fundamental frequency
    and the harmonics-to-noise ratio of a sampled sound").

    Args:
        frames: float `[frames, samples]`, without their means, none of them silent, each longer
            than two periods of `min_hz`.
        sample_rate: in Hz.
        min_hz: lowest frequency looked for.
        max_hz: highest frequency looked for.

    Returns:
        float64 `[frames]`: Hz, NaN for a frame that is not periodic enough.

    Example:
    >>> sine = np.sin(2.0 * np.pi * 220.0 * np.arange(400) / 8000)
    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> detect_pitch(np.stack([sine, noise]), sample_rate=8000).round().tolist()
    [220.0, nan]
    """
    frames = np.asarray(frames, np.float64)
    window = np.hanning(frames.shape[1])
    correlation = _autocorrelation(frames * window) / _autocorrelation(window[None])
    min_lag = math.floor(LAG_OVERSAMPLING * sample_rate / max_hz)
    max_lag = math.ceil(LAG_OVERSAMPLING * sample_rate / min_hz)
    lags = np.arange(min_lag, max_lag + 1)
    left, middle, right = (correlation[:, lags + offset] for offset in (-1, 0, 1))
    peaks = (middle > left) & (middle >= right) & (middle >= MIN_PERIODICITY)
    scores = np.where(peaks, middle - OCTAVE_COST * np.log2(lags / min_lag), -np.inf)
    best = np.argmax(scores, axis=1)[:, None]
    left, middle, right = (
        np.take_along_axis(part, best, axis=1)[:, 0] for part in (left, middle, right)
    )
    pitched = peaks.any(axis=1)
    curvature = np.where(pitched, left - 2.0 * middle + right, -1.0)
    periods = lags[best[:, 0]] + 0.5 * (left - right) / curvature
    return np.where(pitched, LAG_OVERSAMPLING * sample_rate / periods, np.nan)


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Returns the autocorrelation at LAG_OVERSAMPLING lags per sample, 1 at lag zero.

    Only lags shorter than half the frame are returned: beyond, too little of the frame overlaps.
    """
    samples = frames.shape[1]
    power = np.square(np.abs(np.fft.rfft(frames, 2 * samples)))
    correlation = np.fft.irfft(power, 2 * samples * LAG_OVERSAMPLING)
    return correlation[:, : samples * LAG_OVERSAMPLING // 2] / correlation[:, :1]
