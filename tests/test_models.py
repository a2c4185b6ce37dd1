import collections
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL, randomise, small_model, tone

import wavenet_tf as wt
from wavenet_tf import training
from wavenet_tf.errors import InputError
from wavenet_tf.layers import GatedResidualBlock
from wavenet_tf.models.config import PRESETS


def random_codes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_receptive_field_is_exact_and_nothing_depends_on_the_future(kernel_size):
    model = small_model(kernel_size=kernel_size)
    field = model.receptive_field
    assert field == (kernel_size - 1) * 2 * (1 + 2 + 4) + 1 + (kernel_size - 1)
    codes = random_codes(1, field + 20)
    reference = model(codes).numpy()[0]
    last = len(reference) - 5
    influences = []
    for position in range(codes.shape[1]):
        changed = codes.copy()
        changed[0, position] = (changed[0, position] + 100) % 256
        difference = np.abs(model(changed).numpy()[0] - reference).max(axis=-1)
        assert difference[:position].max(initial=0.0) == 0.0, "an output saw the future"
        influences.append(difference[last])
    seen = np.flatnonzero(influences)
    assert seen.max() == last
    assert last - seen.min() + 1 == field


@pytest.mark.parametrize("conditioned", [False, True], ids=["unconditional", "conditioned"])
def test_the_model_is_figure_4(conditioned):
    """The whole network in numpy, with a skip projection a layer, against the model.

    Conditioned, with `V^T h` in every gate (section 2.5).
    """
    model = small_model(**({"num_speakers": 3, "global_channels": 2} if conditioned else {}))
    codes = random_codes(1, 30)
    inputs = {
        "audio": codes,
        "speaker_id": tf.constant([2]),
        "global_conditioning": tf.constant([[0.5, -1.0]]),
    }

    def convolve(signal, layer, dilation=1, before=0.0):
        kernel, time = layer.kernel.numpy().astype(np.float64), len(signal)
        past = np.full([(len(kernel) - 1) * dilation, signal.shape[1]], 0.0) + before
        padded = np.concatenate([past, signal])
        taps = [padded[k * dilation : k * dilation + time] @ kernel[k] for k in range(len(kernel))]
        return sum(taps) + layer.bias.numpy()

    signal = convolve(np.eye(256)[codes[0]], model.trunk.input_convolution, before=np.eye(256)[128])
    skip_kernels = np.split(
        model.head.skip_convolution.kernel.numpy()[0], len(model.trunk.stack.blocks)
    )
    skip_sum = model.head.skip_convolution.bias.numpy()
    for index, block in enumerate(model.trunk.stack.blocks):
        activation = convolve(signal, block.dilated_convolution, 2 ** (index % 3))
        if conditioned:
            embedding = model.trunk.speaker_embedding.embeddings.numpy()[2]
            vector = np.concatenate([embedding, [0.5, -1.0]])
            activation = activation + vector @ block.global_projection.kernel.numpy()
        gated = np.tanh(activation[:, :6]) / (1 + np.exp(-activation[:, 6:]))
        skip_sum = skip_sum + gated @ skip_kernels[index]
        if block.residual:
            signal = signal + convolve(gated, block.residual_convolution)
    hidden = np.maximum(convolve(np.maximum(skip_sum, 0), model.head.head_convolution), 0)
    logits = convolve(hidden, model.head.output_convolution)
    actual = model(inputs if conditioned else codes)[0]
    np.testing.assert_allclose(actual, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_conditioned_model_trains_saves_and_tells_speakers_apart(tmp_path):
    """Each speaker repeats one code: nothing but the id tells which."""
    keras.utils.set_random_seed(2)  # at this pace, some first weights lead nowhere
    model = wt.WaveNet(**SMALL, num_speakers=2)
    speakers = np.arange(32) % 2
    codes = np.repeat(np.array([60, 200], np.int32)[speakers][:, None], 20, axis=1)
    silence = np.full_like(codes, 128)
    model.compile(keras.optimizers.Adam(0.03))
    inputs = {"audio": silence, "speaker_id": speakers.astype(np.int32)}
    model.fit(inputs, codes, epochs=40, batch_size=32, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.evaluate(inputs, codes, verbose=0)[1] < 0.1  # bits; unconditional, at least 1
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    swapped = {"audio": silence, "speaker_id": 1 - inputs["speaker_id"]}
    assert loaded.evaluate(swapped, codes, verbose=0)[1] > 2.0


def test_a_missing_condition_is_named():
    model = small_model(num_speakers=2)
    with pytest.raises(InputError, match="the model is conditioned on speaker_id"):
        model(random_codes(1, 10))
    model = small_model(local_channels=3, upsample_factors=(5,))
    with pytest.raises(InputError, match="the model is conditioned on local_conditioning"):
        model(random_codes(1, 10))


def test_frames_that_do_not_fit_the_audio_are_an_error_that_names_both():
    model = small_model(local_channels=3, upsample_factors=(5, 2))
    inputs = {"audio": random_codes(2, 45), "local_conditioning": np.zeros([2, 4, 3], np.float32)}
    with pytest.raises(InputError, match=r"4 frames \(40 samples\) and 45 samples of audio"):
        model(inputs)


@pytest.mark.parametrize(
    ("upsampling", "causal"), [("learned", True), ("learned", False), ("repeat", False)]
)
def test_a_sample_sees_its_frame_and_the_declared_look_ahead(upsampling, causal):
    """Which outputs change with a frame: none before its samples less the look-ahead."""
    model = small_model(
        local_channels=2,
        upsample_factors=(2, 3),
        upsampling=upsampling,
        causal_upsampling=causal,
        num_stacks=1,
        layers_per_stack=1,
    )
    assert model.hop_length == 6
    look_ahead = model.trunk.upsampler.look_ahead
    assert look_ahead == (6 if (upsampling, causal) == ("learned", False) else 0)
    frames = np.random.default_rng(0).normal(size=(1, 9, 2)).astype(np.float32)
    inputs = {"audio": random_codes(1, 54), "local_conditioning": frames}
    before = model(inputs)
    changed = frames.copy()
    changed[0, 4] += 1.0
    difference = np.abs(model({**inputs, "local_conditioning": changed}) - before).max(axis=(0, 2))
    seen = np.flatnonzero(difference)
    last = 4 * 6 + 5 + (6 if upsampling == "learned" else 0)
    assert seen.tolist() == list(range(4 * 6 - look_ahead, last + 1))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["logistic_mixture", "gaussian_mixture"])
def test_every_input_and_output_trains_saves_and_loads(output, tmp_path):
    keras.utils.set_random_seed(0)
    model = wt.WaveNet(
        **SMALL,
        output_distribution=output,
        num_mixtures=2,
        num_speakers=2,
        global_channels=3,
        local_channels=3,
        upsample_factors=(5, 2),
        features=["energy", "f0"],
        context_stacks=[{"pooling": 10, "layers_per_stack": 2, "channels": 4}],
    )
    generator = np.random.default_rng(0)
    frames = generator.normal(3.0, 10.0, (8, 6, 3)).astype(np.float32)
    model.trunk.adapt(frames)
    audio = np.stack([tone(60 / 8000)] * 8) + generator.normal(scale=0.01, size=(8, 60))
    inputs = {
        "audio": model.distribution.encode(audio),
        "speaker_id": np.arange(8, dtype=np.int32) % 2,
        "global_conditioning": generator.normal(size=(8, 3)).astype(np.float32),
        "local_conditioning": frames,
    }
    targets = model.distribution.encode(np.roll(audio, -1, axis=1))
    model.compile(keras.optimizers.Adam(0.01))
    losses = model.fit(inputs, targets, epochs=15, verbose=0).history["bits_per_sample"]
    assert losses[-1] < losses[0] - 1.0
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    np.testing.assert_allclose(loaded.trunk.upsampler.mean, frames.mean(axis=(0, 1)), rtol=1e-4)
    result = loaded.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert result["bits_per_sample"] == model.evaluate(inputs, targets, verbose=0)[1]


def test_context_audio_is_what_was_heard_before():
    contexts = [{"pooling": 6, "layers_per_stack": 3}, {"pooling": 10, "layers_per_stack": 2}]
    model = small_model(context_stacks=contexts)
    assert model.receptive_field == model.config.trunk_receptive_field + max(
        stack.context for stack in model.trunk.context_stacks
    )
    codes = random_codes(1, model.receptive_field + 50)
    whole = model(codes)
    split = model.receptive_field - model.config.trunk_receptive_field
    parts = model({"context_audio": codes[:, :split], "audio": codes[:, split:]})
    known = model.config.trunk_receptive_field - 1  # before, the main stack lacks its past
    assert parts[:, known:].shape[1] == 51
    np.testing.assert_allclose(parts[:, known:], whole[:, split + known :], atol=1e-4)
    changed = codes.copy()
    changed[0, 52] = 255 - changed[0, 52]
    assert (model(changed).numpy() != whole.numpy())[0, -30:].any()


def test_normalised_frames_are_the_same_to_the_model():
    model = small_model(local_channels=2, upsample_factors=(5,))
    model.trunk.upsampler.mean.assign([0.0, 0.0])
    model.trunk.upsampler.scale.assign([1.0, 1.0])
    frames = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    normal = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    inputs = {"audio": random_codes(1, 50), "local_conditioning": normal[None, :10]}
    expected = model(inputs)
    raw = 100.0 + 7.0 * frames
    model.trunk.adapt(raw)
    actual = model({**inputs, "local_conditioning": raw[None, :10]})
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match=r"must have 2 features; received shape \[50, 3\]"):
        model.trunk.adapt(np.zeros([50, 3]))
    with pytest.raises(InputError, match="local_channels"):
        small_model().trunk.adapt(frames)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_normalises_frames_in_full(precision):
    """Frames far larger than their changes: in half, nothing would be left of these."""
    full, half = (
        small_model(local_channels=2, upsample_factors=(5,), dtype=dtype)
        for dtype in ("float32", precision)
    )
    frames = 1000.0 + np.random.default_rng(0).normal(size=(1, 40, 2)).astype(np.float32)
    full.trunk.adapt(frames)
    half.set_weights(full.get_weights())
    expected = full.trunk.upsampler(frames).numpy()
    for actual in (half.trunk.upsampler(frames), half.trunk.upsampler.samples(frames, 0, 200)):
        assert actual.dtype == half.compute_dtype
        error = np.sqrt(np.mean((tf.cast(actual, tf.float32) - expected) ** 2))
        assert error < 0.02 * expected.std()


