"""How export/verify.py compares the exports of a recognizer with Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

import wavenet_tf as wt
from wavenet_tf import data, evaluation
from wavenet_tf.recognition.results import TAG_THRESHOLD


def first_seconds(
    recordings: data.Recordings, model: wt.WaveNetClassifier, seconds: float | None
) -> data.Recordings:
    """Returns the first recordings, of so much audio in all; None for all recordings."""
    if seconds is None:
        return recordings
    ends = np.cumsum(recordings.lengths)
    count = 1 + int(np.searchsorted(ends, seconds * model.sample_rate))
    return recordings.select(range(min(count, len(recordings.names))))


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of what a runtime recognizes.

    Attributes:
        model: of the run.
        recordings: to recognize.
        source: of the right classes.
        scored_as: the class that each class counts as; None for itself.
        decoder: of the run; None for none.
    """

    model: wt.WaveNetClassifier
    recordings: data.Recordings
    source: Any
    scored_as: Mapping[str, str] | None
    decoder: wt.recognition.Decoder | None

    @property
    def waveforms(self) -> list[np.ndarray]:
        """The recordings."""
        return [self.recordings.waveform(index) for index in range(len(self.recordings.names))]

    def compared(self, answer: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
        """Returns the figures of one runtime, of which some are relative to Keras."""
        pairs = list(zip(answer["probabilities"], reference["probabilities"], strict=True))
        equal = np.concatenate([self._decisions(a) == self._decisions(b) for a, b in pairs])
        return {
            "largest_difference": float(max(np.abs(a - b).max() for a, b in pairs)),
            "error_rate": self._error_rate(answer["probabilities"]),
            "equal_decisions": float(equal.mean()),
            **{name: answer[name] for name in ("real_time_factor", "peak_megabytes")},
        }

    def _decisions(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the likeliest class of each frame or of the clip, or whether each tag is true."""
        if self.model.targets == "tags":
            return probabilities >= TAG_THRESHOLD
        return np.atleast_1d(np.argmax(probabilities, axis=-1))

    def _error_rate(self, probabilities: list[np.ndarray]) -> float | None:
        """Returns the error rate as `tools/evaluate.py` computes it; None for tags."""
        if self.model.targets == "tags":
            return None
        smallest = np.finfo(np.float32).tiny
        rows = [np.log(np.maximum(np.atleast_2d(array), smallest)) for array in probabilities]
        recognized: Any = _Recognized(self.model, rows)
        report = evaluation.evaluate_classifier(
            recognized, self.recordings, self.source, self.scored_as, self.decoder
        )
        return report.error_rate.value


class _Recognized:
    """Answers `evaluation.evaluate_classifier` with what a runtime has recognized.

    Args:
        model: of the run.
        logits: of each recording, in their order, `[frames, classes]`.
    """

    def __init__(self, model: wt.WaveNetClassifier, logits: list[np.ndarray]):
        self.model, self.rows = model, iter(logits)

    def logits(self, audio) -> np.ndarray:
        """Returns those of the next recording, `[1, frames, classes]`."""
        return next(self.rows)[None]


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| runtime | largest difference | error rate | decisions as Keras | real-time factor "
        "| size | peak memory |",
        "| --- " * 7 + "|",
    ]
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f} MB"
        rate = "" if row["error_rate"] is None else f"{row['error_rate']:.2%}"
        lines.append(
            f"| {row['name']} | {row['largest_difference']:.2g} | {rate} "
            f"| {row['equal_decisions']:.2%} | {row['real_time_factor']:.1f} | {size} "
            f"| {row['peak_megabytes']:,.0f} MB |"
        )
    return "\n".join(lines)
