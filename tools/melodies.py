"""Plucked-string melodies: composing the demo corpus and recognising its notes.

The composer plays a Karplus-Strong string (tuned with a fractional delay) in one fixed scale.
The checker tracks the pitch of a recording by autocorrelation and reports whether the recording
is a melody in that scale.
"""

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from wavenet_tf import audio
from wavenet_tf.errors import InputError

# C major pentatonic, C4 to A5.
SCALE_MIDI_NOTES = (60, 62, 64, 67, 69, 72, 74, 76, 79, 81)
SCALE_FREQUENCIES = tuple(440.0 * 2.0 ** ((note - 69) / 12) for note in SCALE_MIDI_NOTES)

# Below this rate the string damps the highest notes before half their frames are loud enough.
MIN_SAMPLE_RATE = 6000

PEAK = 0.7
NOTE_SECONDS = (0.25, 0.375, 0.5)
WALK_STEPS = (-2, -1, 1, 2)
# Short, so that little of a theme can be foreseen the first time. The first is the grid of the
# others; all are binary fractions, so sums of them are exact.
THEME_NOTE_SECONDS = (0.125, 0.25)
LOUDNESS_RANGE = (0.75, 1.0)
BRIGHTNESS_RANGE = (0.3, 0.5)

NUM_HARMONICS = 4
DECAY_SECONDS = 1.2  # Time in which the fundamental falls by 60 dB.
DAMPING_HZ = 2000.0
DAMPING_SECONDS = 1.0  # Time in which damping alone takes 60 dB at DAMPING_HZ.
ATTACK_SECONDS = 0.008
RELEASE_SECONDS = 0.02

FRAME_SECONDS = 0.04
HOP_SECONDS = 0.01
MIN_PITCH_HZ = 200.0
MAX_PITCH_HZ = 1100.0
SILENCE_RMS = 0.003  # Full scale is 1.
LOUD_RANGE_DB = 20.0
SCALE_TOLERANCE_CENTS = 35.0
MIN_NOTE_SECONDS = 0.1

# A melody is pitched most of the time, in the scale and more than one note. A random pitch in the
# search range is within tolerance of a scale note 24% of the time, a random semitone 42%.
MELODY_FRACTION_PITCHED = 0.5
MELODY_FRACTION_IN_SCALE = 0.7
MELODY_NUM_NOTES = 2

_NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pluck_string(
    frequency: float, num_samples: int, sample_rate: int, brightness: float
) -> np.ndarray:
    """Synthesises one note of a plucked string with the Karplus-Strong algorithm.

    Args:
        frequency: Fundamental in Hz.
        num_samples: Length of the note in samples.
        sample_rate: Sample rate in Hz.
        brightness: Amplitude of each harmonic of the pluck relative to the one below it, 0 to 1.

    Returns:
        Float64 [num_samples], starting and ending at zero, peak at most about 1.
    """
    period = sample_rate / frequency
    loop_filter, delay = _string_loop(frequency, sample_rate)
    num_taps = len(loop_filter)
    num_blocks = math.ceil(num_samples / delay)
    history = delay + num_taps - 1
    string = np.zeros(history + max(num_blocks * delay, math.ceil(period)))
    string[history : history + math.ceil(period)] = _pluck(period, brightness)
    # A block as long as the delay depends only on samples before it.
    for start in range(history, history + num_blocks * delay, delay):
        previous = string[start - history : start]
        string[start : start + delay] += np.convolve(previous, loop_filter, mode="valid")
    note = string[history : history + num_samples]
    return note * _envelope(num_samples, sample_rate)


