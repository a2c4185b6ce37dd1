"""Calls of a function that may crash, each in a new process."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from typing import Any

from wavenet_tf.errors import InputError


def map_in_new_processes(
    function: Callable[..., Any], arguments: Mapping[str, tuple], workers: int | None = None
) -> Iterator[tuple[str, Any]]:
    """Calls a function with each of the arguments, each time in a new process.

    Args:
        function: a function of a module.
        arguments: the arguments of each call, by the name of the call.
        workers: the most processes at a time; None for one per core.

    Yields:
        The name of a call and its result, as calls end.

    Raises:
        InputError: if a process ends without a result; names the call.
        Exception: if the function raises it.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(arguments)[::-1]
    running: dict[Any, tuple[str, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or os.cpu_count() or 1):
                name = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_send_result, args=(sender, function, arguments[name]), daemon=True
                )
                process.start()
                sender.close()  # so that the receiver notices the end of the process
                running[receiver] = name, process
            for ready in wait(list(running)):
                name, process = running[ready]
                result = _receive(ready, name, process)
                del running[ready]
                yield name, result
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def _send_result(sender: Connection, function: Callable[..., Any], arguments: tuple) -> None:
    """Sends the result of a call, or its exception; the parent alone reports an interruption."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        sender.send((function(*arguments), None))
    except Exception as error:
        sender.send((None, error))


def _receive(receiver: Any, name: str, process: Any) -> Any:
    """Returns the result of a call, or raises its exception."""
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        raise InputError(f"{name}: the worker process ended with exit code {code}") from None
    process.join()
    if error is not None:
        raise error
    return result
