"""Writes a report about a corpus, raw or prepared: a web page that is one file.

    python tools/inspect_data.py recordings --output recordings.html

Of a large corpus, evenly spaced clips are measured.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence

from absl import flags

from wavenet_tf import data, models, reports

_DATA_DIR = command_line.define_path(
    "data_dir", None, "Folder of recordings, or one that prepare_data.py wrote."
)
_OUTPUT = command_line.define_path("output", "inspect.html", "Page to write.")
_LAYOUT = flags.DEFINE_string(
    "layout",
    "auto",
    f"Layout of the corpus: {', '.join(data.LAYOUTS)}, with options as in vctk:microphone=mic2; "
    "auto detects it.",
)
_SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "Sample rate in Hz (that of most recordings).", 1
)
_SPEAKERS = flags.DEFINE_string(
    "speakers", None, "Rule for a recording's speaker, see train.py (as the corpus names them)."
)
_PRESET = flags.DEFINE_enum(
    "preset", "tiny", list(models.PRESETS), "Model that the training batch is for."
)
_CROP_SECONDS = command_line.define_positive(
    "crop_seconds", 1.0, "Scored part of a crop, in seconds."
)
_CLIPS = flags.DEFINE_integer("clips", 6, "Number of clips to show.", 1)
_SEED = command_line.define_seed(0, "Seed of the training batch.")


def main(argv: Sequence[str]) -> None:
    """Writes the page about the folder named on the command line."""
    folder = command_line.only_folder("folder of recordings", argv[1:], _DATA_DIR.value)
    command_line.check_exists("folder of recordings", folder)
    command_line.check_output("output", _OUTPUT.value)
    print(f"reading {folder}")
    reports.write_corpus_report(
        folder,
        _OUTPUT.value,
        layout=_LAYOUT.value,
        sample_rate=_SAMPLE_RATE.value,
        speakers=_SPEAKERS.value,
        preset=_PRESET.value,
        crop_seconds=_CROP_SECONDS.value,
        num_clips=_CLIPS.value,
        seed=_SEED.value,
        verbose=True,
    )
    print(f"the page is in {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
