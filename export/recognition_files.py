"""Recordings that a program recognizes, and files of its results: flags and their checks."""

from shared import command_line  # isort: skip

from collections.abc import Callable
from pathlib import Path

import inputs
import numpy as np
from absl import flags

from wavenet_tf import files, recognition
from wavenet_tf.errors import InputError

# `--help` shows the flags as those of the program.
flags.disclaim_key_flags()

SUFFIXES = (".txt", ".json", ".textgrid")


class RecognitionFiles:
    """The flags --input and --output of a program that recognizes; it defines them."""

    def __init__(self):
        self._input = flags.DEFINE_multi_string(
            "input",
            None,
            "Recording at the model's sample rate; may be given several times.",
            required=True,
        )
        self._output = command_line.define_path(
            "output",
            None,
            "File to write: .txt, .json or .TextGrid, by its suffix; of a single recording.",
        )

    @property
    def paths(self) -> list[Path]:
        """The paths of the recordings."""
        return [Path(name).expanduser() for name in self._input.value]

    def check(self, *kept: str) -> None:
        """Raises InputError unless all recordings exist and the output can be written.

        Args:
            *kept: files that the output may not replace, besides the recordings.
        """
        output = self._output.value
        if output is not None:
            if len(self.paths) > 1:
                raise InputError(f"output is for a single recording; received {len(self.paths)}")
            if Path(output).suffix.lower() not in SUFFIXES:
                raise InputError(f"output must end in .txt, .json or .TextGrid; received {output}")
            command_line.check_output("output", output, self.paths[0], *kept)
        for path in self.paths:
            command_line.check_exists("recording", str(path))

    def write_results(
        self, recognize: Callable[[np.ndarray], recognition.Recognition], sample_rate: int
    ) -> None:
        """Recognizes all recordings, and prints a line per class or segment, or writes the output.

        Args:
            recognize: takes a waveform, float `[samples]`.
            sample_rate: that the recordings must have, in Hz.
        """
        output = self._output.value
        for path in self.paths:
            result = recognize(inputs.recording(str(path), sample_rate))
            if output is not None:
                files.write_text(output, result.to_format(Path(output).suffix))
                print(f"wrote {output}")
                continue
            for line in result.to_text().splitlines():
                print(f"{path}\t{line}" if len(self.paths) > 1 else line)
