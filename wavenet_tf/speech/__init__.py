"""Speech from text: a WaveNet on linguistic features, and the models of its prosody."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
