"""Recognizes classes or segments in recordings with an exported TFLite file.

    python export/recognize_tflite.py --model model.tflite --input one.wav --input two.wav

prints a line per class or segment, as tools/recognize.py does; `--output` writes text, JSON or a
TextGrid. Needs no TensorFlow: numpy, soundfile, absl-py and ai-edge-litert.
"""

from shared import command_line  # isort: skip

import recognition_files
from absl import flags

_MODEL = command_line.define_path("model", None, "TFLite file of export/tflite.py.", required=True)
_FILES = recognition_files.RecognitionFiles()
_THREADS = flags.DEFINE_integer("threads", 1, "Of the interpreter.", 1)


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    command_line.check_exists("TFLite file", _MODEL.value)
    _FILES.check(_MODEL.value)
    from wavenet_tf import lite  # which may have to take its interpreter from TensorFlow

    recognizer = lite.Recognizer(_MODEL.value, _THREADS.value)
    _FILES.write_results(recognizer.recognize, recognizer.sample_rate)


if __name__ == "__main__":
    command_line.run(main)
