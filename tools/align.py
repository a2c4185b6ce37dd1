"""Finds the times of known labels in recordings, with a model that train.py has trained.

    python tools/align.py --model_dir runs/phones --data_dir recordings --output_dir aligned

writes a TextGrid per recording. Where the recordings have an alignment already, it prints how far
the new boundaries are from it.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from wavenet_tf import data, evaluation, files, models, recognition, runs, text
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_DATA_DIR = command_line.define_path(
    "data_dir", None, "Folder of recordings with labels.", required=True
)
_SPLIT = flags.DEFINE_enum(
    "split",
    "all",
    ["all", "validation", "test"],
    "All recordings, the validation split of training on the same folder, or the corpus' test set.",
)
_OUTPUT_DIR = command_line.define_path(
    "output_dir", None, "Folder for the TextGrids, in the folders of the recordings.", required=True
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Where the labels are: an alignment, whose times are not used; 'characters' of the texts; "
    "'lexicon' for the phones of English texts in ARPAbet; 'espeak', or 'espeak:de' for German, "
    "for those of espeak-ng; or 'column:NAME' of the manifest, separated by spaces, with | where "
    "there may be silence (as in training).",
)
_JSON = flags.DEFINE_bool("json", False, "Also write a JSON file per recording.")


def main(argv):
    """Aligns the recordings that the flags name."""
    command_line.refuse_words(argv)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    files.check_writable_folder(_OUTPUT_DIR.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(
        _MODEL_DIR.value, _STEP.value, verbose=True, kind=models.WaveNetClassifier
    )
    recognition.check_aligns(model)
    settings = runs.Settings.from_run(_MODEL_DIR.value, data_dir=_DATA_DIR.value)
    source = _LABELS.value or settings.labels
    recordings = runs.recordings_from_run(_MODEL_DIR.value, model, _DATA_DIR.value, _SPLIT.value)
    print(recordings.summary)
    recognizer, errors, left_out = recognition.Recognizer(model), [], {}
    for index, name in enumerate(recordings.names):
        words = []
        if data.labels_are_of_text(source):
            words = data.text_words(source, recordings.texts[index])
            labels = _labels_with_pauses(words, model.class_names)
        else:
            labels = data.sequence_labels(source, recordings, index)
        waveform = recordings.waveform(index)
        try:
            alignment = recognition.align(recognizer, waveform, labels)
        except InputError as error:
            left_out[name] = str(error)
            continue
        tiers = {settings.labels: alignment.segments}
        if words:
            tiers = _tiers_of_words(words, alignment.segments)
        _write(name, tiers, alignment, len(waveform) / model.sample_rate)
        given = recordings.alignments[index].get(settings.labels, [])
        if [label for *_, label in given] == [label for *_, label in alignment.segments]:
            errors.append(evaluation.boundary_errors(given, alignment.segments)[1:])
    if len(left_out) == len(recordings.names):
        raise InputError(f"no recording was aligned: {data.first_reasons(left_out)}")
    print(f"aligned {len(recordings.names) - len(left_out)} recordings in {_OUTPUT_DIR.value}")
    if left_out:
        print(f"left out {len(left_out)}: {data.first_reasons(left_out)}")
    if errors and (boundaries := np.concatenate(errors)).size:
        median, high = 1000 * np.percentile(boundaries, [50, 90])
        print(
            f"{boundaries.size} boundaries differ from the given alignment by {median:.1f} ms "
            f"(median), by less than {high:.1f} ms in 90%"
        )


def _labels_with_pauses(words: Sequence[text.Word], class_names: Sequence[str]) -> list[str]:
    """Returns the phones of words as the model names them, with a possible silence between words.

    The name has the stress of a vowel if the model was trained on alignments with stress.
    """
    labels: list[str] = []
    for word in words:
        names = [(text.format_phones([phone]), phone.label) for phone in word.phones]
        labels += [
            recognition.MAY_PAUSE,
            *(stressed if stressed in class_names else label for stressed, label in names),
        ]
    return labels[1:]


def _tiers_of_words(words: Sequence[text.Word], segments: Sequence) -> dict[str, list]:
    """Returns the tiers "phones", with the stress of vowels, and "words" of aligned phones."""
    phones, spoken = [], []
    remaining = iter(segments)
    for word in words:
        start = end = None
        for phone in word.phones:
            segment = next(remaining)
            while segment[2] in text.SILENCES:
                phones.append(segment)
                segment = next(remaining)
            start = segment[0] if start is None else start
            end = segment[1]
            phones.append((segment[0], end, text.format_phones([phone])))
        spoken.append((start, end, word.text))
    return {"phones": [*phones, *remaining], "words": spoken}


def _write(
    name: str, tiers: dict[str, list], alignment: recognition.Alignment, seconds: float
) -> None:
    """Writes the files of a recording, in its folder below the output folder."""
    path, _, segment = name.partition("#")
    stem = Path(_OUTPUT_DIR.value, path).with_suffix("")
    if segment:
        stem = stem.with_name(f"{stem.name}#{segment}")
    stem.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(f"{stem}.TextGrid", data.textgrid_text(tiers, seconds))
    if _JSON.value:
        files.write_text(f"{stem}.json", alignment.to_json())


if __name__ == "__main__":
    command_line.run(main)
