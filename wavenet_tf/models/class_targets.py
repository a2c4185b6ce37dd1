"""The kinds of classes that a classifier learns: their shapes, losses and metrics."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from wavenet_tf import training


@dataclasses.dataclass(frozen=True)
class ClassTargets:
    """One kind of classes: of frames, of clips, tags, or sequences.

    Attributes:
        per_frame: whether the logits are those of frames, rather than of the clip.
        vector: whether a clip's target is a vector with 0 or 1 for each class.
        sequence: whether a clip's target is a sequence of classes, and there is a blank.
        loss: returns the default loss.
        metric: returns the default metric.
    """

    per_frame: bool
    vector: bool
    sequence: bool
    loss: Callable[[], training.GlobalMeanLoss]
    metric: Callable[[], keras.metrics.Metric]

    def num_outputs(self, num_classes: int) -> int:
        """Returns the number of logits, the blank of sequences included.

        Args:
            num_classes: number of classes.
        """
        return num_classes + int(self.sequence)

    def example(self, num_classes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns targets, logits and weights of a clip of one frame.

        Args:
            num_classes: number of classes.
        """
        weights = tf.ones([1, 1] if self.per_frame and not self.sequence else [1])
        targets = tf.zeros_like(weights)
        if self.vector:
            targets = tf.zeros([1, num_classes])
        elif self.sequence:
            targets = tf.zeros([1, 2])  # number of frames, and one label
        outputs = [*([1, 1] if self.per_frame else [1]), self.num_outputs(num_classes)]
        return targets, tf.zeros(outputs), weights


def _auc() -> keras.metrics.Metric:
    return keras.metrics.AUC(multi_label=True, from_logits=True, name="auc")


# The kinds of classes by the values of the argument `targets` of `WaveNetClassifier`.
CLASS_TARGETS = {
    "frames": ClassTargets(True, False, False, training.ClassCrossEntropy, training.ClassErrorRate),
    "clip": ClassTargets(False, False, False, training.ClassCrossEntropy, training.ClassErrorRate),
    "tags": ClassTargets(False, True, False, training.TagCrossEntropy, _auc),
    "sequence": ClassTargets(True, False, True, training.SequenceLoss, training.LabelErrorRate),
}
