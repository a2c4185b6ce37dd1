"""Recognizes classes or segments in recordings, with a model that train.py --task has trained.

    python tools/recognize.py --model_dir runs/digits --input one.wav --input two.wav

prints a line per class or segment; `--output` writes text, JSON or a TextGrid.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from pathlib import Path

from absl import flags

from wavenet_tf import audio, files, models, recognition, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_INPUT = flags.DEFINE_multi_string(
    "input", None, "Recording; resampled if need be; may be given several times.", required=True
)
_OUTPUT = command_line.define_path(
    "output", None, "File to write: .txt, .json or .TextGrid, by its suffix; of a single recording."
)

SUFFIXES = (".txt", ".json", ".textgrid")


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    inputs = [Path(name).expanduser() for name in _INPUT.value]
    for path in inputs:
        command_line.check_exists("recording", path)
    if _OUTPUT.value is not None:
        if len(inputs) > 1:
            raise InputError(f"output is for a single recording; received {len(inputs)}")
        if Path(_OUTPUT.value).suffix.lower() not in SUFFIXES:
            raise InputError(
                f"output must end in .txt, .json or .TextGrid; received {_OUTPUT.value}"
            )
        command_line.check_output("output", _OUTPUT.value, inputs[0])
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(
        _MODEL_DIR.value, _STEP.value, verbose=True, kind=models.WaveNetClassifier
    )
    recognizer = recognition.Recognizer(model)
    for path in inputs:
        waveform, _ = audio.read_audio(path, model.sample_rate)
        result = recognition.recognize(recognizer, waveform)
        if _OUTPUT.value is not None:
            files.write_text(_OUTPUT.value, result.to_format(Path(_OUTPUT.value).suffix))
            print(f"wrote {_OUTPUT.value}")
            continue
        for line in result.to_text().splitlines():
            print(f"{path}\t{line}" if len(inputs) > 1 else line)


if __name__ == "__main__":
    command_line.run(main)
