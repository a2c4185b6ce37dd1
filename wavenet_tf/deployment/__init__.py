"""Exports of the sampling loop: a SavedModel for servers, and a TFLite file for devices."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
