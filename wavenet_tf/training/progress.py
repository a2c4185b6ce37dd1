"""The progress of training, as a line of text."""

import sys
import time

import keras

from wavenet_tf.options import MONITORED_METRICS, monitored_metric
from wavenet_tf.training.optimizers import num_steps


class ProgressLine(keras.callbacks.Callback):
    """Prints step, the metric by which checkpoints are compared, loss, speed and remaining time.

    On a terminal the line is rewritten during the epoch; each validation leaves one line. The speed
    does not include validation or the tracing of the first step.

    Args:
        steps: of the whole run.
        samples: scored samples of a step, at most.
        unit: what these samples are, in the plural.
    """

    def __init__(self, steps: int, samples: int, unit: str = "samples"):
        super().__init__()
        self.steps = steps
        self.samples = samples
        self.unit = unit
        self.seconds = 0.0
        self.timed_steps = 0
        self.next_time = 0.0

    def on_train_begin(self, logs=None):
        self.measured = None

    def on_epoch_begin(self, epoch, logs=None):
        self.measured = None

    def on_train_batch_end(self, batch, logs=None):
        now, step = time.perf_counter(), num_steps(self.model.optimizer)
        if self.measured is not None:
            then, before = self.measured
            self.seconds += now - then
            self.timed_steps += step - before
        self.measured = now, step
        if sys.stdout.isatty() and now > self.next_time:
            self.next_time = now + 0.2
            print(f"\r{self._line(step, logs)}\x1b[K", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        step = num_steps(self.model.optimizer)
        start = "\r" if sys.stdout.isatty() else ""
        end = "\x1b[K" if start else ""
        print(f"{start}{self._line(step, logs)}{end}", flush=True)

    def _line(self, step: int, logs: dict) -> str:
        metric = monitored_metric(logs) or "loss"
        value = f"{logs[metric]:.4f} {MONITORED_METRICS[metric]}"
        if f"val_{metric}" in logs:
            value += f", {logs[f'val_{metric}']:.4f} in validation"
        line = f"step {step:,} of {self.steps:,}: {value}"
        if metric != "loss":
            line += f", loss {logs['loss']:.4f}"
        if self.timed_steps:
            seconds_per_step = self.seconds / self.timed_steps
            line += f", {self.samples / seconds_per_step:,.0f} {self.unit}/s"
            line += f", {format_duration((self.steps - step) * seconds_per_step)} left"
        return line


def format_duration(seconds: float) -> str:
    """Returns a duration as hours, minutes and seconds.

    Args:
        seconds: the duration.

    Example:
    >>> format_duration(75.2), format_duration(7384)
    ('1:15', '2:03:04')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
