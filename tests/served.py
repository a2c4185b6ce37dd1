"""A gRPC and a REST server that stand in for TensorFlow Serving, which is no Python package.

They run an exported SavedModel by the same C++ loader and follow the documented formats.
"""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from wavenet_tf import deployment

HTTP_STATUS = {"NOT_FOUND": 404, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504, "INTERNAL": 500}


# In front of the client where it speaks REST: it does without any of these.
WITHOUT_TENSORFLOW = """
import runpy, sys
for name in ("tensorflow", "tensorflow_serving", "keras", "grpc", "soxr"):
    sys.modules[name] = None
program = sys.argv[1]
sys.path.insert(0, program.rpartition("/")[0])
del sys.argv[0]
runpy.run_path(program, run_name="__main__")
"""


class RefusalError(Exception):
    """An answer that is none: gRPC's name for it, and the message."""


class Served:
    """A SavedModel, answering as a server that has joined requests to a batch does."""

    def __init__(self, directory):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self.session, ["serve"], str(directory))
        self.signatures = dict(loaded.signature_def)
        self.before = {}
        self.reset()

    def reset(self):
        self.requests = []
        self.refusals = []  # of the next requests; None for none
        self.seconds = 0.0  # that an answer takes
        self.changes = {}  # of inputs by name, which the client would refuse

    def answer(self, model, name, inputs):
        self.requests.append(name)
        refusal = self.refusals.pop(0) if self.refusals else None
        time.sleep(self.seconds)
        if refusal:
            raise RefusalError(*refusal)
        if model != "wavenet":
            raise RefusalError("NOT_FOUND", f"Servable not found for request: Latest({model})")
        signature = self.signatures[name]
        wanted = {key: info.dtype for key, info in signature.inputs.items()}
        assert {key: tf.as_dtype(value.dtype) for key, value in inputs.items()} == wanted
        inputs = {key: self.changes.get(key, value) for key, value in inputs.items()}
        # In one batch with the request before: nothing of that may show.
        other = self.before.get(name, inputs)
        if any(other[key].shape[1:] != value.shape[1:] for key, value in inputs.items()):
            other = inputs
        batch = {key: np.concatenate([other[key], value]) for key, value in inputs.items()}
        try:
            outputs = self.session.run(
                {key: info.name for key, info in signature.outputs.items()},
                {signature.inputs[key].name: value for key, value in batch.items()},
            )
        except tf.errors.InvalidArgumentError as error:
            # Python's heading, which a server's message has not.
            message = error.message.removeprefix("Graph execution error:\n\n")
            raise RefusalError("INVALID_ARGUMENT", message) from error
        self.before[name] = inputs
        return {key: value[-1:] for key, value in outputs.items()}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, served):
        self.served = served

    def Predict(self, request, context):
        spec = request.model_spec
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        try:
            outputs = self.served.answer(spec.name, spec.signature_name, inputs)
        except RefusalError as refusal:
            code, message = refusal.args
            context.abort(getattr(grpc.StatusCode, code), message)
        answer = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return answer


class RestHandler(BaseHTTPRequestHandler):
    """POST /v1/models/NAME:predict, in the columnar format."""

    def do_POST(self):
        model = re.fullmatch("/v1/models/([^/:]+):predict", self.path).group(1)
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served, name = self.server.served, request["signature_name"]
        status = 200
        try:
            outputs = served.answer(model, name, self.tensors(name, request["inputs"]))
            outputs = {
                key: np.char.decode(value.astype(bytes)) if value.dtype == object else value
                for key, value in outputs.items()
            }
            lists = {key: value.tolist() for key, value in outputs.items()}
            answer = {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
        except RefusalError as refusal:
            code, message = refusal.args
            status, answer = HTTP_STATUS.get(code, 400), {"error": message}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def tensors(self, name, inputs):
        wanted = self.server.served.signatures[name].inputs
        if not wanted:
            raise RefusalError("INVALID_ARGUMENT", f"Failed to get input map for signature: {name}")
        arrays = {}
        for key, info in wanted.items():
            value = np.asarray(inputs[key])
            if tf.as_dtype(info.dtype).is_integer and value.dtype.kind != "i":
                message = f"JSON Value: {value.flat[0]} Type: Number is not of expected type: int32"
                raise RefusalError("INVALID_ARGUMENT", message)
            arrays[key] = value.astype(tf.as_dtype(info.dtype).as_numpy_dtype)
        return arrays

    def log_message(self, *_):
        pass


class Serving:
    """A served model, and where each protocol reaches it."""

    def __init__(self, signatures, directory):
        self.model = signatures.model
        deployment.save(signatures, directory / "1")
        self.served = Served(directory / "1")
        self.grpc = grpc.server(ThreadPoolExecutor(16))
        service = PredictionService(self.served)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, self.grpc)
        grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.rest = ThreadingHTTPServer(("127.0.0.1", 0), RestHandler)
        self.rest.served = self.served
        self.addresses = {
            "grpc": f"127.0.0.1:{grpc_port}",
            "rest": f"127.0.0.1:{self.rest.server_port}",
        }
        self.grpc.start()
        threading.Thread(target=self.rest.serve_forever, daemon=True).start()

    def stop(self):
        self.grpc.stop(None)
        self.rest.shutdown()
        self.rest.server_close()

    def flags(self, protocol, *more):
        return [f"--server={self.addresses[protocol]}", f"--protocol={protocol}", *more]
