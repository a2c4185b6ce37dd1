"""Checkpoints of kan-bayashi/PytorchWaveNetVocoder against that network in numpy."""

import h5py
import numpy as np
import pytest
from conftest import run_program
from foreign_networks import convolve, one_hot, random_tensors, relu, sigmoid
from oracles import assert_drawn_from
from torch_files import Object, legacy, zipped

import wavenet_tf as wt
from wavenet_tf import convert
from wavenet_tf.convert import kan_bayashi
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.once

CODES, DEPTH, REPEATS, CHANNELS, FACTOR = 32, 3, 2, 5, 10
OPTIONS = {"dilation_depth": DEPTH, "dilation_repeat": REPEATS, "upsampling_factor": FACTOR}
DILATIONS = [2**layer for layer in range(DEPTH)] * REPEATS
FRAMES = 30
# The layers here are after silence, those there after zeros: equal from here on.
START = 40


def shapes(upsampling=True, taps=2):
    residual, skip = 6, 12
    names = {"causal.conv": (residual, CODES, taps)}
    for index in range(DEPTH * REPEATS):
        for part in ("tanh", "sigmoid"):
            names[f"dil_{part}.{index}.conv"] = (residual, residual, taps)
            names[f"aux_1x1_{part}.{index}"] = (residual, CHANNELS, 1)
        names[f"skip_1x1.{index}"] = (skip, residual, 1)
        names[f"res_1x1.{index}"] = (residual, residual, 1)
    names |= {"conv_post_1": (skip, skip, 1), "conv_post_2": (CODES, skip, 1)}
    if upsampling:
        names["upsampling.conv"] = (1, 1, 1, FACTOR)
    result = {}
    for name, shape in names.items():
        result |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return result


def logits(tensors, codes, frames):
    """The network's logits `[time, codes]` for normalized frames `[frames, channels]`."""

    def apply(name, signal, dilation=1):
        return convolve(signal, tensors[f"{name}.weight"], tensors[f"{name}.bias"], dilation)

    if "upsampling.conv.weight" in tensors:
        phases = tensors["upsampling.conv.weight"][0, 0, 0]
        local = (frames[:, None] * phases[None, :, None]).reshape(-1, CHANNELS).T
        local = local + tensors["upsampling.conv.bias"]
    else:
        local = np.repeat(frames, FACTOR, axis=0).T
    signal, skip = apply("causal.conv", one_hot(codes, CODES)), 0.0
    for index, dilation in enumerate(DILATIONS):
        parts = [
            apply(f"dil_{part}.{index}.conv", signal, dilation)
            + apply(f"aux_1x1_{part}.{index}", local)
            for part in ("tanh", "sigmoid")
        ]
        gated = np.tanh(parts[0]) * sigmoid(parts[1])
        skip = skip + apply(f"skip_1x1.{index}", gated)
        signal = signal + apply(f"res_1x1.{index}", gated)
    return apply("conv_post_2", relu(apply("conv_post_1", relu(skip)))).T


def imported(folder, tensors, **options):
    checkpoint, config = folder / "checkpoint-final.pkl", folder / "model.conf"
    checkpoint.write_bytes(legacy({"model": tensors, "iterations": 7}))
    config.write_bytes(zipped(Object("argparse", "Namespace", OPTIONS)))
    return convert.import_checkpoint(checkpoint, folder / "model", config=config, **options)


@pytest.mark.parametrize("upsampling", [True, False])
@pytest.mark.parametrize("taps", [2, 3])
def test_networks_have_the_logits_of_the_program(upsampling, taps, tmp_path):
    tensors = random_tensors(shapes(upsampling, taps))
    generator = np.random.default_rng(1)
    codes = generator.integers(0, CODES, FRAMES * FACTOR)
    frames = generator.normal(3.0, 2.0, (FRAMES, CHANNELS)).astype(np.float32)
    mean, scale = generator.normal(size=CHANNELS), generator.uniform(0.5, 2.0, CHANNELS)
    with h5py.File(tmp_path / "stats.h5", "w") as file:
        file["world/mean"], file["world/scale"] = mean, scale
    model, notes = imported(tmp_path, tensors, statistics=tmp_path / "stats.h5", sample_rate=8000)
    assert notes == ()
    outputs = model({"audio": codes[None], "local_conditioning": frames[None]})[0]
    expected = logits(tensors, codes, (frames - mean) / scale)
    np.testing.assert_allclose(outputs[START:], expected[START:], atol=1e-4)
    assert model.conditioning.frames_after == 0