def test_half_precision_keeps_16_bit_samples_apart():
    """In bfloat16 a sample would have 8 bits: its neighbours would be one."""
    model = small_model(output_distribution="logistic_mixture", dtype="mixed_bfloat16")
    near = np.float32([[0.5, 0.5 + 2.0**-15]])
    outputs, state = model(near, state=model.trunk.initial_state(1))
    assert outputs.dtype == tf.float32
    np.testing.assert_array_equal(state.inputs, near[:, 1:])
    assert model.trunk.stack.blocks[0].dilated_convolution.compute_dtype == "bfloat16"


@pytest.mark.slow
def test_saved_model_is_the_same_model(tmp_path):
    model = small_model(kernel_size=3)
    model.compile("adam")
    codes = random_codes(2, 50)
    model.fit(codes, codes, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(codes), model(codes))
    assert loaded.evaluate(codes, codes, verbose=0) == model.evaluate(codes, codes, verbose=0)
    # The optimizer's state too: the next step is the same.
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 2
    for each in (model, loaded):
        each.fit(codes, codes, verbose=0, shuffle=False)
    np.testing.assert_allclose(loaded(codes), model(codes), atol=1e-6)


def test_accepts_a_dict_of_inputs():
    model = small_model()
    codes = random_codes(1, 20)
    np.testing.assert_array_equal(model({"audio": codes}), model(codes))


