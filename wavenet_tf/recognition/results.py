"""What a classifier recognizes in a recording: its classes, or segments with times."""

import dataclasses
import json

import numpy as np

from wavenet_tf import data
from wavenet_tf.errors import InputError
from wavenet_tf.recognition.decoding import Decoder, greedy_spans
from wavenet_tf.recognition.logit_stream import BlockRecognizer, log_softmax
from wavenet_tf.recognition.spec import RecognizerSpec

TAG_THRESHOLD = 0.5  # probability from which a tag counts as true
TIER = "labels"  # name of the tier of a TextGrid
TimedLabel = tuple[float, float, str, float]  # start and end in seconds, label, probability


@dataclasses.dataclass(frozen=True)
class Recognition:
    """What is recognized in a recording.

    Attributes:
        seconds: duration of the recording.
        classes: name and probability of each class of the whole recording, the likeliest first;
            empty for a model of segments.
        chosen: the classes that the recording has: the likeliest one, or all true tags.
        segments: start and end in seconds, label and mean probability of each segment; empty for a
            model of whole recordings.
    """

    seconds: float
    classes: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    chosen: list[str] = dataclasses.field(default_factory=list)
    segments: list[TimedLabel] = dataclasses.field(default_factory=list)

    def to_format(self, suffix: str) -> str:
        """Returns the contents of a file.

        Args:
            suffix: of the file's name: ".json", ".TextGrid", or another one for text.
        """
        if suffix.lower() == ".json":
            return self.to_json()
        return self.to_textgrid() if suffix.lower() == ".textgrid" else self.to_text()

    def to_text(self) -> str:
        """Returns lines of a class and its probability, or of start, end, label, probability."""
        if self.classes:
            names = [(name, p) for name, p in self.classes if name in self.chosen]
            return "".join(f"{name}\t{probability:.4f}\n" for name, probability in names)
        return "".join(f"{format_segment(segment)}\n" for segment in self.segments)

    def to_json(self) -> str:
        """Returns all attributes as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def to_textgrid(self) -> str:
        """Returns the segments as a TextGrid.

        Raises:
            InputError: for classes of a whole recording, which have no times.
        """
        if self.classes:
            raise InputError("a TextGrid holds segments, and this model has classes of recordings")
        segments = [segment[:3] for segment in self.segments]
        return data.alignments.textgrid_text({TIER: segments}, self.seconds)


def format_segment(segment: TimedLabel) -> str:
    """Returns start, end, label and probability of a segment, separated by tabs.

    Args:
        segment: see `TimedLabel`.

    Example:
    >>> format_segment((0.1, 0.25, "s", 0.75)).split()
    ['0.100', '0.250', 's', '0.7500']
    """
    start, end, label, probability = segment
    return f"{start:.3f}\t{end:.3f}\t{label}\t{probability:.4f}"


def recognize(
    recognizer: BlockRecognizer, waveform: np.ndarray, decoder: Decoder | None = None
) -> Recognition:
    """Recognizes what a `WaveNetClassifier` has learned in a recording.

    Args:
        recognizer: a `Recognizer`, or a `wavenet_tf.lite.Recognizer` of an exported model.
        waveform: float `[samples]` in [-1, 1], at the model's sample rate.
        decoder: finds the segments of a model of frames; None takes the likeliest class of each
            frame.

    Raises:
        InputError: for a waveform without a sample.
    """
    spec, seconds = recognizer.spec, len(waveform) / recognizer.spec.sample_rate
    if spec.per_frame:
        return _segments(spec, recognizer.log_probabilities(waveform), seconds, decoder)
    logits = recognizer.logits(np.asarray(waveform)[None])[0].mean(axis=0)
    return _classes(spec, class_probabilities(spec, logits), seconds)


def recognition_from_probabilities(
    spec: RecognizerSpec, probabilities: np.ndarray, seconds: float
) -> Recognition:
    """Returns what is recognized, from the answer of a server.

    Args:
        spec: of the model.
        probabilities: of the classes of a recording `[classes]`, or of frames `[frames, classes]`.
        seconds: duration of the recording.
    """
    if not spec.per_frame:
        return _classes(spec, probabilities, seconds)
    smallest = np.finfo(np.float32).tiny
    return _segments(spec, np.log(np.maximum(probabilities, smallest)), seconds, None)


def _segments(
    spec: RecognizerSpec, log_probabilities: np.ndarray, seconds: float, decoder: Decoder | None
) -> Recognition:
    """Returns the segments of a recording."""
    if spec.targets == "frames" and decoder is not None:
        spans = decoder.spans(log_probabilities)
    else:
        spans = greedy_spans(log_probabilities)
    frame_seconds, names = spec.frame_length / spec.sample_rate, spec.output_names
    probabilities = np.exp(log_probabilities)
    return Recognition(
        seconds,
        segments=[
            (
                start * frame_seconds,
                min(end * frame_seconds, seconds),
                names[label],
                float(probabilities[start:end, label].mean()),
            )
            for start, end, label in spans
            if names[label]
        ],
    )


def class_probabilities(spec: RecognizerSpec, logits: np.ndarray) -> np.ndarray:
    """Returns the probability of each class of a clip, of tags each by itself.

    Args:
        spec: of a classifier of whole clips.
        logits: of its classes, `[..., classes]`.
    """
    if spec.targets == "tags":
        return 0.5 * (1.0 + np.tanh(0.5 * logits))  # the sigmoid, which overflows nowhere
    return np.exp(log_softmax(logits))


def _classes(spec: RecognizerSpec, probabilities: np.ndarray, seconds: float) -> Recognition:
    """Returns the classes of a whole recording."""
    order = np.argsort(-probabilities, kind="stable")
    classes = [(spec.output_names[index], float(probabilities[index])) for index in order]
    if spec.targets == "tags":
        chosen = [name for name, probability in classes if probability >= TAG_THRESHOLD]
    else:
        chosen = [classes[0][0]]
    return Recognition(seconds, classes, chosen)
