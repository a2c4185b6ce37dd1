"""Samples audio with an exported TFLite file."""

import os
from collections.abc import Sequence

import numpy as np

from wavenet_tf import clients
from wavenet_tf.block_generator import BlockGenerator
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.lite.model_file import ModelFile
from wavenet_tf.text.linguistic import SpokenPhone


class Runner(ModelFile, BlockGenerator):
    """A TFLite file of a generator that `export/tflite.py` wrote, ready to sample.

    Threads may call one runner at the same time. Each stream carries its own state.

    Args:
        path: of the file.
        threads: number of threads of each call.

    Attributes:
        metadata: sample rate, block size, conditioning, speakers and so on.
        conditioning: the `ConditioningSpec` of the model.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or holds no generator.
    """

    task, other = clients.GENERATION, "Recognizer"
    signatures = frozenset(("initial_state", "prime", "generate_block"))
    block_signature = "generate_block"

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        super().__init__(path, threads)
        self.conditioning = ConditioningSpec.from_metadata(self.metadata)
        self.description = f"TFLite, streams: {self.batch_size}, threads: {threads}"

    def check_input(self, name: str, value) -> None:
        """Raises InputError for uniform numbers out of their range."""
        if name == "uniforms":
            clients.check_uniforms(value)

    def frames_of_phones(
        self,
        phones: Sequence[SpokenPhone],
        speaker_id: int | None = None,
        rate: float = 1.0,
        semitones: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the durations of phones, and the frames to speak them; for an exported voice.

        Args:
            phones: as `clients.frames_of_phones` takes them.
            speaker_id: as `clients.frames_of_phones` takes it.
            rate: factor of the speed.
            semitones: by which F0 is raised.

        Raises:
            InputError: as `clients.frames_of_phones` raises it.
        """
        return clients.frames_of_phones(
            self.call_signature, self.metadata, phones, speaker_id, rate, semitones
        )
