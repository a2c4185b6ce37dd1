"""Metrics of the prediction of the next sample, of classes and of sequences."""

import math

import keras
import tensorflow as tf


class _MeanOfScored(keras.metrics.Mean):
    """The weighted mean; NaN if all weights are zero.

    In Keras the mean of no values is 0, which would be a perfect prediction.
    """

    def result(self):
        return tf.where(self.count > 0.0, super().result(), float("nan"))


@keras.saving.register_keras_serializable(package="wavenet_tf")
class BitsPerSample(_MeanOfScored):
    """The mean negative log-likelihood in bits per scored sample; NaN if no sample was scored.

    Uniform guessing among 256 codes is 8 bits; lower is better.

    Args:
        distribution: the output distribution, such as `Categorical`, which computes the likelihood
            of the targets from the model's outputs.
        name: under which Keras reports the metric.
        dtype: of the metric's state; None for `keras.config.floatx()`.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "bits_per_sample", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.distribution = distribution

    def update_state(self, y_true, y_pred, sample_weight=None):
        # Keras casts the targets of losses in the same way. With equal arguments, TensorFlow
        # computes the likelihood only once for the loss and this metric.
        y_true = tf.cast(y_true, tf.float32)
        nats = -self.distribution.log_likelihood(y_pred, y_true)
        return super().update_state(nats / math.log(2.0), sample_weight=sample_weight)

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}

    @classmethod
    def from_config(cls, config):
        distribution = keras.saving.deserialize_keras_object(config["distribution"])
        return cls(**{**config, "distribution": distribution})


@keras.saving.register_keras_serializable(package="wavenet_tf")
class NextSampleAccuracy(keras.metrics.Mean):
    """The fraction of scored samples whose code has the highest logit, ties included.

    For models with the categorical distribution.

    Args:
        name: under which Keras reports the metric.
        dtype: of the metric's state; None for `keras.config.floatx()`.

    Input shape:
        Targets `[batch, time]`, logits `[batch, time, codes]`, weights `[batch, time]`.

    Example:
    >>> metric = NextSampleAccuracy()
    >>> metric.update_state([[0, 1]], tf.constant([[[0.9, 0.1], [0.8, 0.2]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # Takes half the time of an argmax: 0.5% of a training step of preset small.
        logits = tf.gather(y_pred, tf.cast(y_true, tf.int32), axis=-1, batch_dims=2)
        likeliest = logits >= tf.reduce_max(y_pred, axis=-1)
        return super().update_state(tf.cast(likeliest, tf.float32), sample_weight=sample_weight)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class ClassErrorRate(_MeanOfScored):
    """The fraction of frames, or clips, whose most likely class is wrong; NaN if none was scored.

    Args:
        name: under which Keras reports the metric.
        dtype: of the metric's state; None for `keras.config.floatx()`.

    Input shape:
        Targets, indices of classes, `[...]`, logits `[..., classes]`, weights `[...]`.

    Example:
    >>> metric = ClassErrorRate()
    >>> metric.update_state([0, 0], tf.constant([[0.9, 0.1], [0.2, 0.8]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "error_rate", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        recognized = tf.argmax(y_pred, axis=-1, output_type=tf.int32)
        wrong = tf.not_equal(recognized, tf.cast(y_true, tf.int32))
        return super().update_state(tf.cast(wrong, tf.float32), sample_weight=sample_weight)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class LabelErrorRate(_MeanOfScored):
    """The edits from the greedily recognized labels to the true ones, per label; NaN without any.

    Args:
        name: under which Keras reports the metric.
        dtype: of the metric's state; None for `keras.config.floatx()`.

    Input shape:
        Targets, logits and weights as `training.SequenceLoss` takes them.

    Example: one of two labels is missing.
    >>> metric = LabelErrorRate()
    >>> metric.update_state([[2, 1, 2]], tf.constant([[[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "error_rate", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = tf.cast(y_true, tf.int32)
        labels = y_true[:, 1:]
        num_labels = tf.math.count_nonzero(labels, axis=1, dtype=tf.float32)
        logits = tf.transpose(tf.cast(y_pred, tf.float32), [1, 0, 2])
        (recognized,), _ = tf.nn.ctc_greedy_decoder(logits, y_true[:, 0], blank_index=0)
        shape = tf.stack([tf.shape(labels)[0], tf.maximum(tf.shape(logits)[0], 1)])
        shape = tf.cast(shape, tf.int64)  # of equal batches
        recognized = tf.SparseTensor(recognized.indices, recognized.values, shape)
        truth = tf.sparse.from_dense(tf.cast(labels, tf.int64))
        edits = tf.edit_distance(recognized, truth, normalize=False)
        edits = tf.ensure_shape(edits, [None])
        weights = num_labels
        if sample_weight is not None:
            weights *= tf.cast(sample_weight, tf.float32)
        rates = tf.math.divide_no_nan(edits, num_labels)
        return super().update_state(rates, sample_weight=weights)
