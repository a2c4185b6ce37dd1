"""Asks a TensorFlow Serving server for audio, at once or as a stream, into a WAV file.

    python export/serving_client.py --output out.wav --seconds 5
    python export/serving_client.py --protocol rest --server localhost:8501 --output out.wav

REST needs numpy, soundfile and absl-py; gRPC needs tensorflow-serving-api and TensorFlow.
A stream that is interrupted leaves a WAV file of the audio received until then.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import abc
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import random
import struct
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import inputs
import numpy as np
from absl import flags

from wavenet_tf import clients, files
from wavenet_tf.audio import formats
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import InputError

_SERVER = command_line.define(
    "server",
    None,
    "host:port; localhost:8500 for gRPC and localhost:8501 for REST by default.",
    lambda text: server_address(text),
)
_PROTOCOL = flags.DEFINE_enum("protocol", "grpc", ["grpc", "rest"], "That the port speaks.")
_MODEL = flags.DEFINE_string("model", "wavenet", "Name of the model on the server.")
_MODE = flags.DEFINE_enum(
    "mode", "stream", ["once", "stream"], "All audio in one answer, or a block in each."
)
_OUTPUT = command_line.define_path("output", None, "WAV file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of the audio, without the prompt.")
_PROMPT = command_line.define_path(
    "prompt", None, "Recording to continue, at the model's sample rate; only for a stream."
)
_SPEAKER = command_line.define_speaker()
_TAGS = command_line.define_tags()
_FEATURES = command_line.define_path(
    "features", None, "NumPy file of local conditioning, float [frames, channels]."
)
_TEMPERATURE = command_line.define_temperature()
_SEED = flags.DEFINE_integer(
    "seed", None, "The same seed gives the same audio, in the same mode.", 0, 2**31 - 1
)
_DEADLINE_SECONDS = command_line.define_positive(
    "deadline_seconds", 60.0, "For each answer to come."
)
_RETRIES = flags.DEFINE_integer("retries", 5, "Of a request that the server cannot take now.", 0)

FIRST_PAUSE_SECONDS = 0.2
WAV_HEADER_BYTES = 44
# The only outputs of their signatures: REST leaves out their names.
ONLY_OUTPUTS = {"serving_default": "audio", "metadata": "json"}
# gRPC's names for the status numbers of REST.
CODES = {404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
# A batching server's words when requests of unlike lengths meet, which they need not do again.
UNLIKE_LENGTHS = "from different tasks have different shapes"


class UnavailableError(InputError):
    """The server cannot take a request now, and may take the same one later."""


class Server(abc.ABC):
    """A model on a TensorFlow Serving server.

    Args:
        address: host:port.
        model: its name.
        deadline_seconds: for each answer to come.
        retries: of a request that the server cannot take now.
    """

    def __init__(self, address: str, model: str, deadline_seconds: float, retries: int):
        self.address, self.model = address, model
        self.deadline_seconds, self.retries = deadline_seconds, retries

    def call_signature(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Calls a signature by its name, with its inputs as keyword arguments.

        Raises:
            InputError: where no answer comes, or the server refuses the request.
        """
        for attempt in range(self.retries):
            try:
                return self.send(signature, inputs)
            except UnavailableError:
                # At random, so that clients who met in a crowd do not meet again.
                time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.5))
        return self.send(signature, inputs)

    @abc.abstractmethod
    def send(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sends a request, once."""

    def error(self, code: str, message: str) -> InputError:
        """Returns what to raise for an error of the server or of the connection.

        Args:
            code: gRPC's name for the kind of error.
            message: any number of lines.
        """
        lines = [line.strip() for line in message.splitlines() if line.strip()] or [code]
        # TensorFlow counts errors before it reports the first one.
        line = next((line for line in lines if "assertion failed" in line), lines[0])
        if code == "DEADLINE_EXCEEDED":
            return InputError(
                f"{self.address} did not answer within {self.deadline_seconds:g} s, which "
                "--deadline_seconds allows"
            )
        if code == "UNAVAILABLE":
            return UnavailableError(f"{self.address} cannot be reached or is not ready: {line}")
        if UNLIKE_LENGTHS in message or clients.UNLIKE_PHASES in message:
            return UnavailableError(f"{self.address} is busy with requests of other lengths")
        if code == "NOT_FOUND":
            return InputError(f"{self.address} has no model {self.model}: {line}")
        return InputError(f"{self.address} refused the request: {line}")


class GrpcServer(Server):
    """A server reached over gRPC; see `Server`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        try:
            import grpc
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise InputError(
                f"gRPC needs tensorflow-serving-api (pip install tensorflow-serving-api): {error}; "
                "--protocol rest does not"
            ) from error
        self.grpc, self.tensorflow, self.new_request = grpc, tf, predict_pb2.PredictRequest
        unlimited = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        # Or it would wait a second before it tries to connect again, whatever is asked meanwhile.
        patience = ("grpc.initial_reconnect_backoff_ms", 100)
        channel = grpc.insecure_channel(self.address, [*unlimited, patience])
        self.service = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def send(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        request = self.new_request()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(self.tensorflow.make_tensor_proto(value))
        try:
            answer = self.service.Predict(request, timeout=self.deadline_seconds)
        except self.grpc.RpcError as error:
            raise self.error(error.code().name, error.details()) from error
        try:
            return {
                name: self.tensorflow.make_ndarray(tensor)
                for name, tensor in answer.outputs.items()
            }
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.address} answered with tensors that cannot be read: {error}"
            ) from error


