"""What can be measured of audio without listening: silence, clipping, noise, pitch, spectrum."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from wavenet_tf import audio
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.spectral import FLOOR_DB

FRAME_SECONDS, HOP_SECONDS = 0.05, 0.0125
# Frames whose level is further below the level of the loud recorded frames are silent.
SILENCE_DB = 40.0
LOUD_PERCENTILE = 95.0
# Spectral flatness of white noise is 0.56 on average, that of a vowel below 0.1.
MIN_NOISE_FLATNESS = 0.3
MIN_HZ, MAX_HZ = 70.0, 1100.0


@dataclasses.dataclass(frozen=True)
class AudioFigures:
    """Figures of the frames of clips, 50 ms each, every 12.5 ms.

    Attributes:
        silence: share of the frames that are 40 dB or more below the loud frames of the recordings.
        clipping: share of the samples that are clipped, see `audio.Levels`.
        noise: share of the frames that are noise-like: neither silent nor pitched, and with a flat
            spectrum.
        pitched: share of the frames with a fundamental frequency, from 70 to 1,100 Hz.
        level: RMS level of the frames that are not silent, in dBFS.
    """

    silence: float
    clipping: float
    noise: float
    pitched: float
    level: float


class AudioMeter:
    """Measures clips against recordings.

    The spectrum of a frame counts as flat if its flatness, the geometric mean of the power over the
    arithmetic mean, is 0.3 or more: as it is, or relative to the average spectrum of the
    recordings. The latter is the noise of a model that has learned nothing but this spectrum.

    Args:
        recorded: the recorded clips, float `[samples]` in [-1, 1] each.
        sample_rate: in Hz.

    Attributes:
        recorded_figures: the `AudioFigures` of the recordings.

    Raises:
        InputError: if no clip has a frame of 50 ms.

    Example:
    >>> time = np.arange(8000) / 8000
    >>> meter = AudioMeter([0.1 * np.sin(2.0 * np.pi * 220.0 * time)], sample_rate=8000)
    >>> noise = np.random.default_rng(0).normal(scale=0.1, size=8000)
    >>> meter.recorded_figures.pitched, meter.figures([noise]).noise
    (1.0, 1.0)
    """

    def __init__(self, recorded: Sequence[np.ndarray], sample_rate: int):
        self.sample_rate = sample_rate
        levels = _decibels(self._frames(recorded))
        self.silence_level = max(
            FLOOR_DB, float(np.percentile(levels, LOUD_PERCENTILE)) - SILENCE_DB
        )
        self.recorded_spectrum = self.average_spectrum(recorded)
        self.recorded_figures = self.figures(recorded)

    def figures(self, clips: Sequence[np.ndarray]) -> AudioFigures:
        """Returns the figures of clips.

        Args:
            clips: float `[samples]` in [-1, 1] each.

        Raises:
            InputError: if no clip has a frame of 50 ms.
        """
        frames = self._frames(clips)
        levels = _decibels(frames)
        sound = levels > self.silence_level
        pitched, flat = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
        if sound.any():
            pitch = audio.detect_pitch(frames[sound], self.sample_rate, MIN_HZ, self._max_hz)
            pitched[sound] = ~np.isnan(pitch)
            power = _power_spectra(frames[sound])
            whitened = power / self.recorded_spectrum
            flat[sound] = np.maximum(_flatness(power), _flatness(whitened)) >= MIN_NOISE_FLATNESS
        clipped = sum(audio.measure_levels(clip).clipped for clip in clips if len(clip))
        mean_square = float(np.mean(np.square(frames[sound]))) if sound.any() else 0.0
        return AudioFigures(
            silence=1.0 - float(sound.mean()),
            clipping=clipped / sum(map(len, clips)),
            noise=float(np.mean(flat & ~pitched)),
            pitched=float(pitched.mean()),
            level=10.0 * math.log10(max(mean_square, 1e-12)),
        )

    def average_spectrum(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the mean power of the frames that are not silent, `[bins]`, above 0.

        Args:
            clips: float `[samples]` in [-1, 1] each.
        """
        frames = self._frames(clips)
        sound = _decibels(frames) > self.silence_level
        power = _power_spectra(frames[sound] if sound.any() else frames)
        return np.maximum(power.mean(axis=0), 1e-12)

    def spectrum_distance(self, clips: Sequence[np.ndarray]) -> float:
        """Returns the distance between the average spectra of clips and of the recordings, in dB.

        It is the root mean square over the frequencies of the difference of their levels, after
        both spectra are scaled to the same mean level in dB: the shape counts.

        Args:
            clips: float `[samples]` in [-1, 1] each.
        """
        ratio = self.average_spectrum(clips) / self.recorded_spectrum
        return float(np.std(10.0 * np.log10(ratio)))

    @property
    def _max_hz(self) -> float:
        return min(MAX_HZ, self.sample_rate / 4)

    def _frames(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the frames of all clips without their means, `[frames, samples]`."""
        length, hop = (round(part * self.sample_rate) for part in (FRAME_SECONDS, HOP_SECONDS))
        parts = [
            np.lib.stride_tricks.sliding_window_view(np.asarray(clip, np.float64), length)[::hop]
            for clip in clips
            if len(clip) >= length
        ]
        if not parts:
            raise InputError(
                f"clips must have at least {FRAME_SECONDS:g} s; received "
                f"{[len(clip) for clip in clips]} samples"
            )
        frames = np.concatenate(parts)
        return frames - frames.mean(axis=1, keepdims=True)


def _decibels(frames: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(np.maximum(np.mean(np.square(frames), axis=1), 1e-12))


def _power_spectra(frames: np.ndarray) -> np.ndarray:
    """Returns the power of each frame at the frequencies above 0, `[frames, bins]`."""
    spectra = np.fft.rfft(frames * np.hanning(frames.shape[1]))[:, 1:]
    return np.square(np.abs(spectra))


def _flatness(power: np.ndarray) -> np.ndarray:
    power = np.maximum(power, 1e-12)
    return np.exp(np.mean(np.log(power), axis=1)) / np.mean(power, axis=1)
