"""Worker processes that write shards."""

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

from wavenet_tf.data.preparing.preparation import ResolvedPreparation
from wavenet_tf.data.preparing.shards import SHARDS, Shard, StoppedError, write_shard
from wavenet_tf.errors import InputError


def write_shards(
    output: Path,
    preparation: ResolvedPreparation,
    shards: list[Shard],
    workers: int,
    progress: bool,
) -> None:
    """Writes shards in worker processes.

    Args:
        output: folder of the preparation.
        preparation: its settings.
        shards: the shards to write.
        workers: the most processes; 1 writes in this process.
        progress: show a progress bar.

    Raises:
        InputError: if a worker process was killed.
    """
    (output / SHARDS).mkdir(exist_ok=True)
    for incomplete in (output / SHARDS).glob(".shard-*"):
        incomplete.unlink()
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
        executor = ThreadPoolExecutor(1, initializer=_start_worker, initargs=(done, stop))
    else:
        arguments = (done, stop, os.getpid())
        executor = ProcessPoolExecutor(workers, context, _start_worker, arguments)
    waiting = {executor.submit(_run_shard, output, preparation, shard) for shard in shards}
    try:
        while waiting:
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            bar.update(done.value, finalize=not waiting)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker was killed, perhaps for lack of memory; call again with fewer workers to "
            "continue"
        ) from error
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


# In a worker: the number of clips that all workers have finished, and an event that stops them.
_progress: tuple[Any, Any]


def _start_worker(done, stop, parent: int | None = None) -> None:
    """Initializes a worker. A process exits when its parent has exited for whatever reason."""
    global _progress
    _progress = done, stop
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers


def _run_shard(output: Path, preparation: ResolvedPreparation, shard: Shard) -> None:
    write_shard(output, preparation, shard, _count)


def _count() -> None:
    """Counts a finished clip; raises StoppedError if all workers are to stop."""
    done, stop = _progress
    if stop.is_set():
        raise StoppedError
    with done.get_lock():
        done.value += 1
