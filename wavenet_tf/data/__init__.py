"""From recordings to the batches that `fit` and `evaluate` take."""

from wavenet_tf.data.batches import audio_datasets as audio_datasets
from wavenet_tf.data.batches import clips_of_crops as clips_of_crops
from wavenet_tf.data.batches import evaluation_batches as evaluation_batches
from wavenet_tf.data.batches import training_batches as training_batches
from wavenet_tf.data.recordings import Recordings as Recordings
from wavenet_tf.data.recordings import read_recordings as read_recordings
