"""The evaluation of a classifier on recordings, and the JSON file of its figures."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from wavenet_tf import data
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.recognition import ErrorRate, confusion_table
from wavenet_tf.recognition import Recognizer

CONFUSIONS_NAMED = 10


@dataclasses.dataclass(frozen=True)
class RecognitionReport:
    """Figures of a classifier on recordings.

    Attributes:
        error_rate: wrong classes per clip; for frames, edits per label, between the runs of equal
            labels of frames.
        interval: 95% interval of the error rate, by a bootstrap over the clips.
        labels: number of clips; for segments, of labels.
        files: errors of each recording, by name.
        frame_error_rate: wrong classes per labelled frame; None for classes of whole clips.
        confusions: the most frequent confusions: right class, recognized class, number of clips or
            frames.
    """

    error_rate: float
    interval: tuple[float, float]
    labels: int
    files: dict[str, int]
    frame_error_rate: float | None
    confusions: list[tuple[str, str, int]]

    def to_json(self) -> str:
        """Returns the figures as a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def __str__(self):
        low, high = self.interval
        line = (
            f"{self.error_rate:.2%} errors over {self.labels} labels of {len(self.files)} "
            f"recordings (95% interval {low:.2%} to {high:.2%})"
        )
        if self.frame_error_rate is not None:
            line += f"; {self.frame_error_rate:.2%} of frames are wrong"
        confused = [f"{right} as {wrong} ({count})" for right, wrong, count in self.confusions]
        return line + (f"\nmost confused: {', '.join(confused)}" if confused else "")


def evaluate_classifier(
    model,
    recordings: data.Recordings,
    source: data.ConditionSource,
    scored_as: Mapping[str, str] | None = None,
) -> RecognitionReport:
    """Evaluates a classifier of clips or of frames on recordings.

    Args:
        model: a `WaveNetClassifier` with targets "clip" or "frames".
        recordings: at the model's sample rate.
        source: of the right classes, such as a `ClipClassSource`.
        scored_as: the class that each class counts as, such as `data.SCORED_AS`; None for itself.

    Raises:
        InputError: for a classifier of other targets, or recordings without these classes.
    """
    if model.targets not in ("clip", "frames"):
        raise InputError(
            f"only classes of clips and of frames are scored; received {model.targets}"
        )
    source.check(recordings)
    scored_names = [(scored_as or {}).get(name, name) for name in model.class_names]
    names = sorted(set(scored_names))
    scored_index = np.array([names.index(name) for name in scored_names])
    recognizer, rights, recognized = Recognizer(model), [], []
    for index in range(len(recordings.names)):
        logits = recognizer.logits(recordings.waveform(index)[None])[0]
        if model.targets == "clip":
            logits = logits.mean(axis=0, keepdims=True)
        right = np.atleast_1d(source.clip_value(recordings, index))
        labelled = right != data.UNKNOWN
        rights.append(scored_index[right[labelled]])
        recognized.append(scored_index[np.argmax(logits, axis=-1)[labelled]])
    rate = ErrorRate.of_sequences([*map(_collapse, rights)], [*map(_collapse, recognized)])
    right, wrong = np.concatenate(rights), np.concatenate(recognized)
    return RecognitionReport(
        rate.value,
        rate.interval(),
        int(rate.lengths.sum()),
        dict(zip(recordings.names, rate.errors.tolist(), strict=True)),
        float(np.mean(right != wrong)) if model.targets == "frames" else None,
        _most_confused(confusion_table(right, wrong, len(names)), names),
    )


def _collapse(labels: np.ndarray) -> list[int]:
    """Returns labels without repetitions of neighbors."""
    return labels[np.flatnonzero(np.diff(labels, prepend=-1))].tolist()


def _most_confused(table: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Returns the largest entries of a confusion table beside its diagonal."""
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_NAMED]
    pairs = [divmod(int(index), len(table)) for index in order]
    return [(names[a], names[b], int(wrong[a, b])) for a, b in pairs if wrong[a, b]]
