"""Forced alignment: the times of known labels in recordings."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wavenet_tf.data.alignments import SILENCE, Segment
from wavenet_tf.errors import InputError
from wavenet_tf.recognition.decoding import force_align
from wavenet_tf.recognition.logit_stream import BlockRecognizer

# Stands between labels where there may be silence, such as between words.
MAY_PAUSE = "|"


class Alignment(NamedTuple):
    """The times of labels in a recording.

    Attributes:
        segments: start and end in seconds, and label, in their order.
        log_likelihood: mean log-probability of the labels per frame, in nats: low if they do not
            belong to the recording.
    """

    segments: list[Segment]
    log_likelihood: float

    def to_json(self) -> str:
        """Returns both as JSON."""
        return json.dumps(self._asdict(), indent=2) + "\n"


def check_aligns(model) -> None:
    """Raises InputError unless a classifier has classes of frames or sequences.

    Args:
        model: a `WaveNetClassifier`.
    """
    if not model.class_targets.per_frame:
        raise InputError(
            f"alignment needs classes of frames or sequences; received {model.targets}"
        )


def align(
    recognizer: BlockRecognizer,
    waveform: np.ndarray,
    labels: Sequence[str],
    silence: str | None = SILENCE,
) -> Alignment:
    """Finds the most likely times of the labels of a recording.

    Args:
        recognizer: of a classifier of frames, or of one trained by CTC.
        waveform: float `[samples]` in [-1, 1], at the model's sample rate.
        labels: in their order; "|" stands where there may be silence.
        silence: the class of silence, which is also possible before the first label and after the
            last one, if the model has it; None for none.

    Raises:
        InputError: for a model of whole clips, an unknown label, no label, or more labels than
            frames.
    """
    model = recognizer.spec
    names = list(model.class_names or map(str, range(model.num_classes)))
    if model.targets not in ("frames", "sequence"):
        raise InputError(
            f"alignment needs classes of frames or sequences; received {model.targets}"
        )
    if unknown := [label for label in labels if label not in (*names, MAY_PAUSE)]:
        raise InputError(f"the model has no label {unknown[0]!r}; known are {', '.join(names)}")
    sequence = model.targets == "sequence"
    # The blank of a model trained by CTC takes silences that are not labelled.
    between = silence if silence in names and not sequence else None
    chosen, optional = _with_silences(labels, between)
    if all(optional):
        raise InputError("alignment needs at least one label; received none")
    log_probabilities = recognizer.log_probabilities(waveform)
    indices = [names.index(label) + sequence for label in chosen]
    spans = force_align(log_probabilities, indices, optional, blank=0 if sequence else None)
    frame_seconds = model.frame_length / model.sample_rate
    seconds = len(waveform) / model.sample_rate
    segments = [
        (start * frame_seconds, min(end * frame_seconds, seconds), names[index - sequence])
        for start, end, index in spans
    ]
    scores = [log_probabilities[a:b, [index, 0] if sequence else [index]] for a, b, index in spans]
    return Alignment(segments, float(np.concatenate([part.max(axis=1) for part in scores]).mean()))


def _with_silences(labels: Sequence[str], silence: str | None) -> tuple[list[str], list[bool]]:
    """Returns labels with silences where they are possible, and whether each may be missing."""
    chosen: list[str] = []
    optional: list[bool] = []
    for label in [MAY_PAUSE, *labels, MAY_PAUSE]:
        if label != MAY_PAUSE:
            if label == silence and optional and optional[-1]:
                optional[-1] = False  # it is there for certain
                continue
            chosen.append(label)
            optional.append(False)
        elif silence is not None and chosen[-1:] != [silence]:
            chosen.append(silence)
            optional.append(True)
    return chosen, optional
