"""Samples audio with an exported TFLite file, into a WAV file.

    python export/generate_tflite.py --model model.tflite --output out.wav --seconds 5
    python export/generate_tflite.py --model voice.tflite --output hello.wav --phones "HH AH0 L OW1"

Needs no TensorFlow: numpy, soundfile, absl-py and ai-edge-litert.
"""

from shared import command_line  # isort: skip

import generation_files
import inputs
from absl import flags

_MODEL = command_line.define_path("model", None, "TFLite file of export/tflite.py.", required=True)
_FILES = generation_files.GenerationFiles()
_SPEECH = inputs.SpeechFlags()
_THREADS = flags.DEFINE_integer("threads", 1, "Of the interpreter.", 1)


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    _FILES.check("TFLite file", _MODEL.value)
    from wavenet_tf import lite  # which may have to take its interpreter from TensorFlow

    runner = lite.Runner(_MODEL.value, _THREADS.value)
    conditions = _SPEECH.conditions(
        runner.call_signature, runner.metadata, _FILES.conditions(runner)
    )
    _FILES.write_audio(runner, conditions, _THREADS.value)


if __name__ == "__main__":
    command_line.run(main)
