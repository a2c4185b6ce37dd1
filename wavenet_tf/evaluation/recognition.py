"""Scores of recognition: error rates with intervals, confusions, and errors of boundaries."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.bootstrap import ratio_interval


def edit_pairs(reference: Sequence, hypothesis: Sequence) -> list[tuple]:
    """Returns the pairs of labels of a cheapest edit of one sequence into another.

    Args:
        reference: the labels that are right.
        hypothesis: the labels that were recognized.

    Returns:
        Right and recognized label; None stands for the missing one of an insertion or a deletion.

    Example:
    >>> edit_pairs("sit", "bits")
    [('s', 'b'), ('i', 'i'), ('t', 't'), (None, 's')]
    """
    costs = [list(range(len(hypothesis) + 1))]
    for label in reference:
        before, row = costs[-1], [costs[-1][0] + 1]
        for index, recognized in enumerate(hypothesis):
            substituted = before[index] + (label != recognized)
            row.append(min(substituted, before[index + 1] + 1, row[index] + 1))
        costs.append(row)
    pairs: list[tuple] = []
    row_index, column = len(reference), len(hypothesis)
    while row_index or column:
        cost = costs[row_index][column]
        if row_index and column:
            pair = reference[row_index - 1], hypothesis[column - 1]
            if cost == costs[row_index - 1][column - 1] + (pair[0] != pair[1]):
                pairs.append(pair)
                row_index, column = row_index - 1, column - 1
                continue
        if row_index and cost == costs[row_index - 1][column] + 1:
            row_index -= 1
            pairs.append((reference[row_index], None))
        else:
            column -= 1
            pairs.append((None, hypothesis[column]))
    return pairs[::-1]


def edit_counts(reference: Sequence, hypothesis: Sequence) -> tuple[int, int, int]:
    """Returns the substitutions, deletions and insertions of a cheapest edit of one sequence.

    Args:
        reference: the labels that are right.
        hypothesis: the labels that were recognized.

    Example:
    >>> edit_counts("kitten", "sitting")
    (2, 0, 1)
    """
    pairs = edit_pairs(reference, hypothesis)
    deletions = sum(recognized is None for _, recognized in pairs)
    insertions = sum(right is None for right, _ in pairs)
    different = sum(right != recognized for right, recognized in pairs)
    return different - deletions - insertions, deletions, insertions


@dataclasses.dataclass(frozen=True)
class ErrorRate:
    """The errors of a set of clips, relative to the number of their labels.

    Attributes:
        errors: number of errors of each clip.
        lengths: number of labels of each clip: phones, words, frames, or 1 for the class of a clip.

    Raises:
        InputError: if there is no label.

    Example:
    >>> rate = ErrorRate.of_sequences([["s", "iy"], ["t", "uw"]], [["s", "iy"], ["d", "uw"]])
    >>> rate.value
    0.25
    >>> rate.interval()
    (0.0, 0.5)
    """

    errors: np.ndarray
    lengths: np.ndarray

    def __post_init__(self):
        if not np.sum(self.lengths):
            raise InputError("an error rate needs at least one label; received none")

    @classmethod
    def of_sequences(cls, references: Sequence, hypotheses: Sequence) -> "ErrorRate":
        """Counts the edits between sequences of labels (phone and word error rate)."""
        pairs = zip(references, hypotheses, strict=True)
        errors = [sum(edit_counts(*pair)) for pair in pairs]
        return cls(np.array(errors), np.array([len(labels) for labels in references]))

    @property
    def value(self) -> float:
        """Errors per label."""
        return float(np.sum(self.errors) / np.sum(self.lengths))

    def interval(self, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """Returns the interval of the rate by a bootstrap over clips (percentiles).

        Args:
            confidence: probability that the interval covers the rate.
            seed: of the draws.
        """
        return ratio_interval(self.errors, self.lengths, confidence, seed)


def confusion_table(
    references: Sequence[int] | np.ndarray,
    hypotheses: Sequence[int] | np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """Counts how often each class (row) was recognized as each class (column).

    Args:
        references: the classes that are right.
        hypotheses: the classes that were recognized.
        num_classes: number of classes.

    Example:
    >>> confusion_table([0, 0, 1], [0, 1, 1], num_classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    table = np.zeros([num_classes, num_classes], np.int64)
    np.add.at(table, (np.asarray(references, int), np.asarray(hypotheses, int)), 1)
    return table


def boundary_errors(
    reference: Sequence[tuple[float, float, str]], aligned: Sequence[tuple[float, float, str]]
) -> np.ndarray:
    """Returns how far the start of each segment is from its start in the reference, in seconds.

    Args:
        reference: start, end and label of each segment.
        aligned: the same labels at other times.

    Raises:
        InputError: if the labels differ.

    Example:
    >>> boundary_errors([(0.0, 0.1, "s"), (0.1, 0.3, "iy")], [(0.0, 0.12, "s"), (0.12, 0.3, "iy")])
    array([0.  , 0.02])
    """
    if [label for *_, label in reference] != [label for *_, label in aligned]:
        raise InputError("boundary errors are of equal labels; received different ones")
    times = [np.array([start for start, *_ in part], float) for part in (reference, aligned)]
    return np.abs(times[1] - times[0])
