"""An estimate of a run's time and memory, from a few of its steps."""

import time

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import training
from wavenet_tf.runs.memory import peak_memory, total_memory
from wavenet_tf.runs.open_run import Run, open_run
from wavenet_tf.runs.settings import Settings
from wavenet_tf.runs.training_run import input_errors

# The time of the first batch includes tracing and is not used.
MEASURED_BATCHES = 4


def estimate(settings: Settings) -> str:
    """Trains on a few batches, and returns what a run would need; it writes no files.

    Args:
        settings: of the run.

    Returns:
        Parameters, receptive field, memory and time, in lines; of several workers, this one's.

    Raises:
        InputError: as `train` raises it.
    """
    run, step_seconds = measure_steps(settings)
    lines = [run.description]
    peak, total = peak_memory(), total_memory()
    if peak is not None:
        available = "" if total is None else f" of {total / 2**30:.1f} GiB"
        lines.append(f"memory      {peak / 2**30:.2f} GiB at most{available}, recordings included")
    if tf.config.list_physical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        lines.append(f"GPU memory  {peak / 2**30:.2f} GiB at most")
    duration = training.format_duration(step_seconds * settings.steps)
    lines.append(
        f"time        {duration} for {settings.steps:,} steps of {step_seconds:.2f} s "
        f"({run.step_samples / step_seconds:,.0f} samples/s), without validation"
    )
    return "\n".join(lines)


def measure_steps(settings: Settings) -> tuple[Run, float]:
    """Trains on a few batches; writes no files.

    Args:
        settings: of the run.

    Returns:
        The run, and the time of a step in seconds, without that of the first batch.

    Raises:
        InputError: as `train` raises it.
    """
    strategy = training.named_strategy(settings.strategy)
    times: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    with input_errors(strategy):
        run = open_run(settings, None, strategy)
        run.check_memory()
        run.model.fit(
            run.training_batches(),
            steps_per_epoch=MEASURED_BATCHES,
            callbacks=[clock],
            verbose=0,
        )
    return run, float(min(np.diff(times))) * settings.gradient_accumulation
