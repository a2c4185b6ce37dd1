"""Reading recordings and making the batches of crops that `fit` and `evaluate` take."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
