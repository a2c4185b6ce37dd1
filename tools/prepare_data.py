"""Prepares a corpus once, so that training reads it fast and in little memory.

    python tools/prepare_data.py --source VCTK-Corpus-0.92 --output vctk --sample_rate 16000 \
        --trim_db 60
    python tools/train.py --data_dir vctk --model_dir runs/vctk --speakers corpus

Stop it whenever you like: the same command goes on where it stopped.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from absl import flags

from wavenet_tf import audio, data, files

_SOURCE = command_line.define_path(
    "source", None, "Folder of the corpus; for --layout tfds the dataset's name.", required=True
)
_LAYOUT = flags.DEFINE_string(
    "layout",
    "auto",
    f"Of the corpus: {', '.join(data.LAYOUTS)} or tfds, with options as in vctk:microphone=mic2; "
    "auto looks.",
)
_OUTPUT = command_line.define_path("output", None, "Folder to write to.", required=True)
_SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "To resample to, in Hz (that of the first recording)."
)
_TRIM_DB = flags.DEFINE_float(
    "trim_db",
    None,
    "Cut off silence at the ends of a clip, so far below its loudest part; 60 is a good value.",
)
_TRIM_PAUSES = flags.DEFINE_bool("trim_pauses", False, "Shorten long pauses inside clips too.")
_NORMALIZE = flags.DEFINE_enum(
    "normalize", None, data.NORMALIZATIONS, "Bring the peak or the mean power of every clip to..."
)
_LEVEL_DB = flags.DEFINE_float(
    "level_db", None, "...this level, in dB of full scale (-3; rms -23)."
)
_FEATURES = flags.DEFINE_list(
    "features", [], f"Also extract features: {', '.join(audio.FEATURES)}, joined by commas."
)
_HOP_LENGTH = flags.DEFINE_integer("hop_length", None, "Of the features, in samples (12.5 ms).")
_SHARDS = flags.DEFINE_integer("shards", None, "Files to write (one for each 1,000 clips).")
_WORKERS = flags.DEFINE_integer("workers", None, "Processes (one for each core).", 1)


def main(argv):
    """Prepares the corpus named by the flags."""
    command_line.refuse_words(argv)
    preparation = data.Preparation(
        source=_SOURCE.value,
        layout=_LAYOUT.value,
        sample_rate=_SAMPLE_RATE.value,
        trim_db=_TRIM_DB.value,
        trim_pauses=_TRIM_PAUSES.value,
        normalize=_NORMALIZE.value,
        level_db=_LEVEL_DB.value,
        features=tuple(_FEATURES.value),
        hop_length=_HOP_LENGTH.value,
        shards=_SHARDS.value,
    )
    if not _LAYOUT.value.startswith("tfds"):
        command_line.check_exists("folder of recordings", _SOURCE.value)
    files.check_writable_folder(_OUTPUT.value)
    if files.same_file(_OUTPUT.value, _SOURCE.value):
        raise command_line.InputError("--output must be another folder than --source")
    report = data.prepare(preparation, _OUTPUT.value, _WORKERS.value, progress=True)
    print(data.summarize(report))
    print(f"prepared in {_OUTPUT.value}; the whole report is its report.json")


if __name__ == "__main__":
    command_line.run(main)
