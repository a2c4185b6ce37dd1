"""The contract of every layer: whole = chunks = single samples, causal, and equal to an oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomise, small_model

import wavenet_tf as wt
from wavenet_tf import layers
from wavenet_tf.errors import InputError
from wavenet_tf.layers import CONTEXT_DELAY

TIME = 40
CHUNKS = [1, 1, 7, 13, 1, 17]  # past one wrap of every state below


def causal_convolution_oracle(inputs, kernel, bias, dilation):
    outputs = np.zeros((*inputs.shape[:2], kernel.shape[2])) + bias
    taps = len(kernel)
    for t in range(inputs.shape[1]):
        for tap in range(taps):
            source = t - (taps - 1 - tap) * dilation
            if source >= 0:
                outputs[:, t] += inputs[:, source] @ kernel[tap]
    return outputs


def make_layer(name, kernel_size, dtype="float32"):
    layer = {
        "convolution": lambda: wt.CausalConv1D(5, kernel_size, dilation_rate=3, dtype=dtype),
        "one_hot": lambda: wt.OneHotCausalConv1D(5, 16, kernel_size, dtype=dtype),
        "block": lambda: wt.GatedResidualBlock(6, kernel_size, dilation_rate=4, dtype=dtype),
        "last_block": lambda: wt.GatedResidualBlock(
            6, kernel_size, dilation_rate=4, residual=False, dtype=dtype
        ),
    }[name]()
    layer.build((None, None) if name == "one_hot" else (None, None, 4))
    randomise(layer)
    return layer


def signal_for(layer, time=TIME):
    generator = np.random.default_rng(1)
    if isinstance(layer, wt.OneHotCausalConv1D):
        return generator.integers(0, layer.num_codes, (2, time)).astype(np.int32)
    return generator.normal(size=(2, time, 4)).astype(np.float32)


def in_chunks(layer, signal, chunks, function):
    state, parts, start = layer.initial_state(len(signal)), [], 0
    for size in chunks:
        *outputs, state = function(signal[:, start : start + size], state)
        parts.append(outputs)
        start += size
    return [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]


LAYERS = ["convolution", "one_hot", "block", "last_block"]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_whole_equals_chunks_equals_samples(name, kernel_size, compiled):
    layer = make_layer(name, kernel_size)
    signal = signal_for(layer)

    def step(inputs, state):
        return layer(inputs, state=state)

    function = tf.function(step, reduce_retracing=True) if compiled else step
    whole = tf.nest.flatten(layer(signal))
    for chunks in (CHUNKS, [1] * TIME):
        for part, expected in zip(in_chunks(layer, signal, chunks, function), whole, strict=True):
            np.testing.assert_allclose(part, expected, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_mixed_precision_computes_in_half_and_agrees(name):
    layer, half = make_layer(name, 2), make_layer(name, 2, dtype="mixed_bfloat16")
    signal = signal_for(layer)
    inputs = signal if name == "one_hot" else tf.cast(signal, "bfloat16")
    for output, expected in zip(
        tf.nest.flatten(half(inputs)), tf.nest.flatten(layer(signal)), strict=True
    ):
        assert output.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(output, tf.float32), expected, atol=0.1)


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_causal_convolution_equals_numpy(kernel_size, dilation):
    layer = wt.CausalConv1D(5, kernel_size, dilation)
    signal = np.random.default_rng(1).normal(size=(2, TIME, 4)).astype(np.float32)
    layer.build(signal.shape)
    randomise(layer)
    expected = causal_convolution_oracle(signal, layer.kernel.numpy(), layer.bias.numpy(), dilation)
    np.testing.assert_allclose(layer(signal), expected, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_one_hot_convolution_equals_convolution_of_one_hot_vectors(kernel_size):
    layer = make_layer("one_hot", kernel_size)
    codes = signal_for(layer)
    # Before the codes lies silence, not nothing.
    padded = np.pad(codes, [[0, 0], [kernel_size - 1, 0]], constant_values=8)
    expected = causal_convolution_oracle(
        np.eye(16)[padded], layer.kernel.numpy(), layer.bias.numpy(), 1
    )
    np.testing.assert_allclose(layer(codes), expected[:, kernel_size - 1 :], atol=1e-5)


def test_block_equals_the_papers_equation():
    block = make_layer("block", 2)
    signal = signal_for(block)
    dilated, residual = block.dilated_convolution, block.residual_convolution
    activation = causal_convolution_oracle(signal, dilated.kernel.numpy(), dilated.bias.numpy(), 4)
    gated = np.tanh(activation[..., :6]) / (1 + np.exp(-activation[..., 6:]))
    outputs = signal + gated @ residual.kernel.numpy()[0] + residual.bias.numpy()
    for actual, expected in zip(block(signal), (outputs, gated), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_survive_serialisation(name):
    layer = make_layer(name, 3)
    twin = type(layer).from_config(layer.get_config())
    signal = signal_for(layer)
    twin.build(signal.shape)
    twin.set_weights(layer.get_weights())
    for actual, expected in zip(
        tf.nest.flatten(twin(signal)), tf.nest.flatten(layer(signal)), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_model_whole_equals_chunks_equals_samples(kernel_size, compiled):
    model = small_model(kernel_size=kernel_size)
    codes = np.random.default_rng(2).integers(0, 256, (2, TIME)).astype(np.int32)

    def step(inputs, state):
        return model(inputs, state=state)

    function = tf.function(step, reduce_retracing=True) if compiled else step
    whole = model(codes)
    for chunks in (CHUNKS, [1] * TIME):
        (parts,) = in_chunks(model.trunk, codes, chunks, function)
        np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_gradients_flow_through_state_as_through_the_whole(kernel_size):
    layer = make_layer("block", kernel_size)
    signal = tf.constant(signal_for(layer))

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(signal)
            loss = function()
        return tape.gradient(loss, [signal, *(w.value for w in layer.weights)])

    def chunked():
        state, total = layer.initial_state(2), 0.0
        for start, size in ((0, 11), (11, 3), (14, TIME - 14)):
            outputs, gated, state = layer(signal[:, start : start + size], state=state)
            total += tf.reduce_sum(outputs**2) + tf.reduce_sum(gated)
        return total

    def whole():
        outputs, gated = layer(signal)
        return tf.reduce_sum(outputs**2) + tf.reduce_sum(gated)

    for actual, expected in zip(gradients(chunked), gradients(whole), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        (wt.CausalConv1D, {"filters": 0}),
        (wt.CausalConv1D, {"filters": 4, "kernel_size": 1.5}),
        (wt.CausalConv1D, {"filters": 4, "dilation_rate": -1}),
        (wt.OneHotCausalConv1D, {"filters": 4, "num_codes": 0}),
        (wt.GatedResidualBlock, {"gate_channels": True}),
    ],
)
def test_bad_arguments_are_named_with_their_value(layer, arguments):
    name, value = list(arguments.items())[-1]
    with pytest.raises(InputError, match=f"{name} must be .* received {value!r}"):
        layer(**arguments)


def test_layers_work_in_a_functional_model():
    inputs = keras.Input([None, 3])
    outputs, _ = wt.GatedResidualBlock(4, dilation_rate=2)(wt.CausalConv1D(3)(inputs))
    model = keras.Model(inputs, outputs)
    assert model(np.zeros([2, 9, 3], np.float32)).shape == (2, 9, 3)


def test_waveform_convolution_is_the_convolution_of_the_companded_waveform():
    layer, plain = wt.WaveformCausalConv1D(5, kernel_size=3), wt.CausalConv1D(5, kernel_size=3)
    waveform = np.random.default_rng(0).uniform(-1.0, 1.0, size=(2, 20)).astype(np.float32)
    companded = np.sign(waveform) * np.log1p(255.0 * np.abs(waveform)) / np.log(256.0)
    layer(waveform), plain(companded[..., None])
    randomise(layer)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(waveform), plain(companded[..., None]), atol=1e-6)
    state, parts = layer.initial_state(2), []
    for chunk in np.split(waveform, [1, 2, 9], axis=1):
        outputs, state = layer(chunk, state=state)
        parts.append(outputs)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(waveform), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_learned_upsampling_is_a_transposed_convolution(causal):
    upsampler = wt.LearnedUpsampler(channels=4, upsample_factors=(3, 2), causal=causal)
    frames = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    upsampler(frames)
    randomise(upsampler)
    upsampler.mean.assign(np.zeros(5))
    upsampler.scale.assign(np.ones(5))
    signal = np.concatenate([frames[:, :1], frames, frames[:, -1:]], axis=1)
    for index, factor in enumerate((3, 2)):
        kernel, bias = (w.numpy() for w in upsampler.convolutions[index].weights)
        taps = len(kernel)
        # Keras' kernel is [taps * factor, filters, channels]; the newest frame comes first.
        phases = kernel[::-1].reshape(taps, -1, factor, 4).transpose(0, 2, 3, 1)
        transposed = keras.layers.Conv1DTranspose(4, taps * factor, strides=factor)
        transposed.build(signal.shape)
        transposed.set_weights([phases.reshape(taps * factor, 4, -1), np.zeros(4)])
        signal = transposed(signal).numpy()
        if index == 0:
            # Sample 0 of frame 0 is where its newest frame's own phases begin, less look-ahead.
            start = (1 if causal else 2) * factor
            signal = signal[:, start : start + 6 * factor]
        signal = signal + np.tile(bias.reshape(factor, 4), [6 * 3**index, 1])
        if index == 0:
            signal = np.where(signal > 0, signal, 0.2 * signal)
    np.testing.assert_allclose(upsampler(frames), signal, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("upsampler_class", [wt.LearnedUpsampler, wt.RepeatUpsampler])
def test_upsampling_begins_as_repetition_and_repeats_edges(upsampler_class):
    upsampler = upsampler_class(8, (4, 5))
    frames = np.random.default_rng(0).normal(size=(2, 7, 5)).astype(np.float32)
    outputs = upsampler(frames).numpy()
    assert outputs.shape == (2, 140, 8)
    in_frames = outputs.reshape(2, 7, 20, 8)
    np.testing.assert_allclose(in_frames, np.repeat(in_frames[:, :, :1], 20, axis=2), atol=1e-6)
    assert np.ptp(in_frames[:, :, 0], axis=1).min() > 0.1
    randomise(upsampler)
    whole = upsampler(frames).numpy()
    np.testing.assert_allclose(upsampler.samples(frames, 33, 50), whole[:, 33:83], atol=1e-5)
    padded = np.concatenate([frames[:, :1]] * 2 + [frames] + [frames[:, -1:]] * 2, axis=1)
    np.testing.assert_allclose(
        upsampler.samples(frames, -30, 180), upsampler(padded)[:, 10:190], atol=1e-5
    )


def test_constant_and_binary_features_are_not_blown_up():
    upsampler = wt.LearnedUpsampler(4, (2,))
    upsampler.build((None, None, 4))
    rare = np.arange(9) == 7
    nearly_binary = np.append(np.ones(8), 0.5)
    frames = np.stack([np.arange(9.0), np.full(9, 5.0), rare, nearly_binary], axis=1)
    upsampler.adapt(frames)
    np.testing.assert_allclose(upsampler.mean, frames.mean(axis=0), rtol=1e-6)
    scale = [1 / np.arange(9).std(), 1.0, 1.0, 1 / nearly_binary.std()]
    np.testing.assert_allclose(upsampler.scale, scale, rtol=1e-6)
    with pytest.raises(InputError, match="upsample_factors must be a whole number"):
        wt.LearnedUpsampler(4, (2, 0))


def context_oracle(stack, signal):
    """The context stack in numpy, frame by frame, for each sample: float64."""
    pooling, time = stack.pooling, len(signal)
    frames = signal[: time // pooling * pooling].reshape(-1, pooling)
    kernel, bias = (w.numpy().astype(np.float64) for w in stack.frame_projection.weights)
    hidden, gated = np.maximum(frames @ kernel + bias, 0.0), []
    for block in stack.stack.blocks:
        convolution = block.dilated_convolution
        activation = causal_convolution_oracle(
            hidden[None], convolution.kernel.numpy(), convolution.bias.numpy(), block.dilation_rate
        )[0]
        filters, gates = np.split(activation, 2, axis=-1)
        gated.append(np.tanh(filters) / (1.0 + np.exp(-gates)))
        if block.residual:
            kernel, bias = (w.numpy() for w in block.residual_convolution.weights)
            hidden = hidden + gated[-1] @ kernel[0] + bias
    kernel, bias = (w.numpy() for w in stack.skip_convolution.weights)
    outputs = np.maximum(np.concatenate(gated, axis=-1) @ kernel[0] + bias, 0.0)
    seen = [(t - CONTEXT_DELAY) // pooling - 1 for t in range(time)]
    return np.stack([outputs[j] if j >= 0 else np.zeros(stack.channels) for j in seen])


@pytest.mark.parametrize("pooling", [1, 5, 16, 24])
def test_context_stack_is_its_definition_whole_and_in_chunks(pooling):
    stack = wt.ContextStack(pooling, num_stacks=2, layers_per_stack=2, kernel_size=3, channels=4)
    time = 6 * pooling + 60
    signal = np.random.default_rng(0).normal(size=(2, time)).astype(np.float32)
    stack(signal)
    randomise(stack)
    whole = stack(signal)
    for row in range(2):
        np.testing.assert_allclose(whole[row], context_oracle(stack, signal[row]), atol=1e-4)
    state, parts = stack.initial_state(2), []
    for chunk in np.split(signal, [1, 2, 18, 19, 50, 51, time - 3], axis=1):
        outputs, state = stack(chunk, state=state)
        parts.append(outputs)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


@pytest.mark.slow
def test_context_of_a_stack_is_exact_and_nothing_depends_on_the_future():
    stack = wt.ContextStack(pooling=20, num_stacks=1, layers_per_stack=2, kernel_size=2, channels=8)
    signal = np.random.default_rng(0).normal(size=(1, 300)).astype(np.float32)
    stack(signal)
    randomise(stack)
    before, oldest = stack(signal).numpy()[0], 0
    for position in range(300):
        changed = signal.copy()
        changed[0, position] += 10.0
        difference = np.abs(stack(changed).numpy()[0] - before).max(axis=-1)
        assert difference[: position + CONTEXT_DELAY].max(initial=0.0) == 0.0
        oldest = max([oldest, *(np.flatnonzero(difference) - position)])
    assert oldest == stack.context


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_sums_gradients_over_time_in_full(precision):
    """Of 32,000 samples: what half precision alone would lose is a third of a bias's gradient."""
    generator = np.random.default_rng(0)
    upstream = (generator.normal(size=[4, 8000, 6]) + 0.05).astype(np.float32)
    inputs = generator.normal(size=[4, 8000, 5]).astype(np.float32)
    codes = generator.integers(100, 110, [4, 8000]).astype(np.int32)
    for layer, values in (
        (layers.CausalConv1D(6, dtype=precision), inputs),
        (layers.OneHotCausalConv1D(6, 256, dtype=precision), codes),
    ):
        layer.build(values.shape)
        with tf.GradientTape() as tape:
            outputs = layer(values)
            assert outputs.dtype == precision.removeprefix("mixed_")
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
        kernel, bias = tape.gradient(total, [layer.kernel.value, layer.bias.value])
        np.testing.assert_allclose(bias, upstream.sum(axis=(0, 1)), rtol=0.01)
        if values is codes:
            expected = np.zeros([256, 6])
            np.add.at(expected, codes.ravel(), upstream.reshape(-1, 6))
            np.testing.assert_allclose(
                tf.convert_to_tensor(kernel)[1], expected, atol=0.01 * np.abs(expected).max()
            )


