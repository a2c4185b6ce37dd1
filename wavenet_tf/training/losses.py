"""The loss and the metric: the negative log-likelihood of the next sample."""

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="wavenet_tf")
class NegativeLogLikelihood(keras.losses.Loss):
    """The negative log-likelihood of the targets, in nats a scored sample.

    Args:
        distribution: turns the model's outputs into a likelihood.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "negative_log_likelihood", **kwargs):
        super().__init__(name=name, **{"reduction": "mean_with_sample_weight", **kwargs})
        self.distribution = _deserialized(distribution)

    def call(self, y_true, y_pred):
        return -self.distribution.log_likelihood(y_pred, y_true)

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}


@keras.saving.register_keras_serializable(package="wavenet_tf")
class BitsPerSample(keras.metrics.Mean):
    """The mean negative log-likelihood in bits a scored sample; NaN where none was scored.

    Uniform guessing among 256 codes is 8 bits; lower is better.

    Args:
        distribution: turns the model's outputs into a likelihood.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "bits_per_sample", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.distribution = _deserialized(distribution)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # As Keras hands them to the loss: so a graph computes the likelihood once for both.
        y_true = tf.cast(y_true, tf.float32)
        nats = -self.distribution.log_likelihood(y_pred, y_true)
        return super().update_state(nats / math.log(2.0), sample_weight=sample_weight)

    def result(self):
        # Keras' mean of nothing is 0, which would be a perfect prediction.
        return tf.where(self.count > 0.0, super().result(), float("nan"))

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}


def _deserialized(distribution):
    if isinstance(distribution, dict):
        return keras.saving.deserialize_keras_object(distribution)
    return distribution
