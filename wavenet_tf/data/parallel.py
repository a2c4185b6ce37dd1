"""Calls of a function for many clips, in threads."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# After this time, in seconds, a terminal shows a progress bar.
PROGRESS_AFTER_SECONDS = 2.0


def map_in_threads(function: Callable[[Any], Any], arguments: Sequence, unit: str) -> list:
    """Calls a function with each of the arguments, in one thread per core.

    Threads save time if the function releases Python's global lock, as TensorFlow and NumPy do.

    Args:
        function: a function of one argument.
        arguments: the argument of each call.
        unit: noun for the argument of a call, for the progress bar.

    Returns:
        The results, in the order of the arguments.

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
