"""Checkpoints of vincentherrmann/pytorch-wavenet against that network in numpy."""

import numpy as np
import pytest
from foreign_networks import convolve, one_hot, random_tensors, relu, sigmoid
from oracles import assert_drawn_from
from torch_files import FORMATS, Object, legacy

import wavenet_tf as wt
from wavenet_tf import convert
from wavenet_tf.convert import vincentherrmann
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.once

CODES, LAYERS, BLOCKS = 32, 3, 2
NAME = f"melody_{LAYERS}-{BLOCKS}-{CODES}-8-6-12-2"
DILATIONS = [2**layer for layer in range(LAYERS)] * BLOCKS


def shapes_of_2017(residual=6, dilation=8, skip=12, taps=2):
    shapes = {"start_conv.weight": (residual, 1, 1)}
    for index in range(LAYERS * BLOCKS):
        shapes[f"dilated_convs.{index}.weight"] = (2 * dilation, residual, taps)
        shapes[f"residual_convs.{index}.weight"] = (residual, dilation, 1)
        shapes[f"skip_convs.{index}.weight"] = (skip, dilation, 1)
    return {**shapes, "end_conv.weight": (CODES, skip, 1), "end_conv.bias": (CODES,)}


def logits_of_2017(tensors, codes):
    signal = convolve((2.0 * codes / (CODES - 1) - 1.0)[None], tensors["start_conv.weight"])
    skip = 0.0
    for index, dilation in enumerate(DILATIONS):
        both = convolve(signal, tensors[f"dilated_convs.{index}.weight"], dilation=dilation)
        gated = np.tanh(both[:8]) * sigmoid(both[8:])
        skip = skip + convolve(gated, tensors[f"skip_convs.{index}.weight"])
        signal = signal + convolve(gated, tensors[f"residual_convs.{index}.weight"])
    return convolve(relu(skip), tensors["end_conv.weight"], tensors["end_conv.bias"]).T


