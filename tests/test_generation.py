"""Cached generation against teacher forcing on its own output."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from conftest import small_model, tone
from oracles import (
    assert_drawn_from,
    assert_same_draws,
    random_conditions,
    teacher_forced_values,
    uniforms_of,
)
from registry import LOCAL, MODELS

from wavenet_tf import sampling
from wavenet_tf.errors import InputError

SEED = 3


def deep_model(**overrides):
    """A model with near and far blocks."""
    model = small_model(**{"layers_per_stack": 6, **overrides})
    dilations = [block.dilation_rate for block in model.trunk.stack.blocks]
    assert min(dilations) < sampling.CHUNK_SIZE < max(dilations)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("kernel_size", "input_kernel_size"), [(1, None), (2, None), (3, None), (2, 1), (2, 9), (1, 4)]
)
def test_generation_equals_teacher_forcing_at_every_step(
    kernel_size, input_kernel_size, batch_size
):
    model = deep_model(kernel_size=kernel_size, input_kernel_size=input_kernel_size)
    samples = sampling.BLOCK_SIZE + 100  # past a block's edge and many wraps of every state
    audio = model.generate(samples, batch_size=batch_size, seed=SEED)
    assert audio.dtype == np.float32
    assert audio.shape == (batch_size, samples)
    assert_drawn_from(model, audio, SEED)
    assert len(np.unique(model.distribution.encode(audio))) > 50  # and not a constant


# The newest set of packages runs only the model that has every kind of conditioning at once.
ONCE = [pytest.mark.once]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "output", "prompted", "jit_compile"),
    [
        pytest.param(kind, "categorical", True, True, marks=[] if kind == "all" else ONCE)
        for kind in (
            "global",
            "local",
            "causal",
            "repeat",
            "several frames a chunk",
            "both",
            "context",
            "all",
        )
    ]
    + [("both", "categorical", False, True), ("context", "categorical", False, False)]
    + [("unconditional", "gaussian_mixture", *ways) for ways in ((False, False), (True, True))]
    + [("all", "logistic_mixture", *ways) for ways in itertools.product([False, True], repeat=2)],
)
def test_every_model_generates_what_teacher_forcing_gives(kind, output, prompted, jit_compile):
    """Streams of their own conditions, on two threads, after silence or a shared prompt."""
    # Shifted states of one dilation share a tensor; arrays written in place are a block's own.
    stacks = 2 if kind == "all" or not jit_compile else 1
    model = deep_model(num_stacks=stacks, **MODELS[kind], output_distribution=output)
    if output != "categorical":  # or most draws would be cut off at full scale
        model.head.output_convolution.kernel.assign(0.1 * model.head.output_convolution.kernel)
        model.head.output_convolution.bias.assign(0.1 * model.head.output_convolution.bias)
    batch, samples, block_size = 2 * sampling.STREAMS_PER_THREAD, 100, 37
    prompt = tone(0.0225)[None] if prompted else None
    heard = prompt.shape[1] if prompted else 0
    conditions = random_conditions(model, batch, heard + samples)
    stream = model.stream(
        batch,
        prompt,
        seed=SEED,
        threads=2,
        jit_compile=jit_compile,
        block_size=block_size,
        **conditions,
    )
    assert len(stream.plan.groups) == 2
    if model.config.local_channels:
        blocks = list(stream)
        assert [block.shape[1] for block in blocks] == [37, 37, 26]  # to the end of the frames
    else:
        blocks = [next(stream) for _ in range(3)]
    audio = np.concatenate(blocks, axis=1)
    uniforms = uniforms_of(SEED, 3 * block_size, batch, model)[:, : audio.shape[1]]
    values, expected = teacher_forced_values(model, audio, uniforms, prompt, conditions=conditions)
    # Where a uniform falls on a boundary between codes, rounding decides.
    nearby = [
        teacher_forced_values(model, audio, near, prompt, conditions=conditions)[1]
        for near in (uniforms - 2e-7, uniforms + 2e-7)
    ]
    assert_same_draws(values, expected, *nearby)
    assert len({tuple(row) for row in values}) == batch
    for name, condition in conditions.items():  # each has its part
        swapped = {**conditions, name: np.roll(condition, 1, axis=0)}
        _, others = teacher_forced_values(model, audio, uniforms, prompt, conditions=swapped)
        assert (others != expected).any(), name


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_trained_in_half_precision_samples_in_full(precision):
    """Nearly all its samples are those of the same weights in float32: only the state after the
    silence before them was computed in half."""
    full, half = deep_model(num_speakers=2), deep_model(num_speakers=2, dtype=precision)
    half.set_weights(full.get_weights())
    audio = half.generate(100, batch_size=2, speaker_id=[0, 1], seed=SEED)
    uniforms = uniforms_of(SEED, 100, 2)
    conditions = {"speaker_id": np.array([0, 1], np.int32)}
    values, expected = teacher_forced_values(full, audio, uniforms, conditions=conditions)
    assert np.mean(np.abs(values - expected) <= 2) > 0.9


def test_one_condition_serves_all_streams():
    model = small_model(num_speakers=4)
    one = model.generate(30, batch_size=3, speaker_id=2, seed=SEED)
    three = model.generate(30, batch_size=3, speaker_id=[2, 2, 2], seed=SEED)
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "speaker_id must be given: the model is conditioned on speaker_id, global"),
        ({"speaker_id": 4}, r"speaker_id must be whole numbers from 0 to 3; received \[4\]"),
        ({"speaker_id": 1.5}, "speaker_id must be whole numbers"),
        ({"speaker_id": [0, 1, 2]}, r"speaker_id must have shape \[2 or 1\]; received shape \[3\]"),
        ({"speaker_id": 0}, "global_conditioning must be given"),
        (
            {"speaker_id": 0, "global_conditioning": np.zeros([1, 5])},
            r"global_conditioning must have shape \[2 or 1, 3\]; received shape \[1, 5\]",
        ),
        ({"speaker_id": 0, "global_conditioning": np.full([1, 3], np.nan)}, "not finite"),
        ({"local_conditioning": np.zeros([1, 4])}, r"shape \[2 or 1, frames, 5\]; received shape"),
        ({"local_conditioning": np.zeros([1, 0, 5])}, "local_conditioning must have shape"),
        ({"local_conditioning": np.zeros([1, 4, 2])}, "local_conditioning must have shape"),
        ({"local_conditioning": np.zeros([1, 4, 5])}, "must be 80, .* 20 samples each, .* 5"),
        (
            {"local_conditioning": np.zeros([1, 4, 5]), "prompt": np.zeros([1, 80])},
            "beyond the prompt of 80 samples; received 4 frames of 20 samples",
        ),
    ],
)
def test_bad_conditions_are_named(arguments, message):
    model = small_model(num_speakers=4, global_channels=3)
    if "local_conditioning" in arguments:
        model = small_model(**LOCAL)
    with pytest.raises(InputError, match=message):
        model.generate(5, batch_size=2, **arguments)


def test_top_k_is_for_the_categorical_distribution():
    with pytest.raises(InputError, match="top_k=3, top_p=None for logistic_mixture"):
        small_model(output_distribution="logistic_mixture").generate(5, top_k=3)


def test_conditions_of_an_unconditional_model_are_refused():
    with pytest.raises(InputError, match="speaker_id must not be given"):
        small_model().generate(5, speaker_id=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unconditional", "context"])
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_blocks_of_any_size_carry_the_state(jit_compile, kind):
    model = deep_model(**MODELS[kind])
    uniforms = uniforms_of(SEED, 100, 2)
    state = sampling.prime(model, tf.zeros([2, 0], tf.int32))
    weights = sampling.prepare_weights(model)
    draw = sampling.compiled_sampler(sampling.sampler_config(model), jit_compile)
    parts, start = [], 0
    for size in (1, 1, 50, 16, 7, 25):
        values, state = draw(weights, state, uniforms[:, start : start + size], tf.constant(1.0))
        parts.append(values)
        start += size
    audio = model.generate(100, batch_size=2, seed=SEED)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), model.distribution.encode(audio))


@pytest.mark.slow
def test_a_state_of_generation_is_the_state_of_the_layers():
    contexts = [{"pooling": 7, "layers_per_stack": 2}, {"pooling": 16, "channels": 4}]
    model = deep_model(kernel_size=3, context_stacks=contexts)
    values = np.random.default_rng(0).integers(0, 256, (2, 60)).astype(np.int32)
    state = sampling.prime(model, values)
    draw = sampling.compiled_sampler(sampling.sampler_config(model), jit_compile=True)
    drawn, after = draw(
        sampling.prepare_weights(model), state, uniforms_of(0, 30, 2), tf.constant(1.0)
    )
    # As long before: the frames of context stacks begin in the same places.
    heard = np.concatenate([values, drawn], axis=1)
    inputs = np.concatenate([np.full([2, model.receptive_field], 128), heard], axis=1)[:, 60:]
    inputs = tf.constant(inputs, tf.int32)
    _, trunk_state = model.trunk(inputs[:, :-1], model.trunk.initial_state(2))
    expected = type(after)(trunk_state, inputs[:, -1])
    tf.nest.assert_same_structure(after, expected)
    for actual, wanted in zip(tf.nest.flatten(after), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-5)


@pytest.mark.slow
def test_a_prompt_in_one_pass_equals_the_prompt_sample_by_sample():
    model = small_model()
    length = model.receptive_field + 20  # of which one pass takes in what still has influence
    values = np.random.default_rng(0).integers(0, 256, (2, length)).astype(np.int32)
    at_once = sampling.prime(model, values)
    state = sampling.prime(model, values[:, :1])
    trunk_state, previous = state
    for t in range(1, values.shape[1]):
        _, trunk_state = model(previous[:, None], state=trunk_state)
        previous = tf.constant(values[:, t])
    flat = zip(*map(tf.nest.flatten, (trunk_state, at_once.trunk)), strict=True)
    for actual, expected in flat:
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_array_equal(previous, at_once.previous)


@pytest.mark.parametrize("prompts", [1, 2])
def test_a_prompt_is_continued(prompts):
    model = small_model()
    prompt = np.stack([tone(0.01), -tone(0.01)])[:prompts]
    audio = model.generate(50, batch_size=2, prompt=prompt, seed=SEED)
    values, expected = teacher_forced_values(model, audio, uniforms_of(SEED, 50, 2), prompt)
    np.testing.assert_array_equal(values, expected)


def test_seeds():
    model = small_model()
    first = model.generate(200, batch_size=2, seed=1)
    np.testing.assert_array_equal(first, model.generate(200, batch_size=2, seed=1))
    assert (first != model.generate(200, batch_size=2, seed=2)).any()
    assert (model.generate(200) != model.generate(200)).any()
    assert (first[0] != first[1]).any()


def test_length_does_not_change_the_samples():
    model = small_model()
    long = model.generate(sampling.BLOCK_SIZE + 10, seed=1)
    np.testing.assert_array_equal(model.generate(30, seed=1), long[:, :30])


def test_temperature_zero_is_argmax_and_warns():
    model = small_model()
    with pytest.warns(UserWarning, match="silent"):
        audio = model.generate(60, temperature=0.0, seed=1)
    uniforms = uniforms_of(99, 60, 1)  # any: they do not count
    values, expected = teacher_forced_values(model, audio, uniforms, temperature=0.0)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.slow
def test_top_k_and_top_p_keep_to_the_likely():
    model = small_model()
    for filters in ({"top_k": 1}, {"top_p": 1e-6}):
        audio = model.generate(60, seed=1, **filters)
        values, expected = teacher_forced_values(model, audio, uniforms_of(1, 60, 1), None, 0.0)
        np.testing.assert_array_equal(values, expected)
    free = model.generate(60, seed=1)
    np.testing.assert_array_equal(model.generate(60, seed=1, top_k=256, top_p=1.0), free)


def test_of_equally_likely_codes_no_more_are_kept():
    logits = tf.constant([[1.0, 2.0, 2.0, 2.0, 0.0], [5.0] * 5])
    out = -np.inf
    for compiled in (False, True):
        top_k = tf.function(sampling.keep_top_k, jit_compile=compiled)(logits, 2)
        expected = [[out, 2, 2, out, out], [5, 5, out, out, out]]
        np.testing.assert_array_equal(top_k, expected)
        top_p = tf.function(sampling.keep_top_p, jit_compile=compiled)(logits, 0.5)
        expected = [[out, 2, 2, out, out], [5, 5, 5, out, out]]
        np.testing.assert_array_equal(top_p, expected)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_long_dilations_of_any_length_generate_what_teacher_forcing_gives(jit_compile):
    model = deep_model()
    for block in model.trunk.stack.blocks:
        if block.dilation_rate >= 16:
            block.dilation_rate += 5
            block.dilated_convolution.dilation_rate += 5
    audio = model.generate(150, seed=SEED, jit_compile=jit_compile)
    values, expected = teacher_forced_values(model, audio, uniforms_of(SEED, 150, 1))
    np.testing.assert_array_equal(values, expected)


def test_new_weights_are_used_at_once():
    model = small_model()
    before = model.generate(50, seed=1)
    model.head.output_convolution.kernel.assign(model.head.output_convolution.kernel * -1.0)
    assert (model.generate(50, seed=1) != before).any()


def test_stream_yields_what_generate_returns():
    model = small_model()
    blocks = model.stream(batch_size=2, seed=SEED)
    joined = np.concatenate([next(blocks), next(blocks)], axis=1)
    np.testing.assert_array_equal(joined, model.generate(joined.shape[1], batch_size=2, seed=SEED))
    blocks.close()


def test_progress_ends_with_speed(capsys):
    small_model().generate(3 * sampling.BLOCK_SIZE, progress=True)
    shown = capsys.readouterr().err
    assert "100% 0.4 of 0.4 s" in shown
    assert "samples/s, real-time factor" in shown
    assert shown.endswith("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"temperature": -1.0}, "temperature must be 0 or above; received -1.0"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"batch_size": 8, "threads": 0}, "threads must be"),
        ({"block_size": -1}, "block_size must be"),
        ({"block_size": 0}, "block_size must be a whole number of at least 1; received 0"),
        ({"temperature": float("inf")}, "temperature must be 0 or above; received inf"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295; received -1"),
        ({"seed": 2**32}, "seed must be .* received 4294967296"),
        ({"seed": 0.5}, "seed must be .* received 0.5"),
        ({"seed": np.int64(-1), "num_samples": 5}, "seed must be"),
        ({"top_k": 0}, "top_k must be from 1 to 256; received 0"),
        ({"top_k": 257}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"prompt": np.zeros(5)}, r"prompt must be audio of shape \[1 or 1, samples\]"),
        ({"prompt": np.zeros([3, 5]), "batch_size": 2}, "prompt must be audio"),
        ({"prompt": np.full([1, 5], np.nan)}, "prompt holds numbers that are not finite"),
    ],
)
def test_bad_arguments_are_named_with_their_value(arguments, message):
    model = small_model()
    sample = model.generate if "num_samples" in arguments else model.stream
    with pytest.raises(InputError, match=message):
        sample(**arguments)


@pytest.mark.slow
def test_streams_do_not_depend_on_the_threads_they_share():
    model = small_model()
    batch = 3 * sampling.STREAMS_PER_THREAD + 1
    alone = model.stream(batch_size=batch, seed=SEED, threads=1)
    shared = model.stream(batch_size=batch, seed=SEED, threads=3)
    assert len(alone.plan.groups) == 1
    assert len(shared.plan.groups) == 3
    assert np.concatenate(shared.plan.groups).tolist() == list(range(batch))
    for _ in range(2):
        np.testing.assert_array_equal(next(alone), next(shared))


@pytest.mark.slow
def test_the_way_of_sampling_can_be_seen_and_told(capsys):
    model = small_model()
    chosen = model.stream(seed=SEED)
    assert str(chosen.plan) == "XLA on CPU:0, 1 stream in 1 thread"
    told = model.stream(
        batch_size=9, seed=SEED, jit_compile=False, threads=2, device="CPU:0", block_size=100
    )
    assert str(told.plan) == "graph on CPU:0, 9 streams in 2 threads"
    graph = np.concatenate([next(told), next(told)], axis=1)
    compiled = model.generate(200, batch_size=9, seed=SEED)
    encode = model.distribution.encode
    np.testing.assert_array_equal(encode(graph), encode(compiled))
    model.generate(10, jit_compile=False, progress=True)
    assert "graph on CPU:0, 1 stream in 1 thread" in capsys.readouterr().err


def test_a_closed_stream_has_ended():
    stream = small_model().stream(seed=SEED)
    before = threading.active_count()
    next(stream)
    stream.close()
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.slow
def test_threads_share_a_model_and_a_stream():
    model = small_model(num_speakers=3)

    def sample(seed):
        stream = model.stream(
            speaker_id=seed % 3, seed=seed, block_size=100, prompt=tone(0.01 * (seed % 2))[None]
        )
        return [next(stream) for _ in range(4)]

    with ThreadPoolExecutor(6) as pool:
        at_once = list(pool.map(sample, range(6)))
    for seed, blocks in enumerate(at_once):
        np.testing.assert_array_equal(blocks, sample(seed))
    # One stream, whose blocks several threads take.
    stream, start, taken = (
        model.stream(speaker_id=0, seed=0, block_size=100),
        threading.Barrier(4),
        [],
    )

    def take(_):
        start.wait()
        taken.append(next(stream).tobytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(4)))
    assert sorted(taken) == sorted(block.tobytes() for block in at_once[0])
