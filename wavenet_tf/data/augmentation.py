"""Random changes of the waveform of crops in training."""

import math
from typing import NamedTuple

import tensorflow as tf

# Slow drifts are added to part of the crops for 16-bit models. Recordings have none: a model that
# starts to drift while it generates would never have learnt to return. The targets decay to zero.
DRIFT_PROBABILITY = 0.5
MAX_DRIFT = 0.2  # of full scale
MAX_DRIFT_HZ = 60.0
DRIFT_DECAY = 0.98  # factor from one sample to the next
# Ranges of what varies in crops for classifiers.
MAX_GAIN_DB = 6.0
MAX_SPEED_CHANGE = 0.2
MAX_SHIFT_SECONDS = 0.02
SIGNAL_TO_NOISE_DB = (30.0, 60.0)
MASKS, MAX_MASK_SECONDS = 1, 0.05
MAX_TILT = 0.95  # from the spectrum of dull recordings to that of bright ones
FILTER_TAPS = 8
FILTER_LEVELS = [0.25 * 0.8**tap for tap in range(FILTER_TAPS)]  # standard deviations


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


class Variation(NamedTuple):
    """How a crop is varied.

    Attributes:
        gain: factor of the waveform.
        speed: factor of the speed, and so of the pitch.
        shift: seconds by which the crop starts later.
        filter: taps of a filter after the first, which is 1, `[FILTER_TAPS]`: the spectrum of
            another microphone or room. The level stays as it is.
        signal_to_noise_db: of the noise that is added, in dB.
        masks: starts, relative to the length of the crop, and durations, in seconds, of silences,
            `[2, MASKS]`.
        seed: int64 `[2]`, of the noise.
    """

    gain: tf.Tensor
    speed: tf.Tensor
    shift: tf.Tensor
    filter: tf.Tensor
    signal_to_noise_db: tf.Tensor
    masks: tf.Tensor
    seed: tf.Tensor


def draw_variation(seed) -> Variation:
    """Returns a random variation.

    Args:
        seed: int64 `[2]`.
    """
    draws = tf.random.stateless_uniform([5 + 2 * MASKS], seed)
    gain, speed, shift, noise, tilt = tf.unstack(draws[:5])
    lowest, highest = SIGNAL_TO_NOISE_DB
    return Variation(
        gain=tf.pow(10.0, MAX_GAIN_DB / 20.0 * (2.0 * gain - 1.0)),
        speed=1.0 + MAX_SPEED_CHANGE * (2.0 * speed - 1.0),
        shift=MAX_SHIFT_SECONDS * shift,
        filter=tf.random.stateless_normal([FILTER_TAPS], seed + 2) * FILTER_LEVELS
        + tf.pad([MAX_TILT * (2.0 * tilt - 1.0)], [[0, FILTER_TAPS - 1]]),
        signal_to_noise_db=lowest + (highest - lowest) * noise,
        masks=tf.reshape(draws[5:], [2, MASKS]) * [[1.0], [MAX_MASK_SECONDS]],
        seed=seed + 1,
    )


def vary_waveform(variation: Variation, waveform, sample_rate: int) -> tf.Tensor:
    """Returns a waveform with another gain, spectrum, speed, start, noise and short silences.

    Args:
        variation: what is changed.
        waveform: float32 `[samples]` in [-1, 1].
        sample_rate: in Hz.

    Returns:
        float32 `[samples]` in [-1, 1]; silence before the start, and after the end of a faster
        waveform.
    """
    length = tf.shape(waveform)[0]
    positions = _positions(variation, tf.cast(tf.range(length), tf.float32), sample_rate)
    indices = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, length)
    fractions = positions - tf.cast(indices, tf.float32)
    padded = tf.pad(waveform, [[0, 2]])
    before, after = tf.gather(padded, indices), tf.gather(padded, indices + 1)
    inside = (positions >= 0.0) & (indices < length)
    changed = tf.where(inside, variation.gain * (before + fractions * (after - before)), 0.0)
    level = _level(changed)
    changed = _filtered(changed, variation.filter)
    changed *= tf.math.divide_no_nan(level, _level(changed))
    level *= tf.pow(10.0, -variation.signal_to_noise_db / 20.0)
    noise = tf.random.stateless_normal([length], variation.seed)
    starts, durations = tf.unstack(variation.masks)
    starts *= tf.cast(length, tf.float32)
    times = tf.cast(tf.range(length), tf.float32)[:, None]
    masked = (times >= starts) & (times < starts + sample_rate * durations)
    changed = tf.where(tf.reduce_any(masked, axis=1), 0.0, changed)
    return tf.clip_by_value(changed + level * noise, -1.0, 1.0)


def vary_frames(
    variation: Variation, frames, hop_length: int, samples_before: int, sample_rate: int, outside
) -> tf.Tensor:
    """Returns the frames of a varied waveform: those that its speed and start bring to each place.

    Args:
        variation: what is changed.
        frames: labels or masks of the frames of the waveform, `[frames]`.
        hop_length: samples per frame.
        samples_before: samples of the waveform before the first frame.
        sample_rate: in Hz.
        outside: the value of frames that come from outside.
    """
    count = tf.shape(frames)[0]
    centers = samples_before + hop_length * (tf.cast(tf.range(count), tf.float32) + 0.5)
    positions = _positions(variation, centers, sample_rate) - samples_before
    indices = tf.cast(tf.floor(positions / hop_length), tf.int32)
    inside = (indices >= 0) & (indices < count)
    values = tf.gather(frames, tf.clip_by_value(indices, 0, count - 1))
    return tf.where(inside, values, tf.cast(outside, frames.dtype))


def _positions(variation: Variation, times, sample_rate: int) -> tf.Tensor:
    """Returns where each time of a varied waveform is in the waveform before, in samples."""
    return (times - variation.shift * sample_rate) * variation.speed


def _level(waveform) -> tf.Tensor:
    """Returns the root mean square of a waveform."""
    return tf.sqrt(tf.reduce_mean(waveform**2))


def _filtered(waveform, taps) -> tf.Tensor:
    """Returns a waveform through the filter whose taps follow a first tap of 1."""
    echoes = tf.signal.frame(tf.pad(waveform, [[FILTER_TAPS, 0]])[:-1], FILTER_TAPS, 1)
    return waveform + tf.linalg.matvec(echoes, taps[::-1])
