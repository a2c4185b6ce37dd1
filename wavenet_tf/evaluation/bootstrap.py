"""Intervals of ratios over clips by the bootstrap."""

import numpy as np

RESAMPLINGS = 1000  # of clips


def ratio_interval(
    numerators: np.ndarray, denominators: np.ndarray, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the interval of a ratio of sums by a bootstrap over clips (percentiles).

    Args:
        numerators: of each clip.
        denominators: of each clip.
        confidence: probability that the interval covers the ratio.
        seed: of the draws.

    Example: one error in ten labels of each clip.
    >>> ratio_interval(np.array([1, 1, 1]), np.array([10, 10, 10]))
    (0.1, 0.1)
    """
    clips = len(numerators)
    draws = np.random.default_rng(seed).integers(0, clips, [RESAMPLINGS, clips])
    totals = np.maximum(denominators[draws].sum(axis=1), 1)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(numerators[draws].sum(axis=1) / totals, [tail, 100.0 - tail])
    return float(low), float(high)