@pytest.mark.slow
def test_compile_and_fit_need_no_arguments_and_report_bits():
    model = small_model()
    model.compile("adam")
    inputs, targets = random_codes(4, 60), random_codes(4, 60, seed=1)
    weights = np.random.default_rng(2).integers(0, 2, (4, 60)).astype(np.float32)
    result = model.evaluate(inputs, targets, sample_weight=weights, verbose=0, return_dict=True)
    logits = model(inputs).numpy().astype(np.float64)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    nats = -np.take_along_axis(log_softmax, targets[..., None], axis=-1)[..., 0]
    expected = (nats * weights).sum() / weights.sum()
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(result["bits_per_sample"], expected / np.log(2), rtol=1e-5)
    history = model.fit(inputs, targets, validation_data=(inputs, targets), verbose=0).history
    assert {"loss", "bits_per_sample", "val_loss", "val_bits_per_sample"} <= history.keys()
    assert model.optimizer.global_clipnorm == training.optimizers.GRADIENT_CLIP_NORM


def test_every_weight_has_a_part_in_the_output():
    model = small_model()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(random_codes(2, 60)) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    assert all(gradient is not None for gradient in gradients)


@pytest.mark.slow
@pytest.mark.once
def test_overfits_one_short_clip():
    keras.utils.set_random_seed(0)
    model = wt.WaveNet(**SMALL)
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0))
    generator = np.random.default_rng(0)
    codes = model.distribution.encode(tone(0.02) + generator.normal(scale=0.1, size=160))[None]
    inputs, targets = codes[:, :-1], codes[:, 1:]
    model.fit(inputs, targets, epochs=400, verbose=0)
    assert model.evaluate(inputs, targets, verbose=0)[0] < 0.05


