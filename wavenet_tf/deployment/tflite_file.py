"""Changes to a TFLite file that TensorFlow's converter cannot make.

The flatbuffer's schema is no public API of TensorFlow; the same module is part of ai-edge-litert.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from wavenet_tf import lite

# Smaller weights stay in float32, as the converter's int8 does.
FEWEST_VALUES_HALVED = 1024
FLOAT32 = {schema.TensorType.FLOAT32: np.float32}
FILLED_TYPES = {**FLOAT32, schema.TensorType.INT32: np.int32}


def finish(file: bytes, metadata: dict[str, Any], half_precision: bool = False) -> bytes:
    """Returns a converted file with smaller content, metadata and a checksum.

    Args:
        file: of the converter.
        metadata: what clients need, as JSON holds it.
        half_precision: whether to keep large weights in float16.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file))
    _separate_outputs(model)
    _fill_states(model)
    if half_precision:
        _halve_weights(model)
    _remove_unread(model)
    _share_buffers(model)
    return _packed(model, metadata)


def _halve_weights(model: schema.ModelT) -> None:
    """Stores weights in half precision; the interpreter widens them once.

    The converter would halve every constant; with half-precision constants, mu-law companding gives
    other codes.
    """
    # Version 3 is the first that takes half precision.
    widen = _operator_code(model, schema.BuiltinOperator.DEQUANTIZE, version=3)
    for graph in model.subgraphs:
        added = []
        for index, tensor in enumerate(list(graph.tensors)):
            numbers = _constant(model, tensor)
            if numbers is None or numbers.size < FEWEST_VALUES_HALVED:
                continue
            half = copy.copy(tensor)
            half.type = schema.TensorType.FLOAT16
            half.buffer = _buffer(model, numbers.astype(np.float16))
            options = schema.DequantizeOptionsT()
            added.append(_operator(widen, options, [len(graph.tensors)], [index]))
            graph.tensors.append(half)
            tensor.buffer = 0
        graph.operators = added + list(graph.operators)


def _separate_outputs(model: schema.ModelT) -> None:
    """Gives each output of a signature a tensor of its own.

    The converter makes equal constants, such as two initial states of the same shape, one tensor,
    which LiteRT for browsers takes for one output.
    """
    for signature in model.signatureDefs:
        graph, found = model.subgraphs[signature.subgraphIndex], set()
        for output in signature.outputs:
            index = output.tensorIndex
            if index in found:
                copied = copy.copy(graph.tensors[index])
                copied.name += b"_" + output.name
                output.tensorIndex = len(graph.tensors)
                graph.tensors.append(copied)
                outputs = list(graph.outputs)
                outputs[outputs.index(index)] = output.tensorIndex
                graph.outputs = outputs
            found.add(index)


def _fill_states(model: schema.ModelT) -> None:
    """Replaces stored initial states by an operator.

    Those of loops are large and all zeros. Those that a signature returns are no outputs that
    LiteRT for browsers takes.
    """
    fill = _operator_code(model, schema.BuiltinOperator.FILL)
    for graph in model.subgraphs:
        added = []
        loops = [
            operator
            for operator in graph.operators
            if operator.builtinOptionsType == schema.BuiltinOptions.WhileOptions
        ]
        outputs = {int(position) for position in graph.outputs}
        for index in sorted(outputs.union(int(place) for loop in loops for place in loop.inputs)):
            tensor = graph.tensors[index]
            numbers = _constant(model, tensor, FILLED_TYPES if index in outputs else FLOAT32)
            if numbers is None or not numbers.size or (numbers != numbers[0]).any():
                continue
            if index not in outputs and (numbers.size < FEWEST_VALUES_HALVED or numbers[0]):
                continue
            operands = []
            for kind, value in (
                (schema.TensorType.INT32, np.array(tensor.shape, np.int32)),
                (tensor.type, numbers[0].reshape([])),
            ):
                part = schema.TensorT()
                part.type, part.shape, part.hasRank = kind, list(value.shape), True
                part.buffer = _buffer(model, value)
                operands.append(len(graph.tensors))
                graph.tensors.append(part)
            added.append(_operator(fill, schema.FillOptionsT(), operands, [index]))
            tensor.buffer = 0
        graph.operators = added + list(graph.operators)


def _constant(
    model: schema.ModelT, tensor: schema.TensorT, types: Mapping[int, type] = FLOAT32
) -> np.ndarray | None:
    """Returns the values of a constant tensor of one of the types; None for any other tensor."""
    content = model.buffers[tensor.buffer].data
    if tensor.type not in types or content is None or not len(content):
        return None
    return np.frombuffer(bytes(content), types[tensor.type])


def _buffer(model: schema.ModelT, numbers: np.ndarray) -> int:
    """Adds a buffer with these values, and returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(numbers.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _operator_code(model: schema.ModelT, code: int, version: int = 1) -> int:
    """Adds an operator code, and returns its index."""
    added = schema.OperatorCodeT()
    added.builtinCode = added.deprecatedBuiltinCode = code
    added.version = version
    model.operatorCodes.append(added)
    return len(model.operatorCodes) - 1


def _operator(code: int, options, inputs: list[int], outputs: list[int]) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    name = type(options).__name__.removesuffix("T")
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    operator.builtinOptions = options
    return operator


def _remove_unread(model: schema.ModelT) -> None:
    """Removes what no interpreter reads from thousands of tensors.

    These are names, except in signatures, flags of known shapes, empty quantization, and the ranges
    that quantization was computed from.
    """
    in_signatures = {signature.subgraphIndex for signature in model.signatureDefs}
    for index, graph in enumerate(model.subgraphs):
        kept = {*graph.inputs, *graph.outputs} if index in in_signatures else set()
        for position, tensor in enumerate(graph.tensors):
            if position not in kept:
                tensor.name, tensor.hasRank = None, False
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None
                if tensor.quantization.scale is None:
                    tensor.quantization = None


def _share_buffers(model: schema.ModelT) -> None:
    """Stores equal weights of all signatures once, and no unused ones."""
    empty = schema.BufferT()  # the first buffer, that of all computed tensors
    indices, buffers = {b"": 0}, [empty]
    owners = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for owner in [*owners, *(model.metadata or [])]:
        buffer = model.buffers[owner.buffer]
        content = b"" if buffer.data is None else bytes(buffer.data)
        if content not in indices:
            indices[content] = len(buffers)
            buffers.append(buffer)
        owner.buffer = indices[content]
    model.buffers = buffers


def _packed(model: schema.ModelT, metadata: dict[str, Any]) -> bytes:
    """Returns the file with metadata and a checksum."""
    entries = {lite.METADATA_NAME: json.dumps(metadata).encode(), lite.CHECKSUM_NAME: bytes(32)}
    for name, content in entries.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = list(content)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return lite.with_checksum(bytes(builder.Output()))


class _Builder(flatbuffers.Builder):
    """Aligns weights to 16 bytes, as the schema requires; Python's builder does not."""

    def CreateNumpyVector(self, array):  # noqa: N802
        if array.itemsize == 1:
            self.Prep(16, array.nbytes)
        return super().CreateNumpyVector(array)