def _string_loop(frequency: float, sample_rate: int) -> tuple[np.ndarray, int]:
    """Returns the taps of the string's loop filter and the whole delay in front of them."""
    period = sample_rate / frequency
    # The damping filter delays by exactly one sample, the interpolator by 1 to 2 samples.
    delay = math.floor(period) - 2
    fraction = period - 1 - delay
    interpolator = [
        math.prod((fraction - j) / (k - j) for j in range(4) if j != k) for k in range(4)
    ]
    loss = 1.0 - 10.0 ** (-3.0 / (frequency * DAMPING_SECONDS))
    side = min(0.25, loss / (2.0 - 2.0 * math.cos(2.0 * math.pi * DAMPING_HZ / sample_rate)))
    gain = 10.0 ** (-3.0 / (frequency * DECAY_SECONDS))
    return gain * np.convolve([side, 1.0 - 2.0 * side, side], interpolator), delay


def _pluck(period: float, brightness: float) -> np.ndarray:
    """Returns the first period of the string, a few falling harmonics with a peak of 1."""
    phase = 2.0 * np.pi * np.arange(math.ceil(period)) / period
    num_harmonics = min(NUM_HARMONICS, math.ceil(period / 2) - 1)
    harmonics = range(1, num_harmonics + 1)
    shape = sum(brightness ** (harmonic - 1) * np.sin(harmonic * phase) for harmonic in harmonics)
    return shape / np.max(np.abs(shape))


def _envelope(num_samples: int, sample_rate: int) -> np.ndarray:
    """Returns the raised-cosine attack and release of a note."""
    time = np.arange(num_samples) / sample_rate
    attack = np.minimum(time / ATTACK_SECONDS, 1.0)
    release = np.minimum(time[::-1] / RELEASE_SECONDS, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * attack)) * (0.5 - 0.5 * np.cos(np.pi * release))


def compose_melody(
    generator: np.random.Generator, num_samples: int, sample_rate: int
) -> np.ndarray:
    """Plays a monophonic random walk over the scale.

    Args:
        generator: Source of every random choice.
        num_samples: Length of the melody in samples.
        sample_rate: Sample rate in Hz, at least MIN_SAMPLE_RATE.

    Returns:
        Float32 [num_samples] with a peak of PEAK.

    Raises:
        InputError: The sample rate is too low.
    """
    _check_sample_rate(sample_rate)
    melody = np.zeros(num_samples)
    degree = int(generator.integers(len(SCALE_FREQUENCIES)))
    start = 0
    while start < num_samples:
        note_samples = round(float(generator.choice(NOTE_SECONDS)) * sample_rate)
        end = min(start + note_samples, num_samples)
        melody[start:end] = _play_note(generator, degree, end - start, sample_rate)
        step = int(generator.choice(WALK_STEPS))
        degree += step if 0 <= degree + step < len(SCALE_FREQUENCIES) else -step
        start = end
    return _normalise(melody)


def compose_theme_melody(
    generator: np.random.Generator,
    num_samples: int,
    sample_rate: int,
    theme_seconds: float = 2.0,
) -> np.ndarray:
    """Plays a theme of random notes of the scale again and again.

    Each return is the same waveform: sample `t` equals sample `t - period` from the first return
    on, where `period = round(theme_seconds * sample_rate)`. The end of the melody cuts the theme
    short, so a melody no longer than its theme has no return.

    Args:
        generator: Source of every random choice.
        num_samples: Length of the melody in samples.
        sample_rate: Sample rate in Hz, at least MIN_SAMPLE_RATE.
        theme_seconds: Length of the theme in seconds, a multiple of the shortest of
            THEME_NOTE_SECONDS.

    Returns:
        Float32 [num_samples] with a peak of PEAK.

    Raises:
        InputError: The sample rate is too low, or whole notes cannot fill the theme.
    """
    _check_sample_rate(sample_rate)
    _check_theme_seconds(theme_seconds)
    theme = np.zeros(round(theme_seconds * sample_rate))
    times = itertools.accumulate(_draw_theme_rhythm(generator, theme_seconds), initial=0.0)
    # Rounding the times, not the lengths, keeps the theme exact where a note is not whole samples.
    for start, end in itertools.pairwise(round(time * sample_rate) for time in times):
        degree = int(generator.integers(len(SCALE_FREQUENCIES)))
        theme[start:end] = _play_note(generator, degree, end - start, sample_rate)
    return _normalise(np.resize(theme, num_samples))


