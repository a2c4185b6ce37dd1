"""Decoding, forced alignment and scores, against exhaustive search and counts by hand."""

import itertools

import keras
import numpy as np
import pytest

import wavenet_tf as wt
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation import (
    ErrorRate,
    boundary_errors,
    confusion_table,
    count_decoder,
    edit_counts,
    tune_decoder,
)
from wavenet_tf.recognition import (
    Bigram,
    Decoder,
    Recognizer,
    align,
    force_align,
    greedy_spans,
    recognize,
    recognize_stream,
)
from wavenet_tf.recognition.decoding import without_repetitions


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
    sounds, frame = [], 0
    for label, run in itertools.groupby(best):
        length = len(list(run))
        if label:
            sounds.append((frame, frame + length))
        frame += length
    # A boundary is in the middle of the blank frames between two labels.
    middles = [(before[1] + after[0]) // 2 for before, after in itertools.pairwise(sounds)]
    starts = [sounds[0][0], *middles]
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


def small_classifier(targets: str, names=("a", "b", "sil")) -> wt.WaveNetClassifier:
    keras.utils.set_random_seed(3)
    trunk = {"num_stacks": 1, "layers_per_stack": 4, "sample_rate": 8000}
    return wt.WaveNetClassifier(
        trunk, len(names), targets, list(names), channels=8, next_sample=False
    )


def test_silence_is_possible_before_after_and_where_it_is_asked_for():
    recognizer = Recognizer(small_classifier("frames"))
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 1650)  # 21 frames, 206.25 ms
    log_probabilities = recognizer.log_probabilities(waveform)
    a, b, sil = 0, 1, 2
    chosen = [sil, a, sil, b, sil]
    optional = [True, False, True, False, True]
    spans = force_align(log_probabilities, chosen, optional)
    alignment = align(recognizer, waveform, ["a", "|", "b"])
    names = ["a", "b", "sil"]
    assert [label for *_, label in alignment.segments] == [names[k] for *_, k in spans]
    np.testing.assert_allclose(
        [segment[:2] for segment in alignment.segments],
        [(0.01 * start, min(0.01 * end, 0.20625)) for start, end, _ in spans],
    )
    scores = [log_probabilities[start:end, k] for start, end, k in spans]
    np.testing.assert_allclose(alignment.log_likelihood, np.concatenate(scores).mean())
    # Without silence, the labels cover the recording.
    covered = align(recognizer, waveform, ["a", "b"], silence=None).segments
    assert [label for *_, label in covered] == ["a", "b"]
    assert (covered[0][0], covered[-1][1]) == (0.0, 0.20625)


@pytest.mark.parametrize(
    ("targets", "labels", "message"),
    [
        ("clip", ["a"], "alignment needs classes of frames or sequences; received clip"),
        ("frames", ["a", "c"], "the model has no label 'c'; known are a, b, sil"),
        ("frames", [], "alignment needs at least one label; received none"),
        ("frames", ["a", "b", "a"], "3 labels need 3 frames; received 2"),
        ("sequence", ["a", "a"], "2 labels need 3 frames; received 2"),
    ],
)
def test_labels_that_cannot_be_aligned_are_an_error(targets, labels, message):
    with pytest.raises(InputError, match=message):
        align(Recognizer(small_classifier(targets)), np.zeros(160), labels)


@pytest.mark.parametrize("size", [30, 400, 5000])
@pytest.mark.parametrize("targets", ["frames", "sequence"])
def test_a_stream_gives_the_segments_of_the_whole_recording(targets, size):
    recognizer = Recognizer(small_classifier(targets))
    waveform = np.random.default_rng(1).uniform(-0.9, 0.9, 4000).astype(np.float32)
    whole = recognize(recognizer, waveform).segments
    blocks = (waveform[first : first + size] for first in range(0, 4000, size))
    streamed = list(recognize_stream(recognizer, blocks))
    assert [segment[2] for segment in streamed] == [segment[2] for segment in whole]
    values = [[(a, b, p) for a, b, _, p in part] for part in (streamed, whole)]
    np.testing.assert_allclose(*values, atol=1e-5)
    assert len(streamed) > 2


def test_a_stream_gives_the_class_of_each_window():
    recognizer = Recognizer(small_classifier("clip"))
    waveform = np.random.default_rng(1).uniform(-0.9, 0.9, 4000).astype(np.float32)
    logits = recognizer.logits(waveform[None])[0]
    windows = list(recognize_stream(recognizer, [waveform], window_seconds=0.2))
    assert [window[:2] for window in windows] == [
        pytest.approx(times) for times in ((0.0, 0.2), (0.1, 0.3), (0.2, 0.4), (0.3, 0.5))
    ]
    for start, end, label, probability in windows:
        mean = logits[round(100 * start) : round(100 * end)].mean(axis=0)
        probabilities = np.exp(mean) / np.exp(mean).sum()
        assert label == ["a", "b", "sil"][np.argmax(probabilities)]
        np.testing.assert_allclose(probability, probabilities.max(), rtol=1e-4)


def test_a_decoder_survives_a_file_and_is_tuned_to_fewer_errors():
    rng = np.random.default_rng(5)
    labels = [np.repeat(rng.integers(0, 4, 12), 5) for _ in range(6)]
    outputs = []
    for frames in labels:
        logits = 2.0 * np.eye(4)[frames] + 1.5 * rng.normal(size=[len(frames), 4])
        outputs.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    references = [without_repetitions(frames) for frames in labels]
    decoder = count_decoder(labels, num_classes=4)
    tuned = tune_decoder(decoder, outputs, references)

    def errors(spans_of):
        found = [[label for *_, label in spans_of(part)] for part in outputs]
        return ErrorRate.of_sequences(references, found).value

    assert errors(tuned.spans) < errors(decoder.spans) < errors(greedy_spans)
    read = Decoder.from_json(tuned.to_json())
    assert read.spans(outputs[0]) == tuned.spans(outputs[0])
    assert read.weights == tuned.weights
