"""Ctrl-C during training: a checkpoint in the middle of an epoch, and resuming from it."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

import keras

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A request to stop the process.

    Attributes:
        signal: number of the signal that was received; None if there was none.
    """

    def __init__(self):
        self.signal: int | None = None

    def stop(self) -> None:
        """Raises the exception that ends the process as the signal would have ended it.

        Raises:
            KeyboardInterrupt: for SIGINT.
            SystemExit: for SIGTERM, with the exit code of a process that it ended.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + int(self.signal or 0))


@contextlib.contextmanager
def delayed_interruption() -> Iterator[Interruption]:
    """Context in which the first SIGINT or SIGTERM is only recorded; a second one acts as usual.

    Outside the main thread, where Python cannot handle signals, they act as usual.
    """
    interruption = Interruption()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.getsignal(number) for number in SIGNALS}
    # Ignored signals stay ignored (nohup); handlers that are not Python's cannot be restored.
    previous = {n: old for n, old in previous.items() if old not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def record(number, frame) -> None:
        interruption.signal = number
        restore()
        with contextlib.suppress(RuntimeError):  # the signal came while a line was printed
            print(
                "\ninterrupted: a checkpoint is written after this step; interrupt again to stop "
                "at once, without one",
                file=sys.stderr,
                flush=True,
            )

    for number in previous:
        signal.signal(number, record)
    try:
        yield interruption
    finally:
        restore()


def metrics_state(model) -> list[float] | None:
    """Returns the values of the variables of a model's metrics, for `FinishEpoch`.

    Returns:
        None for several replicas, each of which has only its part of the state.
    """
    if model.distribute_strategy.num_replicas_in_sync > 1:
        return None
    return [float(variable.numpy()) for variable in model.metrics_variables]


class FinishEpoch(keras.callbacks.Callback):
    """Makes the first epoch of `fit` the rest of an interrupted epoch.

    This callback must precede every callback that sets `stop_training`.

    Args:
        batches: number of batches left in the epoch.
        metrics: state of the metrics over the earlier batches of the epoch; None resets it.
    """

    def __init__(self, batches: int, metrics: Sequence[float] | None):
        super().__init__()
        self.batches_left = batches
        self.metrics = metrics

    def on_epoch_begin(self, epoch, logs=None):
        if self.metrics is not None:
            self.model.build_metrics()
            for variable, value in zip(self.model.metrics_variables, self.metrics, strict=True):
                variable.assign(value)
        self.metrics = None

    def on_train_batch_end(self, batch, logs=None):
        self.batches_left -= 1
        if self.batches_left == 0:
            self.model.stop_training = True  # `fit` ends the epoch

    def on_epoch_end(self, epoch, logs=None):
        if self.batches_left == 0:  # only at the end of the first epoch; negative after it
            self.model.stop_training = False
