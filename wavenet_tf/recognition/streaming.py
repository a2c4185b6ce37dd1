"""Recognition of audio while it comes in: from a microphone, a pipe or a long file."""

from collections.abc import Iterable, Iterator

import numpy as np

from wavenet_tf.errors import positive_number
from wavenet_tf.recognition.logit_stream import BlockRecognizer, log_softmax
from wavenet_tf.recognition.results import TimedLabel, class_probabilities
from wavenet_tf.recognition.spec import RecognizerSpec

WINDOW_SECONDS = 1.0  # over which the classes of whole clips are recognized in a stream


def recognize_stream(
    recognizer: BlockRecognizer,
    blocks: Iterable[np.ndarray],
    window_seconds: float = WINDOW_SECONDS,
) -> Iterator[TimedLabel]:
    """Recognizes a stream of audio within the look-ahead of the model.

    Args:
        recognizer: a `Recognizer`, or a `wavenet_tf.lite.Recognizer` of an exported model.
        blocks: float `[samples]` in [-1, 1], of any lengths, at the model's sample rate.
        window_seconds: of audio over which a model of whole clips recognizes, twice per window.

    Returns:
        An iterator over start and end in seconds, label and probability: of each segment when it
        has ended, that is of each run of frames with the same likeliest class; for a model of whole
        clips, of the likeliest class of each window.

    Raises:
        InputError: for an argument out of its range.
    """
    positive_number("window_seconds", window_seconds)
    logits = (batch[0] for batch in recognizer.stream(block[None] for block in blocks))
    if recognizer.spec.per_frame:
        return _segments(recognizer.spec, logits)
    return _windows(recognizer.spec, logits, window_seconds)


def _segments(spec: RecognizerSpec, logits: Iterable[np.ndarray]) -> Iterator[TimedLabel]:
    """Yields runs of frames with the same likeliest class, but not the blank."""
    seconds, names = spec.frame_length / spec.sample_rate, spec.output_names
    start, label = 0, -1
    probabilities: list[float] = []  # of the label in the frames from `start` on

    def ended() -> Iterator[TimedLabel]:
        if probabilities and names[label]:
            end = start + len(probabilities)
            yield start * seconds, end * seconds, names[label], float(np.mean(probabilities))

    for row in (row for block in logits for row in np.exp(log_softmax(block))):
        likeliest = int(np.argmax(row))
        if likeliest != label:
            yield from ended()
            start, label, probabilities = start + len(probabilities), likeliest, []
        probabilities.append(row[label])
    yield from ended()


def _windows(
    spec: RecognizerSpec, logits: Iterable[np.ndarray], window_seconds: float
) -> Iterator[TimedLabel]:
    """Yields the likeliest class of each window, and of the rest."""
    seconds, names = spec.frame_length / spec.sample_rate, spec.output_names
    size = max(2, round(window_seconds / seconds))
    window, first, unseen = np.zeros([0, len(names)]), 0, 0

    def answer() -> TimedLabel:
        probabilities = class_probabilities(spec, window.mean(axis=0))
        best = int(np.argmax(probabilities))
        return (
            first * seconds,
            (first + len(window)) * seconds,
            names[best],
            float(probabilities[best]),
        )

    for block in logits:
        for row in block:
            window = np.concatenate([window, row[None]])
            unseen += 1
            if len(window) == size:
                yield answer()
                dropped = size // 2
                window, first, unseen = window[dropped:], first + dropped, 0
    if unseen:
        yield answer()
