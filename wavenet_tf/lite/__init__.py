"""Runs exported TFLite files: nothing but numpy and ai-edge-litert, or TensorFlow, is needed.

Examples, with files that `export/tflite.py` wrote:

    stream = Runner("generator.tflite").stream(seed=0)
    audio = next(stream)  # float32 [streams, block_size], at Runner.metadata["sample_rate"]

    result = Recognizer("recognizer.tflite").recognize(waveform)
    result.chosen  # the likeliest class

Threads may share a `Runner` or a `Recognizer`, each with streams of its own: they run in parallel.
"""

from wavenet_tf.lite.model_file import CHECKSUM_NAME as CHECKSUM_NAME
from wavenet_tf.lite.model_file import METADATA_NAME as METADATA_NAME
from wavenet_tf.lite.model_file import Interpreter as Interpreter
from wavenet_tf.lite.model_file import ModelFile as ModelFile
from wavenet_tf.lite.model_file import read_metadata as read_metadata
from wavenet_tf.lite.model_file import schema as schema
from wavenet_tf.lite.model_file import with_checksum as with_checksum
from wavenet_tf.lite.recognizer import Recognizer as Recognizer
from wavenet_tf.lite.runner import Runner as Runner
