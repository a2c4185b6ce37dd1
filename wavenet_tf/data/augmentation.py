"""Random changes of the waveform of crops in training."""

import math

import tensorflow as tf

# Slow drifts are added to part of the crops for 16-bit models. Recordings have none: a model that
# starts to drift while it generates would never have learnt to return. The targets decay to zero.
DRIFT_PROBABILITY = 0.5
MAX_DRIFT = 0.2  # of full scale
MAX_DRIFT_HZ = 60.0
DRIFT_DECAY = 0.98  # factor from one sample to the next
# Ranges of what varies in crops for classifiers of whole clips.
MAX_GAIN_DB = 6.0
MAX_SPEED_CHANGE = 0.08
MAX_SHIFT_SECONDS = 0.02
SIGNAL_TO_NOISE_DB = (30.0, 60.0)
MASKS, MAX_MASK_SECONDS = 1, 0.05


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


def augment_waveform(seed, waveform, sample_rate: int) -> tf.Tensor:
    """Returns a waveform with another gain, speed and start, noise, and short parts of silence.

    Args:
        seed: int64 `[2]`, of the random numbers.
        waveform: float32 `[samples]` in [-1, 1].
        sample_rate: in Hz.

    Returns:
        float32 `[samples]` in [-1, 1].
    """
    draws = tf.random.stateless_uniform([4 + 2 * MASKS], seed)
    length = tf.shape(waveform)[0]
    changed = change_gain_and_speed(draws[:3], waveform, sample_rate)
    noise = tf.random.stateless_normal([length], seed + 1)
    lowest, highest = SIGNAL_TO_NOISE_DB
    ratio_db = lowest + (highest - lowest) * draws[3]
    level = tf.sqrt(tf.reduce_mean(changed**2)) * tf.pow(10.0, -ratio_db / 20.0)
    starts, durations = tf.unstack(tf.reshape(draws[4:], [2, MASKS]))
    starts *= tf.cast(length, tf.float32)
    ends = starts + MAX_MASK_SECONDS * sample_rate * durations
    times = tf.cast(tf.range(length), tf.float32)[:, None]
    masked = tf.reduce_any((times >= starts) & (times < ends), axis=1)
    return tf.clip_by_value(tf.where(masked, 0.0, changed) + level * noise, -1.0, 1.0)


def change_gain_and_speed(draws, waveform, sample_rate: int) -> tf.Tensor:
    """Returns a waveform with another gain, another speed, and so another pitch, and a later start.

    Args:
        draws: three random numbers in [0, 1): the gain, from `-MAX_GAIN_DB` to `MAX_GAIN_DB`; the
            speed, from `1 - MAX_SPEED_CHANGE` to `1 + MAX_SPEED_CHANGE`; and the start, up to
            `MAX_SHIFT_SECONDS` later.
        waveform: float32 `[samples]`.
        sample_rate: in Hz.

    Returns:
        float32 `[samples]`; silence before the start, and after the end of a faster waveform.

    Example:
    >>> waveform = tf.constant([0.1, 0.2, 0.4])
    >>> change_gain_and_speed(tf.constant([0.5, 0.5, 0.0]), waveform, 8000).numpy().tolist()
    [0.10000000149011612, 0.20000000298023224, 0.4000000059604645]
    """
    gain_draw, speed_draw, shift_draw = tf.unstack(draws)
    gain = tf.pow(10.0, MAX_GAIN_DB / 20.0 * (2.0 * gain_draw - 1.0))
    speed = 1.0 + MAX_SPEED_CHANGE * (2.0 * speed_draw - 1.0)
    length = tf.shape(waveform)[0]
    times = tf.cast(tf.range(length), tf.float32) - MAX_SHIFT_SECONDS * sample_rate * shift_draw
    positions = times * speed
    indices = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, length)
    fractions = positions - tf.cast(indices, tf.float32)
    padded = tf.pad(waveform, [[0, 2]])
    before, after = tf.gather(padded, indices), tf.gather(padded, indices + 1)
    inside = (positions >= 0.0) & (indices < length)
    return tf.where(inside, gain * (before + fractions * (after - before)), 0.0)
