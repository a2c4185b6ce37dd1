"""Mu-law companding of audio to integer codes, and back."""

import numpy as np
import tensorflow as tf


def mu_law_encode(audio, quantization_channels: int = 256) -> tf.Tensor:
    """Compands audio and quantizes it to integer codes (WaveNet, section 2.2).

    The code is `floor((f(x) + 1) / 2 * (Q - 1) + 0.5)` with
    `f(x) = sign(x) * ln(1 + mu * |x|) / ln(1 + mu)` and `mu = Q - 1`. Digital silence is code
    `Q / 2`; values beyond [-1, 1] are clipped.

    Args:
        audio: float tensor of any shape, in [-1, 1].
        quantization_channels: `Q`, the number of codes.

    Returns:
        int32 tensor of the same shape, in `[0, Q - 1]`.

    Example:
    >>> mu_law_encode([-1.0, 0.0, 0.01, 1.0]).numpy().tolist()
    [0, 128, 157, 255]
    """
    mu = quantization_channels - 1.0
    companded = mu_law_compand(audio, mu)
    return tf.cast(tf.floor((companded + 1.0) / 2.0 * mu + 0.5), tf.int32)


def mu_law_compand(audio, mu: float = 255.0) -> tf.Tensor:
    """Makes quiet samples louder: `sign(x) * ln(1 + mu * |x|) / ln(1 + mu)` (WaveNet, section 2.2).

    Args:
        audio: float tensor of any shape; values beyond [-1, 1] are clipped.
        mu: how much.

    Returns:
        float32 tensor of the same shape, in [-1, 1].
    """
    audio = tf.clip_by_value(tf.cast(audio, tf.float32), -1.0, 1.0)
    return tf.sign(audio) * tf.math.log1p(mu * tf.abs(audio)) / np.log1p(mu)


def mu_law_decode(codes, quantization_channels: int = 256) -> tf.Tensor:
    """Turns mu-law codes back into audio: the inverse of `mu_law_encode` at the code's centre.

    Args:
        codes: integer tensor of any shape, in `[0, quantization_channels - 1]`.
        quantization_channels: the number of codes.

    Returns:
        float32 tensor of the same shape, in [-1, 1].

    Example:
    >>> [round(x, 4) for x in mu_law_decode([0, 128, 157, 255]).numpy().tolist()]
    [-1.0, 0.0001, 0.0102, 1.0]
    """
    mu = quantization_channels - 1.0
    companded = 2.0 * tf.cast(codes, tf.float32) / mu - 1.0
    return tf.sign(companded) * tf.math.expm1(tf.abs(companded) * np.log1p(mu)) / mu
