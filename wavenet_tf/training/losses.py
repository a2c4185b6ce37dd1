"""Losses: the weighted mean over all replicas, and the negative log-likelihood of audio."""

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
