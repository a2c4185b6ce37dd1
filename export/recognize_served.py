"""Asks a TensorFlow Serving server for the classes or segments in recordings.

    python export/recognize_served.py --input one.wav --input two.wav
    python export/recognize_served.py --protocol rest --server localhost:8501 --input in.wav

prints a line per class or segment, as tools/recognize.py does; `--output` writes text, JSON or a
TextGrid. REST needs numpy, soundfile and absl-py; gRPC needs tensorflow-serving-api and TensorFlow.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import functools
from collections.abc import Iterable

import numpy as np
import recognition_files
import served_model
from absl import flags

from wavenet_tf import clients, recognition
from wavenet_tf.errors import InputError
from wavenet_tf.recognition.logit_stream import checked_answer, process_with_signatures

_SERVER = served_model.ServerFlags()
_FILES = recognition_files.RecognitionFiles()
_MODE = flags.DEFINE_enum(
    "mode", "once", ["once", "stream"], "A recording in one request, or a block in each."
)

BLOCK_SECONDS = 1.0  # of a streamed block


class ServedRecognizer(recognition.BlockRecognizer):
    """Recognizes with a served model, whose state travels with each block.

    Args:
        server: that has the model.
        metadata: of the model.
    """

    def __init__(self, server: served_model.Server, metadata: dict):
        self.server, self.max_samples = server, metadata["max_samples"]
        self.spec = recognition.RecognizerSpec.from_metadata(metadata)
        frame_seconds = self.spec.frame_length / self.spec.sample_rate
        self.block_frames = max(1, round(BLOCK_SECONDS / frame_seconds))

    def stream(self, blocks: Iterable[np.ndarray]) -> recognition.LogitStream:
        """Computes the logits of blocks of one stream; see `BlockRecognizer.stream`."""
        streams = {"streams": np.zeros(1, np.int32)}
        process = process_with_signatures(self.server.call_signature, streams)
        return recognition.LogitStream(process, self.spec, blocks)

    def recognize_at_once(self, waveform: np.ndarray) -> recognition.Recognition:
        """Recognizes a recording in one request.

        Args:
            waveform: float32 `[samples]`.

        Raises:
            InputError: for a waveform without a sample, or longer than a request may be.
        """
        seconds = len(waveform) / self.spec.sample_rate
        if not 1 <= len(waveform) <= self.max_samples:
            raise InputError(
                f"a request takes from 1 to {self.max_samples} samples; received {len(waveform)}; "
                "--mode stream takes longer recordings"
            )
        answer = self.server.call_signature(
            "recognize",
            audio=waveform[None],
            num_samples=np.array([len(waveform)], np.int32),
        )
        frames = [-(-len(waveform) // self.spec.frame_length)] * self.spec.per_frame
        shape = (1, *frames, len(self.spec.output_names))
        probabilities = checked_answer(answer.get("probabilities"), "probabilities", shape)
        return recognition.recognition_from_probabilities(self.spec, probabilities[0], seconds)


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    _FILES.check()
    server = _SERVER.connect()
    metadata = served_model.read_metadata(server, clients.RECOGNITION)
    recognizer = ServedRecognizer(server, metadata)
    recognize = {
        "once": recognizer.recognize_at_once,
        "stream": functools.partial(recognition.recognize, recognizer),
    }[_MODE.value]
    _FILES.write_results(recognize, recognizer.spec.sample_rate)


if __name__ == "__main__":
    command_line.run(main)
