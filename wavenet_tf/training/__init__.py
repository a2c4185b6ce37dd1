"""What `WaveNet.compile` and `fit` use: loss, metric, optimizers and callbacks."""

from wavenet_tf.training.callbacks import CountUpdates as CountUpdates
from wavenet_tf.training.callbacks import StopAtUpdate as StopAtUpdate
from wavenet_tf.training.callbacks import StopOnNonFiniteLoss as StopOnNonFiniteLoss
from wavenet_tf.training.distribution import STRATEGIES as STRATEGIES
from wavenet_tf.training.distribution import check_distributable as check_distributable
from wavenet_tf.training.distribution import clipping_shares as clipping_shares
from wavenet_tf.training.distribution import distribute as distribute
from wavenet_tf.training.distribution import is_chief as is_chief
from wavenet_tf.training.distribution import named_strategy as named_strategy
from wavenet_tf.training.distribution import num_workers as num_workers
from wavenet_tf.training.distribution import shard_by_element as shard_by_element
from wavenet_tf.training.distribution import sum_over_replicas as sum_over_replicas
from wavenet_tf.training.distribution import told_cluster as told_cluster
from wavenet_tf.training.losses import BitsPerSample as BitsPerSample
from wavenet_tf.training.losses import NegativeLogLikelihood as NegativeLogLikelihood
from wavenet_tf.training.optimizers import SCHEDULES as SCHEDULES
from wavenet_tf.training.optimizers import compile_with_xla as compile_with_xla
from wavenet_tf.training.optimizers import learning_rate_schedule as learning_rate_schedule
from wavenet_tf.training.optimizers import named_optimizer as named_optimizer
from wavenet_tf.training.progress import ProgressLine as ProgressLine
from wavenet_tf.training.progress import duration as duration
from wavenet_tf.training.watching import NextSampleAccuracy as NextSampleAccuracy
from wavenet_tf.training.watching import TensorBoardAudio as TensorBoardAudio
from wavenet_tf.training.watching import TensorBoardHistograms as TensorBoardHistograms
from wavenet_tf.training.watching import TensorBoardScalars as TensorBoardScalars
from wavenet_tf.training.watching import write_configuration as write_configuration
