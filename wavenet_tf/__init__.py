"""WaveNet in Keras 3 on TensorFlow: train on recordings, sample fast, deploy the same graph.

Names are imported at first use, so that `wavenet_tf.lite`, `wavenet_tf.native` and
`wavenet_tf.clients` work without TensorFlow and programs start fast.
"""

import importlib
import importlib.util
import os
import sys

from wavenet_tf import errors, lazy_imports

__version__ = "0.1.0"

if importlib.util.find_spec("tensorflow"):
    _get_attribute, __dir__ = lazy_imports.lazy_attributes(__name__)

    def __getattr__(name: str):
        try:
            return _get_attribute(name)
        except ModuleNotFoundError as error:
            backend = os.environ.get("KERAS_BACKEND", "tensorflow")
            if backend == "tensorflow":
                raise
            raise errors.InputError(
                f"Keras cannot start on {backend} ({error}), and a WaveNet runs on TensorFlow: set "
                "the environment variable KERAS_BACKEND=tensorflow before Python starts"
            ) from error

    # Keras finds the classes of a saved model only among those that are imported; this module
    # imports all models.
    if "keras" in sys.modules:
        importlib.import_module("wavenet_tf.models.classifier")
    else:
        sys.meta_path.insert(0, lazy_imports.ImportWithKeras("wavenet_tf.models.classifier"))
else:

    def __getattr__(name: str):
        raise AttributeError(
            f"wavenet_tf.{name} is not there: it may need TensorFlow, which is not installed "
            "(pip install 'wavenet_tf[tensorflow]'); without it only wavenet_tf.lite, "
            "wavenet_tf.native and wavenet_tf.clients work"
        )
