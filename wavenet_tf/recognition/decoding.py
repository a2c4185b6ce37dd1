"""Segments from the probabilities of frames: greedy, by Viterbi with a bigram, or forced."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence

import numpy as np

from wavenet_tf.errors import InputError, positive_integer

Span = tuple[int, int, int]  # first frame, the frame after the last, class
# Attributes of a decoder that are chosen for a model.
WEIGHTS = ("min_frames", "bigram_weight", "prior_weight", "insertion_penalty")


def greedy_spans(log_probabilities: np.ndarray) -> list[Span]:
    """Returns runs of frames with the same most likely class.

    Args:
        log_probabilities: `[frames, classes]`.

    Example:
    >>> greedy_spans(np.log([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
    [(0, 2, 0), (2, 3, 1)]
    """
    return _runs(np.argmax(log_probabilities, axis=-1))


def without_repetitions(labels: Sequence[int] | np.ndarray) -> list[int]:
    """Returns labels without repetitions of neighbors.

    Args:
        labels: indices of classes.

    Example:
    >>> without_repetitions([2, 2, 0, 2])
    [2, 0, 2]
    """
    labels = np.asarray(labels, int)
    return labels[np.flatnonzero(np.diff(labels, prepend=-1))].tolist()


@dataclasses.dataclass(frozen=True)
class Bigram:
    """How likely a class follows another, with Witten-Bell smoothing (1991, method C).

    A class that was followed by `d` different ones in `n` places passes the share `d / (n + d)` on
    to the frequencies of all classes, which are smoothed with uniform ones in the same way.

    Attributes:
        initial: log-probability of the first class of a sequence, `[classes]`.
        transitions: log-probability of a class (second index) after another (first index),
            `[classes, classes]`.

    Example:
    >>> bigram = Bigram.from_sequences([[0, 1, 0, 1]], num_classes=3)
    >>> np.exp(bigram.transitions[0]).round(3).tolist()
    [0.148, 0.815, 0.037]
    """

    initial: np.ndarray
    transitions: np.ndarray

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int]], num_classes: int) -> "Bigram":
        """Counts pairs of classes.

        Args:
            sequences: classes in their order, for each clip.
            num_classes: number of classes.
        """
        pairs = np.zeros([num_classes + 1, num_classes])  # the last row is the start
        for sequence in sequences:
            previous = num_classes
            for label in sequence:
                pairs[previous, label] += 1
                previous = label
        uniform = np.full(num_classes, 1.0 / num_classes)
        single = _witten_bell(pairs.sum(axis=0), uniform)
        smoothed = np.stack([_witten_bell(row, single) for row in pairs])
        return cls(np.log(smoothed[-1]), np.log(smoothed[:-1]))


def _witten_bell(counts: np.ndarray, lower_order: np.ndarray) -> np.ndarray:
    """Returns smoothed probabilities."""
    total, different = counts.sum(), np.count_nonzero(counts)
    if not total:
        return lower_order
    return (counts + different * lower_order) / (total + different)


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Finds the most likely segments by Viterbi's algorithm.

    The score of a sequence is the sum over frames of `log p(class | audio) - prior_weight * log
    p(class)`, plus for each segment `bigram_weight * log p(class | class before) -
    insertion_penalty`. A segment has at least `min_frames` frames.

    Args:
        bigram: of the classes.
        log_priors: log-probability of each class among the frames of training, `[classes]`.
        bigram_weight: weight of the bigram.
        prior_weight: weight of the priors.
        insertion_penalty: cost of each segment, in nats.
        min_frames: the shortest duration of a segment, in frames.

    Raises:
        InputError: for `min_frames` below 1.
    """

    bigram: Bigram
    log_priors: np.ndarray
    bigram_weight: float = 1.0
    prior_weight: float = 0.5
    insertion_penalty: float = 0.0
    min_frames: int = 2

    def __post_init__(self):
        positive_integer("min_frames", self.min_frames)

    @property
    def weights(self) -> dict[str, float]:
        """What can be tuned: the weights, the penalty and the shortest duration."""
        return {name: getattr(self, name) for name in WEIGHTS}

    def to_json(self) -> str:
        """Returns all attributes as JSON."""
        bigram = {
            "initial": self.bigram.initial.tolist(),
            "transitions": self.bigram.transitions.tolist(),
        }
        log_priors = self.log_priors.tolist()
        values = {**self.weights, "log_priors": log_priors, "bigram": bigram}
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Decoder":
        """Returns the decoder that `to_json` described.

        Args:
            text: JSON.

        Raises:
            InputError: if it describes no decoder.
        """
        try:
            values = json.loads(text)
            arrays = {name: np.array(part) for name, part in values.pop("bigram").items()}
            log_priors = np.array(values.pop("log_priors"))
            return cls(Bigram(**arrays), log_priors, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"no decoder: {error!r}") from error

    def spans(self, log_probabilities: np.ndarray) -> list[Span]:
        """Returns the most likely segments.

        Args:
            log_probabilities: `[frames, classes]`. Fewer frames than `min_frames` are one segment.
        """
        scores = log_probabilities - self.prior_weight * self.log_priors
        frames, classes = scores.shape
        if frames < self.min_frames:
            return [(0, frames, int(np.argmax(scores.sum(axis=0))))] if frames else []
        transitions = self.bigram_weight * self.bigram.transitions - self.insertion_penalty
        np.fill_diagonal(transitions, -np.inf)  # a longer segment is one segment
        # A class has a state for each of its first `min_frames` frames; the last state repeats.
        states = np.full([self.min_frames, classes], -np.inf)
        states[0] = self.bigram_weight * self.bigram.initial + scores[0]
        entered = np.zeros([frames, classes], np.int64)  # class before, of a segment that starts
        stayed = np.zeros([frames, classes], bool)
        for frame in range(1, frames):
            leaving = states[-1][:, None] + transitions
            entered[frame] = np.argmax(leaving, axis=0)
            first = leaving[entered[frame], np.arange(classes)]
            if self.min_frames == 1:
                stayed[frame] = states[-1] >= first
                states[-1] = np.maximum(states[-1], first)
            else:
                stayed[frame] = states[-1] >= states[-2]
                last = np.maximum(states[-1], states[-2])
                states[1:-1] = states[:-2]
                states[0], states[-1] = first, last
            states += scores[frame]
        return self._trace_back(int(np.argmax(states[-1])), entered, stayed)

    def _trace_back(self, label: int, entered: np.ndarray, stayed: np.ndarray) -> list[Span]:
        """Returns the segments of the best path, which ends in the last state of a class."""
        spans: list[Span] = []
        end = frame = len(entered)
        while frame > 0:
            frame -= 1
            while frame > 0 and stayed[frame, label]:
                frame -= 1
            start = max(frame - (self.min_frames - 1), 0)
            spans.append((start, end, label))
            label, end, frame = int(entered[start, label]), start, start
        return spans[::-1]


def force_align(
    log_probabilities: np.ndarray,
    labels: Sequence[int],
    optional: Sequence[bool] | None = None,
    blank: int | None = None,
) -> list[Span]:
    """Returns the most likely times of known labels, by Viterbi's algorithm.

    Args:
        log_probabilities: `[frames, classes]`.
        labels: indices of classes, in their order.
        optional: whether each label may be missing, such as silences between words; no two
            neighbors. None for no such label.
        blank: index of the blank of a model trained by CTC. Such a model has each label in a few
            frames within the sound; of the blank frames between two labels, the first half then
            belongs to the label before them. None for a model of frames.

    Returns:
        A span per label that is there. They cover all frames, for a model trained by CTC those
        from the first label's on.

    Raises:
        InputError: if there are fewer frames than the labels need.
    """
    if not len(labels):
        return []
    states = np.asarray(labels, np.int64)
    skippable = np.zeros(len(states), bool) if optional is None else np.array(optional, bool)
    frames, certain = len(log_probabilities), int((~skippable).sum())
    needed = certain
    if blank is not None:
        states = np.full(2 * len(labels) + 1, blank)
        states[1::2] = labels
        # A blank may be skipped, unless it separates equal labels.
        skippable = np.zeros(len(states), bool)
        skippable[2:-1:2] = states[1:-2:2] != states[3::2]
        skippable[[0, -1]] = True
        needed = certain + int((np.diff(labels) == 0).sum())
    if frames < needed:
        raise InputError(f"{certain} labels need {needed} frames; received {frames}")
    path = _best_path(log_probabilities[:, states], skippable)
    if blank is None:
        return [(start, end, labels[state]) for start, end, state in _runs(path)]
    spans = [(start, end) for start, end, state in _runs(path) if state % 2]
    ends = [(end + start) // 2 for (_, end), (start, _) in itertools.pairwise(spans)]
    return list(zip([spans[0][0], *ends], [*ends, frames], labels, strict=True))


def _best_path(scores: np.ndarray, skippable: np.ndarray) -> np.ndarray:
    """Returns the state of each frame on the best path from left to right through states.

    Args:
        scores: of each state at each frame, `[frames, states]`.
        skippable: whether a path may leave a state out.
    """
    frames, states = scores.shape
    nothing = np.full(2, -np.inf)
    best = np.full(states, -np.inf)
    best[: 1 + skippable[0]] = scores[0, : 1 + skippable[0]]
    after_skippable = np.concatenate([[False], skippable[:-1]])
    steps = np.zeros([frames, states], np.int8)
    for frame in range(1, frames):
        one, two = (np.concatenate([nothing[:n], best])[:states] for n in (1, 2))
        candidates = np.stack([best, one, np.where(after_skippable, two, -np.inf)])
        steps[frame] = np.argmax(candidates, axis=0)
        best = candidates[steps[frame], np.arange(states)] + scores[frame]
    path = np.zeros(frames, np.int64)
    last = states - 1 - int(skippable[-1] and states > 1)
    path[-1] = last + int(np.argmax(best[last:]))
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - steps[frame, path[frame]]
    return path


def _runs(values: np.ndarray) -> list[Span]:
    """Returns start, end and value of each run of equal values."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    ends = np.append(starts[1:], len(values))
    return [(int(a), int(b), int(values[a])) for a, b in zip(starts, ends, strict=True)]
