import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

import wavenet_tf as wt
from wavenet_tf import audio, distributions, sampling
from wavenet_tf.errors import InputError
from wavenet_tf.options import DISTRIBUTIONS


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
        logits = sampling.keep_top_k(logits, filters["k"])
        kept = probabilities >= np.sort(probabilities)[-filters["k"]]
    if "p" in filters:
        logits = sampling.keep_top_p(logits, filters["p"])
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


TABLE = audio.CodeTable((-0.5, -0.01, 0.0, 0.3), (-0.9, -0.1, -0.005, 0.2, 0.7), silence=3)


def test_a_code_table_encodes_by_its_thresholds_and_decodes_to_its_values():
    distribution = wt.Categorical(5, TABLE)
    thresholds = np.float32(TABLE.thresholds)
    waveform = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 400)).astype(np.float32)
    # At a threshold and one rounding step below it; denormal numbers count as 0.
    below = np.minimum(np.nextafter(thresholds, np.float32(-2.0)), thresholds - np.float32(1e-30))
    waveform[0, :4], waveform[0, 4:8] = thresholds, below
    expected = np.searchsorted(thresholds, waveform, side="right")
    np.testing.assert_array_equal(distribution.encode(waveform), expected)
    np.testing.assert_array_equal(distribution.decode(expected), np.float32(TABLE.values)[expected])
    assert distribution.silence == 3
    assert distribution.encode(0.0) == 3
    companded = distribution.compand(np.array([3, 0, 4]))
    np.testing.assert_allclose(companded, [0.0, -1.2, 0.4], rtol=1e-6)


@pytest.mark.parametrize("codes", [2, 3, 7, 8, 9, 255, 256, 257])
def test_code_tables_of_any_size_reach_every_code(codes):
    values = np.linspace(-1.0, 1.0, codes)
    table = audio.CodeTable((values[1:] + values[:-1]) / 2, values, silence=codes // 2)
    distribution = wt.Categorical(codes, table)
    np.testing.assert_array_equal(distribution.encode(values), np.arange(codes))


def test_a_code_table_is_part_of_the_distribution():
    made = wt.Categorical(5, TABLE)
    copy = wt.Categorical.from_config(made.get_config())
    assert made == copy
    assert hash(made) == hash(copy)
    assert made != wt.Categorical(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": (0.0,)}, "a threshold less than values; received 3 values and 1 thre"),
        ({"thresholds": (0.1, 0.0)}, "thresholds of a code table must be finite numbers in ascend"),
        ({"thresholds": (0.1, float("nan"))}, "must be finite numbers in ascending order"),
        ({"thresholds": "ab"}, "must be finite numbers in ascending order; received ab"),
        ({"values": (-1.5, 0.0, 1.0)}, "values of a code table must be in"),
        ({"silence": 3}, "silence of a code table must be a whole number from 0 to 2; received 3"),
        ({"silence": 0.5}, "received 0.5"),
        ({"step": 1}, "a code table takes thresholds, values, silence; received"),
    ],
)
def test_wrong_code_tables_are_refused(change, message):
    table = {"thresholds": (-0.1, 0.1), "values": (-1.0, 0.0, 1.0), "silence": 1, **change}
    with pytest.raises(InputError, match=message):
        wt.WaveNet(quantization_channels=3, code_table=table)


def test_code_tables_fit_the_number_of_codes_and_the_distribution():
    with pytest.raises(InputError, match="quantization_channels 256 values; received 5"):
        wt.WaveNet(code_table=TABLE)
    with pytest.raises(InputError, match="is for the categorical distribution; received output_d"):
        wt.WaveNet(code_table=TABLE, output_distribution="gaussian_mixture")


STEPS = 2**15  # of 16-bit values, on each side of 0
GRID = np.arange(-STEPS, STEPS) / STEPS