@pytest.mark.slow
def test_mixed_precision_trains_with_float32_logits_and_loss():
    model = small_model(dtype="mixed_bfloat16")
    assert model(random_codes(1, 10)).dtype == tf.float32
    assert model.trunk.stack.blocks[0].dilated_convolution.compute_dtype == "bfloat16"
    model.compile("adam")
    history = model.fit(random_codes(4, 50), random_codes(4, 50), epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_training_and_says_what_to_do():
    model = small_model()
    model.compile("adam")
    model.head.head_convolution.bias.assign(np.full(10, np.nan))
    with pytest.raises(InputError, match="lower learning rate"):
        model.fit(random_codes(2, 20), random_codes(2, 20), verbose=0)


@pytest.mark.slow
@pytest.mark.once
def test_any_integers_are_codes_and_all_else_is_named():
    model = small_model()
    model.compile("adam")
    codes = random_codes(2, 30)
    expected = model(codes)
    for dtype in ("int64", "uint8", "int16", "uint32"):
        np.testing.assert_array_equal(model(codes.astype(dtype)), expected)
    losses = []
    for dtype in ("int32", "int64", "uint8"):
        data = codes.astype(dtype)
        losses += [model.evaluate(data, data, verbose=0)[0]]
        model.fit(data, data, verbose=0)
        randomise(model)
    assert len(set(losses)) == 1
    audio = model.distribution.decode(codes).numpy()
    datasets = [
        tf.data.Dataset.from_tensors(pair) for pair in ((codes + 10, codes), (codes, codes + 10))
    ]
    for call, message in (
        (lambda: model(audio), "audio must be mu-law codes, whole numbers from 0 to 255.*float32"),
        (lambda: model(codes[0]), r"audio must have shape \[batch, time\]; received shape \[30\]"),
        (lambda: model(codes + 10), "no mu-law codes, which are whole numbers from 0 to 255"),
        (lambda: model.fit(audio, codes), "x must be mu-law codes.* received float32"),
        (lambda: model.fit({"audio": codes}, audio), "y must be mu-law codes.* received float32"),
        (lambda: model.fit(codes, codes + 10), "y must be mu-law codes.* received 2"),
        (lambda: model.fit(codes - 1, codes), "x must be mu-law codes.* received -1"),
        (lambda: model.fit(codes[..., None], codes), r"x must have shape .* \[2, 30, 1\]"),
        (lambda: model.fit(codes, codes, validation_data=(audio, codes)), "x must be mu-law"),
        (lambda: model.evaluate(audio, codes, verbose=0), "x must be mu-law codes"),
        (lambda: model.fit(datasets[0], verbose=0), "the data holds values that are no mu-law"),
        (lambda: model.fit(datasets[1], verbose=0), "the data holds values that are no mu-law"),
        (lambda: model.evaluate(datasets[0], verbose=0), "the data holds values that are no mu"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    mixture = small_model(output_distribution="gaussian_mixture")
    mixture.compile("adam")
    np.testing.assert_array_equal(mixture(audio.astype(np.float64)), mixture(audio))
    for values, message in (
        (np.int16(32767 * audio), r"x must be float audio in \[-1, 1\]; received int16"),
        (3.0 * audio, r"x must be float audio in \[-1, 1\]; received"),
        (np.nan * audio, "received nan"),
    ):
        with pytest.raises(InputError, match=message):
            mixture.fit(values, audio)


@pytest.mark.slow
def test_training_takes_one_callback_and_something_to_train():
    model = small_model()
    codes = random_codes(2, 30)
    epochs = []
    model.compile("adam", run_eagerly=True)
    model.fit(
        codes,
        codes,
        callbacks=keras.callbacks.LambdaCallback(on_epoch_end=lambda e, _: epochs.append(e)),
        verbose=0,
    )
    assert epochs == [0]
    model.trainable = False
    model.compile("adam")
    assert model.evaluate(codes, codes, verbose=0)[0] > 0.0
    with pytest.raises(InputError, match="no weight is trainable: set trainable = True"):
        model.fit(codes, codes)


def test_functions_that_run_eagerly_train_and_sample_alike():
    model, codes = small_model(), random_codes(2, 30)
    audio = model.generate(8, seed=0)
    tf.config.run_functions_eagerly(True)
    try:
        eager = [next(model.stream(seed=0, block_size=8, jit_compile=xla)) for xla in (True, False)]
        model.compile("adam")
        assert not model.jit_compile
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's, of datasets
            model.fit(codes, codes, verbose=0)
    finally:
        tf.config.run_functions_eagerly(False)
    encode = model.distribution.encode
    for part in eager:
        np.testing.assert_array_equal(encode(part), encode(audio))


def test_the_automatic_choice_of_xla_is_not_saved(tmp_path):
    model = small_model()
    for given, saved in (({}, {}), ({"jit_compile": True}, {"jit_compile": True})):
        model.compile("adam", **given)
        model.save(tmp_path / "model.keras")
        config = keras.models.load_model(tmp_path / "model.keras").get_compile_config()
        assert {name: config[name] for name in given} == saved
        assert ("jit_compile" in config) == bool(saved)


@pytest.mark.slow
@pytest.mark.parametrize("conditioned", [False, True])
def test_an_exported_network_is_the_same_function(conditioned, tmp_path):
    inputs = {"audio": tf.zeros([2, 20], tf.int32) + 120}
    arguments = {}
    if conditioned:
        arguments = {"num_speakers": 3, "local_channels": 2, "upsample_factors": (5,)}
        inputs |= {"speaker_id": tf.constant([0, 2]), "local_conditioning": tf.ones([2, 4, 2])}
    model = small_model(**arguments)
    model.export(tmp_path / "exported", verbose=False)
    inputs = inputs if conditioned else inputs["audio"]
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(inputs), model(inputs), atol=1e-5)


def test_what_cannot_be_saved_or_computed_says_what_can(tmp_path):
    with pytest.raises(InputError, match=r"saved as a .keras file; received .*model.h5"):
        small_model().save(tmp_path / "model.h5")
    for dtype in ("float16", "float64", "bfloat16"):
        with pytest.raises(InputError, match=f"dtype must be one of float32, .* '{dtype}'"):
            small_model(dtype=dtype)
    try:
        for floatx in ("float16", "float64"):
            keras.config.set_floatx(floatx)
            with pytest.raises(InputError, match=rf"floatx of Keras is {floatx}: call keras.conf"):
                small_model()
    finally:
        keras.config.set_floatx("float32")
    vocoder = small_model(local_channels=2, upsample_factors=(5,))
    for frames, message in ((np.full([3, 2], np.nan), "not finite"), (np.zeros([0, 2]), "none")):
        with pytest.raises(InputError, match=message):
            vocoder.trunk.adapt(frames)
    for name, settings, message in (
        ("adem", {}, "unknown optimizer 'adem'"),
        ("adam", {"learning_rat": 1}, "cannot make the optimizer 'adam' of .*learning_rat"),
    ):
        with pytest.raises(InputError, match=message):
            training.named_optimizer(name, **settings)


def test_another_backend_is_named():
    """In a process of its own: Keras chooses its backend when it is imported."""
    ran = subprocess.run(
        [sys.executable, "-c", "import wavenet_tf; wavenet_tf.WaveNet()"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    message = "a WaveNet runs on TensorFlow: set the environment variable KERAS_BACKEND=tensorflow"
    assert message in ran.stderr.splitlines()[-1]


def test_output_shapes_are_computed_with_and_without_states():
    contexts = [{"pooling": 5, "layers_per_stack": 2, "channels": 4}]
    for output in ("categorical", "logistic_mixture"):
        model = small_model(output_distribution=output, context_stacks=contexts)
        values = model.distribution.encode(tf.zeros([2, 20]))
        state = model.trunk.initial_state(2)

        def shapes(tensors):
            return tf.nest.map_structure(lambda tensor: tuple(tensor.shape), tensors)

        computed = model.compute_output_shape(shapes(values), shapes(state))
        assert computed == shapes(model(values, state=state))
        assert model.compute_output_shape(shapes(values)) == shapes(model(values))
        for layer, inputs in (
            (model.trunk.input_convolution, values),
            (model.trunk.context_stacks[0], tf.zeros([2, 20])),
            (model.trunk.context_stacks[0].stack.blocks[1], tf.zeros([2, 20, 4])),
            (model.head.skip_convolution, tf.zeros([2, 20, 36])),
        ):
            given = layer.initial_state(2)
            computed = layer.compute_output_shape(shapes(inputs), shapes(given))
            assert computed == shapes(layer(inputs, state=given))


@pytest.mark.slow
@pytest.mark.once
def test_rematerialized_blocks_are_those_of_the_network_and_take_conditions(monkeypatch):
    calls, call = collections.Counter(), GatedResidualBlock.call

    def counted(block, *arguments, **keywords):
        calls[block] += 1
        return call(block, *arguments, **keywords)

    contexts = [{"pooling": 5, "layers_per_stack": 2, "channels": 4}]
    inputs = {"audio": random_codes(2, 30), "speaker_id": np.array([0, 2], np.int32)}
    for arguments in (
        {"context_stacks": contexts},
        {"num_speakers": 3},
        {"num_speakers": 3, "context_stacks": contexts},
    ):
        losses = []
        for names in ([], ["block_0", "block_1"]):
            with keras.RematScope(mode="list_of_layers", layer_names=names):
                model = small_model(**arguments)
            with monkeypatch.context() as patch, tf.GradientTape() as tape:
                patch.setattr(GatedResidualBlock, "call", counted)
                loss = tf.reduce_sum(model(inputs))
                tape.gradient(loss, model.trainable_weights)
            blocks = [
                *model.trunk.stack.blocks,
                *(b for stack in model.trunk.context_stacks for b in stack.stack.blocks),
            ]
            twice = {block for block in blocks if calls[block] == 2}
            assert twice == {block for block in model.trunk.stack.blocks if block.name in names}
            model.compile("sgd")
            fits = [model.fit(inputs, inputs["audio"], verbose=0).history["loss"] for _ in "12"]
            losses.append(np.concatenate(fits))
        np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_models(name):
    model = wt.WaveNet.from_preset(name, sample_rate=22050)
    assert model.sample_rate == 22050
    assert model(random_codes(1, 5)).shape == (1, 5, 256)


def test_music_hears_four_seconds():
    model = wt.WaveNet.from_preset("music")
    assert model.receptive_field >= 4 * model.sample_rate
    small = wt.WaveNet.from_preset("small")
    assert model.config.trunk_receptive_field == small.receptive_field


def test_medium_is_the_yardstick():
    model = wt.WaveNet.from_preset("medium")
    assert model.receptive_field == 3 * 1023 + 2
    assert model.head.skip_convolution.kernel.shape == (1, 30 * 64, 256)


def test_bad_arguments_are_named_with_their_value():
    with pytest.raises(InputError, match=r"unknown preset 'huge': expected one of tiny, small"):
        wt.WaveNet.from_preset("huge")
    with pytest.raises(InputError, match=r"no argument 'kernel': expected one of causal_ups"):
        wt.WaveNet.from_preset("tiny", kernel=3)
    with pytest.raises(InputError, match=r"gate_channels must be .* received 0"):
        wt.WaveNet(gate_channels=0)
    with pytest.raises(InputError, match="local_channels and upsample_factors must be given tog"):
        wt.WaveNet(local_channels=3)
    with pytest.raises(InputError, match=r"local_channels must be 81 .* received 80"):
        wt.WaveNet(local_channels=80, upsample_factors=(4,), features=["mel", "energy"])
    with pytest.raises(InputError, match="names must be some of"):
        wt.WaveNet(local_channels=80, upsample_factors=(4,), features="mel")
    with pytest.raises(InputError, match="speaker_names must have a different name for each"):
        wt.WaveNet(num_speakers=2, speaker_names=["ana", "ana"])
    with pytest.raises(InputError, match=r"gate_channels must be .* received 'a'"):
        wt.WaveNet(gate_channels="a")
    with pytest.raises(InputError, match=r"context_stacks take pooling and opt.* {'channels': 3}"):
        wt.WaveNet(context_stacks=[{"channels": 3}])
    with pytest.raises(InputError, match=r"context_stacks take pooling and optionally .* 'depth'"):
        wt.WaveNet(context_stacks=[{"pooling": 64, "depth": 3}])
    with pytest.raises(InputError, match=r"layers_per_stack must be at most 21, .* received 40"):
        wt.WaveNet(**{**SMALL, "layers_per_stack": 40})
    with pytest.raises(InputError, match=r"layers_per_stack must be at most 21, .* received 40"):
        wt.WaveNet(**SMALL, context_stacks=[{"pooling": 64, "layers_per_stack": 40}])
    with pytest.raises(
        InputError, match="upsampling must be one of learned, repeat, stretch; received"
    ):
        wt.WaveNet(local_channels=3, upsample_factors=(4,), upsampling="linear")
    with pytest.raises(InputError, match=r"unknown optimizer 'adamm'"):
        small_model().compile("adamm")


def test_summary_names_every_part(capsys):
    small_model().summary(expand_nested=True)
    printed = capsys.readouterr().out
    assert "block_5" in printed
    assert "skip_convolution" in printed
