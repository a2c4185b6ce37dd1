"""WaveNet in Keras 3 on TensorFlow: train on recordings, sample fast, deploy the same graph."""

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

__version__ = "0.1.0"
