"""Runs exported TFLite files: nothing but numpy and ai-edge-litert, or TensorFlow, is needed.

Example, with a file that `export/tflite.py` wrote:

    stream = Runner("model.tflite").stream(seed=0)
    audio = next(stream)  # float32 [streams, block_size], at Runner.metadata["sample_rate"]
"""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import clients
from wavenet_tf.errors import InputError

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    try:  # the one in TensorFlow, which is slower
        from tensorflow.lite import Interpreter
        from tensorflow.lite.python import schema_py_generated as schema
    except ImportError:
        raise ImportError(
            "wavenet_tf.lite needs ai-edge-litert (pip install ai-edge-litert) or TensorFlow; "
            "neither is installed"
        ) from None

SIGNATURES = {"initial_state", "prime", "generate_block"}
# Name of the exporter's metadata in the file.
METADATA_NAME = "wavenet"


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """What the exporter told of a model: sample rate, block size, conditioning, speakers.

    Args:
        path: of the TFLite file.

    Raises:
        InputError: for a file that cannot be read, is cut off, or is none of a WaveNet.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        model = schema.Model.GetRootAs(content)
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            if entry.Name() == METADATA_NAME.encode():
                return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    except (ValueError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise InputError(f"{path} is no TFLite file, or is damaged: {error}") from error
    raise InputError(f"{path} is no TFLite file that export/tflite.py wrote: it has no metadata")


class Runner:
    """A TFLite file that `export/tflite.py` wrote, ready to sample.

    Args:
        path: of the file.
        threads: of the interpreter.

    Attributes:
        metadata: what the exporter told: sample rate, block size, conditioning, speakers.

    Raises:
        InputError: for a file that cannot be read, or is none of a WaveNet.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        self.metadata = read_metadata(path)
        try:
            self.interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
            found = set(self.interpreter.get_signature_list())
            if found != SIGNATURES:
                raise ValueError(f"its signatures are {sorted(found)}")
            self.signatures = {
                name: self.interpreter.get_signature_runner(name) for name in SIGNATURES
            }
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path} is no TFLite file of a WaveNet: {error}") from error
        self.threads = threads
        self.batch_size: int = self.metadata["batch_size"]
        self.block_size: int = self.metadata["block_size"]
        self.sample_rate: int = self.metadata["sample_rate"]

    def initial_state(self, **conditions) -> dict[str, np.ndarray]:
        """The state after digital silence.

        Args:
            **conditions: what the model is conditioned on, as `WaveNet.generate` takes it.

        Raises:
            InputError: for a condition that is missing, not wanted, or of the wrong shape or range.
        """
        conditions = clients.checked_conditions(self.metadata, self.batch_size, conditions)
        if "local_conditioning" in conditions:
            conditions["local_conditioning"] = conditions["local_conditioning"][:, :1]
        return self.ask("initial_state", **conditions)

    def prime(self, audio, **conditions) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Takes in audio as if it had been drawn.

        Args:
            audio: float `[streams or 1, samples]` in [-1, 1]; with local conditioning, whole frames
                of it.
            **conditions: as `WaveNet.generate` takes them; frames begin with the audio.

        Returns:
            The state after it, and the log-likelihood of each sample in nats, `[streams, samples]`.

        Raises:
            InputError: for audio of another shape, or with numbers that are not finite.
        """
        audio = clients.checked_audio(self.metadata, self.batch_size, audio)
        conditions = clients.checked_conditions(self.metadata, self.batch_size, conditions)
        state = self.initial_state(**conditions)
        # Before it lies digital silence, so that blocks may begin there.
        silent = -audio.shape[1] % self.block_size
        padded = np.pad(audio, [[0, 0], [silent, 0]])
        padded = np.repeat(padded, self.batch_size // len(padded), axis=0)
        scores = [np.zeros([self.batch_size, 0], np.float32)]
        for first in range(0, padded.shape[1], self.block_size):
            state = self.ask(
                "prime",
                audio=padded[:, first : first + self.block_size],
                **clients.conditions_of_block(self.metadata, conditions, first - silent),
                **state,
            )
            scores.append(state.pop("log_likelihood"))
        return state, np.concatenate(scores, axis=1)[:, silent:]

    def stream(
        self,
        prompt=None,
        temperature: float = 1.0,
        seed: int | None = None,
        state: dict[str, np.ndarray] | None = None,
        **conditions,
    ) -> clients.AudioStream:
        """Samples audio without end, or to the end of its frames, block after block.

        Args:
            prompt: audio to continue, as `prime` takes it.
            temperature: as `WaveNet.generate` takes it.
            seed: as `WaveNet.generate` takes it: the same seed gives the same audio as there, but
                for rounding and quantization.
            state: of `prime` or of a stream before, in place of a prompt.
            **conditions: as `WaveNet.generate` takes them; frames begin with the prompt.

        Raises:
            InputError: for an argument out of range or of the wrong shape.
        """
        if prompt is not None and state is not None:
            raise InputError("give a prompt or a state to go on from, not both")
        checked = clients.checked_conditions(self.metadata, self.batch_size, conditions)
        start = 0
        if prompt is not None:
            state, scores = self.prime(prompt, **conditions)
            start = scores.shape[1]
        elif state is None:
            state = self.initial_state(**conditions)
        return clients.AudioStream(
            self.ask, self.metadata, checked, state, start, temperature, seed
        )

    def ask(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Calls a signature by its name, with its inputs by theirs."""
        return dict(self.signatures[signature](**inputs))
