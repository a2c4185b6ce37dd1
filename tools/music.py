"""Music with tags: composes notes, and plays them with instruments that are synthesized here.

A piece has one instrument, one tempo and one mode, which are its tags. `soundfont.py` plays the
same notes with recorded instruments.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable

import melodies
import numpy as np

from wavenet_tf import audio, data
from wavenet_tf.errors import InputError

# Lengths of notes in seconds.
TEMPOS = {"slow": (0.5, 0.75, 1.0), "fast": (0.125, 0.25)}
# Semitones above C: the minor is harmonic, so that the modes differ in two notes.
MODES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}
LOWEST_MIDI_NOTE, OCTAVES = 60, 2
WALK_STEPS = (-2, -1, 1, 2)
LOUDNESS_RANGE = (0.7, 1.0)
MIN_SAMPLE_RATE = 8000
PEAK = 0.7


@dataclasses.dataclass(frozen=True)
class Note:
    """A note of a piece.

    Attributes:
        start: first sample.
        end: the sample after the last.
        midi_note: its number, 69 for A4.
        loudness: from 0 to 1.
    """

    start: int
    end: int
    midi_note: int
    loudness: float

    @property
    def frequency(self) -> float:
        """Fundamental in Hz."""
        return 440.0 * 2.0 ** ((self.midi_note - 69) / 12)


def compose(
    generator: np.random.Generator, tempo: str, mode: str, num_samples: int, sample_rate: int
) -> list[Note]:
    """Composes a random walk over a scale of two octaves, one note at a time.

    Args:
        generator: source of every random choice.
        tempo: of `TEMPOS`.
        mode: of `MODES`.
        num_samples: length of the piece.
        sample_rate: in Hz.
    """
    octaves = range(0, 12 * OCTAVES, 12)
    scale = [LOWEST_MIDI_NOTE + octave + step for octave in octaves for step in MODES[mode]]
    degree, start, notes = int(generator.integers(len(scale))), 0, []
    while start < num_samples:
        length = round(float(generator.choice(TEMPOS[tempo])) * sample_rate)
        loudness = float(generator.uniform(*LOUDNESS_RANGE))
        end = min(start + length, num_samples)
        notes.append(Note(start, end, scale[degree], loudness))
        step = int(generator.choice(WALK_STEPS))
        degree += step if 0 <= degree + step < len(scale) else -step
        start = end
    return notes


def play_guitar(frequency: float, samples: int, rate: int) -> np.ndarray:
    """Returns a note of a plucked string."""
    return melodies.pluck_string(frequency, samples, rate, brightness=0.4)


def play_organ(frequency: float, samples: int, rate: int) -> np.ndarray:
    """Returns a note of constant harmonics, most of them even."""
    amplitudes = {1: 1.0, 2: 0.8, 3: 0.3, 4: 0.6, 6: 0.4, 8: 0.4}
    return _partials(frequency, samples, rate, amplitudes) * _envelope(samples, rate, 0.01)


def play_flute(frequency: float, samples: int, rate: int) -> np.ndarray:
    """Returns a soft note, nearly a sine, with vibrato."""
    amplitudes = {1: 1.0, 2: 0.12, 3: 0.04}
    note = _partials(frequency, samples, rate, amplitudes, vibrato=0.004)
    return note * _envelope(samples, rate, 0.06)


def play_strings(frequency: float, samples: int, rate: int) -> np.ndarray:
    """Returns a note of two saws out of tune, which begins slowly."""
    amplitudes = {harmonic: 1.0 / harmonic for harmonic in range(1, 16)}
    pair = (
        _partials(detuned * frequency, samples, rate, amplitudes, vibrato=0.003)
        for detuned in (0.997, 1.003)
    )
    return sum(pair, np.zeros(samples)) * _envelope(samples, rate, 0.08)


def play_bells(frequency: float, samples: int, rate: int) -> np.ndarray:
    """Returns a note of the inharmonic partials of a bar, which decay."""
    time = np.arange(samples) / rate
    partials = {1.0: (1.0, 3.0), 2.76: (0.7, 6.0), 5.4: (0.4, 12.0)}  # amplitude, decay rate
    note = np.zeros(samples)
    for ratio, (amplitude, decay) in partials.items():
        if ratio * frequency < rate / 2:
            sine = np.sin(2.0 * np.pi * ratio * frequency * time)
            note += amplitude * np.exp(-decay * time) * sine
    return note * _envelope(samples, rate, 0.002)


# Plays a note of a frequency, a number of samples and a sample rate.
INSTRUMENTS: dict[str, Callable[[float, int, int], np.ndarray]] = {
    "guitar": play_guitar,
    "organ": play_organ,
    "flute": play_flute,
    "strings": play_strings,
    "bells": play_bells,
}


def render(instrument: str, notes: list[Note], num_samples: int, sample_rate: int) -> np.ndarray:
    """Plays notes with a synthesized instrument.

    Args:
        instrument: of `INSTRUMENTS`.
        notes: of the piece.
        num_samples: length of the piece.
        sample_rate: in Hz.

    Returns:
        float32 `[num_samples]` with a peak of `PEAK`.
    """
    piece = np.zeros(num_samples)
    for note in notes:
        played = INSTRUMENTS[instrument](note.frequency, note.end - note.start, sample_rate)
        piece[note.start : note.end] += note.loudness * played
    return scale_to_peak(piece)


def scale_to_peak(piece: np.ndarray) -> np.ndarray:
    """Returns audio with a peak of `PEAK`, as float32; silence stays silence."""
    peak = np.max(np.abs(piece), initial=0.0)
    return (piece * (PEAK / peak if peak else 0.0)).astype(np.float32)


def write_tagged_corpus(
    output_dir: str | pathlib.Path,
    num_clips: int,
    clip_seconds: float,
    sample_rate: int,
    seed: int,
    play: Callable[[str, list[Note], int, int], np.ndarray] = render,
) -> list[pathlib.Path]:
    """Writes pieces as 16-bit WAV files, and a manifest with their tags, each also as a column.

    Every combination of instrument, tempo and mode comes equally often. A clip does not depend on
    how many follow.

    Args:
        output_dir: folder for the files, made if missing.
        num_clips: number of files.
        clip_seconds: length of each file.
        sample_rate: in Hz, at least `MIN_SAMPLE_RATE`.
        seed: of the composer.
        play: renders the notes of an instrument, see `render`.

    Returns:
        The paths of the files in order.

    Raises:
        InputError: for a number out of range.
    """
    if num_clips < 1:
        raise InputError(f"number of clips must be positive, not {num_clips}")
    if sample_rate < MIN_SAMPLE_RATE:
        raise InputError(f"sample rate must be at least {MIN_SAMPLE_RATE} Hz, not {sample_rate}")
    num_samples = round(clip_seconds * sample_rate)
    if num_samples < 1:
        raise InputError(f"clip length must be at least one sample, not {clip_seconds} seconds")
    output_dir = pathlib.Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    combinations = list(itertools.product(INSTRUMENTS, TEMPOS, MODES))
    clips = []
    for index in range(num_clips):
        generator = np.random.default_rng([seed, index])
        tags = combinations[index % len(combinations)]
        instrument, tempo, mode = tags
        notes = compose(generator, tempo, mode, num_samples, sample_rate)
        name = f"piece_{index:04d}.wav"
        piece = play(instrument, notes, num_samples, sample_rate)
        audio.write_audio(output_dir / name, piece, sample_rate)
        columns = {"instrument": instrument, "tempo": tempo, "mode": mode}
        clips.append(data.Clip(name, tags=tags, other=columns))
    data.write_manifest(output_dir / "manifest.jsonl", clips)
    return [output_dir / clip.path for clip in clips]


def _partials(
    frequency: float,
    samples: int,
    rate: int,
    amplitudes: dict[int, float],
    vibrato: float = 0.0,
) -> np.ndarray:
    """Returns a sum of harmonics below half the sample rate, with a peak near 1."""
    time = np.arange(samples) / rate
    # The frequency varies by this share, five times a second.
    phase = 2.0 * np.pi * frequency * time - vibrato * frequency / 5.0 * np.cos(10 * np.pi * time)
    kept = {n: part for n, part in amplitudes.items() if n * frequency * 1.01 < rate / 2}
    waves = [part * np.sin(harmonic * phase) for harmonic, part in kept.items()]
    return sum(waves, np.zeros(samples)) / sum(kept.values())


def _envelope(samples: int, rate: int, attack_seconds: float) -> np.ndarray:
    """Returns a rise over the attack, and a fall over 20 ms at the end."""
    time = np.arange(samples) / rate
    rise, fall = np.minimum(time / attack_seconds, 1.0), np.minimum(time[::-1] / 0.02, 1.0)
    return rise * fall
