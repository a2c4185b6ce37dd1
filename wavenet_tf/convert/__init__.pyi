from wavenet_tf.convert.checkpoint import Checkpoint as Checkpoint
from wavenet_tf.convert.importing import convert_checkpoint as convert_checkpoint
from wavenet_tf.convert.importing import import_checkpoint as import_checkpoint
from wavenet_tf.convert.source_names import SOURCES as SOURCES
from wavenet_tf.convert.statistics import read_statistics as read_statistics
from wavenet_tf.convert.tensorflow_checkpoint import find_prefix as find_prefix
from wavenet_tf.convert.weight_map import Row as Row
from wavenet_tf.convert.weight_map import assign_weights as assign_weights
