"""The configuration of a WaveNet, and what each of its widths changes."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
from conftest import SMALL, randomise, small_model
from oracles import assert_drawn_from

import wavenet_tf as wt
from wavenet_tf.errors import InputError
from wavenet_tf.models import PRESETS, ContextConfig, WaveNetConfig

EVERYTHING = {
    **SMALL,
    "dilations": (1, 3, 9, 27),
    "residual_scale": 0.7,
    "code_table": {"thresholds": [-0.5, 0.5], "values": [-1.0, 0.0, 1.0], "silence": 1},
    "quantization_channels": 3,
    "num_speakers": 2,
    "speaker_names": ("ana", "bo"),
    "speaker_channels": 5,
    "global_channels": 3,
    "tag_names": ("piano", "slow", "solo"),
    "local_channels": 4,
    "upsample_factors": (5, 2),
    "upsampled_channels": 7,
    "context_stacks": [{"pooling": 20, "layers_per_stack": 2}],
}


@pytest.mark.parametrize("arguments", [*PRESETS.values(), EVERYTHING])
def test_a_configuration_survives_json(arguments):
    config = WaveNetConfig.from_dict(arguments)
    assert WaveNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(WaveNetConfig.from_dict(config.to_dict()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.num_stacks = 4


def test_derived_sizes():
    config = WaveNetConfig.from_dict(EVERYTHING)
    assert config.block_dilations == (1, 3, 9, 27)
    assert config.trunk_receptive_field == 1 + 1 + 40
    assert config.hop_length == 10
    assert config.frame_unit == 20
    assert config.context_stacks == (ContextConfig(pooling=20, layers_per_stack=2),)
    assert config.conditioning.names == ("speaker_id", "global_conditioning", "local_conditioning")
    assert (config.conditioning.frames_before, config.conditioning.frames_after) == (1, 1)


def test_the_signature_of_a_model_has_the_arguments_of_its_configuration():
    parameters = inspect.signature(wt.WaveNet).parameters
    names = [field.name for field in dataclasses.fields(WaveNetConfig)]
    assert list(parameters) == [*names, "dtype", "name", "trained"]
    with pytest.raises(TypeError):
        wt.WaveNet(3)  # by name only, as the signature shows
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_widths_are_those_of_the_weights():
    model = wt.WaveNet(**EVERYTHING)
    assert model.trunk.speaker_embedding.embeddings.shape == (2, 5)
    assert model.trunk.upsampler.channels == 7
    block = model.trunk.stack.blocks[0]
    assert block.global_channels == 5 + 3
    assert block.local_channels == 7 + 32
    defaults = wt.WaveNet(
        **{**SMALL, "num_speakers": 2, "local_channels": 4, "upsample_factors": (5,)}
    )
    assert defaults.trunk.speaker_embedding.embeddings.shape == (2, SMALL["residual_channels"])
    assert defaults.trunk.upsampler.channels == SMALL["residual_channels"] // 2


def test_residual_scale_multiplies_the_residual_output():
    block = wt.GatedResidualBlock(4, residual_scale=0.5)
    plain = wt.GatedResidualBlock(4)
    inputs = np.random.default_rng(0).normal(size=(2, 9, 3)).astype(np.float32)
    for layer in (block, plain):
        layer(inputs)
        randomise(layer)
    np.testing.assert_allclose(block(inputs)[0], 0.5 * plain(inputs)[0], atol=1e-6)
    np.testing.assert_array_equal(block(inputs)[1], plain(inputs)[1])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dilations_and_residual_scale_generate_what_teacher_forcing_gives(jit_compile):
    model = small_model(dilations=(1, 3, 16, 32, 21), residual_scale=0.7)
    audio = model.generate(120, batch_size=2, seed=3, jit_compile=jit_compile)
    assert_drawn_from(model, audio, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dilations": ()}, r"dilations must be .*, one per block; received \[\]"),
        ({"dilations": (1, 0)}, "dilations must be a whole number of at least 1; received 0"),
        ({"dilations": (2**21,)}, r"from 1 to 1048576, one per block; received \[2097152\]"),
        ({"residual_scale": 0.0}, "residual_scale must be a finite number above 0; received 0.0"),
        ({"input_kernel_size": 0}, "input_kernel_size must be a whole number of at least 1"),
        ({"pre_emphasis": 1.0}, "pre_emphasis must be at least 0 and below 1; received 1.0"),
        ({"pre_emphasis": None}, "pre_emphasis must be at least 0 and below 1; received None"),
        ({"gain": 0.0}, "gain must be a finite number above 0; received 0.0"),
        ({"mixture_means": "x"}, "mixture_means must be one of relative, absolute; received 'x'"),
        ({"log_scale_floor": "low"}, "log_scale_floor must be a finite number; received 'low'"),
        ({"round_samples": 1}, "round_samples must be True or False; received 1"),
        ({"compand_input": None}, "compand_input must be True or False; received None"),
        ({"upsampling_activation": "elu"}, "upsampling_activation must be one of leaky_relu, relu"),
        ({"upsampling_bands": 2}, "upsampling_bands must be odd; received 2"),
        ({"upsampling": "cubic"}, "upsampling must be one of learned, repeat, stretch"),
        ({"speaker_channels": 0}, "speaker_channels must be a whole number"),
        ({"upsampled_channels": 1.5}, "upsampled_channels must be a whole number"),
        ({"global_channels": 2, "tag_names": ["a"]}, "tag_names must have a different name for"),
        ({"output_distribution": "poisson"}, "output_distribution must be one of categorical, "),
        ({"depth": 3}, "WaveNet has no argument 'depth': expected one of causal_upsampling"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        wt.WaveNet(**{**SMALL, **arguments})
