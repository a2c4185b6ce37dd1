"""Writing shards in several processes."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import (
    FIRST_EXCEPTION,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import keras

from wavenet_tf.data.preparing.preparation import SettledPreparation
from wavenet_tf.data.preparing.shards import SHARDS, Shard, StoppedError, write_shard
from wavenet_tf.errors import InputError


def write_shards(
    output: Path, preparation: SettledPreparation, shards: list[Shard], workers: int, progress: bool
) -> None:
    """Writes shards, some at a time."""
    (output / SHARDS).mkdir(exist_ok=True)
    for left_over in (output / SHARDS).glob(".shard-*"):
        left_over.unlink()
    if not shards:
        return
    total = sum(shard.clips for shard in shards)
    bar = keras.utils.Progbar(
        total, unit_name="clip", verbose=(1 if sys.stdout.isatty() else 2) if progress else 0
    )
    workers = min(workers, len(shards))
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    executor: Executor
    if workers == 1:
        executor = ThreadPoolExecutor(1, initializer=_begin_work, initargs=(done, stop))
    else:
        arguments = (done, stop, os.getpid())
        executor = ProcessPoolExecutor(workers, context, _begin_work, arguments)
    waiting = {executor.submit(_work, output, preparation, shard) for shard in shards}
    try:
        while waiting:
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            bar.update(done.value, finalize=not waiting)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker was killed, perhaps for want of memory; call again, with fewer workers, to "
            "go on"
        ) from error
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


# Of a worker: how many clips all of them have done, and whether to give up.
_progress: tuple[Any, Any]


def _begin_work(done, stop, parent: int | None = None) -> None:
    """Sets a worker up. A process ends with its parent, however that ends."""
    global _progress
    _progress = done, stop
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells it


def _work(output: Path, preparation: SettledPreparation, shard: Shard) -> None:
    write_shard(output, preparation, shard, _count)


def _count() -> None:
    """Counts a clip."""
    done, stop = _progress
    if stop.is_set():
        raise StoppedError
    with done.get_lock():
        done.value += 1
