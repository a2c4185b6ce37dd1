"""Keras callbacks that end training and that log the step."""

import math

import keras

from wavenet_tf.errors import InputError
from wavenet_tf.options import monitored_metric
from wavenet_tf.training.optimizers import (
    GRADIENT_CLIP_NORM,
    current_learning_rate,
    num_steps,
)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises InputError, with advice, when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        optimizer = self.model.optimizer
        raise InputError(
            f"the loss is {loss} at step {num_steps(optimizer)}: the weights cannot be used any "
            "more. Start again from the last checkpoint with a lower learning rate (it was "
            f"{current_learning_rate(optimizer):.2g}), with clipped gradients "
            f"(global_clipnorm={GRADIENT_CLIP_NORM:g}), and without float16"
        )


class StopOnNothingScored(keras.callbacks.Callback):
    """Raises InputError when all weights of an epoch, or of its validation, are zero."""

    def on_epoch_end(self, epoch, logs=None):
        for part, prefix in (("training", ""), ("validation", "val_")):
            metric = monitored_metric(logs or {})
            value, loss = (
                float((logs or {}).get(f"{prefix}{name}", 0.0)) for name in (metric, "loss")
            )
            if math.isnan(value) and math.isfinite(loss):
                raise InputError(
                    f"no sample was scored in {part}: every crop has weight 0, as crops of "
                    "recordings that cannot be read have"
                )


class StopAtStep(keras.callbacks.Callback):
    """Ends training after a step, even in the middle of an epoch.

    Args:
        step: the last one, counted from the beginning of the run.
    """

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if num_steps(self.model.optimizer) >= self.step:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_batch_end(0)  # a callback may have reset `stop_training`


class LogStep(keras.callbacks.Callback):
    """Adds the step and the learning rate to the logs that later callbacks get."""

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        logs["step"] = num_steps(optimizer)
        logs["learning_rate"] = current_learning_rate(optimizer)
