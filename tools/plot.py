"""Draws recordings side by side, waveform above spectrogram, into one picture: PNG, SVG or PDF.

Usage:
    python tools/plot.py original.wav generated.wav --output comparison.png
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from wavenet_tf import reports

_OUTPUT = command_line.define_path("output", None, "PNG, SVG or PDF file to write.", required=True)
_TITLES = flags.DEFINE_list(
    "titles", None, "Comma-separated titles, one for each recording; file names if not given."
)


def main(argv: Sequence[str]) -> None:
    """Draws the recordings named on the command line."""
    paths = [Path(name) for name in argv[1:]]
    if not paths:
        raise command_line.InputError("name at least one recording")
    titles = [path.name for path in paths] if _TITLES.value is None else _TITLES.value
    if len(titles) != len(paths):
        raise command_line.InputError(
            f"--titles must name every recording: {len(titles)} titles, {len(paths)} recordings"
        )
    reports.check_picture_path(_OUTPUT.value)
    command_line.check_output("output", _OUTPUT.value, *paths)
    reports.draw_recording_files(paths, titles, _OUTPUT.value)
    print(f"drew {', '.join(titles)} to {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
