"""Measures how fast models sample in headless Chromium: LiteRT and libwavenet, in turn.

    python tools/benchmark_browser.py --preset small --preset medium

The page of export/web opens the models one after the other, and samples one stream on one thread.
Node and Chromium must be installed, and the page be built (`npm ci && npm run build`).
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import browser
import numpy as np
from absl import flags
from measuring import machine

import wavenet_tf as wt
from wavenet_tf import files, models
from wavenet_tf.errors import InputError

_PRESET = flags.DEFINE_multi_enum(
    "preset", ["small"], list(models.PRESETS), "Size of the model; may be given several times."
)
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Seconds of audio of each measurement.", 0.1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Measurements of which the median is taken.", 1)
_JSON = command_line.define_path("json", None, "File to write the figures to.")

WEB = Path(__file__).resolve().parent.parent / "export" / "web"
# Longest time of one measurement: large models are slower than real time by far.
LONGEST_SECONDS = 600
RUNTIMES = {
    "LiteRT, float32": "float32.tflite",
    "LiteRT, int8": "int8.tflite",
    "libwavenet, float32": "float32.wn",
    "libwavenet, int8": "int8.wn",
}


def export(preset: str, folder: Path) -> list[Path]:
    """Writes the files of an untrained model for all runtimes, and returns their paths."""
    model = wt.WaveNet.from_preset(preset)
    paths = [folder / f"{preset}_{name}" for name in RUNTIMES.values()]
    for path, quantization in zip(paths[:2], ("none", "dynamic_int8"), strict=True):
        signatures = wt.deployment.TFLiteSignatures(model)
        path.write_bytes(wt.deployment.convert(signatures, quantization))
    for path, precision in zip(paths[2:], ("float32", "int8"), strict=True):
        path.write_bytes(wt.deployment.convert_native(model, precision))
    return paths


@contextmanager
def served(paths: Sequence[Path]) -> Iterator[str]:
    """Serves the page and models on a free port of this machine, and yields the page's address."""
    words = ["node", str(WEB / "server.js"), "--port=0", *map(str, paths)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip().partition("?")[0]
        finally:
            server.terminate()


def measure(paths: Sequence[Path], seconds: float, repeats: int) -> dict[str, float]:
    """Generates with each model in turn.

    Args:
        paths: of model files.
        seconds: of audio to generate.
        repeats: of which the medians are taken.

    Returns:
        Samples a second, by the name of the file.

    Raises:
        InputError: if the page shows an error.
    """
    speeds: dict[str, list[float]] = {path.name: [] for path in paths}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(paths) as address,
        browser.opened(Path(folder)) as page,
    ):
        for _ in range(repeats):
            for name, measured in speeds.items():
                page.go(f"{address}?model=/models/{name}&seed=1&seconds={seconds}&autostart")
                page.wait(
                    lambda: page.visible("#download") or page.text("#problem"), LONGEST_SECONDS
                )
                if problem := page.text("#problem"):
                    raise InputError(f"{name} does not run in the page: {problem}")
                digits = re.sub(r"\D", "", page.text("#speed"))
                measured.append(float(digits))
    return {name: float(np.median(measured)) for name, measured in speeds.items()}


def table(preset: str, speeds: dict[str, float]) -> str:
    """Returns the figures of a preset as a Markdown table."""
    rows = {runtime: speeds[f"{preset}_{name}"] for runtime, name in RUNTIMES.items()}
    slowest = rows["LiteRT, float32"]
    lines = [
        f"`{preset}`, {machine()}:",
        "",
        "| runtime | samples/s | ratio |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {name} | {speed:,.0f} | {speed / slowest:.2f} |" for name, speed in rows.items()]
    return "\n".join(lines)


def check_installed() -> None:
    """Raises InputError if something that the page needs is missing."""
    if not shutil.which("node"):
        raise InputError("Node is missing, which serves the page: install nodejs and npm")
    if browser.program() is None:
        raise InputError("Chromium is missing: install chromium or google-chrome")
    for part in ("node_modules", "libwavenet.wasm"):
        if not (WEB / part).exists():
            raise InputError(
                f"{WEB / part} is missing: run npm ci && npm run build in {WEB}, which needs "
                "clang, lld and wasi-libc"
            )


def main(argv):
    """Measures and prints what the flags ask for."""
    command_line.refuse_words(argv)
    command_line.check_output("json", _JSON.value)
    check_installed()
    speeds: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for preset in _PRESET.value:
            print(f"measuring {preset} ...", file=sys.stderr)
            paths = export(preset, Path(folder))
            speeds[preset] = measure(paths, _SECONDS.value, _REPEATS.value)
            print(table(preset, speeds[preset]), end="\n\n", flush=True)
    if _JSON.value:
        report = {"machine": machine(), "samples_per_second": speeds}
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
