"""What `WaveNet.compile` and `fit` use: loss, metric, optimizer and callbacks."""

import math
import os
from pathlib import Path

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError

# Of the global norm. Ordinary steps stay below it; it catches the rare exploding one.
GRADIENT_CLIP_NORM = 1.0


@keras.saving.register_keras_serializable(package="wavenet_tf")
class NegativeLogLikelihood(keras.losses.Loss):
    """The negative log-likelihood of the targets, in nats a scored sample.

    Args:
        distribution: turns the model's outputs into a likelihood.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "negative_log_likelihood", **kwargs):
        super().__init__(name=name, **{"reduction": "mean_with_sample_weight", **kwargs})
        self.distribution = _deserialized(distribution)

    def call(self, y_true, y_pred):
        return -self.distribution.log_likelihood(y_pred, y_true)

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}


@keras.saving.register_keras_serializable(package="wavenet_tf")
class BitsPerSample(keras.metrics.Mean):
    """The mean negative log-likelihood in bits a scored sample.

    Uniform guessing among 256 codes is 8 bits; lower is better.

    Args:
        distribution: turns the model's outputs into a likelihood.

    Input shape:
        Targets `[batch, time]`, outputs `[batch, time, parameters]`, weights `[batch, time]`.
    """

    def __init__(self, distribution, name: str = "bits_per_sample", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.distribution = _deserialized(distribution)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # As Keras hands them to the loss: so a graph computes the likelihood once for both.
        y_true = tf.cast(y_true, tf.float32)
        nats = -self.distribution.log_likelihood(y_pred, y_true)
        return super().update_state(nats / math.log(2.0), sample_weight=sample_weight)

    def get_config(self):
        distribution = keras.saving.serialize_keras_object(self.distribution)
        return {**super().get_config(), "distribution": distribution}


def _deserialized(distribution):
    if isinstance(distribution, dict):
        return keras.saving.deserialize_keras_object(distribution)
    return distribution


def named_optimizer(name: str) -> keras.optimizers.Optimizer:
    """The optimizer of that name with its default settings and clipped gradients.

    Args:
        name: as Keras knows it, such as "adam".

    Raises:
        InputError: for an unknown name.
    """
    try:
        return keras.optimizers.get(
            {"class_name": name, "config": {"global_clipnorm": GRADIENT_CLIP_NORM}}
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"unknown optimizer {name!r}: expected a name that Keras knows, such as 'adam'"
        ) from error


def compile_with_xla() -> bool:
    """Whether a training step is worth compiling with XLA: on a GPU only.

    On the CPU it is no faster, and compiling it takes longer than hundreds of steps.
    """
    return bool(tf.config.list_physical_devices("GPU"))


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends training with an error that says what to do when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        optimizer = self.model.optimizer
        raise InputError(
            f"the loss is {loss} at update {int(optimizer.iterations)}: the weights are spoilt. "
            f"Start again from the last checkpoint with a lower learning rate (it was "
            f"{float(optimizer.learning_rate):.2g}), with clipped gradients "
            f"(global_clipnorm={GRADIENT_CLIP_NORM:g}), and without float16"
        )


SCHEDULES = ("cosine", "constant")
# Of a cosine schedule: what is left at its end, and the updates in which it rises.
FINAL_FRACTION = 0.01
WARM_UP_FRACTION = 0.02


def learning_rate_schedule(
    name: str, learning_rate: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over the updates of a run.

    Args:
        name: "cosine" rises in the first updates and falls along a cosine to nearly 0 at the
            last; "constant" stays.
        learning_rate: the highest.
        steps: updates in all.

    Raises:
        InputError: for an unknown name.
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
    if name == "constant":
        # A schedule too: Keras lets nothing else take the place of one in a loaded optimizer.
        return keras.optimizers.schedules.PolynomialDecay(learning_rate, 1, learning_rate)
    warm_up = round(WARM_UP_FRACTION * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=learning_rate,
        warmup_steps=warm_up,
        decay_steps=steps - warm_up,
        alpha=FINAL_FRACTION,
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
        if int(self.model.optimizer.iterations) >= self.update:
            self.model.stop_training = True


class CountUpdates(keras.callbacks.Callback):
    """Adds the number of updates to the logs, for the callbacks after it."""

    def on_epoch_end(self, epoch, logs=None):
        logs["update"] = int(self.model.optimizer.iterations)


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes losses, metrics and learning rate for TensorBoard, against updates.

    Args:
        directory: gets a folder `train` and a folder `validation`.
    """

    def __init__(self, directory: str | os.PathLike):
        super().__init__()
        self.writers = {
            split: tf.summary.create_file_writer(str(Path(directory) / split))
            for split in ("train", "validation")
        }

    def on_epoch_end(self, epoch, logs=None):
        update = int(self.model.optimizer.iterations)
        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            if name != "update":
                with self.writers[split].as_default():
                    tf.summary.scalar(name.removeprefix("val_"), value, step=update)
        with self.writers["train"].as_default():
            tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate, step=update)
        for writer in self.writers.values():
            writer.flush()