def _draw_theme_rhythm(generator: np.random.Generator, theme_seconds: float) -> Iterator[float]:
    """Draws lengths of notes that fill a theme exactly."""
    remaining = theme_seconds
    while remaining > 0.0:
        fitting = [seconds for seconds in THEME_NOTE_SECONDS if seconds <= remaining]
        note_seconds = float(generator.choice(fitting))
        yield note_seconds
        remaining -= note_seconds


def _play_note(
    generator: np.random.Generator, degree: int, num_samples: int, sample_rate: int
) -> np.ndarray:
    """Plucks a note of the scale with random brightness and loudness."""
    brightness = generator.uniform(*BRIGHTNESS_RANGE)
    note = pluck_string(SCALE_FREQUENCIES[degree], num_samples, sample_rate, brightness)
    return generator.uniform(*LOUDNESS_RANGE) * note


def _normalise(melody: np.ndarray) -> np.ndarray:
    """Brings a melody to a peak of PEAK as float32; silence stays silent."""
    peak = np.max(np.abs(melody), initial=0.0)
    if peak > 0.0:
        melody = melody * (PEAK / peak)
    return melody.astype(np.float32)


def _check_sample_rate(sample_rate: int) -> None:
    if sample_rate < MIN_SAMPLE_RATE:
        raise InputError(f"sample rate must be at least {MIN_SAMPLE_RATE} Hz, not {sample_rate}")


def _check_theme_seconds(theme_seconds: float) -> None:
    grid = THEME_NOTE_SECONDS[0]
    # The remainder of infinity is NaN, so neither of them passes.
    if not (theme_seconds > 0 and theme_seconds % grid == 0):
        raise InputError(
            f"theme length must be a positive multiple of {grid} seconds, not {theme_seconds}"
        )


def write_corpus(
    output_dir: str | pathlib.Path,
    num_clips: int,
    clip_seconds: float,
    sample_rate: int,
    seed: int,
    theme_seconds: float | None = None,
) -> list[pathlib.Path]:
    """Writes melodies to 16-bit WAV files `melody_000.wav`, `melody_001.wav` and so on.

    The same arguments always give the same bytes, and a clip does not depend on how many follow.

    Args:
        output_dir: Folder for the files, made if missing.
        num_clips: Number of files.
        clip_seconds: Length of each file in seconds.
        sample_rate: Sample rate in Hz, at least MIN_SAMPLE_RATE.
        seed: Non-negative seed of the composer.
        theme_seconds: Length in seconds of the returning theme of each melody, see
            `compose_theme_melody`; None composes random walks without a theme.

    Returns:
        The paths of the files in order.

    Raises:
        InputError: A number is out of range.
        OSError: The folder or a file cannot be written.
    """
    if num_clips < 1:
        raise InputError(f"number of clips must be positive, not {num_clips}")
    _check_sample_rate(sample_rate)
    if not (math.isfinite(clip_seconds) and clip_seconds * sample_rate >= 1):
        raise InputError(f"clip length must be at least one sample, not {clip_seconds} seconds")
    if seed < 0:
        raise InputError(f"seed must not be negative, not {seed}")
    if theme_seconds is not None:
        _check_theme_seconds(theme_seconds)
    num_samples = round(clip_seconds * sample_rate)
    output_dir = pathlib.Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(num_clips):
        generator = np.random.default_rng([seed, index])
        path = output_dir / f"melody_{index:03d}.wav"
        if theme_seconds is None:
            melody = compose_melody(generator, num_samples, sample_rate)
        else:
            melody = compose_theme_melody(generator, num_samples, sample_rate, theme_seconds)
        audio.write_audio(path, melody, sample_rate)
        paths.append(path)
    return paths


