"""How far training is, in a line."""

import sys
import time

import keras

from wavenet_tf.training.optimizers import num_updates


class ProgressLine(keras.callbacks.Callback):
    """Shows update, bits per sample, loss, speed and the time left.

    On a terminal the line is renewed as training goes on; each validation leaves one. Validating
    and tracing the first step do not count in the speed.

    Args:
        updates: of the whole run.
        samples: scored ones of an update, at most.
    """

    def __init__(self, updates: int, samples: int):
        super().__init__()
        self.updates = updates
        self.samples = samples
        self.seconds = 0.0
        self.timed_updates = 0
        self.next_time = 0.0

    def on_train_begin(self, logs=None):
        self.measured = None

    def on_epoch_begin(self, epoch, logs=None):
        self.measured = None

    def on_train_batch_end(self, batch, logs=None):
        now, update = time.perf_counter(), num_updates(self.model.optimizer)
        if self.measured is not None:
            then, before = self.measured
            self.seconds += now - then
            self.timed_updates += update - before
        self.measured = now, update
        if sys.stdout.isatty() and now > self.next_time:
            self.next_time = now + 0.2
            print(f"\r{self._line(update, logs)}\x1b[K", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        update = num_updates(self.model.optimizer)
        start = "\r" if sys.stdout.isatty() else ""
        end = "\x1b[K" if start else ""
        print(f"{start}{self._line(update, logs)}{end}", flush=True)

    def _line(self, update: int, logs: dict) -> str:
        bits = f"{logs['bits_per_sample']:.4f} bits per sample"
        if "val_bits_per_sample" in logs:
            bits += f", {logs['val_bits_per_sample']:.4f} in validation"
        line = f"update {update:,} of {self.updates:,}: {bits}, loss {logs['loss']:.4f}"
        if self.timed_updates:
            pace = self.seconds / self.timed_updates
            line += f", {self.samples / pace:,.0f} samples/s"
            line += f", {duration((self.updates - update) * pace)} left"
        return line


def duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    Args:
        seconds: to tell.

    Example:
    >>> duration(75.2), duration(7384)
    ('1:15', '2:03:04')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