def test_stretching_keeps_constants_and_its_segments_are_those_of_the_whole():
    upsampler = layers.StretchUpsampler(5, (4, 5), context=1, reach=2)
    frames = np.random.default_rng(0).normal(size=(2, 9, 5)).astype(np.float32)
    whole = upsampler(frames).numpy()
    assert whole.shape == (2, 180, 5)
    # Moving averages of a constant signal are the signal.
    constant = upsampler(np.repeat(frames[:, :1], 9, axis=1)).numpy()
    np.testing.assert_allclose(constant, np.repeat(constant[:, :1], 180, axis=1), atol=1e-5)
    randomise(upsampler)
    whole = upsampler(frames).numpy()
    np.testing.assert_allclose(upsampler.samples(frames, 33, 70), whole[:, 33:103], atol=1e-5)
    padded = np.concatenate([frames[:, :1]] * 2 + [frames] + [frames[:, -1:]] * 2, axis=1)
    outside = upsampler.samples(frames, -30, 230)
    np.testing.assert_allclose(outside, upsampler(padded)[:, 10:240], atol=1e-5)
    # No sample depends on frames farther away than the layer states.
    changed = frames.copy()
    changed[:, 8] += 1.0
    differing = np.flatnonzero(np.abs(upsampler(changed) - whole).max(axis=(0, 2)) > 1e-6)
    assert 20 * (8 - upsampler.frames_after) <= differing[0] < 20 * (8 - upsampler.frames_after + 1)


