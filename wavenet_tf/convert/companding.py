"""Code tables of other programs' companding."""

import numpy as np

from wavenet_tf.audio import CodeTable


def expand(companded, mu: float) -> np.ndarray:
    """Returns audio of companded audio: the inverse of the mu-law (WaveNet, section 2.2).

    Args:
        companded: in [-1, 1].
        mu: of the mu-law.
    """
    companded = np.asarray(companded, np.float64)
    return np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu


def code_table(thresholds, values, mu: float) -> CodeTable:
    """Returns the table of a quantizer of companded audio.

    Args:
        thresholds: smallest companded value of each code but the first.
        values: companded value that each code is decoded to.
        mu: of the mu-law.
    """
    thresholds = np.float32(expand(thresholds, mu))
    values = np.clip(expand(values, mu), -1.0, 1.0)
    silence = int(np.searchsorted(thresholds, 0.0, side="right"))
    return CodeTable(tuple(thresholds.tolist()), tuple(values.tolist()), silence)
