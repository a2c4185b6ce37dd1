"""The evaluation of a classifier on recordings, and the JSON file of its figures."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from wavenet_tf import data
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.recognition import ErrorRate, confusion_table
from wavenet_tf.recognition import Recognizer, recognize

CONFUSIONS_NAMED = 10


@dataclasses.dataclass(frozen=True)
class RecognitionReport:
    """Figures of a classifier on recordings.

    Attributes:
        error_rate: wrong classes per clip; for segments, edits per label.
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
    model, recordings: data.Recordings, source: data.ConditionSource
) -> RecognitionReport:
    """Evaluates a classifier of clips or of frames on recordings.

    Args:
        model: a `WaveNetClassifier` with targets "clip" or "frames".
        recordings: at the model's sample rate.
        source: of the right classes, such as a `ClipClassSource`.

    Raises:
        InputError: for a classifier of other targets, or recordings without these classes.
    """
    if model.targets not in ("clip", "frames"):
        raise InputError(
            f"only classes of clips and of frames are scored; received {model.targets}"
        )
    source.check(recordings)
    recognizer = Recognizer(model)
    pairs: list[tuple[Sequence, Sequence]] = []
    frame_pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for index in range(len(recordings.names)):
        waveform, right = recordings.waveform(index), source.clip_value(recordings, index)
        if model.targets == "clip":
            result = recognize(recognizer, waveform)
            pairs.append(([model.class_names[right]], result.chosen))
        else:
            frames = np.argmax(recognizer.logits(waveform[None])[0], axis=-1)
            frame_pairs.append((right[right >= 0], frames[right >= 0]))
            pairs.append((_collapse(right[right >= 0]), _collapse(frames[right >= 0])))
    references, hypotheses = zip(*pairs, strict=True)
    rate = ErrorRate.of_sequences(references, hypotheses)
    if model.targets == "clip":
        names = list(model.class_names)
        right, wrong = (
            np.array([names.index(labels[0]) for labels in side])
            for side in (references, hypotheses)
        )
    else:
        right, wrong = (np.concatenate(side) for side in zip(*frame_pairs, strict=True))
    return RecognitionReport(
        rate.value,
        rate.interval(),
        int(rate.lengths.sum()),
        dict(zip(recordings.names, rate.errors.tolist(), strict=True)),
        float(np.mean(right != wrong)) if frame_pairs else None,
        _most_confused(confusion_table(right, wrong, model.num_classes), model.class_names),
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
