"""Recognition: classes of audio block by block, decoding, and forced alignment."""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
