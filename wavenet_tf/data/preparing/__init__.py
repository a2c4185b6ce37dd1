"""Preparing a corpus: decoded, resampled, trimmed and sharded once, to be read fast ever after.

The corpus' manifest is written first, so that any number of workers, and a preparation that goes
on, agree which clips a shard has. A shard and its tables are written whole or not at all; what is
missing when a preparation starts is written then.
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
