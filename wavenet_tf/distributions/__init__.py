"""Output distributions: how the network's outputs parameterize the next sample."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
