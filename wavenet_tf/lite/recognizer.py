"""Recognizes classes or segments with an exported TFLite file."""

import os
from collections.abc import Iterable

import numpy as np

from wavenet_tf import clients, recognition
from wavenet_tf.lite.model_file import ModelFile
from wavenet_tf.recognition.logit_stream import process_with_signatures


class Recognizer(ModelFile, recognition.BlockRecognizer):
    """A TFLite file of a classifier that `export/tflite.py` wrote, ready to recognize.

    Threads may call one recognizer at the same time. Each stream carries its own state.

    Args:
        path: of the file.
        threads: number of threads of each call.

    Attributes:
        metadata: sample rate, block size, classes and so on.
        spec: the `RecognizerSpec` of the model.
        block_frames: frames of a block.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or holds no recognizer.
    """

    task, other = clients.RECOGNITION, "Runner"
    signatures = frozenset(("initial_state", "recognize_block"))
    block_signature = "recognize_block"

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        super().__init__(path, threads)
        self.spec = recognition.RecognizerSpec.from_metadata(self.metadata)
        self.block_frames = self.block_size // self.spec.frame_length

    def recognize(
        self, waveform: np.ndarray, decoder: recognition.Decoder | None = None
    ) -> recognition.Recognition:
        """Recognizes classes or segments in a recording.

        Args:
            waveform: float `[samples]` in [-1, 1], at the model's sample rate.
            decoder: finds the segments of a model of frames; None takes the likeliest class of
                each frame.

        Raises:
            InputError: for a waveform of another shape, without a sample, or with numbers that are
                not finite.
        """
        return recognition.recognize(self, waveform, decoder)

    def stream(self, blocks: Iterable[np.ndarray]) -> recognition.LogitStream:
        """Computes the logits of blocks of audio as they come, for microphones and long files.

        Args:
            blocks: float `[streams or 1, samples]` in [-1, 1], of any lengths.

        Returns:
            An iterator over logits, float32 `[streams, frames, classes]`, of the frames that are
            complete, less than a block and `look_ahead` frames late; and at the end those of the
            rest. Together they are those of all frames; the last one is filled up with digital
            silence. Its `real_time_factor` is that of all calls so far.
        """
        streams = {"streams": np.zeros(self.batch_size, np.int32)}
        process = process_with_signatures(self.call_signature, streams)
        rows = (self._rows(block) for block in blocks)
        return recognition.LogitStream(process, self.spec, rows, self.block_frames)

    def _rows(self, block) -> np.ndarray:
        """Returns a block with a row for each stream; one row is repeated."""
        block = np.asarray(block)
        return np.repeat(block, self.batch_size, axis=0) if len(block) == 1 else block

    def check_recognition(self) -> None:
        """Raises InputError unless the model recognizes digital silence without NaN or infinity."""
        self.recognize(np.zeros(self.block_size, np.float32))
