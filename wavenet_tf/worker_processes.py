"""Calls of functions that may crash, in processes of their own."""

import multiprocessing
import os
import signal
import threading
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


class WorkerProcess:
    """A process that calls functions, one after another; it starts with the first call.

    Args:
        name: of the process, for errors.
    """

    def __init__(self, name: str):
        self.name = name
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Any = None

    def call(self, function: Callable[..., Any], *arguments) -> Any:
        """Returns the result of a call.

        Args:
            function: a function of a module.
            *arguments: of the call.

        Raises:
            InputError: if the process ends without a result; the next call starts a new one.
            Exception: if the function raises it.
        """
        with self._lock:
            if self._process is None:
                context = multiprocessing.get_context("spawn")
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
                self._process.start()
                theirs.close()  # so that this process notices the end of the other
            try:
                self._pipe.send((function, arguments))
                result, error = self._pipe.recv()
            except (EOFError, OSError):
                process, self._process = self._process, None
                raise _ended(self.name, process) from None
        if error is not None:
            raise error
        return result


def _serve(pipe: Any) -> None:
    """Calls functions until the other process ends."""
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        _send_result(pipe, function, arguments)


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
        raise _ended(name, process) from None
    process.join()
    if error is not None:
        raise error
    return result


def _ended(name: str, process: Any) -> InputError:
    """Returns the error of a process that has ended without a result."""
    process.join()
    return InputError(f"{name}: the worker process ended with exit code {process.exitcode}")
