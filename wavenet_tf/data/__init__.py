"""From recordings to the batches that `fit` and `evaluate` take."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
