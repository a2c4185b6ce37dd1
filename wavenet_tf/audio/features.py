"""Features of recordings, as functions of audio.

A feature has a frame for each hop that begins inside the audio, centred on the hop's first sample,
with zeros beyond both ends: `ceil(samples / hop_length)` frames.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from wavenet_tf.audio.feature_names import HOP_SECONDS, MEL_BANDS, feature_channels, parse_feature
from wavenet_tf.errors import InputError, positive_integer

# Tacotron 2's framing (arXiv 1712.05884).
WINDOW_SECONDS = 0.05
# Tacotron 2's, 0.01, would cut off three quarters of the values of ordinary recordings.
MEL_FLOOR = 1e-5
# What lies beyond both ends of the audio, as `tf.pad` names it.
PADDINGS = {"zeros": "CONSTANT", "reflect": "REFLECT"}


def log_mel(
    audio,
    sample_rate: int,
    hop_length: int | None = None,
    window_length: int | None = None,
    num_bands: int = MEL_BANDS,
    min_hz: float = 125.0,
    max_hz: float = 7600.0,
    floor: float = MEL_FLOOR,
    fft_length: int | None = None,
    log_base: float = math.e,
    padding: str = "zeros",
) -> tf.Tensor:
    """Log mel spectrogram, with Tacotron 2's framing and bands by default; works in graphs.

    Magnitudes of the windowed spectrum (periodic Hann) in bands of equal area on Slaney's mel
    scale, as librosa's.

    Args:
        audio: float `[..., samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.
        window_length: samples in a frame's window. None takes 50 ms.
        num_bands: number of mel bands.
        min_hz: where the lowest band begins.
        max_hz: where the highest band ends; at most half the sample rate is used.
        floor: smallest band magnitude, below which the logarithm is cut off.
        fft_length: samples of the Fourier transform of a window. None takes the next power of two.
        log_base: base of the logarithms.
        padding: what lies beyond both ends of the audio: "zeros", or its reflection, "reflect".

    Returns:
        float32 `[..., frames, num_bands]`: logarithms.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> features = log_mel(np.zeros(8000), sample_rate=16000)
    >>> features.shape.as_list(), round(float(features[0, 0]), 3)  # silence: ln(1e-5)
    ([40, 80], -11.513)
    """
    sample_rate = positive_integer("sample_rate", sample_rate)
    window_length = _length("window_length", window_length, WINDOW_SECONDS, sample_rate)
    num_bands = positive_integer("num_bands", num_bands)
    max_hz = min(max_hz, sample_rate / 2)
    if not 0.0 <= min_hz < max_hz:
        raise InputError(
            f"min_hz must be at least 0 and below {max_hz:g}, the lower of max_hz and half the "
            f"sample rate; received {min_hz!r}"
        )
    if fft_length is None:
        fft_length = _next_power_of_two(window_length)
    if positive_integer("fft_length", fft_length) < window_length:
        raise InputError(
            f"fft_length must be at least the window's {window_length} samples; received "
            f"{fft_length}"
        )
    if not log_base > 1.0:
        raise InputError(f"log_base must be above 1; received {log_base!r}")
    if padding not in PADDINGS:
        raise InputError(f"padding must be one of {', '.join(PADDINGS)}; received {padding!r}")
    magnitudes = _magnitudes(audio, sample_rate, hop_length, window_length, fft_length, padding)
    filters = _mel_filters(sample_rate, fft_length, num_bands, float(min_hz), float(max_hz))
    return _floored_log(tf.tensordot(magnitudes, filters, axes=1), floor) / math.log(log_base)


def spectral_levels(audio, sample_rate: int, hop_length: int | None = None) -> np.ndarray:
    """Levels of the spectrum in the windows of `log_mel`.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.

    Returns:
        float32 `[frames, bins]`: dB, 0 for a sine of amplitude 1.

    Example:
    >>> sine = np.sin(2.0 * np.pi * 1000.0 * np.arange(16000) / 16000)
    >>> abs(round(float(spectral_levels(sine, sample_rate=16000)[40].max()), 1))
    0.0
    """
    window_length = _length("window_length", None, WINDOW_SECONDS, sample_rate)
    fft_length = _next_power_of_two(window_length)
    magnitudes = _magnitudes(audio, sample_rate, hop_length, window_length, fft_length)
    return 20.0 * np.log10(np.maximum(magnitudes / (0.25 * window_length), 1e-10))


def energy(
    audio,
    sample_rate: int,
    hop_length: int | None = None,
    window_length: int | None = None,
    floor: float = 1e-4,
) -> tf.Tensor:
    """Log energy: the root mean square of each window, which is rectangular; works in graphs.

    Args:
        audio: float `[..., samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.
        window_length: samples in a frame's window. None takes 50 ms.
        floor: smallest root mean square, below which the logarithm is cut off; the default is
            80 dB below full scale.

    Returns:
        float32 `[..., frames, 1]`: natural logarithms.

    Raises:
        InputError: if an argument is out of its range.

    Example:
    >>> float(energy(np.ones(8000), sample_rate=16000)[20, 0])
    0.0
    """
    sample_rate = positive_integer("sample_rate", sample_rate)
    window_length = _length("window_length", window_length, WINDOW_SECONDS, sample_rate)
    frames = _frames(audio, sample_rate, hop_length, window_length)
    mean_square = tf.reduce_mean(tf.square(frames), axis=-1, keepdims=True)
    return _floored_log(tf.sqrt(mean_square), floor)


def pitch(
    audio,
    sample_rate: int,
    hop_length: int | None = None,
    min_hz: float = 60.0,
    max_hz: float = 500.0,
) -> np.ndarray:
    """Log fundamental frequency (F0) and voicing, by librosa's pYIN.

    Unlike the other features it is no graph operation: `tf.data` needs `tf.numpy_function`.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.
        min_hz: lowest F0 looked for; a frame's window is four periods of it.
        max_hz: highest F0 looked for.

    Returns:
        float32 `[frames, 2]`. First the natural logarithm of F0 in Hz: where there is no voice,
        a straight line between its neighbours, or the nearest one's at either end; for audio
        without any voice, the middle between the logarithms of `min_hz` and `max_hz`. Then the
        voicing, 1 or 0.

    Raises:
        InputError: if librosa is missing, or an argument is out of its range.

    Example:
    >>> audio = 0.5 * np.sin(2.0 * np.pi * 220.0 * np.arange(4000) / 8000)
    >>> log_f0, voicing = pitch(audio, sample_rate=8000).T
    >>> round(float(np.exp(log_f0[20]))), float(voicing[20])
    (220, 1.0)
    """
    try:
        from librosa import pyin  # optional, and seconds to import
    except ImportError as error:
        raise InputError("F0 needs librosa: pip install librosa") from error
    audio, hop_length = _checked_for_pitch(audio, sample_rate, hop_length, min_hz, max_hz)
    # pYIN's 35.92 octaves a second at most. Very short and very long hops need bounds: it would
    # round to no change at all, or to more than the range.
    octaves = np.clip(
        35.92 * hop_length / sample_rate, 1.0 / 12.0, np.log2(max_hz / min_hz) - 1.0 / 12.0
    )
    f0, voiced, _ = pyin(
        audio,
        sr=sample_rate,
        fmin=min_hz,
        fmax=max_hz,
        hop_length=hop_length,
        frame_length=4 * round(sample_rate / min_hz),
        max_transition_rate=octaves * sample_rate / hop_length,
    )
    frames = -(-audio.size // hop_length)
    return _log_f0_and_voicing(np.where(voiced, f0, 0.0)[:frames], min_hz, max_hz)


def pitch_world(
    audio,
    sample_rate: int,
    hop_length: int | None = None,
    min_hz: float = 60.0,
    max_hz: float = 500.0,
) -> np.ndarray:
    """Log fundamental frequency (F0) and voicing, by DIO and StoneMask of the vocoder WORLD.

    It takes a tenth of the time of `pitch`. It is no graph operation: `tf.data` needs
    `tf.numpy_function`.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.
        min_hz: lowest F0 looked for.
        max_hz: highest F0 looked for.

    Returns:
        float32 `[frames, 2]`, as `pitch` returns it.

    Raises:
        InputError: if pyworld is missing, or an argument is out of its range.

    Example:
    >>> audio = 0.5 * np.sin(2.0 * np.pi * 220.0 * np.arange(4000) / 8000)
    >>> log_f0, voicing = pitch_world(audio, sample_rate=8000).T
    >>> round(float(np.exp(log_f0[20]))), float(voicing[20])
    (220, 1.0)
    """
    try:
        import pyworld
    except ImportError as error:
        raise InputError(
            "F0 by WORLD needs pyworld: pip install 'wavenet_tf[f0]' installs it"
        ) from error
    audio, hop_length = _checked_for_pitch(audio, sample_rate, hop_length, min_hz, max_hz)
    waveform = audio.astype(np.float64)
    period_ms = 1000.0 * hop_length / sample_rate
    f0, times = pyworld.dio(
        waveform, sample_rate, f0_floor=min_hz, f0_ceil=max_hz, frame_period=period_ms
    )
    f0 = pyworld.stonemask(waveform, f0, times, sample_rate)
    # WORLD has a frame after the last sample too.
    frames = -(-audio.size // hop_length)
    return _log_f0_and_voicing(f0[:frames], min_hz, max_hz)


def _checked_for_pitch(audio, sample_rate, hop_length, min_hz, max_hz) -> tuple[np.ndarray, int]:
    """Returns the audio and the hop length after checks of the arguments of a pitch tracker."""
    sample_rate = positive_integer("sample_rate", sample_rate)
    hop_length = _length("hop_length", hop_length, HOP_SECONDS, sample_rate)
    audio = np.asarray(audio, np.float32)
    if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
        raise InputError(
            f"audio must be finite numbers of shape [samples]; received shape {list(audio.shape)}"
        )
    if not 0.0 < min_hz < max_hz <= sample_rate / 2:
        raise InputError(
            f"min_hz must be above 0 and below max_hz, and max_hz at most {sample_rate / 2:g}, "
            f"half the sample rate; received {min_hz!r} and {max_hz!r}"
        )
    return audio, hop_length


def _log_f0_and_voicing(f0: np.ndarray, min_hz: float, max_hz: float) -> np.ndarray:
    """Returns log F0, interpolated where F0 is 0, and voicing, float32 `[frames, 2]`."""
    frames, voiced = np.arange(len(f0)), f0 > 0.0
    log_f0 = np.full(len(f0), np.log(min_hz * max_hz) / 2)
    if voiced.any():
        log_f0 = np.interp(frames, frames[voiced], np.log(f0[voiced]))
    return np.stack([log_f0, voiced], axis=-1).astype(np.float32)


# At default settings, they give the channels that `FEATURES` says.
_EXTRACTORS: dict[str, Callable] = {
    "mel": log_mel,
    "energy": energy,
    "f0": pitch,
    "f0_world": pitch_world,
}


def extract_features(
    audio, sample_rate: int, hop_length: int | None, names: Sequence[str]
) -> np.ndarray:
    """Features of one recording, side by side.

    Args:
        audio: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        hop_length: samples from frame to frame. None takes 12.5 ms.
        names: of `FEATURES`, with options as `parse_feature` reads them, in the order of the
            channels.

    Returns:
        float32 `[frames, feature_channels(names)]`.

    Raises:
        InputError: if a name or an option is unknown, or none is given.

    Example:
    >>> extract_features(np.zeros(8000), 16000, 200, ["mel", "energy"]).shape
    (40, 81)
    """
    feature_channels(names)
    features = []
    for feature in names:
        name, arguments = parse_feature(feature)
        features.append(np.asarray(_EXTRACTORS[name](audio, sample_rate, hop_length, **arguments)))
    return np.concatenate(features, axis=-1)


def _length(name: str, value, seconds: float, sample_rate: int) -> int:
    """A length in samples: the value where it is given, and else so many seconds."""
    return positive_integer(name, round(seconds * sample_rate) if value is None else value)


def _frames(
    audio, sample_rate: int, hop_length: int | None, frame_length: int, padding: str = "zeros"
) -> tf.Tensor:
    """Cuts audio into overlapping frames `[..., frames, frame_length]`, centred on the hops."""
    hop_length = _length("hop_length", hop_length, HOP_SECONDS, sample_rate)
    audio = tf.cast(audio, tf.float32)
    if not audio.shape.rank:
        raise InputError(f"audio must have shape [..., samples]; received shape {audio.shape}")
    before = frame_length // 2
    margins = [[0, 0]] * (audio.shape.rank - 1) + [[before, frame_length - before]]
    samples = audio.shape[-1]
    if padding == "reflect" and samples is not None and samples <= frame_length - before:
        raise InputError(
            f"reflected audio must have more than {frame_length - before} samples; received "
            f"{samples}"
        )
    frames = tf.signal.frame(tf.pad(audio, margins, PADDINGS[padding]), frame_length, hop_length)
    return frames[..., : -(-tf.shape(audio)[-1] // hop_length), :]


def _next_power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _magnitudes(
    audio,
    sample_rate: int,
    hop_length: int | None,
    window_length: int,
    fft_length: int,
    padding: str = "zeros",
) -> tf.Tensor:
    """Of the spectrum of Hann windows: `[..., frames, fft_length // 2 + 1]`."""
    frames = _frames(audio, sample_rate, hop_length, fft_length, padding)
    windowed = frames * _hann_window(window_length, fft_length)
    return tf.abs(tf.signal.rfft(windowed, [fft_length]))


def _floored_log(values, floor: float) -> tf.Tensor:
    if not floor > 0.0:
        raise InputError(f"floor must be above 0; received {floor!r}")
    return tf.math.log(tf.maximum(values, floor))


def _hann_window(window_length: int, fft_length: int) -> np.ndarray:
    """A periodic Hann window in the middle of a frame that is else zero."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window_length) / window_length)
    before = (fft_length - window_length) // 2
    return np.pad(window, (before, fft_length - window_length - before)).astype(np.float32)


@functools.lru_cache
def _mel_filters(
    sample_rate: int, fft_length: int, num_bands: int, min_hz: float, max_hz: float
) -> np.ndarray:
    """Triangles of area 1 (in Hz), evenly spaced in mels: `[fft_length // 2 + 1, num_bands]`."""
    corners = _mel_to_hz(np.linspace(_hz_to_mel(min_hz), _hz_to_mel(max_hz), num_bands + 2))
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    bins = np.linspace(0.0, sample_rate / 2, fft_length // 2 + 1)[:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return (np.maximum(triangles, 0.0) * 2.0 / (right - left)).astype(np.float32)


# Slaney's mel scale: linear up to 1 kHz, which is 15 mels, then 27 mels for each factor of 6.4.
def _hz_to_mel(hz):
    logarithmic = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, 0.015 * hz, logarithmic)


def _mel_to_hz(mel):
    return np.where(mel < 15.0, mel / 0.015, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))
