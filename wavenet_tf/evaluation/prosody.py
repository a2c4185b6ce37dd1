"""Errors of predicted durations and of predicted fundamental frequencies (F0)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wavenet_tf.evaluation.bootstrap import ratio_interval

CENTS_PER_OCTAVE = 1200.0


@dataclasses.dataclass(frozen=True)
class DurationErrors:
    """How far the durations of phones, and of whole utterances, are from the true ones.

    Attributes:
        error_ms: sum of the absolute errors of the phones of each utterance, in milliseconds.
        phones: number of the phones of each utterance.
        length_ratios: predicted length of each utterance, relative to the true one.

    Example:
    >>> errors = DurationErrors.of_utterances([[10, 20]], [[12, 20]], frame_seconds=0.005)
    >>> errors.value  # milliseconds
    5.0
    """

    error_ms: np.ndarray
    phones: np.ndarray
    length_ratios: np.ndarray

    @classmethod
    def of_utterances(
        cls,
        true: Sequence[Sequence[int] | np.ndarray],
        predicted: Sequence[Sequence[int] | np.ndarray],
        frame_seconds: float,
    ) -> "DurationErrors":
        """Compares durations.

        Args:
            true: frames of each phone, for each utterance.
            predicted: likewise.
            frame_seconds: duration of a frame.
        """
        pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(true, predicted, strict=True)]
        return cls(
            np.array([1000.0 * frame_seconds * np.abs(a - b).sum() for a, b in pairs]),
            np.array([len(a) for a, _ in pairs]),
            np.array([b.sum() / a.sum() for a, b in pairs]),
        )

    @property
    def value(self) -> float:
        """Mean absolute error of a phone, in milliseconds."""
        return float(self.error_ms.sum() / self.phones.sum())

    def interval(self) -> tuple[float, float]:
        """Returns the 95% interval of the mean absolute error, in milliseconds."""
        return ratio_interval(self.error_ms, self.phones)

    @property
    def figures(self) -> dict[str, float | list[float]]:
        """The errors by name, as JSON holds them; an error with its interval is a list."""
        return {
            "duration_error_ms": [self.value, *self.interval()],
            "mean_length_error": float(np.abs(self.length_ratios - 1).mean()),
        }

    def __str__(self) -> str:
        low, high = self.interval()
        return (
            f"durations of phones are {self.value:.1f} ms off (95% interval {low:.1f} to "
            f"{high:.1f}), whole utterances {100 * np.abs(self.length_ratios - 1).mean():.1f}%"
        )


@dataclasses.dataclass(frozen=True)
class F0Errors:
    """How far F0 and voicing are from the true ones.

    Attributes:
        squared_cents: sum of the squared errors of each utterance, over its frames that are voiced
            in both, in cents squared.
        voiced: number of these frames of each utterance.
        wrong_voicing: number of frames of each utterance whose voicing is wrong.
        frames: number of frames of each utterance.
        deviation_ratio: standard deviation of the predicted log F0 relative to that of the true
            one; below 1 the melody is flatter.

    Example:
    >>> true = np.array([[5.0, 1.0], [5.1, 1.0], [5.0, 0.0]])
    >>> errors = F0Errors.of_utterances([true], [true + [[np.log(2.0) / 12.0, 0.0]]])
    >>> round(errors.value)  # cents
    100
    """

    squared_cents: np.ndarray
    voiced: np.ndarray
    wrong_voicing: np.ndarray
    frames: np.ndarray
    deviation_ratio: float

    @classmethod
    def of_utterances(
        cls, true: Sequence[np.ndarray], predicted: Sequence[np.ndarray]
    ) -> "F0Errors":
        """Compares log F0 and voicing.

        Args:
            true: log F0 and voicing of each utterance, `[frames, 2]`.
            predicted: likewise.
        """
        squared, voiced, wrong, frames, deviations = [], [], [], [], []
        for right, guess in zip(true, predicted, strict=True):
            both = (right[:, 1] > 0.5) & (guess[:, 1] > 0.5)
            cents = CENTS_PER_OCTAVE / np.log(2.0) * (guess[both, 0] - right[both, 0])
            squared.append((cents.astype(float) ** 2).sum())
            voiced.append(both.sum())
            wrong.append(((right[:, 1] > 0.5) != (guess[:, 1] > 0.5)).sum())
            frames.append(len(right))
            if both.any():
                deviations.append((right[both, 0].std(), guess[both, 0].std()))
        true_deviation, deviation = np.mean(deviations, axis=0) if deviations else (1.0, 0.0)
        return cls(
            np.array(squared),
            np.array(voiced),
            np.array(wrong),
            np.array(frames),
            float(deviation / max(true_deviation, 1e-9)),
        )

    @property
    def value(self) -> float:
        """Root mean squared error over frames that are voiced in both, in cents."""
        return float(np.sqrt(self.squared_cents.sum() / max(1, self.voiced.sum())))

    def interval(self) -> tuple[float, float]:
        """Returns the 95% interval of the root mean squared error, in cents."""
        low, high = ratio_interval(self.squared_cents, self.voiced)
        return low**0.5, high**0.5

    @property
    def voicing_error(self) -> float:
        """Fraction of the frames whose voicing is wrong."""
        return float(self.wrong_voicing.sum() / self.frames.sum())

    @property
    def figures(self) -> dict[str, float | list[float]]:
        """The errors by name, as JSON holds them; an error with its interval is a list."""
        return {
            "f0_error_cents": [self.value, *self.interval()],
            "voicing_error": self.voicing_error,
            "f0_deviation_ratio": self.deviation_ratio,
        }

    def __str__(self) -> str:
        low, high = self.interval()
        return (
            f"F0 is {self.value:.0f} cents off (95% interval {low:.0f} to "
            f"{high:.0f}), voicing wrong in {100 * self.voicing_error:.1f}% of the frames, "
            f"deviation {self.deviation_ratio:.2f} of the true one"
        )
