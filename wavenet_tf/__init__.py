"""WaveNet in Keras 3 on TensorFlow: train on recordings, sample fast, deploy the same graph.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wavenet_tf.audio import mu_law_decode as mu_law_decode
    from wavenet_tf.audio import mu_law_encode as mu_law_encode
    from wavenet_tf.audio import read_audio as read_audio
    from wavenet_tf.audio import write_audio as write_audio
    from wavenet_tf.data import audio_datasets as audio_datasets
    from wavenet_tf.distributions import Categorical as Categorical
    from wavenet_tf.layers import CausalConv1D as CausalConv1D
    from wavenet_tf.layers import GatedResidualBlock as GatedResidualBlock
    from wavenet_tf.layers import OneHotCausalConv1D as OneHotCausalConv1D
    from wavenet_tf.models import WaveNet as WaveNet

_MODULE_OF_NAME = {
    "mu_law_decode": "audio",
    "mu_law_encode": "audio",
    "read_audio": "audio",
    "write_audio": "audio",
    "audio_datasets": "data",
    "Categorical": "distributions",
    "CausalConv1D": "layers",
    "GatedResidualBlock": "layers",
    "OneHotCausalConv1D": "layers",
    "WaveNet": "models",
}

__all__ = ["__version__", *_MODULE_OF_NAME]


def __getattr__(name: str):
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'wavenet_tf' has no attribute {name!r}")
    return getattr(importlib.import_module(f"wavenet_tf.{_MODULE_OF_NAME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
