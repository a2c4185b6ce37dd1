"""Recordings as arrays: mu-law, reading, resampling, writing, silence, levels and features.

Audio is float32 in [-1, 1]. Nothing here imports models or datasets.
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
