"""The choice of device, compiler and threads for sampling."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.options import STREAMS_FOR_GPU

# With this many streams per thread, a further thread is worth its own loop.
STREAMS_PER_THREAD = 4


class Plan(NamedTuple):
    """How streams are sampled.

    Attributes:
        device: as `tf.device` takes it.
        jit_compile: whether XLA compiles the loop; otherwise it is a plain graph.
        groups: indices of the streams of each thread.
    """

    device: str
    jit_compile: bool
    groups: list[np.ndarray]

    def __str__(self):
        compiler = "XLA" if self.jit_compile else "graph"
        streams = sum(len(group) for group in self.groups)
        return (
            f"{compiler} on {self.device}, {_count(streams, 'stream')} "
            f"in {_count(len(self.groups), 'thread')}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def plan(
    batch_size: int,
    threads: int | None = None,
    jit_compile: bool | None = None,
    device: str | None = None,
) -> Plan:
    """Fills in the sampling options that are None.

    A matrix product of few streams gains nothing from a second thread, and a step of the loop is
    too short to share. Streams are independent, so groups of them run on one thread each.

    Args:
        batch_size: number of streams.
        threads: largest number of threads; None uses every core.
        jit_compile: whether to compile with XLA; None does so if TensorFlow has it.
        device: as `tf.device` takes it; None takes a GPU for `STREAMS_FOR_GPU` streams or more,
            if there is one.

    Raises:
        InputError: for a number of threads below 1, or XLA if TensorFlow has none.
    """
    has_xla = tf.test.is_built_with_xla()
    if jit_compile and not has_xla:
        raise InputError("jit_compile must be None or False: this TensorFlow is built without XLA")
    if device is None:
        gpu = tf.config.list_logical_devices("GPU") and batch_size >= STREAMS_FOR_GPU
        device = "GPU:0" if gpu else "CPU:0"
    cores = os.cpu_count() or 1
    threads = cores if threads is None else positive_integer("threads", threads)
    if "CPU" not in device.upper():
        threads = 1  # one loop keeps the device busy
    groups = max(1, min(threads, batch_size // STREAMS_PER_THREAD))
    return Plan(
        device=device,
        jit_compile=has_xla if jit_compile is None else jit_compile,
        groups=np.array_split(np.arange(batch_size), groups),
    )
