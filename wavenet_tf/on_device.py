"""A model as one TFLite file, which samples blocks in a closed loop with built-in operators only.

The signatures are those of `serving` for a fixed number of streams, but that `prime` takes a prompt
block by block, with the state before each, and tells how likely it was. `lite` runs such files.
"""

import copy
import functools
import json
import tempfile
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from wavenet_tf import generation, lite, serving
from wavenet_tf.distributions import Categorical
from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.options import QUANTIZATIONS

# Samples of a block: a call copies the whole state, which so many samples share.
BLOCK_SIZE = 256


class DeviceSignatures:
    """The functions of a TFLite file.

    Args:
        model: a `WaveNet`.
        block_size: samples of a block; None takes `BLOCK_SIZE`, or the next larger one that fits.
        batch_size: streams.
        ranges: of the activations, see `activation_ranges`, to round them to 8 bits; None leaves
            them as they are.

    Raises:
        InputError: for an argument out of range.
    """

    def __init__(
        self,
        model,
        block_size: int | None = None,
        batch_size: int = 1,
        ranges: dict[str, tuple[float, float]] | None = None,
    ):
        self.model = model
        self.block_size = serving.block_size_of(model, block_size, BLOCK_SIZE)
        self.batch_size = positive_integer("batch_size", batch_size)
        schedule = generation.schedule_of(model)._replace(storage=generation.Shifting)
        self.ranges = ranges
        if ranges is not None:
            schedule = schedule._replace(rounded=functools.partial(_to_8_bits, ranges))
        self.rounded = schedule.rounded
        self.draw = functools.partial(generation.generate_block, schedule)
        # As constants, which the converter can quantise.
        self.weights = tf.nest.map_structure(_as_array, generation.prepare_weights(model))
        # What context stacks hold after silence: they hear it longer than the loop would.
        conditions = {
            name: tf.zeros([self.batch_size, *(size or 1 for size in spec.shape[1:])], spec.dtype)
            for name, spec in serving.conditioning_specs(model).items()
        }
        state = generation.prime(model, *serving.silence(model, self.batch_size, conditions))
        self.contexts = {
            name: tf.nest.map_structure(_as_array, part)
            for name, part in state.layers.items()
            if isinstance(part, dict)
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """What a client has to know besides the signatures."""
        return {
            **serving.metadata(self.model, self.block_size),
            "batch_size": self.batch_size,
        }

    def concrete_functions(self) -> dict[str, Any]:
        """The signatures by name."""
        model, batch, block_size = self.model, self.batch_size, self.block_size
        frames = serving.frames_of_block(model, block_size) if model.hop_length else None
        conditions = serving.conditioning_specs(model, batch, frames)
        state = serving.state_specs(model, batch)
        shape = [batch, block_size, *model.distribution.uniforms_shape]
        uniforms = tf.TensorSpec(shape, tf.float32, "uniforms")
        temperature = tf.TensorSpec([batch], tf.float32, "temperature")
        audio = tf.TensorSpec([batch, block_size], tf.float32, "audio")
        inputs = {
            "initial_state": serving.conditioning_specs(model, batch, 1),
            "prime": {"audio": audio, **conditions, **state},
            "generate_block": {
                "uniforms": uniforms,
                "temperature": temperature,
                **conditions,
                **state,
            },
        }
        functions = {
            "initial_state": self.initial_state,
            "prime": self.prime,
            "generate_block": self.generate_block,
        }
        return serving.traced(functions, inputs)

    def initial_state(self, **conditions) -> dict[str, tf.Tensor]:
        """The state after digital silence, conditioned on the first frame."""
        model, batch = self.model, self.batch_size
        zeros = {
            name: tf.zeros(spec.shape, spec.dtype)
            for name, spec in serving.state_specs(model, batch).items()
        }
        silent = tf.fill([batch], model.distribution.silence)
        layers = {**serving.state_of(model, zeros).layers, **self.contexts}
        input_name = model.input_convolution.name
        layers[input_name] = tf.fill(layers[input_name].shape, model.distribution.silence)
        given = tf.fill([batch, self.block_size], model.distribution.silence)
        blocks = -(-model.main_receptive_field // self.block_size)

        def follow(index, state):
            _, state = self._block(state, conditions, 0, given=given, uniforms=None)
            return index + 1, state

        _, state = tf.while_loop(
            lambda index, _: index < blocks,
            follow,
            [0, generation.State(layers, silent)],
        )
        # As in the storage: or the converter would quantise nothing of this signature.
        first = model.blocks[0].name
        past = {first: self.rounded("signal_0", state.layers[first])}
        state = generation.State({**state.layers, **past}, state.previous)
        return serving.state_tensors(state)

    def prime(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """The log-likelihood of a block of a prompt, in nats a sample, and the state after it."""
        given = self.model.distribution.encode(audio)
        scores, state = self._block_of(inputs, given=given, uniforms=None)
        return {"log_likelihood": scores, **serving.state_tensors(state)}

    def generate_block(self, uniforms, temperature, **inputs) -> dict[str, tf.Tensor]:
        """The next block of every stream, and the next state."""
        values, state = self._block_of(inputs, uniforms=uniforms, temperature=temperature)
        return {
            "audio": self.model.distribution.decode(values),
            **serving.state_tensors(state),
        }

    def _block_of(self, inputs, **known):
        state = serving.state_of(self.model, inputs)
        return self._block(state, inputs, serving.samples_before(self.model), **known)

    def _block(self, state, conditions, first, temperature=1.0, **known):
        return serving.draw_block(
            self.model,
            self.weights,
            self.draw,
            state,
            conditions,
            first,
            self.block_size,
            temperature=temperature,
            **known,
        )


# Known beforehand; int8 operators ask for just this range of a tanh.
FIXED_RANGES = {
    "tanh": (-1.0, 127 / 128),
    "opening": (0.0, 2.0),
    "gated": (-2.0, 2.0 * 127 / 128),
}


def _to_8_bits(ranges: dict[str, tuple[float, float]], name: str, activation) -> tf.Tensor:
    """The activation as int8 holds it: the converter makes int8 operators between such."""
    if name not in ranges:
        return activation
    lowest, highest = ranges[name]
    return tf.quantization.fake_quant_with_min_max_args(activation, lowest, highest)


def activation_ranges(
    model, values, conditions: dict | None = None, watched_samples: int = 512
) -> dict[str, tuple[float, float]]:
    """The ranges of the sampling loop's activations on recordings.

    Args:
        model: a `WaveNet`.
        values: of its distribution, `[batch, time]`, of what it was trained on.
        conditions: the model's other inputs; the frames of local conditioning begin with the first
            value.
        watched_samples: the last ones, on which the ranges are taken; those before give the state.

    Returns:
        The least and greatest value of each activation, by its name in `Schedule.rounded`.
    """
    ranges: dict[str, tuple[float, float]] = {}

    def watch(name, activation):
        lowest, highest = ranges.get(name, (0.0, 0.0))
        found = activation.numpy()
        ranges[name] = min(lowest, float(found.min())), max(highest, float(found.max()))
        return activation

    conditions, first = conditions or {}, max(0, values.shape[1] - watched_samples)
    schedule = generation.schedule_of(model)._replace(storage=generation.Shifting, rounded=watch)
    serving.draw_block(
        model,
        generation.prepare_weights(model),
        functools.partial(generation.generate_block, schedule),
        generation.prime(model, values[:, :first], conditions),
        conditions,
        first,
        values.shape[1] - first,
        given=values[:, first:],
        uniforms=None,
        temperature=1.0,
    )
    if not isinstance(model.distribution, Categorical):
        # Logits, means and scales have no range in common.
        del ranges["outputs"]
    return {**ranges, **FIXED_RANGES}


def _as_array(tensor):
    return None if tensor is None else tensor.numpy()


def convert(signatures: DeviceSignatures, quantization: str = "none") -> bytes:
    """A TFLite file of the signatures.

    Args:
        signatures: of the model.
        quantization: "none"; of the weights, "float16" or "dynamic_int8"; of the activations too,
            "int8", which needs their ranges.

    Raises:
        InputError: for an unknown quantization, or ranges that do not go with it.
    """
    if quantization not in QUANTIZATIONS:
        raise InputError(
            f"quantization must be one of {', '.join(QUANTIZATIONS)}; received {quantization!r}"
        )
    if (quantization == "int8") != (signatures.ranges is not None):
        raise InputError(
            f"quantization {quantization} must have "
            f"{'the' if quantization == 'int8' else 'no'} ranges of activations"
        )
    functions = signatures.concrete_functions()
    root = tf.Module(name="wavenet")
    root.weights = [variable.value for variable in signatures.model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(root, folder, functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if quantization.endswith("int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        file = converter.convert()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file))
    if quantization == "float16":
        _halve_weights(model)
    _make_zeros(model)
    _strip(model)
    _share_weights(model)
    return _written(model, {**signatures.metadata, "quantization": quantization})


# The flatbuffer's schema is no public API of TensorFlow, whose converter does none of what follows;
# the same module is part of ai-edge-litert.

# Of a weight that is worth its own half-precision tensor; the converter's limit for int8.
FEWEST_HALVED = 1024


def _halve_weights(model: schema.ModelT) -> None:
    """Keeps weights in half precision; what runs the file widens them once.

    The converter would halve every constant, and those of mu-law companding then give other codes.
    """
    # The first version to take half precision.
    widen = _operator_code(model, schema.BuiltinOperator.DEQUANTIZE, version=3)
    for graph in model.subgraphs:
        added = []
        for index, tensor in enumerate(list(graph.tensors)):
            numbers = _constant(model, tensor)
            if numbers is None or numbers.size < FEWEST_HALVED:
                continue
            half = copy.copy(tensor)
            half.type = schema.TensorType.FLOAT16
            half.buffer = _buffer(model, numbers.astype(np.float16))
            options = schema.DequantizeOptionsT()
            added.append(_operator(widen, options, [len(graph.tensors)], [index]))
            graph.tensors.append(half)
            tensor.buffer = 0
        graph.operators = added + list(graph.operators)


def _make_zeros(model: schema.ModelT) -> None:
    """Has the state before silence filled in, which is all zeros, and large."""
    fill = _operator_code(model, schema.BuiltinOperator.FILL)
    for graph in model.subgraphs:
        added = []
        loops = [
            operator
            for operator in graph.operators
            if operator.builtinOptionsType == schema.BuiltinOptions.WhileOptions
        ]
        for index in sorted({int(place) for loop in loops for place in loop.inputs}):
            tensor = graph.tensors[index]
            numbers = _constant(model, tensor)
            if numbers is None or numbers.size < FEWEST_HALVED or numbers.any():
                continue
            places = []
            for kind, value in (
                (schema.TensorType.INT32, np.array(tensor.shape, np.int32)),
                (schema.TensorType.FLOAT32, np.zeros([], np.float32)),
            ):
                part = schema.TensorT()
                part.type, part.shape, part.hasRank = kind, list(value.shape), True
                part.buffer = _buffer(model, value)
                places.append(len(graph.tensors))
                graph.tensors.append(part)
            added.append(_operator(fill, schema.FillOptionsT(), places, [index]))
            tensor.buffer = 0
        graph.operators = added + list(graph.operators)


def _constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    """The numbers of a constant float32 tensor; None for any other."""
    content = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or content is None or not len(content):
        return None
    return np.frombuffer(bytes(content), np.float32)


def _buffer(model: schema.ModelT, numbers: np.ndarray) -> int:
    """The place of a new buffer with these numbers."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(numbers.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _operator_code(model: schema.ModelT, code: int, version: int = 1) -> int:
    """The place of a new operator code."""
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


def _strip(model: schema.ModelT) -> None:
    """Leaves out what nobody reads of thousands of tensors.

    These are names and that there is a shape, but for the signatures' tensors, quantization that is
    none, and the ranges that quantization came from.
    """
    told = {signature.subgraphIndex for signature in model.signatureDefs}
    for index, graph in enumerate(model.subgraphs):
        kept = {*graph.inputs, *graph.outputs} if index in told else set()
        for place, tensor in enumerate(graph.tensors):
            if place not in kept:
                tensor.name, tensor.hasRank = None, False
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None
                if tensor.quantization.scale is None:
                    tensor.quantization = None


def _share_weights(model: schema.ModelT) -> None:
    """Keeps weights once, as each signature brought its own, and none that are not used."""
    empty = schema.BufferT()  # the first, of all tensors that are computed
    places, buffers = {b"": 0}, [empty]
    owners = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for owner in [*owners, *(model.metadata or [])]:
        buffer = model.buffers[owner.buffer]
        content = b"" if buffer.data is None else bytes(buffer.data)
        if content not in places:
            places[content] = len(buffers)
            buffers.append(buffer)
        owner.buffer = places[content]
    model.buffers = buffers


def _written(model: schema.ModelT, metadata: dict[str, Any]) -> bytes:
    """The file, with metadata and a checksum."""
    told = {lite.METADATA_NAME: json.dumps(metadata).encode(), lite.CHECKSUM_NAME: bytes(32)}
    for name, content in told.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = list(content)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return lite.sealed(bytes(builder.Output()))


class _Builder(flatbuffers.Builder):
    """Begins weights at multiples of 16 bytes, as the schema says; Python's builder does not."""

    def CreateNumpyVector(self, array):  # noqa: N802
        if array.itemsize == 1:
            self.Prep(16, array.nbytes)
        return super().CreateNumpyVector(array)
