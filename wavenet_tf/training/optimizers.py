"""Optimizers: by name with clipped gradients, and their state."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError

# Limit of the gradients' global norm. Ordinary steps stay below it; it catches exploding ones.
GRADIENT_CLIP_NORM = 1.0


def named_optimizer(name: str, **settings) -> keras.optimizers.Optimizer:
    """Returns a Keras optimizer that clips the gradients' global norm.

    Args:
        name: of a Keras optimizer, such as "adam".
        **settings: arguments of the Keras optimizer, which replace its defaults and ours.

    Raises:
        InputError: for an unknown name, or settings that the optimizer does not take.
    """
    try:
        keras.optimizers.get(name)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"unknown optimizer {name!r}: expected the name of a Keras optimizer, such as 'adam'"
        ) from error
    try:
        return keras.optimizers.get(
            {"class_name": name, "config": {"global_clipnorm": GRADIENT_CLIP_NORM, **settings}}
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"cannot make the optimizer {name!r} of {settings}: {error}") from error


# `numpy` is the only conversion to a number that works for a variable of several replicas.
def num_steps(optimizer: keras.optimizers.Optimizer) -> int:
    """Returns the number of optimizer steps so far."""
    return int(optimizer.iterations.numpy())


def current_learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the learning rate of the next step."""
    return float(optimizer.learning_rate.numpy())


def compile_with_xla() -> bool:
    """Returns whether to compile the training step with XLA: on GPUs only.

    On the CPU it is no faster, and compiling it takes longer than hundreds of steps.
    """
    return bool(tf.config.list_physical_devices("GPU"))


@contextlib.contextmanager
def ema_weights(model) -> Iterator[None]:
    """Context in which a model has the EMA of its weights, if its optimizer computes one.

    Args:
        model: a compiled `TrainableModel`.
    """
    weights = model.trainable_weights
    values = [weight.numpy() for weight in weights]
    model.optimizer.finalize_variable_values(weights)
    try:
        yield
    finally:
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
