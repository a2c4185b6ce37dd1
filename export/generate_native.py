"""Samples audio with a file of libwavenet, into a WAV file.

    python export/generate_native.py --model model.wn --output out.wav --seconds 5

Needs no TensorFlow: numpy, soundfile, absl-py, and libwavenet, which this package builds.
"""

from shared import command_line  # isort: skip

import generation_files
from absl import flags

from wavenet_tf import native

_MODEL = command_line.define_path("model", None, "File of export/native.py.", required=True)
_FILES = generation_files.GenerationFiles()
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams, a channel of the file each.", 1)
_THREADS = flags.DEFINE_integer("threads", 1, "Threads among which streams are divided.", 1)


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    _FILES.check("model file", _MODEL.value)
    runner = native.Runner(_MODEL.value, _THREADS.value, _BATCH_SIZE.value)
    _FILES.write_audio(runner, _FILES.conditions(runner), _THREADS.value)


if __name__ == "__main__":
    command_line.run(main)
