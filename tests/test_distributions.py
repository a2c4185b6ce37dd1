import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

import wavenet_tf as wt
from wavenet_tf import generation


def random_logits(batch, codes=256, seed=0, scale=2.0):
    return np.random.default_rng(seed).normal(scale=scale, size=(batch, codes)).astype(np.float32)


def test_log_likelihood_is_the_log_of_the_softmax():
    logits = random_logits(50)
    codes = np.arange(50) * 5
    expected = scipy.special.log_softmax(logits.astype(np.float64), axis=-1)[np.arange(50), codes]
    np.testing.assert_allclose(wt.Categorical().log_likelihood(logits, codes), expected, rtol=1e-5)


def test_uniform_guessing_is_eight_bits():
    nats = -wt.Categorical().log_likelihood(np.zeros([3, 256], np.float32), [0, 128, 255])
    np.testing.assert_allclose(nats / np.log(2.0), 8.0, rtol=1e-6)


@pytest.mark.parametrize("codes", [256, 100, 7])
@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_samples_are_the_inverse_of_the_cumulative_distribution(codes, temperature):
    logits = random_logits(2000, codes)
    uniforms = np.random.default_rng(1).random(2000).astype(np.float32)
    drawn = wt.Categorical(codes).sample(logits, uniforms, temperature).numpy()
    probabilities = scipy.special.softmax(logits.astype(np.float64) / temperature, axis=-1)
    cumulative = np.cumsum(probabilities, axis=-1)
    expected = (cumulative <= uniforms[:, None]).sum(axis=-1)
    clear = np.abs(cumulative - uniforms[:, None]).min(axis=-1) > 1e-5
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(drawn[clear], expected[clear])


@pytest.mark.parametrize("filters", [{}, {"k": 20}, {"p": 0.8}])
def test_draws_follow_the_softmax(filters):
    logits = random_logits(1, codes=64, scale=1.5)
    probabilities = scipy.special.softmax(logits[0].astype(np.float64))
    kept = np.ones(64, bool)
    if "k" in filters:
        logits = generation.keep_top_k(logits, filters["k"])
        kept = probabilities >= np.sort(probabilities)[-filters["k"]]
    if "p" in filters:
        logits = generation.keep_top_p(logits, filters["p"])
        order = np.argsort(-probabilities)
        kept[order[np.searchsorted(np.cumsum(probabilities[order]), filters["p"]) + 1 :]] = False
    draws = 200_000
    uniforms = np.random.default_rng(2).random(draws).astype(np.float32)
    drawn = wt.Categorical(64).sample(tf.tile(logits, [draws, 1]), uniforms)
    counts = np.bincount(drawn, minlength=64)
    assert counts[~kept].sum() == 0
    expected = probabilities * kept / probabilities[kept].sum() * draws
    assert scipy.stats.chisquare(counts[kept], expected[kept]).pvalue > 1e-3


def test_temperature_zero_takes_the_most_likely_code():
    logits = random_logits(500)
    uniforms = np.random.default_rng(3).random(500).astype(np.float32)
    drawn = wt.Categorical().sample(logits, uniforms, 0.0)
    np.testing.assert_array_equal(drawn, logits.argmax(axis=-1))


def test_extreme_uniforms_and_logits_stay_in_range():
    logits = np.full([3, 256], -np.inf, np.float32)
    logits[:, 40:43] = 0.0
    drawn = wt.Categorical().sample(logits, np.float32([0.0, 0.5, np.nextafter(1, 0)])).numpy()
    assert drawn.tolist() == [40, 41, 42]
    huge = np.float32([[1e30, -1e30] + [0.0] * 254])
    assert wt.Categorical().sample(huge, np.float32([0.999])).numpy().tolist() == [0]


def test_half_precision_logits_are_scored_in_float32():
    logits = tf.cast(random_logits(20), tf.float16)
    likelihood = wt.Categorical().log_likelihood(logits, np.arange(20))
    assert likelihood.dtype == tf.float32
    expected = scipy.special.log_softmax(logits.numpy().astype(np.float64), axis=-1)
    np.testing.assert_allclose(likelihood, expected[np.arange(20), np.arange(20)], rtol=1e-5)
