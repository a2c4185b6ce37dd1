"""Imports a WaveNet that another program trained: writes a model directory.

python tools/import_checkpoint.py --checkpoint model.pth --output_dir runs/imported
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from absl import flags

from wavenet_tf import audio, convert

_CHECKPOINT = command_line.define_path("checkpoint", None, "Of the other program.", required=True)
_OUTPUT_DIR = command_line.define_path(
    "output_dir", None, "Model directory to write.", required=True
)
_SOURCE = flags.DEFINE_enum(
    "source",
    "auto",
    ["auto", *convert.SOURCES],
    "The program that trained the model; auto finds it by the names of the weights.",
)
_CONFIG = command_line.define_path("config", None, "The program's file of the model's options.")
_STATISTICS = command_line.define_path(
    "statistics",
    None,
    "HDF5 or NPZ file of the mean and scale of the frames that condition the model; none for "
    "frames that are normalized already.",
)
_SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "Sample rate of the model in Hz, where no file states it.", 1
)
_FEATURES = flags.DEFINE_list(
    "features",
    None,
    "What the frames are, where no file states it, such as mel:fft=1024:log=10; options of mel are "
    f"{', '.join(audio.MEL_OPTIONS)}. tools/vocode.py then computes them.",
)


def main(argv):
    """Imports the checkpoint that the flags name."""
    command_line.refuse_words(argv)
    if convert.find_prefix(_CHECKPOINT.value) is None:
        command_line.check_exists("checkpoint", _CHECKPOINT.value)
    command_line.check_exists("configuration", _CONFIG.value)
    command_line.check_exists("statistics", _STATISTICS.value)
    if _FEATURES.value is not None:
        audio.feature_channels(_FEATURES.value)
    model, notes = convert.import_checkpoint(
        _CHECKPOINT.value,
        _OUTPUT_DIR.value,
        _SOURCE.value,
        _CONFIG.value,
        _SAMPLE_RATE.value,
        _STATISTICS.value,
        _FEATURES.value,
    )
    for note in notes:
        print(f"note: {note}")
    print(
        f"{_OUTPUT_DIR.value}: {model.count_params():,} weights, receptive field of "
        f"{model.receptive_field:,} samples at {model.sample_rate} Hz"
    )


if __name__ == "__main__":
    command_line.run(main)