@dataclasses.dataclass(frozen=True)
class NoteReport:
    """Notes that the checker found in a recording.

    Attributes:
        frequencies: Fundamental of each frame in Hz, float64 [frames], NaN where there is no pitch.
        cents: Signed distance of each frame to the nearest scale note, float64 [frames], NaN where
            there is no pitch.
        fraction_pitched: Fraction of all frames that are loud and pitched.
        fraction_in_scale: Fraction of loud frames within SCALE_TOLERANCE_CENTS of a scale note.
        midi_notes: Distinct scale notes of MIN_NOTE_SECONDS or more, as MIDI note numbers.
    """

    frequencies: np.ndarray
    cents: np.ndarray
    fraction_pitched: float
    fraction_in_scale: float
    midi_notes: tuple[int, ...]

    @property
    def num_notes(self) -> int:
        """Number of distinct scale notes found."""
        return len(self.midi_notes)

    @property
    def is_melody(self) -> bool:
        """Whether the recording is a melody in the scale, by the MELODY_ thresholds."""
        return (
            self.fraction_pitched >= MELODY_FRACTION_PITCHED
            and self.fraction_in_scale >= MELODY_FRACTION_IN_SCALE
            and self.num_notes >= MELODY_NUM_NOTES
        )

    @property
    def summary(self) -> str:
        """One line that sums up the notes."""
        names = [f"{_NOTE_NAMES[note % 12]}{note // 12 - 1}" for note in self.midi_notes]
        return (
            f"{'melody' if self.is_melody else 'no melody'}: "
            f"{self.fraction_pitched:.0%} of frames pitched, "
            f"{self.fraction_in_scale:.0%} of loud frames in scale, "
            f"distinct notes: {self.num_notes} ({' '.join(names) or 'none'})"
        )


def analyse_notes(waveform: np.ndarray, sample_rate: int) -> NoteReport:
    """Tracks the pitch of a recording and compares it with the scale.

    Args:
        waveform: Mono recording in [-1, 1], float [samples].
        sample_rate: Sample rate in Hz, at least MIN_SAMPLE_RATE.

    Returns:
        The notes found. A recording shorter than one frame has no frames and no notes.

    Raises:
        InputError: The sample rate is too low.
    """
    _check_sample_rate(sample_rate)
    frames = _frames(waveform, sample_rate)
    rms = np.sqrt(np.mean(np.square(frames), axis=1))
    loudest = np.max(rms, initial=0.0)
    loud = rms > max(SILENCE_RMS, loudest * 10.0 ** (-LOUD_RANGE_DB / 20.0))
    frequencies = np.full(len(frames), np.nan)
    if loud.any():
        frequencies[loud] = audio.detect_pitch(
            frames[loud], sample_rate, MIN_PITCH_HZ, MAX_PITCH_HZ
        )

    distances = 1200.0 * np.log2(frequencies[:, np.newaxis] / np.array(SCALE_FREQUENCIES))
    nearest = np.argmin(np.abs(distances), axis=1)
    cents = np.take_along_axis(distances, nearest[:, np.newaxis], axis=1)[:, 0]
    # Comparisons with NaN are false, so a frame without a pitch is not in the scale.
    in_scale = np.abs(cents) <= SCALE_TOLERANCE_CENTS
    frames_per_note = np.bincount(nearest[in_scale], minlength=len(SCALE_MIDI_NOTES))
    long_enough = frames_per_note * HOP_SECONDS >= MIN_NOTE_SECONDS
    return NoteReport(
        frequencies=frequencies,
        cents=cents,
        fraction_pitched=np.count_nonzero(~np.isnan(frequencies)) / max(len(frames), 1),
        fraction_in_scale=np.count_nonzero(in_scale) / max(np.count_nonzero(loud), 1),
        midi_notes=tuple(np.array(SCALE_MIDI_NOTES)[long_enough].tolist()),
    )


def _frames(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cuts a recording into overlapping frames without their means, float64 [frames, samples]."""
    frame_length = round(FRAME_SECONDS * sample_rate)
    hop_length = round(HOP_SECONDS * sample_rate)
    if len(waveform) < frame_length:
        return np.zeros((0, frame_length))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, frame_length)[::hop_length]
    return frames.astype(np.float64) - np.mean(frames, axis=1, keepdims=True, dtype=np.float64)
