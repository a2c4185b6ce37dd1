"""An exported TFLite file: its metadata and checksum, and calls of its signatures."""

import contextlib
import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import clients
from wavenet_tf.conditioning import check_finite
from wavenet_tf.errors import InputError, positive_integer

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    try:  # the one in TensorFlow, which is slower
        from tensorflow.lite.python import schema_py_generated as schema
        from tensorflow.lite.python.interpreter import Interpreter
    except ImportError:
        raise ImportError(
            "wavenet_tf.lite needs ai-edge-litert (pip install ai-edge-litert) or TensorFlow; "
            "neither is installed"
        ) from None

# Names of the exporter's entries in the file's metadata: JSON, and the checksum.
METADATA_NAME = "wavenet"
CHECKSUM_NAME = "wavenet_sha256"


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Returns the metadata of an exported model: its task, sample rate, block size and so on.

    Args:
        path: path of the TFLite file.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or holds no WaveNet.
    """
    return read_file(path)[1]


def with_checksum(file: bytes) -> bytes:
    """Returns a TFLite file with a new checksum of all its bytes, the checksum's own as zeros.

    Args:
        file: content of a file with the metadata `CHECKSUM_NAME`, 32 bytes of any value.

    Raises:
        ValueError: for a file without this metadata.
    """
    content = bytearray(file)
    place = _metadata(content, CHECKSUM_NAME)
    if place is None:
        raise ValueError("it has no checksum")
    place[:] = 0
    place[:] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    return bytes(content)


def _metadata(file: bytes | bytearray, name: str) -> np.ndarray | None:
    """Returns the metadata of a name, as a view of the file; None if there is none."""
    model = schema.Model.GetRootAs(file)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == name.encode():
            return model.Buffers(entry.Buffer()).DataAsNumpy()
    return None


def read_file(path: str | os.PathLike) -> tuple[bytes, dict[str, Any]]:
    """Returns a file and its metadata; the interpreter may crash on a corrupted file.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or holds no WaveNet.
    """
    try:
        file = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        if file[4:8] != b"TFL3":
            raise ValueError("its identifier is not TFL3")
        description = _metadata(file, METADATA_NAME)
        if description is not None and with_checksum(file) != file:
            raise ValueError("its checksum is another")
    except (ValueError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise InputError(f"{path} is no TFLite file, or is damaged: {error}") from error
    if description is None:
        raise InputError(
            f"{path} is no TFLite file that export/tflite.py wrote: it has no metadata"
        )
    try:
        metadata = json.loads(description.tobytes())
    except ValueError as error:
        raise InputError(f"the metadata of {path} is not JSON: {error}") from error
    return file, clients.checked_metadata(metadata, str(path), "batch_size")


class _InterpreterPool:
    """Interpreters of one file, of which each call borrows one that no other thread uses.

    An interpreter crashes when two threads call it at once. A new one is made only when all are
    borrowed: it takes milliseconds, and memory for activations but not for float32 weights.

    Args:
        file: content of the TFLite file, which all interpreters read.
        threads: number of threads of each interpreter.
        expected: names of the file's signatures.
    """

    def __init__(self, file: bytes, threads: int, expected: frozenset[str]):
        self.file, self.threads, self.expected = file, threads, expected
        self.idle: list[dict[str, Any]] = []
        # More calls at once than cores would take memory and gain no speed.
        self.slots = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // threads))

    @contextlib.contextmanager
    def borrow(self) -> Iterator[dict[str, Any]]:
        """Yields the signatures, by name, of an interpreter that no other thread uses.

        Raises:
            ValueError: for a file with other signatures.
        """
        with self.slots:
            try:
                signatures = self.idle.pop()
            except IndexError:
                signatures = self._new_signatures()
            try:
                yield signatures
            finally:
                self.idle.append(signatures)

    def _new_signatures(self) -> dict[str, Any]:
        interpreter = Interpreter(model_content=self.file, num_threads=self.threads)
        found = set(interpreter.get_signature_list())
        if found != self.expected:
            raise ValueError(f"its signatures are {sorted(found)}")
        return {name: interpreter.get_signature_runner(name) for name in self.expected}


class ModelFile:
    """A TFLite file that `export/tflite.py` wrote, and calls of its signatures.

    Threads may call one file at the same time.

    Args:
        path: of the file.
        threads: number of threads of each call.

    Attributes:
        metadata: task, sample rate, block size and so on.
        batch_size: number of streams.
        block_size: samples of a block.
        sample_rate: sample rate of the audio, in Hz.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or holds no WaveNet of this task.
    """

    task: str
    signatures: frozenset[str]
    # The signature that takes a state, and what runs files of the other task.
    block_signature: str
    other: str

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        self.threads = positive_integer("threads", threads)
        file, self.metadata = read_file(path)
        if self.metadata["task"] != self.task:
            raise InputError(
                f"{path} is a model of {self.metadata['task']}, which wavenet_tf.lite.{self.other} "
                f"runs; expected one of {self.task}"
            )
        expected = self.signatures | ({"prosody"} if self.metadata.get("prosody") else set())
        self.interpreters = _InterpreterPool(file, self.threads, expected)
        try:
            with self.interpreters.borrow() as signatures:
                # Read once: a call may change the shapes that the interpreter reports.
                self.inputs = {name: _inputs_of(signatures[name]) for name in signatures}
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path} is no TFLite file of a WaveNet: {error}") from error
        self.batch_size: int = self.metadata["batch_size"]
        self.block_size: int = self.metadata["block_size"]
        self.sample_rate: int = self.metadata["sample_rate"]

    def call_signature(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Calls a signature by its name, with its inputs as keyword arguments.

        Raises:
            InputError: for an input that is missing, that the signature does not take, or that has
                the wrong shape, type or range.
        """
        expected = self.inputs[signature]
        _check_names(signature, inputs, expected)
        for name, value in inputs.items():
            _check_tensor(name, value, *expected[name])
            if not name.startswith(clients.STATE_PREFIX):  # large, and computed by the model
                check_finite(name, value)
            self.check_input(name, value)
        try:
            with self.interpreters.borrow() as signatures:
                return dict(signatures[signature](**inputs))
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the model cannot take these inputs: {error}") from error

    def check_input(self, name: str, value) -> None:
        """Raises InputError for values of an input that the model cannot take; here for none."""

    def checked_state(self, state) -> dict[str, np.ndarray]:
        """Returns a state if it has the tensors of this model's states.

        Raises:
            InputError: if it has others.
        """
        if not isinstance(state, Mapping):
            raise InputError(f"state must be a dict of arrays; received {type(state).__name__}")
        inputs = self.inputs[self.block_signature]
        expected = {name: inputs[name] for name in inputs if name.startswith(clients.STATE_PREFIX)}
        _check_names("a state of this model", state, expected)
        for name, value in state.items():
            _check_tensor(name, value, *expected[name])
            check_finite(name, value)
        return dict(state)


def _inputs_of(signature_runner) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Returns shape and type of each input of a signature, by name; -1 stands for any size."""
    return {
        name: (tuple(int(size) for size in details["shape_signature"]), np.dtype(details["dtype"]))
        for name, details in signature_runner.get_input_details().items()
    }


def _check_names(what: str, given: Mapping, expected: Mapping) -> None:
    """Raises InputError unless the names given are those expected."""
    for name in expected:
        if name not in given:
            raise InputError(f"{what} needs {name}")
    for name in given:
        if name not in expected:
            raise InputError(f"{what} takes no {name}")


def _check_tensor(name: str, value, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raises InputError unless a value is an array of this shape and type."""
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(
        expected in (size, -1) for size, expected in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise InputError(
            f"{name} must be {dtype} of shape {list(shape)}; received {array.dtype} of shape "
            f"{list(array.shape)}"
        )
