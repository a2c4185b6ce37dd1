"""Scores recordings under a trained WaveNet, in bits per sample.

python tools/evaluate.py --model_dir runs/first --data_dir recordings --per_file
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys

from absl import flags

from wavenet_tf import evaluation, files, runs

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Of a training run.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of recordings.", required=True)
_SPLIT = flags.DEFINE_enum(
    "split",
    "all",
    ["all", "validation"],
    "All recordings, or those that training on the same folder keeps aside.",
)
_VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction", 0.1, "Of the files, that training kept aside."
)
_PER_FILE = flags.DEFINE_bool("per_file", False, "Also a line for each recording, best first.")
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Crops scored at once.")


def main(argv):
    """Scores the recordings named by the flags."""
    command_line.refuse_words(argv)
    model = runs.load_model(_MODEL_DIR.value)
    settings = runs.Settings.of_run(_MODEL_DIR.value, data_dir=_DATA_DIR.value)
    recordings = runs.read_recordings(settings, model, _DATA_DIR.value)
    print(recordings.summary)
    if _SPLIT.value == "validation":
        _, recordings = recordings.split(_VALIDATION_FRACTION.value)
    scores = evaluation.score(model, recordings, _BATCH_SIZE.value, progress=sys.stdout.isatty())
    by_name = scores.bits_per_sample_by_name
    if _PER_FILE.value:
        for name, bits in by_name.items():
            print(f"{bits:8.4f}  {name}")
    print(
        f"{scores.bits_per_sample:.4f} bits per sample over {len(by_name)} recordings "
        f"({recordings.seconds:,.1f} s); 8 is uniform guessing, lower is better"
    )
    if _JSON.value:
        report = {"bits_per_sample": scores.bits_per_sample, "files": by_name}
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
