"""What the sampler of a model keeps from stream to stream, and when it computes it anew."""

import numpy as np
import pytest
from conftest import small_model, tone

from wavenet_tf import sampling
from wavenet_tf.sampling import stream

LOCAL = {"local_channels": 3, "upsample_factors": (4, 5)}


@pytest.fixture
def counted(monkeypatch):
    """Counts calls of functions of the stream module by name."""
    calls = {"prepare_weights": 0, "prime": 0}

    def count(name):
        function = getattr(stream, name)

        def counting(*arguments):
            calls[name] += 1
            return function(*arguments)

        monkeypatch.setattr(stream, name, counting)

    for name in calls:
        count(name)
    return calls


def test_a_second_stream_prepares_nothing_again(counted):
    model = small_model()
    first = model.generate(30, seed=1)
    np.testing.assert_array_equal(model.generate(30, seed=1), first)
    assert counted == {"prepare_weights": 1, "prime": 1}
    # Another number of streams shares the state after silence.
    np.testing.assert_array_equal(model.generate(30, batch_size=1, seed=1), first)
    model.generate(30, batch_size=9, seed=1)
    assert counted == {"prepare_weights": 1, "prime": 1}
    model.generate(30, prompt=tone(0.01)[None])
    assert counted == {"prepare_weights": 1, "prime": 2}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["assign", "fit", "set_weights"])
def test_changed_weights_are_sampled_from(change, counted):
    model = small_model()
    before = model.generate(60, seed=1)
    if change == "assign":
        kernel = model.trunk.stack.blocks[0].dilated_convolution.kernel
        kernel.assign(-1.0 * kernel)
    elif change == "fit":
        codes = np.random.default_rng(0).integers(0, 256, [2, 30])
        model.compile("adam")
        model.fit(codes, codes, verbose=0)
    else:
        model.set_weights([-weight for weight in model.get_weights()])
    after = model.generate(60, seed=1)
    assert (after != before).any()
    assert counted == {"prepare_weights": 2, "prime": 2}
    fresh = small_model()
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(fresh.generate(60, seed=1), after)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"num_speakers": 3, **LOCAL}])
def test_traced_priming_gives_the_same_audio(arguments, monkeypatch):
    def generate_all(eager: int):
        monkeypatch.setattr(stream, "PRIMED_BEFORE_TRACING", eager)
        model, parts = small_model(**arguments), []
        for index in range(4):
            conditions = {}
            if arguments:
                frames = np.random.default_rng(index).normal(size=[2, 8, 3])
                conditions = {"speaker_id": [0, 2], "local_conditioning": frames}
            prompt = tone(0.01, frequency=300.0 + 100.0 * index)[None, : 40 + 20 * (index % 2)]
            stream_of_audio = model.stream(
                2, prompt, seed=1, block_size=100, jit_compile=False, **conditions
            )
            parts.append(next(stream_of_audio)[:, :80])
        return parts

    for traced, eager in zip(generate_all(2), generate_all(100), strict=True):
        np.testing.assert_allclose(traced, eager, atol=1e-6)


def test_few_primed_states_are_kept():
    model = small_model()
    for index in range(sampling.stream.PRIMED_STATES_KEPT + 3):
        model.stream(prompt=tone(0.01, frequency=300.0 + 50.0 * index)[None])
    assert len(model.sampler._primed) == sampling.stream.PRIMED_STATES_KEPT