def mixture_parameters(rows, components, log_scales, seed=0):
    """Random logits and means, and log scales spread over a range."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, components))
    means = generator.uniform(-1.1, 1.1, (rows, components))
    scales = generator.uniform(*log_scales, (rows, components))
    raw = np.concatenate([logits, means, scales - distributions.TYPICAL_LOG_SCALE], axis=1)
    raw = raw.astype(np.float32)
    logits, means, scales = np.split(raw.astype(np.float64), 3, axis=1)
    return raw, scipy.special.log_softmax(logits, axis=1), means, scales - 4.0


def logistic_oracle(log_weights, means, log_scales, values):
    """The log of the mass within half a step, in whichever tail loses no digits; float64."""
    scales = np.exp(np.maximum(log_scales, wt.LogisticMixture.smallest_log_scale))
    upper = (values[..., None] + 0.5 / STEPS - means) / scales
    lower = (values[..., None] - 0.5 / STEPS - means) / scales
    upper = np.where(values[..., None] == GRID[-1], np.inf, upper)
    lower = np.where(values[..., None] == GRID[0], -np.inf, lower)
    logistic = scipy.stats.logistic
    right = upper + lower > 0  # there the complements are the small numbers
    big = np.where(right, logistic.logsf(lower), logistic.logcdf(upper))
    small = np.where(right, logistic.logsf(upper), logistic.logcdf(lower))
    log_mass = big + np.log1p(-np.exp(small - big))
    return scipy.special.logsumexp(log_weights + log_mass, axis=-1)


@pytest.mark.parametrize("components", [1, 10])
@pytest.mark.parametrize("log_scales", [(-12.0, -8.0), (-7.0, -2.0), (-1.0, 3.0)])
def test_logistic_mixture_is_the_mass_around_a_value(components, log_scales):
    raw, *parts = mixture_parameters(300, components, log_scales)
    generator = np.random.default_rng(1)
    values = generator.choice(GRID, 300)
    values[:20], values[20:40] = GRID[0], GRID[-1]
    # Near a mean, where the mass is, and not only in the tails.
    near = np.round(parts[1][40:170, 0] * STEPS) / STEPS
    values[40:170] = np.clip(near, GRID[0], GRID[-1])
    actual = wt.LogisticMixture(components).log_likelihood(raw, values.astype(np.float32))
    expected = logistic_oracle(*parts, values)
    assert np.isfinite(actual).all()
    # The error is that of a mean in float32, in units of the scale.
    tolerance = 1e-5 + 2.0**-23 * np.exp(-min(log_scales))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("log_scales", [(-14.0, -9.0), (-6.0, -3.0), (0.0, 2.0)])
def test_logistic_mixture_sums_to_one_over_all_16_bit_values(log_scales):
    raw, *_ = mixture_parameters(3, 10, log_scales, seed=2)
    for row in raw:
        likelihood = wt.LogisticMixture().log_likelihood(row[None], GRID.astype(np.float32))
        np.testing.assert_allclose(np.exp(np.float64(likelihood)).sum(), 1.0, rtol=1e-4)


def test_logistic_mixture_is_finite_in_the_far_tails_with_finite_gradients():
    raw = np.float32([[0.0, 0.9, -20.0], [0.0, -5.0, -3.0], [0.0, 0.0, 30.0]])
    with tf.GradientTape() as tape:
        parameters = tf.constant(raw)
        tape.watch(parameters)
        likelihood = wt.LogisticMixture(1).log_likelihood(parameters, np.float32([-0.9, 0.9, 0.0]))
    assert np.isfinite(likelihood).all()
    assert np.isfinite(tape.gradient(likelihood, parameters)).all()


@pytest.mark.parametrize("components", [1, 10])
def test_gaussian_mixture_is_the_density_times_a_step(components):
    raw, log_weights, means, log_scales = mixture_parameters(500, components, (-11.0, -1.0))
    values = np.random.default_rng(1).choice(GRID, 500)
    values[:300] = np.clip(np.round(means[:300, 0] * STEPS) / STEPS, GRID[0], GRID[-1])
    scales = np.exp(np.maximum(log_scales, wt.GaussianMixture.smallest_log_scale))
    density = scipy.stats.norm.logpdf(values[:, None], means, scales)
    expected = scipy.special.logsumexp(log_weights + density, axis=-1) - np.log(STEPS)
    actual = wt.GaussianMixture(components).log_likelihood(raw, values.astype(np.float32))
    np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("distribution", "smallest"), [(wt.LogisticMixture(4), -13.0), (wt.GaussianMixture(4), -9.0)]
)
def test_means_are_told_in_scales_away_from_most_of_the_newest_value(distribution, smallest):
    generator = np.random.default_rng(0)
    newest = generator.uniform(-1.0, 1.0, (50, 3))
    logits, distances, log_scales = generator.normal(0.0, 8.0, (3, 50, 3, 4))
    outputs = np.concatenate([logits, distances, log_scales], axis=-1)
    # The network's log scales are counted from -4; no scale is below the smallest, and full scale
    # is the longest unit of distance.
    scales = np.exp(np.clip(log_scales - 4.0, smallest, 0.0))
    means = 0.85 * newest[..., None] + scales * 16.0 * np.tanh(distances / 16.0)
    np.testing.assert_allclose(
        distribution.parameters(tf.constant(outputs, tf.float32), tf.constant(newest, tf.float32)),
        np.concatenate([logits, means, log_scales], axis=-1),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
def test_histograms_of_draws_agree_with_the_likelihood(kind):
    distribution = kind(3)
    raw = np.float32([[0.5, 0.0, -0.5, -0.3, 0.1, 0.99, 0.0, 1.0, 0.5]])
    draws = 400_000
    uniforms = np.random.default_rng(3).random((draws, 2), np.float32)
    drawn = distribution.sample(tf.tile(raw, [draws, 1]), uniforms).numpy()
    np.testing.assert_array_equal(drawn, distribution.encode(drawn))  # 16-bit values
    masses = np.exp(np.float64(distribution.log_likelihood(raw, GRID.astype(np.float32))))
    if kind is wt.GaussianMixture:  # a density: what lies beyond full scale is drawn as the last
        beyond = scipy.stats.norm.sf((GRID[-1] + 0.5 / STEPS - 0.99) / np.exp(-3.5))
        masses[-1] += scipy.special.softmax([0.5, 0.0, -0.5])[2] * beyond
    edges = np.concatenate([GRID[::64] - 0.5 / STEPS, [1.0]])
    expected = masses.reshape(-1, 64).sum(axis=1) * draws
    counts, _ = np.histogram(drawn, edges)
    enough = expected > 20
    assert counts[~enough].sum() < 2 * expected[~enough].sum() + 20
    counts = np.append(counts[enough], draws - counts[enough].sum())
    expected = np.append(expected[enough], draws - expected[enough].sum())
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_mixtures_draw_by_the_inverse_of_their_cumulative_distributions(kind, temperature):
    raw, log_weights, means, log_scales = mixture_parameters(2000, 4, (-6.0, -2.0))
    uniforms = np.random.default_rng(4).random((2000, 2), np.float32)
    drawn = kind(4).sample(raw, uniforms, temperature).numpy()
    weights = scipy.special.softmax(log_weights / temperature, axis=1)
    component = (np.cumsum(weights, axis=1) <= uniforms[:, :1]).sum(axis=1)
    clear = np.abs(np.cumsum(weights, axis=1) - uniforms[:, :1]).min(axis=1) > 1e-5
    oracle = scipy.stats.logistic if kind is wt.LogisticMixture else scipy.stats.norm
    rows = np.arange(2000)
    scale = temperature * np.exp(log_scales[rows, component])
    expected = means[rows, component] + scale * oracle.ppf(np.float64(uniforms[:, 1]))
    expected = np.clip(expected, GRID[0], GRID[-1])
    np.testing.assert_allclose(drawn[clear], expected[clear], atol=0.6 / STEPS)


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
def test_mixtures_at_temperature_zero_and_extreme_uniforms(kind):
    raw, log_weights, means, _ = mixture_parameters(50, 4, (-6.0, -2.0))
    best = np.clip(means[np.arange(50), log_weights.argmax(axis=1)], GRID[0], GRID[-1])
    drawn = kind(4).sample(raw, np.full([50, 2], 0.3, np.float32), 0.0)
    np.testing.assert_allclose(drawn, best, atol=0.6 / STEPS)
    extremes = np.float32([[0.0, 0.0], [np.nextafter(1, 0), np.nextafter(1, 0, dtype=np.float32)]])
    drawn = kind(4).sample(raw[:2], extremes).numpy()
    assert np.isfinite(drawn).all()
    assert (np.abs(drawn) <= 1.0).all()


def test_scales_below_the_smallest_count_as_the_smallest():
    for kind in (wt.LogisticMixture, wt.GaussianMixture):
        smallest = kind.smallest_log_scale - distributions.TYPICAL_LOG_SCALE
        values = np.float32([0.0, 2.0 / STEPS])
        at, below = (
            kind(1).log_likelihood(np.float32([[0.0, 0.0, log_scale]]), values)
            for log_scale in (smallest, smallest - 5.0)
        )
        np.testing.assert_array_equal(at, below)


def test_half_precision_mixtures_are_scored_in_float32():
    raw = tf.cast(mixture_parameters(20, 10, (-6.0, -2.0))[0], tf.bfloat16)
    for kind in (wt.LogisticMixture, wt.GaussianMixture):
        likelihood = kind().log_likelihood(raw, np.zeros(20, np.float32))
        assert likelihood.dtype == tf.float32
        expected = kind().log_likelihood(tf.cast(raw, tf.float32), np.zeros(20, np.float32))
        np.testing.assert_array_equal(likelihood, expected)


def test_16_bit_values_round_trip():
    for kind in (wt.LogisticMixture, wt.GaussianMixture):
        values = kind().encode(GRID)
        np.testing.assert_array_equal(kind().decode(values), GRID.astype(np.float32))
        assert kind().encode([2.0, -2.0]).numpy().tolist() == [GRID[-1], -1.0]


def test_companded_values_are_those_of_mu_law():
    """For networks that take no codes: about the same for both, 0 for silence."""
    audio = np.float32([-1.0, -0.1, -0.001, 0.0, 0.001, 0.1, 1.0])
    expected = np.sign(audio) * np.log1p(255 * np.abs(audio)) / np.log(256)
    np.testing.assert_allclose(wt.LogisticMixture().compand(audio), expected, rtol=1e-5)
    codes = wt.Categorical().encode(audio)
    np.testing.assert_allclose(wt.Categorical().compand(codes), expected, atol=0.01)
    for distribution in (wt.Categorical(), wt.GaussianMixture()):
        assert float(distribution.compand(distribution.silence)) == 0.0


def test_names_of_distributions():
    for name in DISTRIBUTIONS:
        made = distributions.named_distribution(name, 64, 3)
        assert made == type(made).from_config(made.get_config())
        assert made.parameter_channels == (64 if name == "categorical" else 9)
    assert wt.LogisticMixture(3) != wt.GaussianMixture(3)
    with pytest.raises(InputError, match="unknown output_distribution 'softmax': expected one of"):
        distributions.named_distribution("softmax")


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
def test_absolute_means_are_the_outputs_of_the_network(kind):
    outputs = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    parameters = kind(3, means="absolute").parameters(outputs, np.full(5, 0.5, np.float32))
    np.testing.assert_array_equal(parameters, outputs)
    with pytest.raises(InputError, match="means must be one of relative, absolute; received 'x'"):
        kind(3, means="x")


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
def test_samples_that_are_not_rounded_are_the_inverse_of_the_cumulative_distribution(kind):
    raw, _, means, log_scales = mixture_parameters(2000, 1, (-6.0, -2.0))
    uniforms = np.random.default_rng(4).random((2000, 2), np.float32)
    distribution = kind(1, rounding=False)
    drawn = distribution.sample(raw, uniforms).numpy()
    oracle = scipy.stats.logistic if kind is wt.LogisticMixture else scipy.stats.norm
    quantiles = oracle.ppf(np.float64(uniforms[:, 1]))
    expected = np.clip(means[:, 0] + np.exp(log_scales[:, 0]) * quantiles, -1.0, 1.0)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    np.testing.assert_array_equal(distribution.encode(drawn), drawn)
    assert distribution.encode([2.0, -2.0]).numpy().tolist() == [1.0, -1.0]


@pytest.mark.parametrize("kind", [wt.LogisticMixture, wt.GaussianMixture])
def test_the_floor_of_scales_is_that_given(kind):
    distribution, values = kind(1, log_scale_floor=-6.0), np.float32([0.0, 0.01])
    at, below, above = (
        distribution.log_likelihood(np.float32([[0.0, 0.0, log_scale + 4.0]]), values)
        for log_scale in (-6.0, -9.0, -5.0)
    )
    np.testing.assert_array_equal(at, below)
    assert (np.abs(at - above) > 0.1).all()
    with pytest.raises(InputError, match="log_scale_floor must be a finite number; received nan"):
        kind(1, log_scale_floor=float("nan"))
    assert kind.from_config(distribution.get_config()) == distribution