def test_companding_is_that_of_the_program():
    audio = np.random.default_rng(0).uniform(-1.0, 1.0, 5000).astype(np.float32)
    audio[0] = 0.0
    distribution = wt.Categorical(256, kan_bayashi.code_table(256))
    companded = np.sign(audio) * np.log1p(255 * np.abs(np.float64(audio))) / np.log(256)
    expected = np.floor((companded + 1.0) / 2.0 * 255 + 0.5)
    np.testing.assert_array_equal(distribution.encode(audio), expected)
    assert distribution.silence == 128
    companded = 2.0 * (np.arange(256) - 0.5) / 255 - 1.0
    decoded = np.sign(companded) * np.expm1(np.abs(companded) * np.log(256)) / 255
    np.testing.assert_allclose(distribution.decode(np.arange(256)), decoded.clip(-1), atol=1e-6)
    codes = distribution.encode(distribution.decode(np.arange(256)))
    np.testing.assert_array_equal(codes, np.arange(256))


@pytest.mark.slow
def test_an_imported_network_generates_what_it_predicts(tmp_path):
    model, notes = imported(tmp_path, random_tensors(shapes()))
    assert "no statistics of the frames are given" in notes[0]
    assert notes[1] == "sample rate 16000 Hz assumed; --sample_rate sets another"
    frames = np.random.default_rng(0).normal(size=(2, 110, CHANNELS)).astype(np.float32)
    audio = model.generate(1100, batch_size=2, seed=3, local_conditioning=frames)
    assert_drawn_from(model, audio, 3, conditions={"local_conditioning": frames})


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("a.npy", b"", "statistics must be in an .h5 file, or in an .npz file with mean"),
        ("a.h5", b"nothing", r"cannot read .*a\.h5 as statistics"),
        ("a.npz", b"nothing", r"cannot read .*a\.npz as statistics"),
    ],
)
def test_files_of_statistics_that_cannot_be_read_are_refused(name, contents, message, tmp_path):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(InputError, match=message):
        convert.read_statistics(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": [0.0]}, "has no scale"),
        ({"mean": [0.0], "scale": [1.0, 1.0]}, r"received shapes \[1\] and \[2\]"),
        ({"mean": [np.nan], "scale": [1.0]}, "must be finite numbers"),
        ({"mean": [0.0], "scale": [0.0]}, "must be above 0; received 0"),
        ({"mean": [0.0, 0.0], "scale": [1.0, 1.0]}, "do not fit trunk/upsampler/mean"),
    ],
)
def test_wrong_statistics_are_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        imported(tmp_path, random_tensors(shapes()), statistics=tmp_path / "a.npz")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_the_program_generates_from_frames_in_a_file(tmp_path):
    model, _ = imported(tmp_path, random_tensors(shapes()))
    frames = np.random.default_rng(0).normal(size=(110, CHANNELS)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    arguments = [f"--model_dir={tmp_path / 'model'}", f"--output={tmp_path / 'a.wav'}", "--seed=3"]
    result = run_program("generate.py", *arguments, f"--features={tmp_path / 'frames.npy'}")
    assert result.returncode == 0, result.stderr
    expected = model.generate(1100, seed=3, local_conditioning=frames[None])[0]
    audio, _ = wt.read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(audio, expected, atol=2.0**-15)
    result = run_program("generate.py", *arguments)
    assert "give their frames by --features" in result.stderr
