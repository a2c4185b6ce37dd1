"""Exported TFLite files against the model they were made of."""

import functools
import itertools

import numpy as np
import pytest
from conftest import randomise, small_model, tone
from oracles import assert_drawn_from, frames_of, random_conditions, uniforms_of
from registry import CONTEXT, EXPORTED, HOP, LOCAL

from wavenet_tf import deployment, models, options, sampling
from wavenet_tf.clients import conditions_of_silence
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.slow

# It needs an interpreter, which not every TensorFlow brings.
lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)
schema = lite.schema

BLOCK = 40
# Streams of each model; the one without frames has a context stack besides.
STREAMS = {
    "plain": 1,
    "code table": 2,
    "linear": 1,
    "stretch": 2,
    "speaker": 3,
    "repeated frames": 2,
    "everything": 1,
}
KINDS = {**EXPORTED, "speaker": {**EXPORTED["speaker"], **CONTEXT}}
# Of its size, weights make most of the file.
WIDE = {
    "num_stacks": 1,
    "residual_channels": 32,
    "gate_channels": 32,
    "skip_channels": 64,
    "head_channels": 64,
}


class File:
    """A TFLite file: what is in it, and its signatures as functions."""

    def __init__(self, model, block_size=BLOCK, streams=1, quantization="none"):
        ranges = None
        if quantization == "int8":
            heard = np.stack([tone(0.03), 0.3 * tone(0.03, frequency=300.0)])
            conditions = random_conditions(model, 2, heard.shape[1])
            values, _ = model.codec.encode(heard, model.codec.initial_memory(2))
            ranges = deployment.activation_ranges(model, values, conditions, 160)
        exported = deployment.TFLiteSignatures(model, block_size, streams, ranges)
        self.model, self.streams, self.metadata = model, streams, exported.metadata
        self.content = deployment.convert(exported, quantization)
        self.interpreter = lite.Interpreter(model_content=self.content)
        for name in lite.Runner.signatures:
            setattr(self, name, self.interpreter.get_signature_runner(name))
        self.flat = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.content))

    def start(self, conditions):
        """The state after silence; a signature takes the first frames only."""
        return self.initial_state(**conditions_of_silence(self.metadata, conditions))

    def draw(self, uniforms, conditions, state, before=0, temperature=1.0):
        """Audio of as many blocks as there are uniforms for, and the state after it."""
        size, parts = self.metadata["block_size"], []
        for first in range(0, uniforms.shape[1], size):
            state = self.generate_block(
                uniforms=uniforms[:, first : first + size],
                temperature=np.full(self.streams, temperature, np.float32),
                **frames_of(conditions, self.metadata, (before + first) // size),
                **state,
            )
            parts.append(state.pop("audio"))
        return np.concatenate(parts, axis=1), state

    def follow(self, prompt, conditions):
        """The log-likelihood of a prompt, and the state after it, as `prime` takes it in blocks."""
        size = self.metadata["block_size"]
        silent = -prompt.shape[1] % size
        padded = np.pad(prompt, [[0, 0], [silent, 0]])
        conditions = held_before(conditions, silent)
        state, scores = self.start(conditions), []
        for block in range(padded.shape[1] // size):
            state = self.prime(
                audio=padded[:, block * size : (block + 1) * size],
                **frames_of(conditions, self.metadata, block),
                **state,
            )
            scores.append(state.pop("log_likelihood"))
        return np.concatenate(scores, axis=1)[:, silent:], state


def held_before(conditions, samples):
    """The conditions with so much more of the first frame."""
    if "local_conditioning" not in conditions:
        return conditions
    more = [[0, 0], [samples // HOP, 0], [0, 0]]
    return {
        **conditions,
        "local_conditioning": np.pad(conditions["local_conditioning"], more, "edge"),
    }


def prompt_of(file, samples):
    """Another tone for each stream."""
    tones = [tone(samples / 8000, frequency=300.0 + 70 * row) for row in range(file.streams)]
    return np.stack(tones)


@functools.cache
def exported(kind) -> File:
    return File(small_model(**KINDS[kind]), streams=STREAMS[kind])


@pytest.fixture(params=KINDS)
def file(request) -> File:
    return exported(request.param)


@pytest.fixture
def plain() -> File:
    return exported("plain")


def test_blocks_give_what_the_model_generates(file):
    model, samples = file.model, 10 * BLOCK
    conditions = random_conditions(model, file.streams, samples)
    uniforms = uniforms_of(5, samples, file.streams, model)
    audio, _ = file.draw(uniforms, conditions, file.start(conditions))
    assert audio.shape == (file.streams, samples)
    assert_drawn_from(model, audio, uniforms, conditions=conditions)
    if model.config.output_distribution == "categorical":
        expected = model.generate(samples, file.streams, seed=5, **conditions)
        np.testing.assert_allclose(audio, expected, atol=1e-6)


def test_a_prompt_goes_on_as_the_model_does(file):
    model, samples = file.model, 6 * BLOCK
    prompt = prompt_of(file, 180 if model.hop_length else 173)  # no whole blocks
    conditions = random_conditions(model, file.streams, 180 + samples)
    _, state = file.follow(prompt, conditions)
    uniforms = uniforms_of(5, samples, file.streams, model)
    # So that the prompt's frames are whole blocks.
    audio, _ = file.draw(uniforms, held_before(conditions, 20), state, before=200)
    assert_drawn_from(model, audio, uniforms, prompt, conditions)


def test_a_prompt_is_as_likely_as_under_teacher_forcing(file):
    model = file.model
    audio = prompt_of(file, 180)
    conditions = random_conditions(model, file.streams, 180)
    scores, _ = file.follow(audio, conditions)
    expected = models.log_likelihood(model, audio, conditions)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)


def test_the_first_state_is_that_of_the_model(file):
    model = file.model
    conditions = random_conditions(model, file.streams, 3 * BLOCK)
    state = file.start(conditions)
    memory = model.codec.initial_memory(file.streams)
    nothing, memory = model.codec.encode(np.zeros([file.streams, 0]), memory)
    expected = sampling.state_tensors(sampling.prime(model, nothing, conditions)) | memory
    assert set(state) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_blocks_of_any_size_give_the_same_audio_and_states(plain):
    other, samples = File(plain.model, 64), 320
    uniforms = uniforms_of(3, samples, 1)
    whole, _ = plain.draw(uniforms, {}, plain.start({}))
    audio, _ = other.draw(uniforms, {}, other.start({}))
    np.testing.assert_allclose(audio, whole, atol=1e-6)
    # From one file to the other and back.
    state, parts, first = plain.start({}), [], 0
    for made_by, end in ((plain, 80), (other, 208), (plain, 248), (other, 312)):
        part, state = made_by.draw(uniforms[:, first:end], {}, state)
        parts.append(part)
        first = end
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole[:, :312], atol=1e-6)


def test_temperature_is_a_streams_own(file):
    model, samples = file.model, 4 * BLOCK
    temperature = np.linspace(0.6, 1.2, file.streams)
    conditions = random_conditions(model, file.streams, samples)
    uniforms = uniforms_of(4, samples, file.streams, model)
    audio, _ = file.draw(uniforms, conditions, file.start(conditions), temperature=temperature)
    for row in range(file.streams):
        stream = slice(row, row + 1)
        own = {name: value[stream] for name, value in conditions.items()}
        assert_drawn_from(
            model, audio[stream], uniforms[stream], None, own, np.float32(temperature[row])
        )


def test_every_operator_is_built_in(file):
    for code in file.flat.operatorCodes:
        assert code.customCode is None
        assert code.builtinCode != schema.BuiltinOperator.CUSTOM
    assert b"Flex" not in file.content


def test_every_shape_in_a_loop_is_fixed(file):
    """Runtimes that allocate once, and compile for accelerators, take nothing else."""
    graphs = file.flat.subgraphs
    loops = [
        operator.builtinOptions
        for graph in graphs
        for operator in graph.operators
        if isinstance(operator.builtinOptions, schema.WhileOptionsT)
    ]
    assert loops
    bodies = {loop.bodySubgraphIndex for loop in loops} | {loop.condSubgraphIndex for loop in loops}
    for tensor in itertools.chain.from_iterable(graphs[body].tensors for body in bodies):
        assert tensor.type not in (schema.TensorType.VARIANT, schema.TensorType.RESOURCE)
        signature = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
        assert signature is None or -1 not in signature, tensor.name


def test_every_weight_is_stored_once(file):
    contents = [bytes(buffer.data) for buffer in file.flat.buffers if buffer.data is not None]
    assert len(set(contents)) == len(contents)
    floats = {
        tensor.buffer
        for graph in file.flat.subgraphs
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.FLOAT32
    }
    stored = sum(
        len(file.flat.buffers[place].data)
        for place in floats
        if file.flat.buffers[place].data is not None
    )
    weights = sum(variable.numpy().nbytes for variable in file.model.variables)
    assert 0.9 * weights < stored < 1.2 * weights


@pytest.fixture(scope="module")
def quantized() -> dict[str, File]:
    """A model by each quantization."""
    model = small_model(**WIDE)
    randomise(model, scale=0.2)
    return {name: File(model, quantization=name) for name in options.QUANTIZATIONS}


def test_quantized_models_are_nearly_as_good_and_smaller(quantized):
    audio = tone(0.1)[None]
    nats = {name: file.follow(audio, {})[0] for name, file in quantized.items()}
    differences = {name: np.abs(part - nats["none"]) for name, part in nats.items()}
    # At every sample: a constant of companding that is rounded too gives other codes.
    assert 0.0 < differences["float16"].max() < 0.1
    lost = {name: np.mean(nats["none"] - part) / np.log(2) for name, part in nats.items()}
    assert 0.0 < abs(lost["dynamic_int8"]) < 0.1
    assert 0.0 < abs(lost["int8"]) < 0.3
    weights = sum(variable.numpy().nbytes for variable in quantized["none"].model.variables)
    saved = {
        name: (len(quantized["none"].content) - len(file.content)) / weights
        for name, file in quantized.items()
    }
    assert 0.4 < saved["float16"] < 0.5
    # Newer converters leave the codes' table as it is.
    assert 0.5 < saved["dynamic_int8"] < 0.75
    assert 0.2 < saved["int8"] < 0.75  # what each activation's range takes counts here
    for file in quantized.values():
        audio, _ = file.draw(uniforms_of(0, 4 * BLOCK, 1), {}, file.start({}))
        assert len(np.unique(audio)) > 20


def test_int8_makes_int8_operators(quantized):
    """Of every product with weights."""
    flat, kinds = quantized["int8"].flat, {}
    for graph in flat.subgraphs:
        for operator in graph.operators:
            if operator.builtinOptionsType == schema.BuiltinOptions.FullyConnectedOptions:
                weights = graph.tensors[operator.inputs[1]]
                if np.prod(weights.shape) > 1000:
                    kinds.setdefault(weights.type, []).append(
                        graph.tensors[operator.outputs[0]].type
                    )
    assert list(kinds) == [schema.TensorType.INT8]
    assert set(kinds[schema.TensorType.INT8]) == {schema.TensorType.INT8}


@pytest.mark.once
def test_int8_of_a_conditioned_mixture():
    model = small_model(**KINDS["everything"])
    rounded, samples = File(model, quantization="int8"), 3 * BLOCK
    conditions = random_conditions(model, 1, samples)
    audio = tone(samples / 8000)[None]
    expected = models.log_likelihood(model, audio, conditions)
    scores, _ = rounded.follow(audio, conditions)
    assert 0.0 < abs(np.mean(scores - expected)) < 0.1
    drawn, _ = rounded.draw(
        uniforms_of(0, samples, 1, model), conditions, rounded.start(conditions)
    )
    assert len(np.unique(drawn)) > 20


def test_the_file_tells_what_it_is(file, tmp_path):
    (tmp_path / "model.tflite").write_bytes(file.content)
    assert lite.read_metadata(tmp_path / "model.tflite") == {
        **deployment.TFLiteSignatures(file.model, BLOCK, file.streams).metadata,
        "quantization": "none",
    }


def test_the_file_is_laid_out_as_its_schema_says(file):
    """Weights at multiples of 16 bytes, and the identifier by which tools know the format."""
    assert file.content[4:8] == b"TFL3"
    model, content = schema.Model.GetRootAs(file.content), np.frombuffer(file.content, np.uint8)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            buffer = model.Buffers(tensor.Buffer())
            if buffer.DataLength():
                data = buffer.DataAsNumpy()
                assert (data.ctypes.data - content.ctypes.data) % 16 == 0


def test_arguments_out_of_range_are_told():
    model = small_model(**LOCAL)
    assert (
        deployment.TFLiteSignatures(model).block_size
        == -(-deployment.generator_tflite.BLOCK_SIZE // HOP) * HOP
    )
    with pytest.raises(InputError, match="block_size must be a multiple of 20"):
        deployment.TFLiteSignatures(model, 50)
    with pytest.raises(InputError, match="batch_size must be a whole number of at least 1"):
        deployment.TFLiteSignatures(model, batch_size=0)
    message = "quantization must be one of none, .*; received 'int3'"
    with pytest.raises(InputError, match=message):
        deployment.convert(deployment.TFLiteSignatures(model), "int3")
    with pytest.raises(InputError, match="quantization int8 must have the ranges of activations"):
        deployment.convert(deployment.TFLiteSignatures(model), "int8")
