"""The decoder of a classifier of frames: counted on training labels, tuned on validation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from wavenet_tf import data
from wavenet_tf.evaluation.recognition import ErrorRate
from wavenet_tf.recognition import Bigram, Decoder, Recognizer
from wavenet_tf.recognition.decoding import without_repetitions

# The values that are tried for each weight, one weight after the other.
TRIED: dict[str, tuple[Any, ...]] = {
    "prior_weight": (0.0, 0.25, 0.5, 0.75, 1.0),
    "min_frames": (1, 2, 3, 4),
    "bigram_weight": (0.0, 0.5, 1.0, 2.0, 3.0),
    "insertion_penalty": (-2.0, -1.0, 0.0, 1.0, 2.0),
}
ROUNDS = 2


def count_decoder(labels: Sequence[np.ndarray], num_classes: int) -> Decoder:
    """Returns a decoder with the priors and the bigram of labels, and default weights.

    Args:
        labels: the class of each frame of each clip; `data.UNKNOWN` is not counted.
        num_classes: number of classes.

    Example:
    >>> decoder = count_decoder([np.array([0, 0, 0, 1])], num_classes=2)
    >>> np.exp(decoder.log_priors).round(2).tolist()  # counts plus one
    [0.67, 0.33]
    """
    known = [frames[frames != data.UNKNOWN] for frames in labels]
    counts = 1 + np.bincount(np.concatenate(known), minlength=num_classes)
    bigram = Bigram.from_sequences(map(without_repetitions, known), num_classes)
    return Decoder(bigram, np.log(counts / counts.sum()))


def tune_decoder(
    decoder: Decoder,
    log_probabilities: Sequence[np.ndarray],
    references: Sequence[Sequence[int]],
    scored_index: np.ndarray | None = None,
) -> Decoder:
    """Returns a decoder with the weights that make the fewest errors.

    Each weight is varied in turn, twice; of equally good values the one nearest to that before is
    kept.

    Args:
        decoder: with the weights to begin with.
        log_probabilities: of the classes, `[frames, classes]`, of each clip.
        references: the right labels of each clip.
        scored_index: the class that each class is scored as; None for itself.

    Example:
    >>> decoder = count_decoder([np.array([0, 0, 1, 1])], num_classes=2)
    >>> clear = np.log(np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]))
    >>> tune_decoder(decoder, [clear], [[0, 1, 0, 1]]).min_frames  # not 2, the default
    1
    """
    same = np.arange(len(decoder.log_priors)) if scored_index is None else scored_index

    def errors(candidate: Decoder) -> float:
        labels = [labels_of_spans(candidate.spans(part), same) for part in log_probabilities]
        return ErrorRate.of_sequences(references, labels).value

    best, fewest = decoder, errors(decoder)
    for name in [*TRIED] * ROUNDS:
        start = getattr(best, name)
        for value in sorted(TRIED[name], key=lambda value: abs(value - start)):
            candidate = dataclasses.replace(best, **{name: value})
            if value != start and (found := errors(candidate)) < fewest:
                best, fewest = candidate, found
    return best


def labels_of_spans(spans, scored_index: np.ndarray) -> list[int]:
    """Returns the labels of segments as they are scored.

    Args:
        spans: first frame, the frame after the last, and class of each segment.
        scored_index: the class that each class is scored as.
    """
    return without_repetitions([int(scored_index[label]) for *_, label in spans])


def fit_decoder(
    recognizer: Recognizer,
    source: data.ConditionSource,
    training: data.Recordings,
    validation: data.Recordings,
    max_clips: int,
) -> Decoder:
    """Returns the decoder of a classifier of frames.

    Args:
        recognizer: of a `WaveNetClassifier` with targets "frames".
        source: of its classes, a `FrameClassSource`.
        training: whose labels are counted.
        validation: on whose first recordings the weights are tuned.
        max_clips: number of these recordings, at most.
    """
    labels = [source.clip_value(training, index) for index in range(len(training.names))]
    decoder = count_decoder(labels, recognizer.model.num_classes)
    outputs, references = [], []
    for index in range(min(max_clips, len(validation.names))):
        right = source.clip_value(validation, index)
        if np.any(right != data.UNKNOWN):
            outputs.append(recognizer.log_probabilities(validation.waveform(index)))
            references.append(without_repetitions(right[right != data.UNKNOWN]))
    return tune_decoder(decoder, outputs, references) if outputs else decoder