def shapes_of_2018(residual=6, dilation=8, skip=12, head=10, taps=3, biases=False):
    shapes = {"start_conv.weight": (residual, CODES, 1)}
    for index in range(LAYERS * BLOCKS):
        shapes[f"filter_convs.{index}.weight"] = (dilation, residual, taps)
        shapes[f"gate_convs.{index}.weight"] = (dilation, residual, taps)
        shapes[f"residual_convs.{index}.weight"] = (residual, dilation, 1)
        shapes[f"skip_convs.{index}.weight"] = (skip, dilation, 1)
    if biases:
        shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items()}
    ends = {"end_conv_1": (head, skip, 1), "end_conv_2": (CODES, head, 1)}
    for name, shape in ends.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def logits_of_2018(tensors, codes):
    def apply(name, signal, dilation=1):
        return convolve(signal, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"), dilation)

    signal, skip = apply("start_conv", one_hot(codes, CODES)), 0.0
    for index, dilation in enumerate(DILATIONS):
        filtered = np.tanh(apply(f"filter_convs.{index}", signal, dilation))
        gated = filtered * sigmoid(apply(f"gate_convs.{index}", signal, dilation))
        skip = skip + apply(f"skip_convs.{index}", gated)
        signal = signal + apply(f"residual_convs.{index}", gated)
    return apply("end_conv_2", relu(apply("end_conv_1", relu(skip)))).T


def module_of(tensors, **attributes):
    """A pickled module with submodules, as `torch.save(model)` writes it."""
    modules: dict = {}
    for name, tensor in tensors.items():
        *folders, leaf = name.split(".")
        level = modules
        for folder in folders[:-1]:
            level = level.setdefault(folder, {})
        level.setdefault(folders[-1], {})[leaf] = tensor

    def new(name, parts):
        arrays = {key: value for key, value in parts.items() if isinstance(value, np.ndarray)}
        inner = {key: new("Conv1d", value) for key, value in parts.items() if key not in arrays}
        return Object("wavenet_model", name, {"_parameters": arrays, "_modules": inner})

    model = new("WaveNetModel", modules)
    return model._replace(state={**model.state, **attributes})


def imported(tmp_path, contents: bytes, name=NAME, **options):
    path = tmp_path / name
    path.write_bytes(contents)
    return convert.import_checkpoint(path, tmp_path / "model", **options)


@pytest.fixture
def codes():
    return np.random.default_rng(1).integers(0, CODES, 300)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_network_of_2017_has_the_logits_of_the_program(kind, codes, tmp_path):
    tensors = random_tensors(shapes_of_2017())
    model, notes = imported(tmp_path, FORMATS[kind](tensors))
    expected = logits_of_2017(tensors, codes)
    np.testing.assert_allclose(model(codes[None])[0], expected, atol=1e-4)
    assert notes == ("sample rate 44100 Hz assumed; --sample_rate sets another",)
    assert model.config.block_dilations == tuple(DILATIONS)
    loaded = wt.runs.load_model(tmp_path / "model")
    assert loaded.config == model.config
    np.testing.assert_array_equal(loaded(codes[None]), model(codes[None]))


@pytest.mark.parametrize("biases", [False, True])
def test_a_whole_module_of_2018_has_the_logits_of_the_program(biases, codes, tmp_path):
    tensors = random_tensors(shapes_of_2018(biases=biases))
    module = module_of(tensors, layers=LAYERS, blocks=BLOCKS, classes=CODES)
    model, _ = imported(tmp_path, legacy(module), name="whole", sample_rate=11025)
    np.testing.assert_allclose(model(codes[None])[0], logits_of_2018(tensors, codes), atol=1e-4)
    assert model.sample_rate == 11025


def test_companding_is_that_of_the_program():
    audio = np.random.default_rng(0).uniform(-1.0, 1.0, 5000).astype(np.float32)
    audio[:3] = 0.0, 1.0, -1.0
    companded = np.sign(audio) * np.log1p(CODES * np.abs(np.float64(audio))) / np.log1p(CODES)
    expected = np.digitize(companded, np.linspace(-1.0, 1.0, CODES)) - 1
    distribution = wt.Categorical(CODES, vincentherrmann.code_table(CODES))
    np.testing.assert_array_equal(distribution.encode(audio), expected)
    assert distribution.silence == expected[0] == CODES // 2 - 1
    centres = 2.0 * np.arange(CODES) / CODES - 1.0
    decoded = np.sign(centres) * np.expm1(np.abs(centres) * np.log1p(CODES)) / CODES
    np.testing.assert_allclose(distribution.decode(np.arange(CODES)), decoded, atol=1e-6)


@pytest.mark.slow
def test_an_imported_network_generates_what_it_predicts(tmp_path):
    model, _ = imported(tmp_path, legacy(random_tensors(shapes_of_2017())))
    audio = model.generate(1500, batch_size=2, seed=3)
    assert_drawn_from(model, audio, 3)


def test_layers_and_blocks_come_from_the_name_or_the_configuration(tmp_path):
    contents = legacy(random_tensors(shapes_of_2017()))
    with pytest.raises(InputError, match="does not state layers: set it in the --config file"):
        imported(tmp_path, contents, name="weights.pth")
    config = tmp_path / "config.json"
    config.write_text('{"layers": 3, "blocks": 2, "sample_rate": 8000}')
    model, notes = imported(tmp_path, contents, name="weights.pth", config=config)
    assert (model.config.num_stacks, model.sample_rate, notes) == (2, 8000, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dilated_convs.0.weight": (8, 6, 2)}, "a network without gates: its blocks end in a"),
        ({"end_conv.bias": None}, "the checkpoint has no end_conv.bias; the nearest known layout"),
        ({"extra.weight": (1,)}, "has extra.weight, which this layout does not have; the nearest"),
        ({"dilated_convs.4.weight": (16, 6, 3)}, r"do not fit trunk/stack/block_4/dilated_conv"),
        ({"skip_convs.2.weight": (11, 8, 1)}, "the checkpoint's shapes do not fit each other"),
        ({"main.b0-l0.weight": (1,)}, "a network without gates"),
    ],
)
def test_other_networks_are_refused(changes, message, tmp_path):
    shapes = {**shapes_of_2017(), **changes}
    tensors = random_tensors({name: shape for name, shape in shapes.items() if shape})
    with pytest.raises(InputError, match=message):
        imported(tmp_path, legacy(tensors))
    assert not (tmp_path / "model").exists()


def test_a_model_directory_is_not_overwritten(tmp_path):
    contents = legacy(random_tensors(shapes_of_2017()))
    imported(tmp_path, contents)
    with pytest.raises(InputError, match="holds a model already: choose another output_dir"):
        imported(tmp_path, contents)