def test_a_rectified_upsampler_has_a_relu_after_each_convolution():
    upsampler = wt.LearnedUpsampler(4, (3, 2), causal=True, activation="relu")
    frames = np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32)
    upsampler(frames)
    randomise(upsampler)
    upsampler.mean.assign(np.zeros(5))
    upsampler.scale.assign(np.ones(5))
    first, second = upsampler.convolutions
    signal = np.concatenate([frames[:, :1], frames], axis=1)
    kernel = first.kernel.numpy()
    phases = signal[:, :-1] @ kernel[0] + signal[:, 1:] @ kernel[1] + first.bias.numpy()
    signal = np.maximum(phases, 0.0).reshape(1, 18, 4)
    phases = signal @ second.kernel.numpy()[0] + second.bias.numpy()
    expected = np.maximum(phases, 0.0).reshape(1, 36, 4)
    np.testing.assert_allclose(upsampler(frames), expected, atol=1e-5)
    assert (expected == 0.0).mean() > 0.2


def test_a_linear_waveform_convolution_takes_the_waveform_as_it_is():
    layer = wt.WaveformCausalConv1D(3, kernel_size=2, compand=False)
    waveform = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 20)).astype(np.float32)
    layer(waveform)
    randomise(layer)
    kernel, bias = layer.kernel.numpy()[:, 0], layer.bias.numpy()
    before = np.pad(waveform, [[0, 0], [1, 0]])[:, :-1]
    expected = before[..., None] * kernel[0] + waveform[..., None] * kernel[1] + bias
    np.testing.assert_allclose(layer(waveform), expected, atol=1e-6)
