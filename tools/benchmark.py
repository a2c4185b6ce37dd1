"""Measures how fast a model samples, beside the machine's matrix products.

    python tools/benchmark.py --preset medium --batch_sizes 1,16,64

The yardstick is one float32 product of as many weights as a sampling step multiplies with the
batch, in numpy's BLAS on as many threads, measured in the same run and alternately.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import os
import platform
import resource
import sys
import time

import numpy as np
import tensorflow as tf
import threadpoolctl
from absl import flags

import wavenet_tf as wt
from wavenet_tf import files, generation, presets
from wavenet_tf.errors import InputError

_PRESET = flags.DEFINE_enum("preset", "medium", list(presets.PRESETS), "Size of the model.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", "1,16,64", "Streams sampled at once.")
_THREADS = flags.DEFINE_integer("threads", None, "Threads to use; all cores if not given.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Runs of which the median is taken.", 1)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")
_README = flags.DEFINE_string("readme", None, "Markdown file whose performance table to renew.")

TABLE_BEGIN, TABLE_END = "<!-- benchmark -->", "<!-- end of benchmark -->"


def weights_of_a_step(model: wt.WaveNet) -> int:
    """How many weights a sampling step multiplies: all kernels but the input's look-up table."""
    kernels = [weight for weight in model.trainable_weights if weight.name == "kernel"]
    return sum(int(np.prod(weight.shape)) for weight in kernels[1:])


def measure(model: wt.WaveNet, batch_size: int, threads: int | None, repeats: int) -> dict:
    """Times sampling and the yardstick alternately.

    Args:
        model: to sample from.
        batch_size: streams.
        threads: that sampling may use; None for every core.
        repeats: of which the medians are taken.
    """
    groups = generation.groups_of_streams(batch_size, threads)
    side = round(weights_of_a_step(model) ** 0.5)
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(side, side)).astype(np.float32)
    vectors = generator.normal(size=(batch_size, side)).astype(np.float32)
    start = time.perf_counter()
    blocks = model.stream(batch_size=batch_size, seed=0, threads=threads)
    next(blocks)
    first_block = time.perf_counter() - start
    next(blocks)
    steps, products = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        next(blocks)
        steps.append((time.perf_counter() - start) / generation.BLOCK_SIZE)
        with threadpoolctl.threadpool_limits(len(groups), user_api="blas"):
            times = []
            for _ in range(100):
                start = time.perf_counter()
                np.matmul(vectors, matrix)
                times.append(time.perf_counter() - start)
            products.append(np.median(times))
    blocks.close()
    step, product = float(np.median(steps)), float(np.median(products))
    return {
        "batch_size": batch_size,
        "threads": len(groups),
        "samples_per_second": batch_size / step,
        "real_time_factor": 1 / step / model.sample_rate,
        "step_microseconds": step * 1e6,
        "blas_microseconds": product * 1e6,
        "ratio": step / product,
        "compile_seconds": first_block - step * generation.BLOCK_SIZE,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def table(preset: str, rows: list[dict]) -> str:
    """The figures as a Markdown table, under a line that describes the machine."""
    lines = [
        f"`{preset}`, float32, {machine()}:",
        "",
        "| streams | threads | samples/s | x real time | step | BLAS product | ratio | compile | "
        "peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['batch_size']} | {row['threads']} | {row['samples_per_second']:,.0f} "
            f"| {row['real_time_factor']:.2f} | {row['step_microseconds']:,.0f} us "
            f"| {row['blas_microseconds']:,.0f} us | {row['ratio']:.2f} "
            f"| {row['compile_seconds']:.1f} s | {row['peak_megabytes']:,.0f} MB |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores and versions, in a line."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    return (
        f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, numpy {np.__version__}"
    )


def main(argv):
    """Measures, prints, and writes what the flags ask for."""
    command_line.refuse_words(argv)
    try:
        batch_sizes = [int(size) for size in _BATCH_SIZES.value]
    except ValueError as error:
        raise InputError(f"batch_sizes must be whole numbers; received {error}") from error
    model = wt.WaveNet.from_preset(_PRESET.value)
    rows = []
    for batch_size in batch_sizes:
        print(f"measuring {batch_size} streams ...", file=sys.stderr)
        rows.append(measure(model, batch_size, _THREADS.value, _REPEATS.value))
    text = table(_PRESET.value, rows)
    print(text)
    if _JSON.value:
        report = {"preset": _PRESET.value, "machine": machine(), "rows": rows}
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")
    if _README.value:
        with open(_README.value, encoding="utf-8") as file:
            before, _, rest = file.read().partition(TABLE_BEGIN)
        _, found, after = rest.partition(TABLE_END)
        if not found:
            raise InputError(f"{_README.value} has no place for the table: {TABLE_BEGIN}")
        files.write_text(_README.value, f"{before}{TABLE_BEGIN}\n\n{text}\n\n{TABLE_END}{after}")


if __name__ == "__main__":
    command_line.run(main)
