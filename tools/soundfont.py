"""Plays notes with the recorded instruments of a soundfont, by tinysoundfont."""

import os
import pathlib
from collections.abc import Sequence

import music
import numpy as np

from wavenet_tf.errors import InputError

# Programs of General MIDI, counted from 0.
PROGRAMS = {"guitar": 24, "organ": 19, "flute": 73, "strings": 48, "bells": 9}


class SoundFont:
    """Renders notes with a soundfont (.sf2, .sf3).

    Args:
        path: of the soundfont.

    Raises:
        InputError: if tinysoundfont is missing, or the file is no soundfont.
    """

    def __init__(self, path: str | os.PathLike):
        try:
            import tinysoundfont  # optional
        except ImportError as error:
            raise InputError(
                "a soundfont needs tinysoundfont: pip install --no-deps tinysoundfont"
            ) from error
        self._library = tinysoundfont
        try:
            contents = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the soundfont {path}: {error.strerror}") from error
        if contents[:4] != b"RIFF" or contents[8:12] != b"sfbk":
            raise InputError(f"{path} is no soundfont: expected an .sf2 or .sf3 file")
        self.path, self.contents = path, contents
        self._load(music.MIN_SAMPLE_RATE)

    def _load(self, sample_rate: int):
        synthesizer = self._library.Synth(samplerate=sample_rate)
        try:
            return synthesizer, synthesizer.sfload(self.contents)
        except Exception as error:  # the library names no class
            raise InputError(f"cannot read the soundfont {self.path}: {error}") from error

    def play(
        self, instrument: str, notes: Sequence[music.Note], num_samples: int, sample_rate: int
    ) -> np.ndarray:
        """Plays notes, as `music.render` does.

        Args:
            instrument: of `PROGRAMS`.
            notes: of the piece.
            num_samples: length of the piece.
            sample_rate: in Hz.

        Returns:
            float32 `[num_samples]`, the mean of both channels, with a peak of `music.PEAK`.

        Raises:
            InputError: for a soundfont without the instrument, or one that plays silence.
        """
        synthesizer, font = self._load(sample_rate)
        try:
            synthesizer.program_select(0, font, 0, PROGRAMS[instrument])
        except Exception as error:
            raise InputError(
                f"{self.path} has no program {PROGRAMS[instrument]} ({instrument}): {error}"
            ) from error
        piece, position = np.zeros(num_samples, np.float32), 0
        events = [(note.start, True, note) for note in notes]
        events += [(note.end, False, note) for note in notes]
        for time, begins, note in [
            *sorted(events, key=lambda e: e[:2]),
            (num_samples, False, None),
        ]:
            if time > position:
                channels = np.frombuffer(synthesizer.generate(time - position), np.float32)
                piece[position:time] = channels.reshape(-1, 2).mean(axis=1)
                position = time
            if note is not None and begins:
                synthesizer.noteon(0, note.midi_note, round(127 * note.loudness))
            elif note is not None:
                synthesizer.noteoff(0, note.midi_note)
        if not np.any(piece):
            raise InputError(f"{self.path} plays nothing for {instrument}")
        return music.scale_to_peak(piece)
