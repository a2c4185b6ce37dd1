"""Random changes of the waveform of crops in training."""

import math

import tensorflow as tf

# Slow drifts are added to part of the crops for 16-bit models. Recordings have none: a model that
# starts to drift while it generates would never have learnt to return. The targets decay to zero.
DRIFT_PROBABILITY = 0.5
MAX_DRIFT = 0.2  # of full scale
MAX_DRIFT_HZ = 60.0
DRIFT_DECAY = 0.98  # factor from one sample to the next
# Ranges of the gain and of the speed of crops for classifiers of whole clips.
MAX_GAIN_DB = 10.0
MAX_SPEED_CHANGE = 0.15


def drift_waveform(draws, length, sample_rate: int) -> tf.Tensor:
    """Returns a slow sine, or zeros, to be added to a waveform, float32 `[length]`.

    Args:
        draws: four random numbers in [0, 1): the square root of the amplitude relative to
            `MAX_DRIFT`, so that small amplitudes are more frequent; the frequency relative to
            `MAX_DRIFT_HZ`; the phase; and whether there is a drift at all.
        length: in samples.
        sample_rate: in Hz.

    Example:
    >>> drift = drift_waveform(tf.constant([1.0, 1.0, 0.0, 0.0]), length=500, sample_rate=8000)
    >>> round(float(tf.reduce_max(drift)), 3)
    0.2
    """
    level, frequency, phase, chosen = tf.unstack(draws)
    time = tf.cast(tf.range(length), tf.float32) / sample_rate
    wave = tf.sin(2.0 * math.pi * (MAX_DRIFT_HZ * frequency * time + phase))
    return tf.where(chosen < DRIFT_PROBABILITY, MAX_DRIFT * level**2 * wave, 0.0)


def augment_waveform(draws, waveform) -> tf.Tensor:
    """Returns a waveform with another gain and another speed, and so another pitch.

    Args:
        draws: two random numbers in [0, 1): the gain, from `-MAX_GAIN_DB` to `MAX_GAIN_DB`, and the
            speed, from `1 - MAX_SPEED_CHANGE` to `1 + MAX_SPEED_CHANGE`.
        waveform: float32 `[samples]` in [-1, 1].

    Returns:
        float32 `[samples]` in [-1, 1]; silence after the end of a faster waveform.

    Example:
    >>> augment_waveform(tf.constant([0.5, 0.5]), tf.constant([0.1, 0.2, 0.4])).numpy().tolist()
    [0.10000000149011612, 0.20000000298023224, 0.4000000059604645]
    """
    gain_draw, speed_draw = tf.unstack(2.0 * draws - 1.0)
    gain = tf.pow(10.0, MAX_GAIN_DB / 20.0 * gain_draw)
    length = tf.shape(waveform)[0]
    positions = tf.cast(tf.range(length), tf.float32) * (1.0 + MAX_SPEED_CHANGE * speed_draw)
    indices = tf.minimum(tf.cast(positions, tf.int32), length)
    fractions = positions - tf.cast(indices, tf.float32)
    padded = tf.pad(waveform, [[0, 2]])
    before, after = tf.gather(padded, indices), tf.gather(padded, indices + 1)
    inside = indices < length
    values = tf.where(inside, before + fractions * (after - before), 0.0)
    return tf.clip_by_value(gain * values, -1.0, 1.0)
