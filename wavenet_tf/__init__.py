"""WaveNet in Keras 3 on TensorFlow: train on recordings, sample fast, deploy the same graph."""

import importlib.util

__version__ = "0.1.0"

# Without TensorFlow, `wavenet_tf.lite` still runs exported files, and `wavenet_tf.clients` helps to
# use a server. With it, everything is imported: Keras finds the classes of a saved model only among
# those that are.
if importlib.util.find_spec("tensorflow"):
    from wavenet_tf.audio import mu_law_decode as mu_law_decode
    from wavenet_tf.audio import mu_law_encode as mu_law_encode
    from wavenet_tf.audio import read_audio as read_audio
    from wavenet_tf.audio import write_audio as write_audio
    from wavenet_tf.data import audio_datasets as audio_datasets
    from wavenet_tf.distributions import Categorical as Categorical
    from wavenet_tf.distributions import GaussianMixture as GaussianMixture
    from wavenet_tf.distributions import LogisticMixture as LogisticMixture
    from wavenet_tf.layers import CausalConv1D as CausalConv1D
    from wavenet_tf.layers import ConditioningUpsampler as ConditioningUpsampler
    from wavenet_tf.layers import ContextStack as ContextStack
    from wavenet_tf.layers import GatedResidualBlock as GatedResidualBlock
    from wavenet_tf.layers import OneHotCausalConv1D as OneHotCausalConv1D
    from wavenet_tf.layers import WaveformCausalConv1D as WaveformCausalConv1D
    from wavenet_tf.models import WaveNet as WaveNet
else:

    def __getattr__(name: str):
        raise AttributeError(
            f"wavenet_tf.{name} is not there: it may need TensorFlow, which is not installed; "
            "without it only wavenet_tf.lite and wavenet_tf.clients work"
        )
