"""Samples with libwavenet, a small C library; nothing but numpy is needed.

Example, with a file that `export/native.py` wrote:

    stream = Runner("model.wn").stream(seed=0)
    audio = next(stream)  # float32 [streams, block_size], at Runner.metadata["sample_rate"]

`src/wavenet.h` documents the library for programs in C. Threads may share a `Runner`, each with
streams of its own: they run in parallel.
"""

from wavenet_tf.native.choice import PRECISIONS as PRECISIONS
from wavenet_tf.native.choice import choose_runtime as choose_runtime
from wavenet_tf.native.library import Model as Model
from wavenet_tf.native.library import is_available as is_available
from wavenet_tf.native.library import targets as targets
from wavenet_tf.native.model_file import METADATA_NAME as METADATA_NAME
from wavenet_tf.native.model_file import pack as pack
from wavenet_tf.native.model_file import quantize as quantize
from wavenet_tf.native.model_file import unpack as unpack
from wavenet_tf.native.runner import Runner as Runner
