"""Models: the configuration, the trunk and its heads, and training with `fit`."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
