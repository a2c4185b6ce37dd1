"""Checkpoints of ibab/tensorflow-wavenet, written by TensorFlow's saver, against numpy."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_program
from foreign_networks import convolve, one_hot, random_tensors, relu, sigmoid
from oracles import assert_drawn_from

import wavenet_tf as wt
from wavenet_tf import convert
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.once

CODES = 32
DILATIONS = [1, 2, 4, 1, 3]
PARAMS = {"dilations": DILATIONS, "sample_rate": 11025, "filter_width": 2}
LAYER = "wavenet/dilated_stack/layer{}/{}"


def shapes(taps=2, input_taps=2, inputs=CODES, biases=True, conditioning=None, speakers=None):
    residual, gate, skip = 6, 8, 12
    result = {"wavenet/causal_layer/filter": (input_taps, inputs, residual)}
    for index in range(len(DILATIONS)):
        layer = {
            "filter": (taps, residual, gate),
            "gate": (taps, residual, gate),
            "dense": (1, gate, residual),
            "skip": (1, gate, skip),
        }
        if biases:
            layer |= {"filter_bias": (gate,), "gate_bias": (gate,)}
            layer |= {"dense_bias": (residual,), "slip_bias": (skip,)}
        if conditioning:
            layer |= {name: (1, conditioning, gate) for name in ("gc_filter", "gc_gate")}
        result |= {LAYER.format(index, name): shape for name, shape in layer.items()}
    for name, shape in {"postprocess1": (1, skip, skip), "postprocess2": (1, skip, CODES)}.items():
        result[f"wavenet/postprocessing/{name}"] = shape
        if biases:
            result[f"wavenet/postprocessing/{name}_bias"] = shape[-1:]
    if speakers:
        result["wavenet/embeddings/gc_embedding"] = (speakers, conditioning)
    return result


def logits(tensors, signal, conditioning=None):
    """The network's logits, `[time, codes]`, with zeros before all convolutions."""

    def apply(name, signal, bias=None, dilation=1):
        kernel = np.transpose(tensors[name], (2, 1, 0))
        return convolve(signal, kernel, tensors.get(bias), dilation)

    signal, skip = apply("wavenet/causal_layer/filter", signal), 0.0
    for index, dilation in enumerate(DILATIONS):

        def layer(part, signal, bias, dilation=dilation, index=index):
            parts = LAYER.format(index, part), LAYER.format(index, bias)
            return apply(parts[0], signal, parts[1], dilation)

        filtered = layer("filter", signal, "filter_bias")
        gate = layer("gate", signal, "gate_bias")
        if conditioning is not None:
            filtered += (conditioning @ tensors[LAYER.format(index, "gc_filter")][0])[:, None]
            gate += (conditioning @ tensors[LAYER.format(index, "gc_gate")][0])[:, None]
        gated = np.tanh(filtered) * sigmoid(gate)
        skip = skip + layer("skip", gated, "slip_bias")
        signal = signal + layer("dense", gated, "dense_bias")
    post = "wavenet/postprocessing/postprocess{}"
    hidden = apply(post.format(1), relu(skip), post.format("1_bias"))
    return apply(post.format(2), relu(hidden), post.format("2_bias")).T


def saved(folder, tensors, as_variables=False):
    """Writes a checkpoint of TensorFlow 1, with an optimizer's variables, and its options."""
    counts: dict = {}
    with tf.Graph().as_default():
        variables = {}
        for name, tensor in tensors.items():
            if as_variables and name.endswith("_bias"):
                group = name.rpartition("/")[0]
                number = counts[group] = counts.get(group, -1) + 1
                name = f"{group}/Variable" + (f"_{number}" if number else "")
            for ending in ("", "/Adam", "/Adam_1"):
                initial = tensor if not ending else np.zeros_like(tensor)
                variables[name + ending] = tf.compat.v1.Variable(initial, use_resource=False)
        variables["beta1_power"] = tf.compat.v1.Variable(0.9, use_resource=False)
        variables["global_step"] = tf.compat.v1.Variable(7, use_resource=False)
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            saver = tf.compat.v1.train.Saver(variables)
            prefix = saver.save(session, str(folder / "model.ckpt"), global_step=7)
    (folder / "wavenet_params.json").write_text(json.dumps(PARAMS))
    return prefix


def imported(folder, tensors, **options):
    prefix = saved(folder, tensors, **options)
    model, notes = convert.import_checkpoint(
        prefix, folder / "model", config=folder / "wavenet_params.json"
    )
    return model, notes


@pytest.fixture
def codes():
    return np.random.default_rng(1).integers(0, CODES, 300)


# The layers here are after silence, those there after zeros: equal from here on.
START = 40


@pytest.mark.parametrize("as_variables", [False, True])
@pytest.mark.parametrize("options", [{}, {"taps": 3, "input_taps": 3}, {"biases": False}])
def test_one_hot_networks_have_the_logits_of_the_program(options, as_variables, codes, tmp_path):
    tensors = random_tensors(shapes(**options))
    model, notes = imported(tmp_path, tensors, as_variables=as_variables)
    expected = logits(tensors, one_hot(codes, CODES))
    np.testing.assert_allclose(model(codes[None])[0, START:], expected[START:], atol=1e-4)
    assert notes == ()
    assert model.config.block_dilations == tuple(DILATIONS)
    assert model.sample_rate == 11025
    assert model.distribution == wt.Categorical(CODES)


