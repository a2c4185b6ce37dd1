"""Asks a TensorFlow Serving server for the classes or segments in recordings.

    python export/recognize_served.py --input one.wav --input two.wav
    python export/recognize_served.py --protocol rest --server localhost:8501 --input in.wav

prints a line per class or segment, as tools/recognize.py does; `--output` writes text, JSON or a
TextGrid. REST needs numpy, soundfile and absl-py; gRPC needs tensorflow-serving-api and TensorFlow.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import functools

import numpy as np
import recognition_files
import served_model
from absl import flags

from wavenet_tf import clients, recognition
from wavenet_tf.errors import InputError

_SERVER = served_model.ServerFlags()
_FILES = recognition_files.RecognitionFiles()
_MODE = flags.DEFINE_enum(
    "mode", "once", ["once", "stream"], "A recording in one request, or a block in each."
)


def recognize_at_once(
    recognizer: recognition.SignatureRecognizer, max_samples: int, waveform: np.ndarray
) -> recognition.Recognition:
    """Recognizes a recording in one request.

    Args:
        recognizer: of the served model.
        max_samples: the most that a request may have.
        waveform: float32 `[samples]`.

    Raises:
        InputError: for a waveform without a sample, or longer than a request may be.
    """
    if not 1 <= len(waveform) <= max_samples:
        raise InputError(
            f"a request takes from 1 to {max_samples} samples; received {len(waveform)}; "
            "--mode stream takes longer recordings"
        )
    return recognition.recognition_from_probabilities(
        recognizer.spec,
        recognizer.probabilities(waveform),
        len(waveform) / recognizer.spec.sample_rate,
    )


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    _FILES.check()
    server = _SERVER.connect()
    metadata = served_model.read_metadata(server, clients.RECOGNITION)
    recognizer = recognition.SignatureRecognizer(server.call_signature, metadata)
    recognize = {
        "once": functools.partial(recognize_at_once, recognizer, metadata["max_samples"]),
        "stream": functools.partial(recognition.recognize, recognizer),
    }[_MODE.value]
    _FILES.write_results(recognize, recognizer.spec.sample_rate)


if __name__ == "__main__":
    command_line.run(main)
