"""Runs a SavedModel through TensorFlow's C API: a program of its own, with numpy alone.

python c_api.py LIBRARY DIRECTORY REQUEST ANSWER: the request, a NumPy file, has each input of
`generate_block` but the state, a row of blocks; the tensors' names come as JSON on standard input.
"""

import ctypes
import json
import sys

import numpy as np

DTYPES = {1: np.dtype(np.float32), 3: np.dtype(np.int32)}
POINTER = ctypes.c_void_p


class Output(ctypes.Structure):
    _fields_ = [("operation", POINTER), ("index", ctypes.c_int)]


class Session:
    def __init__(self, library, directory):
        self.api = ctypes.CDLL(library)
        for name in (
            "NewStatus",
            "NewGraph",
            "NewSessionOptions",
            "LoadSessionFromSavedModel",
            "GraphOperationByName",
            "AllocateTensor",
            "TensorData",
        ):
            getattr(self.api, f"TF_{name}").restype = POINTER
        self.api.TF_Message.restype = ctypes.c_char_p
        self.api.TF_TensorByteSize.restype = ctypes.c_size_t
        self.api.TF_Dim.restype = ctypes.c_int64
        self.status = POINTER(self.api.TF_NewStatus())
        self.graph = POINTER(self.api.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = POINTER(
            self.api.TF_LoadSessionFromSavedModel(
                POINTER(self.api.TF_NewSessionOptions()),
                None,
                directory.encode(),
                tags,
                1,
                self.graph,
                None,
                self.status,
            )
        )
        self.check()

    def check(self):
        if self.api.TF_GetCode(self.status):
            raise ValueError(self.api.TF_Message(self.status).decode())

    def place(self, name):
        operation, _, index = name.partition(":")
        found = self.api.TF_GraphOperationByName(self.graph, operation.encode())
        assert found, name
        return Output(found, int(index))

    def tensor(self, array):
        array = np.ascontiguousarray(array).reshape(np.shape(array))  # a scalar stays one
        (kind,) = (code for code, dtype in DTYPES.items() if dtype == array.dtype)
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = ctypes.c_size_t(array.nbytes)
        made = POINTER(self.api.TF_AllocateTensor(kind, shape, array.ndim, size))
        ctypes.memmove(self.api.TF_TensorData(made), array.ctypes.data, array.nbytes)
        return made

    def array(self, tensor):
        shape = [self.api.TF_Dim(tensor, axis) for axis in range(self.api.TF_NumDims(tensor))]
        content = ctypes.string_at(
            self.api.TF_TensorData(tensor), self.api.TF_TensorByteSize(tensor)
        )
        return np.frombuffer(content, DTYPES[self.api.TF_TensorType(tensor)]).reshape(shape)

    def run(self, signature, **inputs):
        given = {signature["inputs"][key]: value for key, value in inputs.items()}
        wanted = signature["outputs"]
        tensors = (POINTER * len(given))(*(self.tensor(value).value for value in given.values()))
        answers = (POINTER * len(wanted))()
        self.api.TF_SessionRun(
            self.session,
            None,
            (Output * len(given))(*map(self.place, given)),
            tensors,
            len(given),
            (Output * len(wanted))(*map(self.place, wanted.values())),
            answers,
            len(wanted),
            None,
            0,
            None,
            self.status,
        )
        self.check()
        return {
            key: self.array(POINTER(answer)) for key, answer in zip(wanted, answers, strict=True)
        }


def main():
    library, directory, request, answer = sys.argv[1:]
    signatures, blocks = json.load(sys.stdin), np.load(request)
    session = Session(library, directory)
    streams = blocks.shape[1]
    state = session.run(signatures["initial_state"], streams=np.zeros(streams, np.int32))
    made, temperature = [], np.ones(streams, np.float32)
    for uniforms in blocks:
        state = session.run(
            signatures["generate_block"], uniforms=uniforms, temperature=temperature, **state
        )
        made.append(state.pop("audio"))
    np.save(answer, np.concatenate(made, axis=1))
    right = {"uniforms": uniforms, "temperature": temperature, **state}
    request = {"seed": np.zeros(2, np.int32), "temperature": temperature}
    request["num_samples"] = np.ones(2, np.int32)
    for name, wrong in (
        ("generate_block", {**right, "temperature": -temperature}),
        ("generate_block", {**right, "uniforms": uniforms[:, 1:]}),
        ("generate_block", {**right, "state_block_1": state["state_block_1"][:, 1:]}),
        ("generate_block", {**right, "state_block_1": state["state_block_1"][:1]}),
        ("serving_default", {**request, "seed": np.zeros([], np.int32)}),
        ("serving_default", {name: value[:0] for name, value in request.items()}),
    ):
        try:
            session.run(signatures[name], **wrong)
        except ValueError as error:
            print(str(error).splitlines()[0])
    assert not [name for name in sys.modules if name.startswith(("tensorflow", "wavenet"))]


if __name__ == "__main__":
    main()
