"""The evaluation of a classifier on recordings, and the JSON file of its figures."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wavenet_tf import data
from wavenet_tf.evaluation.decoder_tuning import labels_of_spans
from wavenet_tf.evaluation.recognition import ErrorRate, confusion_table, edit_pairs
from wavenet_tf.recognition import Decoder, Recognizer, greedy_spans
from wavenet_tf.recognition.decoding import without_repetitions
from wavenet_tf.recognition.logit_stream import log_softmax
from wavenet_tf.recognition.results import TAG_THRESHOLD

CONFUSIONS_NAMED = 10


class Rate(NamedTuple):
    """An error rate, and its 95% interval by a bootstrap over the clips."""

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.2%} (95% interval {self.low:.2%} to {self.high:.2%})"


@dataclasses.dataclass(frozen=True)
class RecognitionReport:
    """Figures of a classifier on recordings.

    Attributes:
        error_rate: wrong classes per clip; for segments and sequences, edits per label; for tags,
            wrong decisions per tag and clip.
        labels: number of clips; for segments and sequences, of labels; for tags, of decisions.
        files: errors of each recording, by name.
        greedy_error_rate: edits per label if the likeliest class of each frame is taken; None
            unless a decoder gave `error_rate`.
        frame_error_rate: wrong classes per labelled frame; None for other targets.
        word_error_rate: edits per word; None unless the labels are characters.
        confusions: the most frequent confusions: right class, recognized class, number of clips,
            frames or labels.
    """

    error_rate: Rate
    labels: int
    files: dict[str, int]
    greedy_error_rate: Rate | None
    frame_error_rate: Rate | None
    word_error_rate: Rate | None
    confusions: list[tuple[str, str, int]]

    def to_json(self) -> str:
        """Returns the figures as a JSON object; a rate is a list of it and of its interval."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def __str__(self):
        lines = [
            f"error rate {self.error_rate} over {self.labels} labels of {len(self.files)} "
            "recordings"
        ]
        others = {
            "without a decoder": self.greedy_error_rate,
            "frames": self.frame_error_rate,
            "words": self.word_error_rate,
        }
        lines += [f"error rate, {name}: {rate}" for name, rate in others.items() if rate]
        confused = [f"{right} as {wrong} ({count})" for right, wrong, count in self.confusions]
        if confused:
            lines.append(f"most confused: {', '.join(confused)}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What is right and what is recognized in a clip: labels, and the classes of frames."""

    right: Sequence[int]
    recognized: Sequence[int]
    greedy: Sequence[int] = ()
    right_frames: Sequence[int] = ()
    recognized_frames: Sequence[int] = ()


def evaluate_classifier(
    recognizer: Recognizer,
    recordings: data.Recordings,
    source: Any,
    scored_as: Mapping[str, str] | None = None,
    decoder: Decoder | None = None,
) -> RecognitionReport:
    """Evaluates a classifier on recordings.

    Args:
        recognizer: of a `WaveNetClassifier`.
        recordings: at the model's sample rate.
        source: of the right classes: a `ClipClassSource`, `FrameClassSource`, `SequenceSource`, or
            `TagSource`.
        scored_as: the class that each class counts as, such as `data.SCORED_AS`; None for itself.
        decoder: finds the segments of a model of frames; None takes the likeliest class of each
            frame.

    Raises:
        InputError: for recordings without these classes.
    """
    model = recognizer.model
    source.check(recordings)
    scored_names = [(scored_as or {}).get(name, name) for name in model.class_names]
    names = sorted(set(scored_names))
    scored_index = np.array([names.index(name) for name in scored_names])
    if model.targets == "tags":
        # Of each tag there are two labels, so that each decision is compared with its own.
        names = [label for name in model.class_names for label in (f"no {name}", name)]
    answer, answers = _ANSWERS[model.targets], []
    for index in range(len(recordings.names)):
        logits = recognizer.logits(recordings.waveform(index)[None])[0]
        right = np.atleast_1d(source.clip_value(recordings, index))
        answers.append(answer(logits, right, scored_index, decoder))
    counts = _counts([(a.right, a.recognized) for a in answers])
    greedy = frames = words = None
    pairs = [pair for a in answers for pair in edit_pairs(a.right, a.recognized)]
    if model.targets == "frames":
        frames = _rate(_frame_errors(answers))
        pairs = [p for a in answers for p in zip(a.right_frames, a.recognized_frames, strict=True)]
        if decoder is not None:
            greedy = _rate(_counts([(a.right, a.greedy) for a in answers]))
    if getattr(source, "labels", None) == data.CHARACTERS:
        texts = [[_words(part, names) for part in (a.right, a.recognized)] for a in answers]
        words = _rate(_counts(texts))
    return RecognitionReport(
        _rate(counts),
        int(counts.lengths.sum()),
        dict(zip(recordings.names, counts.errors.tolist(), strict=True)),
        greedy,
        frames,
        words,
        _most_confused(pairs, names),
    )


def _answer_of_clip(logits, right, scored_index, decoder) -> _Answer:
    likeliest = int(np.argmax(logits.mean(axis=0)))
    return _Answer(scored_index[right].tolist(), [int(scored_index[likeliest])])


def _answer_of_tags(logits, right, scored_index, decoder) -> _Answer:
    first = 2 * np.arange(len(right))
    decided = logits.mean(axis=0) >= np.log(TAG_THRESHOLD / (1.0 - TAG_THRESHOLD))
    return _Answer((first + (right > 0.5)).tolist(), (first + decided).tolist())


def _answer_of_frames(logits, right, scored_index, decoder) -> _Answer:
    log_probabilities = log_softmax(logits)
    labelled = right != data.UNKNOWN
    greedy = labels_of_spans(greedy_spans(log_probabilities[labelled]), scored_index)
    recognized = greedy
    if decoder is not None:
        recognized = labels_of_spans(decoder.spans(log_probabilities[labelled]), scored_index)
    right_frames = scored_index[right[labelled]].tolist()
    recognized_frames = scored_index[np.argmax(log_probabilities, axis=-1)[labelled]].tolist()
    right_labels = without_repetitions(right_frames)
    return _Answer(right_labels, recognized, greedy, right_frames, recognized_frames)


def _answer_of_sequence(logits, right, scored_index, decoder) -> _Answer:
    spans = greedy_spans(log_softmax(logits))
    recognized = [int(scored_index[label - 1]) for *_, label in spans if label]
    return _Answer(scored_index[right].tolist(), recognized)


# How a clip is answered, by the targets of the model.
_ANSWERS = {
    "clip": _answer_of_clip,
    "tags": _answer_of_tags,
    "frames": _answer_of_frames,
    "sequence": _answer_of_sequence,
}


def _counts(pairs: Sequence) -> ErrorRate:
    return ErrorRate.of_sequences([right for right, _ in pairs], [found for _, found in pairs])


def _frame_errors(answers: Sequence[_Answer]) -> ErrorRate:
    wrong = [
        np.sum(np.array(a.right_frames) != np.array(a.recognized_frames), dtype=int)
        for a in answers
    ]
    return ErrorRate(np.array(wrong), np.array([len(a.right_frames) for a in answers]))


def _rate(counts: ErrorRate) -> Rate:
    return Rate(counts.value, *counts.interval())


def _words(labels: Sequence[int], names: Sequence[str]) -> list[str]:
    return "".join(names[label] for label in labels).split()


def _most_confused(pairs: Sequence, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Returns the most frequent pairs of a right and another recognized class."""
    pairs = [pair for pair in pairs if None not in pair]  # neither deletions nor insertions
    rights, found = ([pair[side] for pair in pairs] for side in (0, 1))
    wrong = confusion_table(rights, found, len(names))
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_NAMED]
    cells = [divmod(int(index), len(wrong)) for index in order]
    return [(names[a], names[b], int(wrong[a, b])) for a, b in cells if wrong[a, b]]
