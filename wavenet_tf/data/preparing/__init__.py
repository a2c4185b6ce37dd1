"""Preparing a corpus: decoded, resampled, trimmed and sharded once, to be read fast ever after.

The corpus' manifest is written first, so that any number of workers, and a preparation that goes
on, agree which clips a shard has. A shard and its tables are written whole or not at all; what is
missing when a preparation starts is written then.
"""

from wavenet_tf.data.preparing.folder import prepare as prepare
from wavenet_tf.data.preparing.joining import summarise as summarise
from wavenet_tf.data.preparing.preparation import NORMALISATIONS as NORMALISATIONS
from wavenet_tf.data.preparing.preparation import Preparation as Preparation
