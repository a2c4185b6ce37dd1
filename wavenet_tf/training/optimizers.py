"""Optimizers and learning rates."""

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError

# Of the global norm. Ordinary steps stay below it; it catches the rare exploding one.
GRADIENT_CLIP_NORM = 1.0


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
