"""Scores recordings under a trained model: in bits per sample, or the error rate of a classifier.

Of models that speak it also reports the errors of durations and of F0.

python tools/evaluate.py --model_dir runs/first --data_dir recordings --per_file
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import dataclasses
import json
from typing import Any

from absl import flags

from wavenet_tf import data, evaluation, files, models, runs, speech

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
    "validation_fraction", None, "Share of the duration that training held out (the run's)."
)
_PER_FILE = flags.DEFINE_bool("per_file", False, "Also print a line per recording, best first.")
_IDENTIFY_SPEAKERS = flags.DEFINE_bool(
    "identify_speakers", False, "Also compute how often the right speaker is the most likely one."
)
_COPY_SYNTHESIS = flags.DEFINE_integer(
    "copy_synthesis",
    0,
    "Number of recordings to also generate from their features, and to compare with the recorded "
    "ones.",
    0,
)
_RECOGNIZER_DIR = command_line.define_trained(
    "recognizer_dir",
    "Training run of a recognizer: also compute its error rate on recordings as they are, from "
    "copy synthesis, and spoken with predicted prosody; for models that speak.",
)
_SPOKEN_F0 = flags.DEFINE_bool(
    "spoken_f0",
    False,
    "Also compute how far F0 of the audio is from that of the recordings, spoken at their "
    "durations; for models that speak.",
)
_SPOKEN = flags.DEFINE_integer(
    "spoken", 50, "Number of recordings that are spoken for --recognizer_dir and --spoken_f0.", 1
)
_GENERATED = flags.DEFINE_integer(
    "generated",
    0,
    "Number of clips to also generate, conditioned as recordings are, and to score against them.",
    0,
)
_GENERATED_SECONDS = command_line.define_positive(
    "generated_seconds", 3.0, "Length of each of these clips, at most."
)
_CLASSIFIER_DIR = command_line.define_trained(
    "classifier_dir",
    "Model directory of a classifier, such as of speakers, that scores the generated clips too.",
)
_WHOLE_CONTEXT = flags.DEFINE_bool(
    "whole_context",
    False,
    "Score only samples whose whole receptive field is in the recording, without the digital "
    "silence before it.",
)
_FULL_PRECISION = flags.DEFINE_bool(
    "full_precision", False, "Score recordings as they are read, without rounding them to 16 bits."
)
_JSON = command_line.define_path("json", None, "File to write the figures to.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Number of crops scored at once.", 1)


def main(argv):
    """Evaluates the model on the recordings named by the flags."""
    command_line.refuse_words(argv)
    command_line.check_output("json", _JSON.value)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)
    speaks = bool(_RECOGNIZER_DIR.value) or _SPOKEN_F0.value
    if _SPOKEN.present and not speaks:
        raise command_line.InputError(
            "spoken is the number of recordings for --recognizer_dir and --spoken_f0"
        )
    classifier = None
    if _CLASSIFIER_DIR.value is not None:
        if not _GENERATED.value:
            raise command_line.InputError("classifier_dir is for --generated clips")
        runs.find_model(_CLASSIFIER_DIR.value)
        classifier = runs.RunClassifier.load(_CLASSIFIER_DIR.value)

    model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True, kind=models.TrainableModel)
    voice = None
    if _RECOGNIZER_DIR.value:
        runs.find_model(_RECOGNIZER_DIR.value)
    if speaks:
        voice = runs.load_voice(_MODEL_DIR.value, _STEP.value)
    # Reading a large corpus takes long, and a wrong flag is refused before.
    if _IDENTIFY_SPEAKERS.value:
        evaluation.check_has_speakers(model)
    if _COPY_SYNTHESIS.value:
        evaluation.check_has_features(model)
    recordings = runs.recordings_from_run(
        _MODEL_DIR.value,
        model,
        _DATA_DIR.value,
        _SPLIT.value,
        _VALIDATION_FRACTION.value,
        _FULL_PRECISION.value,
    )
    print(recordings.summary)
    if isinstance(model, models.WaveNetClassifier):
        figures = _classifier_figures(model, recordings)
    else:
        figures = _generator_figures(model, recordings, classifier)
        if model.config.phone_set:
            figures |= _prosody_figures(model, recordings)
        if voice is not None:
            some = recordings.select(range(min(_SPOKEN.value, len(recordings.names))))
            figures |= _spoken_figures(voice, some)
    if _JSON.value:
        files.write_text(_JSON.value, json.dumps(figures, indent=2) + "\n")


def _generator_figures(
    model: models.WaveNet, recordings: data.Recordings, classifier: runs.RunClassifier | None
) -> dict[str, Any]:
    """Scores recordings, and what the model generates; prints the figures."""
    report = evaluation.evaluate(
        model,
        recordings,
        batch_size=_BATCH_SIZE.value,
        identify_speakers=_IDENTIFY_SPEAKERS.value,
        num_copies=_COPY_SYNTHESIS.value,
        verbose=True,
        whole_context=_WHOLE_CONTEXT.value,
    )
    if _GENERATED.value:
        generated = runs.score_generated_audio(
            model,
            recordings,
            _GENERATED.value,
            _GENERATED_SECONDS.value,
            classifier,
            progress=True,
        )
        print(generated)
        report = dataclasses.replace(report, generated=generated)
    if _PER_FILE.value:
        for name, bits in report.files.items():
            print(f"{bits:8.4f}  {name}")
    if recordings.unreadable:
        print(recordings.unreadable_summary)
    return json.loads(report.to_json())


def _prosody_figures(model: models.WaveNet, recordings: data.Recordings) -> dict[str, Any]:
    """Returns the errors of the models of prosody; prints them."""
    figures: dict[str, Any] = {}
    for name, prosody in runs.load_prosody(_MODEL_DIR.value, model).items():
        errors = runs.evaluate_prosody(prosody, model, recordings)
        print(f"{name}: {errors}")
        figures |= errors.figures
    return figures


def _spoken_figures(voice: speech.Voice, recordings: data.Recordings) -> dict[str, Any]:
    """Returns the error rates of a recognizer, and the error of F0 of the audio; prints them."""
    figures: dict[str, Any] = {}
    if _RECOGNIZER_DIR.value:
        reports = runs.evaluate_intelligibility(
            voice, recordings, _RECOGNIZER_DIR.value, seed=0, progress=True
        )
        for name, report in reports.items():
            print(f"{name}: {report}")
            figures[f"{name.replace(' ', '_')}_error_rate"] = report.error_rate
    if _SPOKEN_F0.value:
        errors = runs.evaluate_spoken_f0(voice, recordings, seed=0, progress=True)
        print(f"audio: {errors}")
        figures |= {f"audio_{name}": value for name, value in errors.figures.items()}
    return figures


def _classifier_figures(
    model: models.WaveNetClassifier, recordings: data.Recordings
) -> dict[str, Any]:
    """Returns the error rates of a classifier; prints them."""
    report = runs.evaluate_classifier(_MODEL_DIR.value, model, recordings)
    print(report)
    if _PER_FILE.value:
        for name, errors in sorted(report.files.items(), key=lambda file: file[1]):
            print(f"{errors:8d}  {name}")
    return json.loads(report.to_json())


if __name__ == "__main__":
    command_line.run(main)
