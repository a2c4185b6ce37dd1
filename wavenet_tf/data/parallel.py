"""Work on many clips at once, in threads."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Work that lasts longer shows a progress bar on a terminal, in seconds.
PROGRESS_AFTER_SECONDS = 2.0


def map_in_threads(function: Callable[[Any], Any], arguments: Sequence, unit: str) -> list:
    """Calls a function with each of some arguments, in a thread for each core.

    Threads help as far as the function leaves Python's lock, as TensorFlow and NumPy do.

    Args:
        function: of one argument.
        arguments: of the calls.
        unit: what a call works on, for the progress bar.

    Returns:
        What the function returned, in the order of the arguments.

    Example:
    >>> map_in_threads(abs, [-1, 2], "number")
    [1, 2]
    """
    import keras

    results: list = []
    began = time.monotonic()
    bar = keras.utils.Progbar(len(arguments), unit_name=unit)
    executor = ThreadPoolExecutor(os.cpu_count())
    try:
        for result in executor.map(function, arguments):
            results.append(result)
            if sys.stdout.isatty() and time.monotonic() - began > PROGRESS_AFTER_SECONDS:
                bar.update(len(results))
    finally:
        executor.shutdown(cancel_futures=True)
    return results
