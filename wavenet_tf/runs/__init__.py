"""A model directory: what a training run leaves there, and how it is found and continued.

settings.json       how the run was started
checkpoints/        update_00000800.keras: model, optimizer, averaged weights, number of updates;
                    the newest ones, and that of the best validation
model.keras         the model at the end of the run, with averaged weights where they were wanted
log.csv             a line for each validation
tensorboard/        the same for TensorBoard, with the configuration and audio
"""

from wavenet_tf.runs.checkpoints import FINAL_MODEL as FINAL_MODEL
from wavenet_tf.runs.checkpoints import checkpoints as checkpoints
from wavenet_tf.runs.checkpoints import load_model as load_model
from wavenet_tf.runs.log import BestValidation as BestValidation
from wavenet_tf.runs.log import best_validation as best_validation
from wavenet_tf.runs.log import read_log as read_log
from wavenet_tf.runs.reading import read_recordings as read_recordings
from wavenet_tf.runs.reading import recordings_of_run as recordings_of_run
from wavenet_tf.runs.settings import PRECISIONS as PRECISIONS
from wavenet_tf.runs.settings import Settings as Settings
from wavenet_tf.runs.training_run import estimate as estimate
from wavenet_tf.runs.training_run import train as train
from wavenet_tf.runs.training_run import upsample_factors as upsample_factors
