"""What happens while a model trains."""

import math

import keras

from wavenet_tf.errors import InputError
from wavenet_tf.training.optimizers import (
    GRADIENT_CLIP_NORM,
    learning_rate_now,
    num_updates,
)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends training with an error that says what to do when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        optimizer = self.model.optimizer
        raise InputError(
            f"the loss is {loss} at update {num_updates(optimizer)}: the weights are spoilt. "
            f"Start again from the last checkpoint with a lower learning rate (it was "
            f"{learning_rate_now(optimizer):.2g}), with clipped gradients "
            f"(global_clipnorm={GRADIENT_CLIP_NORM:g}), and without float16"
        )


class StopOnNothingScored(keras.callbacks.Callback):
    """Ends training with an error where all weights of an epoch or of its validation are zero."""

    def on_epoch_end(self, epoch, logs=None):
        for part, prefix in (("training", ""), ("validation", "val_")):
            bits, loss = (
                float((logs or {}).get(prefix + name, 0.0)) for name in ("bits_per_sample", "loss")
            )
            if math.isnan(bits) and math.isfinite(loss):
                raise InputError(
                    f"no sample was scored in {part}: every crop has weight 0, as crops of "
                    "recordings that cannot be read have"
                )


class StopAtUpdate(keras.callbacks.Callback):
    """Ends training after an update, be it in the middle of an epoch.

    Args:
        update: the last one, counted over the whole run.
    """

    def __init__(self, update: int):
        super().__init__()
        self.update = update

    def on_train_batch_end(self, batch, logs=None):
        if num_updates(self.model.optimizer) >= self.update:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_batch_end(0)  # a callback may have set `stop_training` back


class CountUpdates(keras.callbacks.Callback):
    """Adds the number of updates and the learning rate to the logs, for the callbacks after it."""

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        logs["update"] = num_updates(optimizer)
        logs["learning_rate"] = learning_rate_now(optimizer)
