"""Recognizes classes or segments in recordings with an exported TFLite file.

    python export/recognize_tflite.py --model model.tflite --input one.wav --input two.wav

prints a line per class or segment, as tools/recognize.py does; `--output` writes text, JSON or a
TextGrid. Needs no TensorFlow: numpy, soundfile, absl-py and ai-edge-litert.
"""

from shared import command_line  # isort: skip

from pathlib import Path

import inputs
from absl import flags

from wavenet_tf import files
from wavenet_tf.errors import InputError

_MODEL = command_line.define_path("model", None, "TFLite file of export/tflite.py.", required=True)
_INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "Recording at the model's sample rate; may be given several times.",
    required=True,
)
_OUTPUT = command_line.define_path(
    "output", None, "File to write: .txt, .json or .TextGrid, by its suffix; of a single recording."
)
_THREADS = flags.DEFINE_integer("threads", 1, "Of the interpreter.", 1)

SUFFIXES = (".txt", ".json", ".textgrid")


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    paths = [Path(name).expanduser() for name in _INPUT.value]
    if _OUTPUT.value is not None:
        if len(paths) > 1:
            raise InputError(f"output is for a single recording; received {len(paths)}")
        if Path(_OUTPUT.value).suffix.lower() not in SUFFIXES:
            raise InputError(
                f"output must end in .txt, .json or .TextGrid; received {_OUTPUT.value}"
            )
        command_line.check_output("output", _OUTPUT.value, paths[0], _MODEL.value)
    command_line.check_exists("TFLite file", _MODEL.value)
    for path in paths:
        command_line.check_exists("recording", path)
    from wavenet_tf import lite  # which may have to take its interpreter from TensorFlow

    recognizer = lite.Recognizer(_MODEL.value, _THREADS.value)
    for path in paths:
        result = recognizer.recognize(inputs.recording(str(path), recognizer.sample_rate))
        if _OUTPUT.value is not None:
            files.write_text(_OUTPUT.value, result.to_format(Path(_OUTPUT.value).suffix))
            print(f"wrote {_OUTPUT.value}")
            continue
        for line in result.to_text().splitlines():
            print(f"{path}\t{line}" if len(paths) > 1 else line)


if __name__ == "__main__":
    command_line.run(main)
