"""Preparing a corpus: its clips are decoded, resampled, trimmed and written to shards once.

Training then reads a prepared corpus fast, with memory that does not grow with the corpus. The
manifest is written first: all worker processes, and a preparation that continues after a stop,
agree which clips are in which shard. A shard and its tables are written completely or not at all; a
preparation that continues writes those that are missing.
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