def test_scalar_input_is_the_value_of_each_code(codes, tmp_path):
    tensors = random_tensors(shapes(inputs=1, input_taps=9))
    model, notes = imported(tmp_path, tensors)
    waveform = wt.mu_law_decode(codes, CODES).numpy()
    expected = logits(tensors, waveform[None])
    np.testing.assert_allclose(model(codes[None])[0, START:], expected[START:], atol=1e-4)
    assert "here it is given the value of each code" in notes[0]
    assert model.config.input_kernel_size == 9


def test_speakers_and_vectors_condition_the_network(codes, tmp_path):
    tensors = random_tensors(shapes(conditioning=5, speakers=3))
    model, _ = imported(tmp_path, tensors)
    outputs = model({"audio": codes[None], "speaker_id": np.int32([2])})[0]
    expected = logits(tensors, one_hot(codes, CODES), tensors["wavenet/embeddings/gc_embedding"][2])
    np.testing.assert_allclose(outputs[START:], expected[START:], atol=1e-4)
    (tmp_path / "vector").mkdir()
    tensors.pop("wavenet/embeddings/gc_embedding")
    model, _ = imported(tmp_path / "vector", tensors)
    vector = np.random.default_rng(0).normal(size=5).astype(np.float32)
    outputs = model({"audio": codes[None], "global_conditioning": vector[None]})[0]
    expected = logits(tensors, one_hot(codes, CODES), vector)
    np.testing.assert_allclose(outputs[START:], expected[START:], atol=1e-4)


@pytest.mark.slow
def test_the_program_imports_evaluates_and_generates(tmp_path):
    prefix = saved(tmp_path, random_tensors(shapes(inputs=1, input_taps=9)))
    arguments = [f"--checkpoint={prefix}", f"--config={tmp_path / 'wavenet_params.json'}"]
    output = tmp_path / "model"
    result = run_program("import_checkpoint.py", *arguments, f"--output_dir={output}")
    assert result.returncode == 0, result.stderr
    assert "receptive field of 20 samples at 11025 Hz" in result.stdout
    wav = tmp_path / "out" / "a.wav"
    result = run_program("generate.py", f"--model_dir={output}", f"--output={wav}", "--seconds=0.2")
    assert result.returncode == 0, result.stderr
    result = run_program("evaluate.py", f"--model_dir={output}", f"--data_dir={wav.parent}")
    assert result.returncode == 0, result.stderr
    model = wt.runs.load_model(output)
    assert_drawn_from(model, model.generate(1100, seed=3), 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dilations": [1, 2]}, "one number for each of the checkpoint's 5 layers; received 2"),
        ({"dilations": None}, "does not state dilations: set it in the --config file"),
        ({"dilations": "1, 2"}, "dilations must be a list of whole numbers; received '1, 2'"),
        ({"dilations": [1, 2, 4, 1, 0]}, "dilations must be a whole number of at least 1; rece"),
        ({"dilations": [1, 2, 4, 1, 2**40]}, "dilations must be whole numbers from 1 to"),
        ({"sample_rate": -1}, "sample_rate must be a whole number of at least 1; received -1"),
    ],
)
def test_wrong_options_are_refused(change, message, tmp_path):
    prefix = saved(tmp_path, random_tensors(shapes()))
    config = tmp_path / "wavenet_params.json"
    config.write_text(json.dumps({**PARAMS, **change}))
    with pytest.raises(InputError, match=message):
        convert.import_checkpoint(prefix, tmp_path / "model", config=config)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("text", ["", "[1]", "{", "nothing", '{"a":' * 10**5])
def test_wrong_configuration_files_are_refused(text, tmp_path):
    prefix = saved(tmp_path, random_tensors(shapes()))
    config = tmp_path / "params.json"
    config.write_text(text)
    with pytest.raises(InputError, match=r"params\.json (as JSON|must hold a JSON object)"):
        convert.import_checkpoint(prefix, tmp_path / "model", config=config)


def test_damaged_checkpoints_are_refused(tmp_path):
    prefix = saved(tmp_path, random_tensors(shapes()))
    index = tmp_path / "model.ckpt-7.index"
    data = tmp_path / "model.ckpt-7.data-00000-of-00001"
    contents = index.read_bytes()
    for path, changed in (
        (index, contents[: len(contents) // 2]),
        (index, b""),
        (index, bytes(len(contents))),
        (data, data.read_bytes()[:100]),
    ):
        whole = path.read_bytes()
        path.write_bytes(changed)
        with pytest.raises(InputError, match="cannot read") as error:
            convert.import_checkpoint(
                prefix, tmp_path / "model", config=tmp_path / "wavenet_params.json"
            )
        assert "\n" not in str(error.value)
        path.write_bytes(whole)
    with pytest.raises(InputError, match="is of no known layout"):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            other = tf.compat.v1.Variable(1.0, name="net/weight", use_resource=False)
            session.run(tf.compat.v1.global_variables_initializer())
            prefix = tf.compat.v1.train.Saver([other]).save(session, str(tmp_path / "x.ckpt"))
        convert.import_checkpoint(prefix, tmp_path / "model")
