"""Looks at a corpus, and prints what to train on it and how long that takes on this machine.

    python tools/suggest.py recordings

The time is measured in a few training steps; nothing is written.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence

from absl import flags

from wavenet_tf import data, runs

_DATA_DIR = command_line.define_path(
    "data_dir", None, "Folder of recordings, or one that prepare_data.py wrote."
)
_LAYOUT = flags.DEFINE_string(
    "layout", "auto", f"Layout of the corpus: {', '.join(data.LAYOUTS)}; auto detects it."
)
_MEASURE = flags.DEFINE_bool("measure", True, "Measure the time of a few training steps.")


def main(argv: Sequence[str]) -> None:
    """Prints a suggestion for the folder named on the command line."""
    folder = command_line.only_folder("folder of recordings", argv[1:], _DATA_DIR.value)
    command_line.check_exists("folder of recordings", folder)
    suggestion = runs.suggest(folder, _LAYOUT.value)
    print(suggestion)
    if _MEASURE.value:
        print(runs.measured_time(suggestion, folder))
    print(f"to train: {runs.train_command(suggestion, folder)}")


if __name__ == "__main__":
    command_line.run(main)
