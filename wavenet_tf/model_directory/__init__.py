"""A model directory: its model files, its log, and the trained models of the package."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
