"""A model on a TensorFlow Serving server, reached over gRPC or REST, and the flags that name it.

REST needs numpy and absl-py; gRPC needs tensorflow-serving-api and TensorFlow.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import abc
import concurrent.futures
import contextlib
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from wavenet_tf import clients
from wavenet_tf.errors import InputError

# `--help` shows the flags as those of the program.
flags.disclaim_key_flags()

FIRST_PAUSE_SECONDS = 0.2
# The only outputs of their signatures: REST leaves out their names.
ONLY_OUTPUTS = {"serving_default": "audio", "recognize": "probabilities", "metadata": "json"}
PROGRAMS = {clients.GENERATION: "serving_client.py", clients.RECOGNITION: "recognize_served.py"}
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


def read_metadata(server: Server, task: str) -> dict[str, Any]:
    """Returns the metadata of the served model.

    Args:
        server: that has the model.
        task: of the model, `clients.GENERATION` or `clients.RECOGNITION`.

    Raises:
        InputError: where the server has none, or of a model of another task.
    """
    answer = server.call_signature("metadata", streams=np.zeros(1, np.int32))
    try:
        metadata = json.loads(np.ravel(answer["json"])[0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{server.address} answered with no metadata: {error!r}") from error
    metadata = clients.checked_metadata(metadata, server.address, "max_samples")
    if metadata["task"] != task:
        raise InputError(
            f"{server.address} has a model of {metadata['task']}, which export/"
            f"{PROGRAMS[metadata['task']]} takes; expected one of {task}"
        )
    return metadata


def server_address(text: str) -> str:
    """Returns the value of the flag --server.

    Raises:
        InputError: unless it is host:port.
    """
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdecimal()):
        raise InputError(f"server must be host:port, such as localhost:8501; received {text!r}")
    return text


class ServerFlags:
    """The flags of a program that name a served model; it defines them."""

    def __init__(self):
        self._server = command_line.define(
            "server",
            None,
            "host:port; localhost:8500 for gRPC and localhost:8501 for REST by default.",
            server_address,
        )
        self._protocol = flags.DEFINE_enum(
            "protocol", "grpc", ["grpc", "rest"], "That the port speaks."
        )
        self._model = flags.DEFINE_string("model", "wavenet", "Name of the model on the server.")
        self._deadline_seconds = command_line.define_positive(
            "deadline_seconds", 60.0, "For each answer to come."
        )
        self._retries = flags.DEFINE_integer(
            "retries", 5, "Of a request that the server cannot take now.", 0
        )

    def connect(self) -> Server:
        """Returns the server that the flags name; nothing is sent yet."""
        kind, address = {
            "grpc": (GrpcServer, "localhost:8500"),
            "rest": (RestServer, "localhost:8501"),
        }[self._protocol.value]
        return kind(
            self._server.value or address,
            self._model.value,
            self._deadline_seconds.value,
            self._retries.value,
        )
