"""Training runs: the files of a model directory, and how a run starts and continues.

settings.json       settings of the run
checkpoints/        step_00000800.keras: model, optimizer, EMA of the weights, number of steps;
                    the most recent checkpoints, and the one with the best validation
model.keras         the model at the end of the run, with the EMA of the weights if it has one
log.csv             one line per validation
tensorboard/        the same for TensorBoard, with the configuration and audio
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
