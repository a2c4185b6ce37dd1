"""Checkpoints of r9y9/wavenet_vocoder against that network in numpy."""

import json
import math

import numpy as np
import pytest
import scipy.signal
from foreign_networks import convolve, one_hot, random_tensors, relu, sigmoid
from oracles import assert_drawn_from
from torch_files import legacy, zipped

import wavenet_tf as wt
from wavenet_tf import convert
from wavenet_tf.convert import r9y9
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.once

LAYERS, STACKS, CODES, CHANNELS, SPEAKER_CHANNELS = 6, 2, 32, 7, 3
SCALES = (2, 5)
DILATIONS = [2 ** (layer % (LAYERS // STACKS)) for layer in range(LAYERS)]
HPARAMS = {"stacks": STACKS, "sample_rate": 16000, "hop_size": 10}
FRAMES, HOP = 30, 10


def shapes(
    outputs=CODES,
    inputs=CODES,
    upsampler="",
    speakers=0,
    local_bias=False,
    frame_taps=5,
    bands=1,
    global_channels=0,
):
    residual, gate, skip = 6, 16, 12
    result = {}

    def add(name, shape, bias=True, norm=True):
        parts = {"weight_g": (shape[0], 1, 1), "weight_v": shape} if norm else {"weight": shape}
        result.update({f"{name}.{part}": size for part, size in parts.items()})
        if bias:
            result[f"{name}.bias"] = shape[:1]

    add("first_conv", (residual, inputs, 1))
    for index in range(LAYERS):
        name = f"conv_layers.{index}"
        add(f"{name}.conv", (gate, residual, 3))
        if upsampler:
            add(f"{name}.conv1x1c", (gate, CHANNELS, 1), local_bias)
        if speakers or global_channels:
            channels = SPEAKER_CHANNELS if speakers else global_channels
            add(f"{name}.conv1x1g", (gate, channels, 1), local_bias)
        add(f"{name}.conv1x1_out", (residual, gate // 2, 1))
        add(f"{name}.conv1x1_skip", (skip, gate // 2, 1))
    add("last_conv_layers.1", (skip, skip, 1))
    add("last_conv_layers.3", (outputs, skip, 1))
    if speakers:
        result["embed_speakers.weight"] = (speakers, SPEAKER_CHANNELS)
    for index, scale in enumerate(SCALES):
        if upsampler == "transposed":
            name = f"upsample_conv.{2 * index}"
            result |= {f"{name}.weight_g": (1, 1, 1, 1), f"{name}.weight_v": (1, 1, 3, scale)}
            result[f"{name}.bias"] = (1,)
        elif upsampler in ("stretch", "stretch only"):
            name = (
                "upsample_net.up_layers"
                if "only" in upsampler
                else ("upsample_net.upsample.up_layers")
            )
            name = f"{name}.{2 * index + 1}"
            result[f"{name}.weight_g"] = (1, 1, 1, 1)
            result[f"{name}.weight_v"] = (1, 1, bands, 2 * scale + 1)
    if upsampler == "stretch":
        result["upsample_net.conv_in.weight"] = (CHANNELS, CHANNELS, frame_taps)
    return result


def network(**options) -> dict[str, np.ndarray]:
    """Random tensors; weights of normalized directions are large enough that each part counts."""
    tensors = random_tensors(shapes(**options))
    return {name: 4.0 * t if name.endswith("weight_g") else t for name, t in tensors.items()}


def folded(tensors):
    """Multiplies weight normalization out, as the program does."""
    result = {}
    for name, tensor in tensors.items():
        if name.endswith("weight_v"):
            norm = np.sqrt((np.float64(tensor) ** 2).sum(axis=tuple(range(1, tensor.ndim))))
            norm = norm.reshape(-1, *[1] * (tensor.ndim - 1))
            result[name[:-2]] = tensors[name[:-1] + "g"].reshape(norm.shape) * tensor / norm
        elif not name.endswith("weight_g"):
            result[name] = tensor
    return result


def upsampled(weights, frames):
    """Local conditioning `[channels, time]` of frames `[frames, channels]`."""
    signal = np.float64(frames).T
    names = sorted(name for name in weights if name.startswith("upsample") and "weight" in name)
    if not names:
        return np.repeat(signal, HOP, axis=1)
    if names[0].startswith("upsample_conv"):
        for name in names:
            weight, bias = weights[name][0, 0], weights[name.replace("weight", "bias")]
            bands, time = signal.shape
            result = np.zeros((bands + 2, time * weight.shape[1]))
            # A transposed convolution: each input is spread over three bands and the phases.
            for k in range(3):
                result[k : k + bands] += np.einsum("ft,p->ftp", signal, weight[k]).reshape(
                    bands, -1
                )
            signal = relu(result[1:-1] + bias)
        return signal
    # Frames beyond the ends are repeated here, and zero in the program.
    margin = 4
    signal = np.pad(signal, [[0, 0], [margin, margin]], "edge")
    if "upsample_net.conv_in.weight" in weights:
        weight = weights["upsample_net.conv_in.weight"]
        taps = weight.shape[2]
        signal = convolve(signal, weight)
        # The convolution is centered.
        signal = np.pad(signal[:, taps - 1 :], [[0, 0], [taps // 2, taps // 2]], "edge")
    for name in names:
        if "up_layers" not in name:
            continue
        weight = weights[name][0, 0]
        scale = (weight.shape[1] - 1) // 2
        signal = np.repeat(signal, scale, axis=1)
        padded = np.pad(signal, [[weight.shape[0] // 2] * 2, [scale, scale]])
        signal = sum(
            weight[k, t] * padded[k : k + signal.shape[0], t : t + signal.shape[1]]
            for k in range(weight.shape[0])
            for t in range(weight.shape[1])
        )
    return signal[:, margin * HOP : -margin * HOP]


def outputs(tensors, signal, frames=None, vector=None, scaling="master"):
    """The network's outputs, `[time, outputs]`, for an input `[channels, time]`."""
    weights = folded(tensors)

    def apply(name, signal, dilation=1):
        return convolve(signal, weights[f"{name}.weight"], weights.get(f"{name}.bias"), dilation)

    local = None if frames is None else upsampled(weights, frames)
    signal, skip = apply("first_conv", signal), None
    for index, dilation in enumerate(DILATIONS):
        name = f"conv_layers.{index}"
        both = apply(f"{name}.conv", signal, dilation)
        if local is not None:
            both = both + apply(f"{name}.conv1x1c", local)
        if vector is not None:
            both = both + apply(f"{name}.conv1x1g", np.float64(vector)[:, None])
        gated = np.tanh(both[:8]) * sigmoid(both[8:])
        h = apply(f"{name}.conv1x1_skip", gated)
        factor = math.sqrt(0.5) if scaling == "legacy" else 1.0
        skip = h if skip is None else (skip + h) * factor
        signal = (apply(f"{name}.conv1x1_out", gated) + signal) * math.sqrt(0.5)
    if scaling == "master":
        skip = skip * math.sqrt(1.0 / LAYERS)
    return apply("last_conv_layers.3", relu(apply("last_conv_layers.1", relu(skip)))).T


def imported(folder, tensors, hparams=None, name="checkpoint_step1.pth", **options):
    checkpoint, config = folder / name, folder / "hparams.json"
    checkpoint.write_bytes(zipped({"state_dict": tensors, "optimizer": None, "global_step": 7}))
    config.write_text(json.dumps({**HPARAMS, **(hparams or {})}))
    return convert.import_checkpoint(checkpoint, folder / "model", config=config, **options)


@pytest.fixture
def generator():
    return np.random.default_rng(1)


# Input convolutions have one tap: the layers start from silence here and from zeros there, which
# is the same.
@pytest.mark.parametrize(
    ("hparams", "scaling"),
    [({}, "master"), ({"legacy": True}, "legacy"), ({"legacy": False}, "plain")],
)
def test_softmax_networks_have_the_logits_of_the_program(hparams, scaling, generator, tmp_path):
    tensors = network()
    codes = generator.integers(0, CODES, 300)
    model, notes = imported(tmp_path, tensors, hparams)
    expected = outputs(tensors, one_hot(codes, CODES), scaling=scaling)
    np.testing.assert_allclose(model(codes[None])[0], expected, atol=1e-4)
    assert notes == ()
    assert model.config.residual_scale == math.sqrt(0.5)


@pytest.mark.parametrize(
    ("distribution", "channels"), [("Logistic", 30), ("Normal", 6), ("Normal", 2), ("Logistic", 3)]
)
def test_mixtures_have_the_parameters_of_the_program(distribution, channels, generator, tmp_path):
    tensors = network(outputs=channels, inputs=1)
    waveform = generator.uniform(-1.0, 1.0, 300).astype(np.float32)
    options = {"output_distribution": distribution, "input_type": "raw", "log_scale_min": -16.0}
    model, _ = imported(tmp_path, tensors, options)
    expected = outputs(tensors, waveform[None])
    parameters = model(waveform[None])
    logits, means, log_scales = model.distribution._components(parameters)
    actual = np.concatenate([logits, means, log_scales], axis=-1)[0]
    if channels == 2:
        np.testing.assert_array_equal(actual[:, 0], 0.0)
        actual = actual[:, 1:]
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert model.distribution.log_scale_floor == -16.0
    name = "logistic_mixture" if distribution == "Logistic" else "gaussian_mixture"
    assert model.config.output_distribution == name


@pytest.mark.parametrize(
    ("upsampler", "options"),
    [
        ("transposed", {"local_bias": True}),
        ("repeat", {"local_bias": True}),
        ("repeat", {}),
        ("stretch", {}),
        ("stretch", {"frame_taps": 1, "bands": 3}),
        ("stretch only", {"bands": 3}),
    ],
)
@pytest.mark.parametrize("speakers", [0, 4])
def test_upsamplers_and_speakers_condition_the_network(
    upsampler, options, speakers, generator, tmp_path
):
    tensors = network(upsampler=upsampler, speakers=speakers, **options)
    codes = generator.integers(0, CODES, FRAMES * HOP)
    frames = generator.uniform(0.0, 1.0, (FRAMES, CHANNELS)).astype(np.float32)
    mean, scale = generator.normal(size=CHANNELS), generator.uniform(0.5, 2.0, CHANNELS)
    np.savez(tmp_path / "meanvar.npz", mean=mean, scale=scale)
    model, notes = imported(tmp_path, tensors, statistics=tmp_path / "meanvar.npz")
    assert any("frames are repeated" in note for note in notes) == ("stretch" in upsampler)
    inputs = {"audio": codes[None], "local_conditioning": frames[None]}
    vector = None
    if speakers:
        inputs["speaker_id"] = np.int32([2])
        vector = tensors["embed_speakers.weight"][2]
    scaling = "legacy" if options.get("local_bias") else "master"
    normalized = (frames - mean) / scale
    expected = outputs(tensors, one_hot(codes, CODES), normalized, vector, scaling)
    np.testing.assert_allclose(model(inputs)[0], expected, atol=1e-4)
    assert (
        np.abs(expected - outputs(tensors, one_hot(codes, CODES), 0 * normalized, vector)).max()
        > 0.1
    )


def test_vectors_condition_the_network(generator, tmp_path):
    tensors = network(global_channels=4)
    codes, vector = generator.integers(0, CODES, 200), generator.normal(size=4)
    model, _ = imported(tmp_path, tensors)
    inputs = {"audio": codes[None], "global_conditioning": np.float32(vector)[None]}
    expected = outputs(tensors, one_hot(codes, CODES), vector=vector)
    np.testing.assert_allclose(model(inputs)[0], expected, atol=1e-4)


def test_weights_without_weight_normalization_are_the_same(generator, tmp_path):
    tensors = network()
    codes = generator.integers(0, CODES, 200)
    plain = {name: tensor.astype(np.float32) for name, tensor in folded(tensors).items()}
    renamed = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in tensors.items()
    }
    expected = outputs(tensors, one_hot(codes, CODES))
    for name, state in {"plain": plain, "renamed": renamed}.items():
        (tmp_path / name).mkdir()
        model, _ = imported(tmp_path / name, state)
        np.testing.assert_allclose(model(codes[None])[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("table", "mu"), [(r9y9.code_table(256), 255), (r9y9.code_table(256, 256), 256)]
)
def test_companding_is_that_of_the_program(table, mu):
    audio = np.random.default_rng(0).uniform(-1.0, 1.0, 5000).astype(np.float32)
    audio[0] = 0.0
    distribution = wt.Categorical(256, table)
    companded = np.sign(audio) * np.log1p(mu * np.abs(np.float64(audio))) / np.log1p(mu)
    expected = ((companded + 1.0) / 2.0 * mu).astype(int)
    np.testing.assert_array_equal(distribution.encode(audio), np.minimum(expected, 255))
    assert distribution.silence == (127 if mu == 255 else 128)
    companded = 2.0 * np.arange(256) / mu - 1.0
    decoded = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu
    np.testing.assert_allclose(distribution.decode(np.arange(256)), decoded, atol=1e-6)
    codes = distribution.encode(distribution.decode(np.arange(256)))
    np.testing.assert_array_equal(codes, np.arange(256))


@pytest.mark.slow
@pytest.mark.parametrize("upsampler", ["transposed", "stretch"])
def test_an_imported_vocoder_generates_what_it_predicts(upsampler, tmp_path):
    tensors = network(outputs=30, inputs=1, upsampler=upsampler)
    # Scales as of speech.
    tensors["last_conv_layers.3.bias"][20:] = -4.0
    tensors["last_conv_layers.3.weight_g"] *= 0.2
    model, _ = imported(tmp_path, tensors)
    frames = np.random.default_rng(0).uniform(size=(2, 110, CHANNELS)).astype(np.float32)
    audio = model.generate(1100, batch_size=2, seed=3, local_conditioning=frames)
    assert_drawn_from(model, audio, 3, conditions={"local_conditioning": frames})


@pytest.mark.slow
def test_audio_passes_the_inverse_of_the_programs_filter(tmp_path):
    tensors = network(outputs=30, inputs=1)
    tensors["last_conv_layers.3.bias"][10:] = [0.0] * 10 + [-4.0] * 10
    tensors["last_conv_layers.3.weight_g"] *= 0.01
    emphasis = {"preprocess": "preemphasis", "postprocess": "inv_preemphasis"}
    hparams = {**emphasis, "global_gain_scale": 0.55}
    model, _ = imported(tmp_path, tensors, hparams)
    (tmp_path / "plain").mkdir()
    plain, _ = imported(tmp_path / "plain", tensors)
    waveform = plain.generate(2500, seed=3)[0]
    expected = scipy.signal.lfilter([1.0], [1.0, -0.85], waveform) / 0.55
    audio = model.generate(2500, seed=3)[0]
    np.testing.assert_allclose(audio, expected.clip(-1.0, 1.0), atol=1e-4)
    assert 0.01 < np.abs(audio).max() < 1.0
    # Recordings pass the filter before they are scored, wherever a crop begins.
    wt.write_audio(tmp_path / "wav" / "a.wav", audio, 16000)
    recordings = wt.data.read_recordings(tmp_path / "wav", 16000)
    recorded = recordings.waveform(0)
    filtered = 0.55 * scipy.signal.lfilter([1.0, -0.85], [1.0], recorded)
    nats = -wt.models.log_likelihood(plain, filtered[None].astype(np.float32), {})
    actual = wt.evaluation.score(model, recordings, crop_seconds=0.01).nats
    np.testing.assert_allclose(actual, nats.numpy().sum(), rtol=1e-4)
    prompted = model.generate(100, seed=3, prompt=recorded[None])
    continued = plain.generate(100, seed=3, prompt=filtered[None].astype(np.float32))[0]
    zi = [0.85 * recorded[-1]]
    expected, _ = scipy.signal.lfilter([1.0], [1.0, -0.85], continued / 0.55, zi=zi)
    np.testing.assert_allclose(prompted[0], expected.clip(-1.0, 1.0), atol=1e-4)


def test_the_recipe_of_frames_is_stored_with_the_model(tmp_path):
    tensors = network(outputs=30, inputs=1, upsampler="stretch")
    audio_options = {
        "fft_size": 256,
        "win_length": -1,
        "win_length_ms": 12.5,
        "window": "hann",
        "num_mels": CHANNELS,
        "fmin": 125,
        "fmax": 7600,
        "highpass_cutoff": 70.0,
    }
    model, notes = imported(tmp_path, tensors, audio_options)
    name = f"mel:window=200:fft=256:bands={CHANNELS}:min_hz=125:max_hz=7600"
    assert model.config.features == (f"{name}:floor=1e-10:log=10:padding=reflect",)
    assert any("high-pass of 70.0 Hz" in note for note in notes)
    recording = 0.1 * np.random.default_rng(0).normal(size=1600)
    frames = wt.audio.extract_features(recording, 16000, model.hop_length, model.config.features)
    assert frames.shape == (160, CHANNELS)
    for name, options, arguments in (
        ("unknown", {}, {}),
        ("given", {}, {"features": [f"mel:bands={CHANNELS}"]}),
    ):
        (tmp_path / name).mkdir()
        model, notes = imported(tmp_path / name, tensors, options, **arguments)
        expected = tuple(arguments["features"]) if arguments else None
        assert model.config.features == expected
        assert any("no configuration states how frames are made" in note for note in notes)


def test_a_file_beside_averaged_weights_is_noted(tmp_path):
    tensors, hparams = network(), {"exponential_moving_average": True}
    _, notes = imported(tmp_path, tensors, hparams)
    assert notes == ("the program writes averaged weights to a file of their own, *_ema.pth",)
    (tmp_path / "ema").mkdir()
    _, notes = imported(tmp_path / "ema", tensors, hparams, name="checkpoint_step1_ema.pth")
    assert notes == ()


@pytest.mark.parametrize(
    ("hparams", "arguments", "message"),
    [
        ({"stacks": 4}, {}, "stacks must divide the checkpoint's 6 layers; received 4"),
        ({"stacks": None}, {}, "does not state stacks: set it in the --config file"),
        (
            {"input_type": "mulaw"},
            {"inputs": 1, "outputs": 30},
            "must be one of raw, mulaw-quantiz",
        ),
        ({"input_type": "raw"}, {}, "32 input and 32 output channels, which does not fit input_ty"),
        ({"output_distribution": "Beta"}, {"inputs": 1, "outputs": 30}, "one of Logistic, Normal"),
        ({}, {"inputs": 1, "outputs": 4}, "out_channels must be a multiple of 3; the checkp"),
        ({"legacy": "yes"}, {}, "legacy must be true or false; received 'yes'"),
        (
            {"upsample_params": {"upsample_activation": "ReLU"}},
            {"upsampler": "stretch"},
            "upsample_activation of upsample_params must be none; received 'ReLU'",
        ),
        (
            {"upsample_params": {"mode": "linear"}},
            {"upsampler": "stretch"},
            "mode of upsample_params must be nearest; received 'linear'",
        ),
        ({"upsample_params": 3}, {"upsampler": "stretch"}, "must be a JSON object; received 3"),
        ({"hop_size": None}, {"upsampler": "repeat"}, "does not state hop_size"),
        ({"preprocess": "preemphasis"}, {}, "received 'preemphasis' and 'none'"),
        ({"postprocess": "lowpass", "preprocess": "x"}, {}, "preprocess and postprocess must be"),
        ({"global_gain_scale": "loud"}, {}, "global_gain_scale must be a finite number; received"),
    ],
)
def test_wrong_options_are_refused(hparams, arguments, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        imported(tmp_path, network(**arguments), hparams)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model").exists()


def test_missing_and_unexpected_tensors_are_named(tmp_path):
    tensors = network()
    for change, message in (
        (
            {"conv_layers.5.conv1x1_skip.bias": None},
            "has no conv_layers.5.conv1x1_skip.bias; the n",
        ),
        (
            {"conv_layers.1.conv2.bias": np.zeros(1, "f4")},
            "has conv_layers.1.conv2.bias, which this",
        ),
        ({"conv_layers.1.conv.weight_g": None}, "no conv_layers.1.conv.weight_g"),
    ):
        state = {name: value for name, value in {**tensors, **change}.items() if value is not None}
        (tmp_path / "file.pth").write_bytes(legacy(state))
        (tmp_path / "hparams.json").write_text(json.dumps(HPARAMS))
        with pytest.raises(InputError, match=message):
            convert.import_checkpoint(
                tmp_path / "file.pth", tmp_path / "model", config=tmp_path / "hparams.json"
            )
