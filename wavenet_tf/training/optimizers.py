"""Optimizers and learning rates."""

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.options import SCHEDULES

# Of the global norm. Ordinary steps stay below it; it catches the rare exploding one.
GRADIENT_CLIP_NORM = 1.0


def named_optimizer(name: str, **settings) -> keras.optimizers.Optimizer:
    """The optimizer of that name, with clipped gradients.

    Args:
        name: as Keras knows it, such as "adam".
        **settings: in place of its default ones, as Keras knows them.

    Raises:
        InputError: for an unknown name, or settings that the optimizer does not take.
    """
    try:
        keras.optimizers.get(name)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"unknown optimizer {name!r}: expected a name that Keras knows, such as 'adam'"
        ) from error
    try:
        return keras.optimizers.get(
            {"class_name": name, "config": {"global_clipnorm": GRADIENT_CLIP_NORM, **settings}}
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"cannot make the optimizer {name!r} of {settings}: {error}") from error


# A variable of several replicas becomes a number by `numpy` only.
def num_updates(optimizer: keras.optimizers.Optimizer) -> int:
    """So many were done."""
    return int(optimizer.iterations.numpy())


def learning_rate_now(optimizer: keras.optimizers.Optimizer) -> float:
    """That of the next update."""
    return float(optimizer.learning_rate.numpy())


def compile_with_xla() -> bool:
    """Whether a training step is worth compiling with XLA: on a GPU only.

    On the CPU it is no faster, and compiling it takes longer than hundreds of steps.
    """
    return bool(tf.config.list_physical_devices("GPU"))


# What is left of the learning rate at the end of one that falls, and the updates in which it rises.
FINAL_FRACTION = 0.01
WARM_UP_FRACTION = 0.02


def learning_rate_schedule(
    name: str, learning_rate: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over the updates of a run.

    Args:
        name: "cosine" or "exponential" rise in the first fiftieth of the updates and then fall, to
            a hundredth at the last; "constant" stays.
        learning_rate: the highest.
        steps: updates in all.

    Raises:
        InputError: for an unknown name.

    Example:
    >>> rate = learning_rate_schedule("exponential", 0.01, steps=1000)
    >>> [round(float(rate(update)), 5) for update in (0, 10, 20, 510, 1000)]
    [0.0, 0.005, 0.01, 0.001, 0.0001]
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
    if name == "constant":
        # A schedule too: Keras lets nothing else take the place of one in a loaded optimizer.
        return keras.optimizers.schedules.PolynomialDecay(learning_rate, 1, learning_rate)
    warm_up = round(WARM_UP_FRACTION * steps)
    if name == "exponential":
        return WarmedUpExponentialDecay(learning_rate, warm_up, steps - warm_up, FINAL_FRACTION)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=learning_rate,
        warmup_steps=warm_up,
        decay_steps=steps - warm_up,
        alpha=FINAL_FRACTION,
    )


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WarmedUpExponentialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a line and falls exponentially.

    Args:
        learning_rate: the highest.
        warmup_steps: in which it rises from 0.
        decay_steps: in which it falls, to `final_fraction` of itself; it goes on falling.
        final_fraction: above 0.
    """

    def __init__(
        self, learning_rate: float, warmup_steps: int, decay_steps: int, final_fraction: float
    ):
        super().__init__()
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.final_fraction = final_fraction

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rising = step / max(1, self.warmup_steps)
        fallen = (step - self.warmup_steps) / max(1, self.decay_steps)
        falling = tf.pow(self.final_fraction, tf.maximum(fallen, 0.0))
        return self.learning_rate * tf.minimum(rising if self.warmup_steps else 1.0, falling)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
            "final_fraction": self.final_fraction,
        }
