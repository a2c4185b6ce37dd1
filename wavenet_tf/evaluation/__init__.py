"""Evaluation of models: log-likelihoods of recordings, and distances of generated audio."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
