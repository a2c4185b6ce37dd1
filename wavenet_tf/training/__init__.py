"""What `WaveNet.compile` and `fit` use: loss, metric, optimizers and callbacks."""

from wavenet_tf.training.callbacks import CountUpdates as CountUpdates
from wavenet_tf.training.callbacks import StopAtUpdate as StopAtUpdate
from wavenet_tf.training.callbacks import StopOnNonFiniteLoss as StopOnNonFiniteLoss
from wavenet_tf.training.losses import BitsPerSample as BitsPerSample
from wavenet_tf.training.losses import NegativeLogLikelihood as NegativeLogLikelihood
from wavenet_tf.training.optimizers import SCHEDULES as SCHEDULES
from wavenet_tf.training.optimizers import compile_with_xla as compile_with_xla
from wavenet_tf.training.optimizers import learning_rate_schedule as learning_rate_schedule
from wavenet_tf.training.optimizers import named_optimizer as named_optimizer
from wavenet_tf.training.watching import TensorBoardScalars as TensorBoardScalars
