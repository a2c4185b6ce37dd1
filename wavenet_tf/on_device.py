"""A model as one TFLite file, which samples blocks in a closed loop with built-in operators only.

The signatures are those of `serving` for a fixed number of streams, but that `prime` takes a prompt
block by block, with the state before each, and tells how likely it was. `lite` runs such files.
"""

import functools
import json
import tempfile
from typing import Any

import flatbuffers
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from wavenet_tf import generation, lite, serving
from wavenet_tf.errors import InputError, positive_integer

QUANTIZATIONS = ("none", "float16", "dynamic_int8")
# Samples of a block: a call copies the whole state, which so many samples share.
BLOCK_SIZE = 256


class DeviceSignatures:
    """The functions of a TFLite file.

    Args:
        model: a `WaveNet`.
        block_size: samples of a block; None takes `BLOCK_SIZE`, or the next larger one that fits.
        batch_size: streams.

    Raises:
        InputError: for an argument out of range.
    """

    def __init__(self, model, block_size: int | None = None, batch_size: int = 1):
        self.model = model
        self.block_size = serving.block_size_of(model, block_size, BLOCK_SIZE)
        self.batch_size = positive_integer("batch_size", batch_size)
        schedule = generation.schedule_of(model)._replace(storage=generation.Shifting)
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
        return {
            name: tf.function(function, autograph=False).get_concrete_function(**inputs[name])
            for name, function in functions.items()
        }

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
            maximum_iterations=blocks,
        )
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


def _as_array(tensor):
    return None if tensor is None else tensor.numpy()


def convert(signatures: DeviceSignatures, quantization: str = "none") -> bytes:
    """A TFLite file of the signatures.

    Args:
        signatures: of the model.
        quantization: of the weights: "none", "float16" or "dynamic_int8".

    Raises:
        InputError: for an unknown quantization.
    """
    if quantization not in QUANTIZATIONS:
        raise InputError(
            f"quantization must be one of {', '.join(QUANTIZATIONS)}; received {quantization!r}"
        )
    functions = signatures.concrete_functions()
    root = tf.Module(name="wavenet")
    root.weights = [variable.value for variable in signatures.model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(root, folder, functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        file = converter.convert()
    return _finished(file, {**signatures.metadata, "quantization": quantization})


def _finished(file: bytes, metadata: dict[str, Any]) -> bytes:
    """The file with metadata, and with each set of weights once; each signature brought its own.

    The flatbuffer's schema is no public API of TensorFlow, whose converter does neither; the same
    module is part of ai-edge-litert.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file))
    places: dict[bytes, int] = {}
    buffers: list[schema.BufferT] = []
    moved: list[int] = []
    for buffer in model.buffers:
        content = b"" if buffer.data is None else bytes(buffer.data)
        # Buffer 0 means none; a buffer without content may be filled at run time.
        place = places.get(content) if content else None
        if place is None:
            place = len(buffers)
            buffers.append(buffer)
            if content:
                places[content] = place
        moved.append(place)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved[tensor.buffer]
    for entry in model.metadata or []:
        entry.buffer = moved[entry.buffer]
    model.buffers = buffers
    description = schema.BufferT()
    description.data = list(json.dumps(metadata).encode())
    entry = schema.MetadataT()
    entry.name, entry.buffer = lite.METADATA_NAME, len(buffers)
    model.buffers.append(description)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(file))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
