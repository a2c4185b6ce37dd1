"""Scores recordings under a trained WaveNet, in bits per sample.

python tools/evaluate.py --model_dir runs/first --data_dir recordings --per_file
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys
from typing import Any

import numpy as np
from absl import flags

import wavenet_tf as wt
from wavenet_tf import files, runs

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_DATA_DIR = command_line.define_path("data_dir", None, "Folder of recordings.", required=True)
_SPLIT = flags.DEFINE_enum(
    "split",
    "all",
    ["all", "validation", "test"],
    "All recordings, the validation split of training on the same folder, or the corpus' test set.",
)
_VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction", None, "Of the duration, as training held it out (the run's)."
)
_PER_FILE = flags.DEFINE_bool("per_file", False, "Also a line for each recording, best first.")
_SPEAKERS = flags.DEFINE_bool(
    "identify_speakers", False, "Also how often the right speaker is the most likely one."
)
_RESYNTHESISE = flags.DEFINE_integer(
    "resynthesise", 0, "Also make so many recordings again from their features, and compare.", 0
)
_JSON = command_line.define_path("json", None, "File to write the figures to.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Crops scored at once.", 1)


def main(argv):
    """Scores the recordings named by the flags."""
    command_line.refuse_words(argv)
    command_line.check_output("json", _JSON.value)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)
    if _SPEAKERS.value:
        wt.evaluation.check_has_speakers(model)
    if _RESYNTHESISE.value:
        wt.evaluation.check_has_features(model)
    recordings = runs.recordings_from_run(
        _MODEL_DIR.value, model, _DATA_DIR.value, _SPLIT.value, _VALIDATION_FRACTION.value
    )
    print(recordings.summary)
    scores = wt.evaluation.score(model, recordings, _BATCH_SIZE.value, progress=sys.stdout.isatty())
    by_name, scored = scores.bits_per_sample_by_name, np.flatnonzero(scores.samples)
    if _PER_FILE.value:
        for name, bits in by_name.items():
            print(f"{bits:8.4f}  {name}")
    print(
        f"{scores.bits_per_sample:.4f} bits per sample over {len(by_name)} recordings "
        f"({scores.samples.sum() / model.sample_rate:,.1f} s); "
        f"{model.distribution.uniform_bits:g} is uniform guessing, lower is better"
    )
    if recordings.unreadable:
        print(recordings.unreadable_summary)
    report: dict[str, Any] = {"bits_per_sample": scores.bits_per_sample, "files": by_name}
    if _SPEAKERS.value:
        nats = wt.evaluation.score_speakers(model, recordings, _BATCH_SIZE.value)
        right = float(np.mean((nats.argmin(axis=1) == recordings.speaker_ids)[scored]))
        report["speakers_identified"] = right
        print(f"{100 * right:.1f}% of recordings are most likely under their own speaker")
    if _RESYNTHESISE.value:
        chosen = recordings.select(scored[: _RESYNTHESISE.value])
        again = wt.evaluation.resynthesise(model, chosen, seed=0, progress=True)
        distances = [
            wt.evaluation.log_spectral_distance(chosen.waveform(index), clip, model.sample_rate)
            for index, clip in enumerate(again)
        ]
        report["log_spectral_distance"] = float(np.mean(distances))
        print(
            f"{np.mean(distances):.2f} dB log-spectral distance over {len(again)} recordings made "
            "again from their features"
        )
    if _JSON.value:
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
