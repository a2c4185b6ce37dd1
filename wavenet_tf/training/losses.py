"""Losses: the weighted mean over all replicas, of audio, classes, tags and sequences."""

import keras
import tensorflow as tf

from wavenet_tf.training.replicas import sum_over_replicas


class GlobalMeanLoss(keras.losses.Loss):
    """Base class of losses whose value is the weighted mean over the batches of all replicas.

    Keras averages the replicas' means with equal weights, which is wrong where some replicas have
    more padding than others. This class divides by the weight over all replicas. It works under
    every `tf.distribute` strategy, with several outputs, `loss_weights` and targets in dicts:
    training and the reported losses are those of one replica on the whole batch, up to rounding.

    Subclasses implement `call(y_true, y_pred)`, which returns a loss for each weight, such as
    `[batch, time]`.

    Keras sums the gradients over replicas, and multiplies losses by the number of replicas before
    it reports them. So each replica returns an equal share of the mean, mean / replicas. Its
    gradient is that of the replica's own summand, because the gradient of a sum over replicas is a
    sum over replicas too.

    Args:
        name: under which Keras reports the loss.
        dtype: of the computation; None for `keras.config.floatx()`.

    Example:
    >>> class AbsoluteError(GlobalMeanLoss):
    ...     def call(self, y_true, y_pred):
    ...         return tf.abs(y_pred - y_true)
    >>> targets, outputs = tf.constant([1.0, 2.0, 3.0]), tf.constant([1.0, 0.0, 7.0])
    >>> float(AbsoluteError()(targets, outputs, sample_weight=[1.0, 1.0, 0.0]))
    1.0
    """

    def __init__(self, name: str | None = None, dtype=None):
        super().__init__(name=name, reduction="none", dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        weighted = super().__call__(y_true, y_pred, sample_weight)
        weights = _Weights(dtype=self.dtype)(weighted, y_pred, sample_weight)
        total, weight = sum_over_replicas((tf.reduce_sum(weighted), tf.reduce_sum(weights)))
        mean = tf.math.divide_no_nan(total, weight)
        return mean / tf.distribute.get_strategy().num_replicas_in_sync

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


class _Weights(keras.losses.Loss):
    """The weight of each element, as Keras combines sample weights with the mask of the outputs.

    The targets only give the shape.
    """

    def __init__(self, dtype):
        super().__init__(reduction="none", dtype=dtype)

    def call(self, y_true, y_pred):
        return tf.ones_like(y_true)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class NegativeLogLikelihood(GlobalMeanLoss):
    """The negative log-likelihood of the next sample, in nats per scored sample.

    Args:
        distribution: the output distribution, such as `Categorical`, which computes the likelihood
            of the targets from the model's outputs.
        name: under which Keras reports the loss.
        dtype: of the computation; None for `keras.config.floatx()`.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "negative_log_likelihood", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.distribution = distribution

    def call(self, y_true, y_pred):
        return -self.distribution.log_likelihood(y_pred, y_true)

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}

    @classmethod
    def from_config(cls, config):
        distribution = keras.saving.deserialize_keras_object(config["distribution"])
        return cls(**{**config, "distribution": distribution})


@keras.saving.register_keras_serializable(package="wavenet_tf")
class ClassCrossEntropy(GlobalMeanLoss):
    """The cross-entropy of one class per frame or per clip, in nats.

    Args:
        name: under which Keras reports the loss.
        dtype: of the computation; None for `keras.config.floatx()`.

    Input shape:
        Targets, indices of classes `[...]`, logits `[..., classes]`, weights `[...]`. A target with
        weight 0 may be -1, for no class.

    Example:
    >>> round(float(ClassCrossEntropy()([1, 0], tf.zeros([2, 4]))), 4)  # log 4
    1.3863
    """

    def __init__(self, name: str = "class_cross_entropy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def call(self, y_true, y_pred):
        # For -1 TensorFlow raises an error on CPUs and returns NaN on GPUs.
        labels = tf.maximum(tf.cast(y_true, tf.int32), 0)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=y_pred)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class TagCrossEntropy(GlobalMeanLoss):
    """The binary cross-entropy of tags, of which any number may be true, in nats per tag.

    Args:
        name: under which Keras reports the loss.
        dtype: of the computation; None for `keras.config.floatx()`.

    Input shape:
        Targets, 0 or 1, `[batch, tags]`, logits `[batch, tags]`, weights `[batch]`.

    Example:
    >>> round(float(TagCrossEntropy()([[1, 0, 1]], tf.zeros([1, 3]))), 4)  # log 2
    0.6931
    """

    def __init__(self, name: str = "tag_cross_entropy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def call(self, y_true, y_pred):
        nats = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y_true, y_pred.dtype), y_pred)
        return tf.reduce_mean(nats, axis=-1)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class SequenceLoss(GlobalMeanLoss):
    """The loss of connectionist temporal classification (CTC, Graves et al. 2006), per label.

    It is the negative log-likelihood of a sequence of labels, summed over all ways to align it with
    the frames, in nats, divided by the number of labels.

    Args:
        name: under which Keras reports the loss.
        dtype: of the computation; None for `keras.config.floatx()`.

    Input shape:
        Targets, integers `[batch, 1 + labels]`: the number of frames, then the labels, indices of
        classes plus 1, padded with zeros. Logits `[batch, frames, 1 + classes]`, where index 0 is
        the blank. Weights `[batch]`.
    """

    def __init__(self, name: str = "sequence_loss", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def call(self, y_true, y_pred):
        y_true = tf.cast(y_true, tf.int32)
        num_frames, labels = y_true[:, 0], y_true[:, 1:]
        num_labels = tf.math.count_nonzero(labels, axis=1, dtype=tf.int32)
        labels = labels[:, : tf.maximum(tf.reduce_max(num_labels), 1)]
        nats = keras.ops.ctc_loss(labels, y_pred, num_labels, num_frames, mask_index=0)
        return nats / tf.cast(tf.maximum(num_labels, 1), nats.dtype)
