"""Checkpoints of WaveNets that other programs trained, as models of this package."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
