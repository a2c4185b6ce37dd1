"""A model directory: what a training run leaves there, and how it is found and continued.

settings.json       how the run was started
checkpoints/        update_00000800.keras: model, optimizer, averaged weights, number of updates;
                    the newest ones, and that of the best validation
model.keras         the model at the end of the run, with averaged weights where they were wanted
log.csv             a line for each validation
tensorboard/        the same for TensorBoard, with the configuration and audio
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
