"""Decoding, forced alignment and scores, against exhaustive search and counts by hand."""

import itertools

import numpy as np
import pytest

from wavenet_tf.errors import InputError
from wavenet_tf.evaluation import ErrorRate, boundary_errors, confusion_table, edit_counts
from wavenet_tf.recognition import Bigram, Decoder, force_align, greedy_spans


def random_log_probabilities(frames: int, classes: int, seed: int = 0) -> np.ndarray:
    logits = 2.0 * np.random.default_rng(seed).normal(size=[frames, classes])
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def all_segmentations(frames: int, classes: int, shortest: int):
    """Yields every sequence of segments in which neighbors differ."""
    if frames == 0:
        yield []
    for length in range(shortest, frames + 1):
        for label in range(classes):
            for rest in all_segmentations(frames - length, classes, shortest):
                if not rest or rest[0][1] != label:
                    yield [(length, label), *rest]


@pytest.mark.parametrize("min_frames", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_viterbi_finds_the_best_of_all_segmentations(min_frames, seed):
    log_probabilities = random_log_probabilities(7, 3, seed)
    bigram = Bigram.from_sequences([[0, 1, 2, 0, 1], [1, 0]], num_classes=3)
    priors = np.log([0.5, 0.3, 0.2])
    decoder = Decoder(bigram, priors, 0.8, 0.4, 0.3, min_frames)

    def score(segments):
        total, frame, previous = 0.0, 0, None
        for length, label in segments:
            total += (log_probabilities - 0.4 * priors)[frame : frame + length, label].sum()
            follows = bigram.initial if previous is None else bigram.transitions[previous]
            total += 0.8 * follows[label] - (0.0 if previous is None else 0.3)
            frame, previous = frame + length, label
        return total

    best = max(all_segmentations(7, 3, min_frames), key=score)
    spans = decoder.spans(log_probabilities)
    assert [(end - start, label) for start, end, label in spans] == best
    assert [start for start, _, _ in spans[1:]] == [end for _, end, _ in spans[:-1]]


def test_short_audio_is_one_segment_or_none():
    decoder = Decoder(Bigram.from_sequences([[0, 1]], 2), np.zeros(2), min_frames=3)
    assert decoder.spans(np.log([[0.1, 0.9]])) == [(0, 1, 1)]
    assert decoder.spans(np.zeros([0, 2])) == []


def test_witten_bell_of_a_small_count():
    # After class 0 comes 1, once; after 1 and 2 nothing. Every class is there once.
    bigram = Bigram.from_sequences([[0, 1], [2]], num_classes=3)
    single = (np.ones(3) + 3 * np.full(3, 1 / 3)) / 6
    np.testing.assert_allclose(np.exp(bigram.transitions[0]), (np.eye(3)[1] + single) / 2)
    np.testing.assert_allclose(np.exp(bigram.transitions[1]), single)
    np.testing.assert_allclose(np.exp(bigram.initial), (np.array([1, 0, 1]) + 2 * single) / 4)
    np.testing.assert_allclose(np.exp(bigram.transitions).sum(axis=1), 1.0)


def all_paths(states: int, frames: int):
    return itertools.product(range(states), repeat=frames)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_frames_are_aligned_as_exhaustive_search_aligns_them(seed):
    log_probabilities = random_log_probabilities(6, 3, seed)
    labels, optional = [2, 0, 1, 0], [True, False, True, False]

    def is_alignment(path):
        steps = np.diff([-1, *path, 4])
        skipped = set(range(4)) - set(path)
        return (steps >= 0).all() and all(optional[state] for state in skipped)

    def score(path):
        return sum(log_probabilities[frame, labels[state]] for frame, state in enumerate(path))

    best = max(filter(is_alignment, all_paths(4, 6)), key=score)
    spans = force_align(log_probabilities, labels, optional)
    assert [label for start, end, label in spans for _ in range(start, end)] == [
        labels[state] for state in best
    ]
    assert (spans[0][0], spans[-1][1]) == (0, 6)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("labels", [[1], [1, 1], [1, 2, 1], [2, 2, 1]])
def test_ctc_is_aligned_as_exhaustive_search_aligns_it(labels, seed):
    log_probabilities = random_log_probabilities(6, 3, seed)

    def collapses_to_labels(path):
        return [label for label, _ in itertools.groupby(path) if label] == labels

    def score(path):
        return sum(log_probabilities[frame, label] for frame, label in enumerate(path))

    best = max(filter(collapses_to_labels, all_paths(3, 6)), key=score)
    starts = [
        frame for frame in range(6) if best[frame] and (not frame or best[frame - 1] != best[frame])
    ]
    spans = force_align(log_probabilities, labels, blank=0)
    assert [start for start, _, _ in spans] == starts
    assert [label for _, _, label in spans] == labels
    assert [end for _, end, _ in spans] == [*starts[1:], 6]


def test_labels_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="3 labels need 3 frames; received 2"):
        force_align(np.zeros([2, 3]), [0, 1, 2])
    with pytest.raises(InputError, match="2 labels need 3 frames; received 2"):
        force_align(np.zeros([2, 3]), [1, 1], blank=0)
    assert force_align(np.zeros([2, 3]), []) == []


def test_greedy_takes_the_likeliest_class_of_each_frame():
    log_probabilities = np.log(np.eye(3)[[1, 1, 0, 0, 1, 2]] + 0.1)
    assert greedy_spans(log_probabilities) == [(0, 2, 1), (2, 4, 0), (4, 5, 1), (5, 6, 2)]
    assert greedy_spans(np.zeros([0, 3])) == []


def levenshtein(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        levenshtein(a[1:], b) + 1,
        levenshtein(a, b[1:]) + 1,
        levenshtein(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_edits_are_the_fewest():
    generator = np.random.default_rng(0)
    for _ in range(30):
        a, b = (list(generator.integers(0, 3, generator.integers(0, 6))) for _ in range(2))
        substitutions, deletions, insertions = edit_counts(a, b)
        assert substitutions + deletions + insertions == levenshtein(a, b)
        assert insertions - deletions == len(b) - len(a)


def test_an_error_rate_counts_over_all_clips():
    rate = ErrorRate.of_sequences([["a"] * 3, ["b"]], [["a", "c", "a"], []])
    assert rate.value == 2 / 4
    with pytest.raises(InputError, match="at least one label"):
        ErrorRate.of_sequences([[]], [["a"]])


def test_the_interval_is_that_of_a_binomial():
    generator = np.random.default_rng(1)
    wrong = generator.random(400) < 0.2
    low, high = ErrorRate(wrong.astype(int), np.ones(400, int)).interval()
    deviation = np.sqrt(wrong.mean() * (1 - wrong.mean()) / 400)
    np.testing.assert_allclose(
        [low, high], wrong.mean() + deviation * np.array([-1.96, 1.96]), atol=0.006
    )


def test_confusions_and_boundaries():
    table = confusion_table([0, 0, 2, 2, 2], [0, 1, 2, 2, 0], 3)
    np.testing.assert_array_equal(table, [[1, 1, 0], [0, 0, 0], [1, 0, 2]])
    with pytest.raises(InputError, match="of equal labels"):
        boundary_errors([(0.0, 1.0, "a")], [(0.0, 1.0, "b")])
