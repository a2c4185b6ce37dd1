"""The facts of a classifier that its clients need; numpy and TensorFlow are not needed."""

import dataclasses
from typing import Any

from wavenet_tf.clients import TARGETS_OF_FRAMES


@dataclasses.dataclass(frozen=True)
class RecognizerSpec:
    """Facts of a classifier, from which its logits are read.

    Attributes:
        sample_rate: sample rate of the audio, in Hz.
        frame_length: samples per frame.
        look_ahead: frames after its own that the class of a frame depends on.
        targets: "frames", "clip", "tags" or "sequence", as `WaveNetClassifier` takes it.
        num_classes: number of classes, without the blank of sequences.
        class_names: the name of each class; None if classes have no names.

    Example:
    >>> spec = RecognizerSpec(8000, 80, 6, "sequence", 2, ["yes", "no"])
    >>> spec.output_names, spec.per_frame
    (['', 'yes', 'no'], True)
    """

    sample_rate: int
    frame_length: int
    look_ahead: int
    targets: str
    num_classes: int
    class_names: list[str] | None = None

    @classmethod
    def from_model(cls, model) -> "RecognizerSpec":
        """Returns the facts of a model.

        Args:
            model: a `WaveNetClassifier`.
        """
        return cls(**{field.name: getattr(model, field.name) for field in dataclasses.fields(cls)})

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "RecognizerSpec":
        """Returns the facts of an exported model.

        Args:
            metadata: of `wavenet_tf.clients.checked_metadata`.
        """
        return cls(**{field.name: metadata[field.name] for field in dataclasses.fields(cls)})

    @property
    def per_frame(self) -> bool:
        """Whether there are classes of each frame, rather than of the clip."""
        return self.targets in TARGETS_OF_FRAMES

    @property
    def output_names(self) -> list[str]:
        """The name of each output; numbers if classes have no names; "" is the blank."""
        names = self.class_names or [str(index) for index in range(self.num_classes)]
        return ["", *names] if self.targets == "sequence" else list(names)
