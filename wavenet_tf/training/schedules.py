"""Learning-rate schedules."""

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.options import SCHEDULES

# The learning rate of a falling schedule at its end, as a fraction of the highest one.
FINAL_FRACTION = 0.01
# The fraction of the steps in which the learning rate rises.
WARM_UP_FRACTION = 0.02


def learning_rate_schedule(
    name: str, learning_rate: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate as a function of the step.

    Args:
        name: "cosine" and "exponential" rise in the first 2% of the steps and then fall, to 1% of
            the highest learning rate at the last step; "constant" does not change.
        learning_rate: the highest.
        steps: total number of steps.

    Raises:
        InputError: for an unknown name.

    Example:
    >>> rate = learning_rate_schedule("exponential", 0.01, steps=1000)
    >>> [round(float(rate(step)), 5) for step in (0, 10, 20, 510, 1000)]
    [0.0, 0.005, 0.01, 0.001, 0.0001]
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
    if name == "constant":
        # In a loaded optimizer, Keras lets only another schedule replace a schedule.
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
    """A learning rate that rises linearly from 0 and then falls exponentially.

    Args:
        learning_rate: the highest.
        warmup_steps: number of steps in which it rises.
        decay_steps: number of steps in which it falls to `final_fraction` of the highest; it falls
            further after them.
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
        progress = (step - self.warmup_steps) / max(1, self.decay_steps)
        falling = tf.pow(self.final_fraction, tf.maximum(progress, 0.0))
        return self.learning_rate * tf.minimum(rising if self.warmup_steps else 1.0, falling)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
            "final_fraction": self.final_fraction,
        }
