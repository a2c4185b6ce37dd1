"""Measures how fast the runtimes of one model sample, alternately and in one run.

    python tools/benchmark_runtimes.py --preset medium --batch_sizes 1,64 --threads 1

The runtimes are `model.generate`, TFLite in float32 and with 8-bit weights, and libwavenet in
float32 and int8. The yardstick is one float32 product of as many weights as a sampling step
multiplies with the batch, in numpy's BLAS on as many threads.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from measuring import apart, machine, seconds_of, weights_of_a_step

import wavenet_tf as wt
from wavenet_tf import files, lite, models, native

_PRESET = flags.DEFINE_multi_enum(
    "preset", ["medium"], list(models.PRESETS), "Size of the model; may be given several times."
)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", "1,64", "Streams sampled at once.")
_THREADS = flags.DEFINE_integer("threads", 1, "Threads to use.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Blocks of which the median is taken.", 1)
_JSON = command_line.define_path("json", None, "File to write the figures to.")

BLOCK_SIZE = 256


def open_streams(
    model: wt.WaveNet, batch_size: int, threads: int, folder: str
) -> dict[str, Iterator[np.ndarray]]:
    """Returns a stream of each runtime, by its name.

    Args:
        model: without conditioning.
        batch_size: streams.
        threads: that each runtime may use.
        folder: for the exported files.
    """
    streams: dict[str, Iterator[np.ndarray]] = {
        "model.generate": model.stream(batch_size, seed=0, block_size=BLOCK_SIZE, threads=threads)
    }
    for name, quantization in (("float32", "none"), ("int8", "dynamic_int8")):
        path = Path(folder, f"{name}.tflite")
        signatures = wt.deployment.TFLiteSignatures(model, BLOCK_SIZE, batch_size)
        path.write_bytes(wt.deployment.convert(signatures, quantization))
        streams[f"TFLite, {name}"] = lite.Runner(path, threads).stream(seed=0)
    for name in ("float32", "int8"):
        path = Path(folder, f"{name}.wn")
        path.write_bytes(wt.deployment.convert_native(model, name, BLOCK_SIZE))
        streams[f"native, {name}"] = native.Runner(path, threads, batch_size).stream(seed=0)
    return streams


def measure(preset: str, batch_size: int, threads: int, repeats: int) -> dict[str, float]:
    """Times a step of each runtime, and the yardstick, alternately.

    Args:
        preset: of the model.
        batch_size: streams.
        threads: that each runtime may use.
        repeats: of which the medians are taken.

    Returns:
        Microseconds a step, by the names of the runtimes, and those of "BLAS product".
    """
    import threadpoolctl

    model = wt.WaveNet.from_preset(preset)
    side = round(weights_of_a_step(model) ** 0.5)
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(side, side)).astype(np.float32)
    vectors = generator.normal(size=(batch_size, side)).astype(np.float32)
    times: dict[str, list[float]] = {"BLAS product": []}
    with tempfile.TemporaryDirectory() as folder:
        streams = open_streams(model, batch_size, threads, folder)
        for stream in streams.values():
            next(stream)
        for _ in range(repeats):
            for name, stream in streams.items():
                times.setdefault(name, []).append(seconds_of(next, stream) / BLOCK_SIZE)
            with threadpoolctl.threadpool_limits(threads, user_api="blas"):
                products = [seconds_of(np.matmul, vectors, matrix) for _ in range(50)]
            times["BLAS product"].append(float(np.median(products)))
    return {name: float(np.median(seconds)) * 1e6 for name, seconds in times.items()}


def table(preset: str, batch_size: int, threads: int, steps: dict[str, float]) -> str:
    """Returns the figures of `measure` as a Markdown table."""
    product = steps["BLAS product"]
    lines = [
        f"`{preset}`, streams: {batch_size}, threads: {threads}, {machine()}:",
        "",
        "| runtime | step | samples/s | of a BLAS product | speed to model.generate |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, step in steps.items():
        lines.append(
            f"| {name} | {step:,.1f} us | {batch_size / step * 1e6:,.0f} | {step / product:.2f} "
            f"| {steps['model.generate'] / step:.2f} |"
        )
    return "\n".join(lines)


def main(argv):
    """Measures and prints what the flags ask for."""
    command_line.refuse_words(argv)
    batch_sizes = command_line.whole_numbers("batch_sizes", _BATCH_SIZES.value)
    command_line.check_output("json", _JSON.value)
    rows = []
    for preset in _PRESET.value:
        for batch_size in batch_sizes:
            print(f"measuring {preset}, {batch_size} streams ...", file=sys.stderr)
            steps = apart(measure, preset, batch_size, _THREADS.value, _REPEATS.value)
            rows.append({"preset": preset, "batch_size": batch_size, "step_microseconds": steps})
            print(table(preset, batch_size, _THREADS.value, steps), end="\n\n")
    if _JSON.value:
        report = {"machine": machine(), "threads": _THREADS.value, "rows": rows}
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