class RestServer(Server):
    """A server reached over REST; see `Server`."""

    def send(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        content = {name: value.tolist() for name, value in inputs.items()}
        request = urllib.request.Request(
            f"http://{self.address}/v1/models/{urllib.parse.quote(self.model, safe='')}:predict",
            json.dumps({"signature_name": signature, "inputs": content}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            status, reason, body = run_within(
                self.deadline_seconds, lambda: self._exchange(request)
            )
            if status != http.HTTPStatus.OK:
                message = body.decode(errors="replace")
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    message = str(json.loads(message)["error"])
                raise self.error(CODES.get(status, reason), message)
            outputs = json.loads(body)["outputs"]
            if signature in ONLY_OUTPUTS:
                outputs = {ONLY_OUTPUTS[signature]: outputs}
            # JSON distinguishes whole numbers from fractions, and no other types of numbers.
            return {name: np.asarray(value) for name, value in outputs.items()}
        except InputError:
            raise
        except OSError as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            code = "DEADLINE_EXCEEDED" if late else "UNAVAILABLE"
            raise self.error(code, str(reason)) from error
        except (
            http.client.HTTPException,
            AttributeError,
            KeyError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{self.address} does not speak TensorFlow Serving's REST: {error!r}"
            ) from error

    def _exchange(self, request: urllib.request.Request) -> tuple[int, str, bytes]:
        """Sends a request, once; returns status, its name and the body of the answer."""
        try:
            with urllib.request.urlopen(request, timeout=self.deadline_seconds) as answer:
                return answer.status, answer.reason, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.reason, error.read()


def run_within(seconds: float, function: Callable[[], Any]) -> Any:
    """Returns what a function returns, or raises what it raises, within a time in all.

    The timeout of a socket is for each read, which an answer of a byte a second never exceeds.

    Args:
        seconds: the longest that it may take; after that its thread is left to itself.
        function: called in another thread.

    Raises:
        TimeoutError: where it takes longer.
    """
    future: concurrent.futures.Future = concurrent.futures.Future()

    def work():
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return future.result(seconds)
    except concurrent.futures.TimeoutError as error:  # another class in Python 3.10
        raise TimeoutError(str(error)) from error


def read_metadata(server: Server) -> dict[str, Any]:
    """Returns the metadata of the served model.

    Raises:
        InputError: where the server has none, or of another kind of model.
    """
    answer = server.call_signature("metadata", streams=np.zeros(1, np.int32))
    try:
        metadata = json.loads(np.ravel(answer["json"])[0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{server.address} answered with no metadata: {error!r}") from error
    return clients.checked_metadata(metadata, server.address, "max_samples")


def server_address(text: str) -> str:
    """Returns the value of the flag --server.

    Raises:
        InputError: unless it is host:port.
    """
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdecimal()):
        raise InputError(f"server must be host:port, such as localhost:8501; received {text!r}")
    return text


def main(argv):
    """Writes the audio described by the flags."""
    command_line.refuse_words(argv)
    if not _OUTPUT.value.lower().endswith(".wav"):
        raise InputError(f"--output must be a WAV file; received {_OUTPUT.value}")
    if _PROMPT.value is not None and _MODE.value == "once":
        raise InputError("--prompt needs --mode stream")
    command_line.check_seconds(_SECONDS.value)
    command_line.check_output("output", _OUTPUT.value, _PROMPT.value, _FEATURES.value)
    command_line.check_exists("recording", _PROMPT.value)
    command_line.check_exists("NumPy file", _FEATURES.value)
    kind, address = {
        "grpc": (GrpcServer, "localhost:8500"),
        "rest": (RestServer, "localhost:8501"),
    }[_PROTOCOL.value]
    server = kind(_SERVER.value or address, _MODEL.value, _DEADLINE_SECONDS.value, _RETRIES.value)
    metadata = read_metadata(server)
    conditions = ConditioningSpec.from_metadata(metadata).checked(
        inputs.conditions(metadata, _SPEAKER.value, _TAGS.value, _FEATURES.value), batch_size=1
    )
    make = {"once": at_once, "stream": streamed}[_MODE.value]
    started = time.perf_counter()
    blocks, samples = make(server, metadata, conditions)
    write(blocks, samples, metadata["sample_rate"], started)


def at_once(
    server: Server, metadata: dict[str, Any], conditions: dict[str, np.ndarray]
) -> tuple[Iterable[np.ndarray], int]:
    """All audio in one answer, as the only block, and the number of its samples."""
    rate, longest = metadata["sample_rate"], metadata["max_samples"]
    if metadata["hop_length"]:
        samples = conditions["local_conditioning"].shape[1] * metadata["hop_length"]
    else:
        samples = inputs.length(_SECONDS.value, rate)
    if samples > longest:
        raise InputError(
            f"the model makes at most {longest / rate:g} s at once; --mode stream makes more"
        )
    seed = random.randrange(2**31) if _SEED.value is None else _SEED.value
    request = {
        "seed": np.array([seed], np.int32),
        "temperature": np.array([_TEMPERATURE.value], np.float32),
        **conditions,
    }
    if not metadata["hop_length"]:
        request["num_samples"] = np.array([samples], np.int32)
    answer = server.call_signature("serving_default", **request)
    return [clients.checked_answer_audio(answer.get("audio"), 1, samples)], samples


def streamed(
    server: Server, metadata: dict[str, Any], conditions: dict[str, np.ndarray]
) -> tuple[Iterable[np.ndarray], int]:
    """Audio a block at a time, whose state travels with each, and the number of its samples."""
    prompt = inputs.prompt(_PROMPT.value, metadata["sample_rate"])
    start = 0
    if prompt is not None:
        prompt = clients.checked_audio(metadata, 1, prompt)
        start = prompt.shape[1]
        state = server.call_signature("prime", audio=prompt, **conditions)
    elif conditions:
        # Before the first frame it holds, so that no other one counts.
        first = {
            name: value[:, :1] if name == "local_conditioning" else value
            for name, value in conditions.items()
        }
        state = server.call_signature("initial_state", **first)
    else:
        state = server.call_signature("initial_state", streams=np.zeros(1, np.int32))
    stream = clients.AudioStream(
        server.call_signature,
        metadata,
        conditions,
        clients.checked_state(state, 1),
        start,
        _TEMPERATURE.value,
        _SEED.value,
    )
    samples = stream.num_samples or inputs.length(_SECONDS.value, metadata["sample_rate"])
    return itertools.islice(stream, -(-samples // metadata["block_size"])), samples


def write(blocks: Iterable[np.ndarray], samples: int, rate: int, started: float) -> None:
    """Writes blocks of one stream as they come; after each, the file is a whole WAV file.

    A file of that name is replaced when the first block is there, not before.

    Args:
        blocks: float `[1, any]` each.
        samples: to write; what is beyond them is left out.
        rate: of the samples, in Hz.
        started: when the audio was asked for, by `time.perf_counter`.

    Raises:
        InputError: for more samples than a WAV file can hold, or where the blocks end too early.
    """
    path, made, seconds, first_after = Path(_OUTPUT.value), 0, 0.0, 0.0
    if 2 * samples + WAV_HEADER_BYTES >= 2**32:
        raise InputError(f"a WAV file holds less than 2**31 samples; received {samples}")
    try:
        for block in blocks:
            steps = formats.to_16_bits(block[0, : samples - made]).astype("<i2")
            if made:
                append(path, steps)
            else:
                start_file(path, steps, rate)
            made += steps.size
            seconds = time.perf_counter() - started
            first_after = first_after or seconds
            inputs.show_progress(made, samples, rate, made / rate / seconds)
    except InputError as error:
        if not made:
            raise
        raise InputError(
            f"{error}; {path} holds {made / rate:.2f} of {samples / rate:.2f} s"
        ) from error
    print(
        f"{path}: {made / rate:.2f} s at {rate} Hz, {made / seconds:,.0f} samples/s, real-time "
        f"factor {made / rate / seconds:.2f}, the first audio after {first_after:.2f} s"
    )


def start_file(path: Path, steps: np.ndarray, rate: int) -> None:
    """Writes a WAV file of one channel; a file of that name is replaced by the whole new one."""
    with files.atomic_path(path) as temporary, wave.open(str(temporary), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(steps.tobytes())


def append(path: Path, steps: np.ndarray) -> None:
    """Appends samples to a file of `start_file`, and corrects the sizes in its header."""
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(steps.tobytes())
        size = file.tell()
        for position, before in ((4, 8), (WAV_HEADER_BYTES - 4, WAV_HEADER_BYTES)):
            file.seek(position)
            file.write(struct.pack("<I", size - before))


if __name__ == "__main__":
    command_line.run(main)
