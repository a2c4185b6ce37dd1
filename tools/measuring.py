"""What benchmarks share: clocks, processes apart, and what is measured against."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import wavenet_tf as wt


def weights_of_a_step(model: wt.WaveNet) -> int:
    """How many weights every sampling step multiplies, and training with every sample.

    These are all kernels but the input's look-up table and those used less than once a sample, of
    context stacks.
    """
    seldom = {weight.path for stack in model.trunk.context_stacks for weight in stack.weights}
    seldom.add(model.trunk.input_convolution.kernel.path)
    kernels = [weight for weight in model.trainable_weights if weight.name == "kernel"]
    return sum(int(np.prod(weight.shape)) for weight in kernels if weight.path not in seldom)


def seconds_of(function, *arguments) -> float:
    """That a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def apart(function, *arguments):
    """The function's result, from a process of its own: memory and compilation count alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_megabytes() -> float:
    """Returns the most memory that this process has had."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """Processor, cores, GPUs and versions, in a line."""
    import tensorflow as tf

    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    gpus = [
        tf.config.experimental.get_device_details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join(
        [
            f"{name}, {os.cpu_count()} cores",
            *gpus,
            f"Python {platform.python_version()}",
            f"TensorFlow {tf.__version__}",
            f"numpy {np.__version__}",
        ]
    )
