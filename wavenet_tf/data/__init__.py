"""From recordings to the batches that `fit` and `evaluate` take."""

from wavenet_tf.data.batches import audio_datasets as audio_datasets
from wavenet_tf.data.batches import clips_of_crops as clips_of_crops
from wavenet_tf.data.batches import evaluation_batches as evaluation_batches
from wavenet_tf.data.batches import training_batches as training_batches
from wavenet_tf.data.corpora import LAYOUTS as LAYOUTS
from wavenet_tf.data.manifest import Clip as Clip
from wavenet_tf.data.manifest import read_manifest as read_manifest
from wavenet_tf.data.manifest import write_manifest as write_manifest
from wavenet_tf.data.prepared import is_prepared as is_prepared
from wavenet_tf.data.prepared import open_prepared as open_prepared
from wavenet_tf.data.preparing import NORMALISATIONS as NORMALISATIONS
from wavenet_tf.data.preparing import Preparation as Preparation
from wavenet_tf.data.preparing import prepare as prepare
from wavenet_tf.data.preparing import summarise as summarise
from wavenet_tf.data.reading import read_recordings as read_recordings
from wavenet_tf.data.recordings import Recordings as Recordings
