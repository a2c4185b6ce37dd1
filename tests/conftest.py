"""What the tests share: a small model with weights that are not near zero, and small recordings."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Shells start programs in the background with SIGINT ignored, which child processes inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from programs import Program  # noqa: E402

import wavenet_tf as wt  # noqa: E402

SMALL = {
    "num_stacks": 2,
    "layers_per_stack": 3,
    "residual_channels": 8,
    "gate_channels": 6,
    "skip_channels": 12,
    "head_channels": 10,
    "sample_rate": 8000,
}


def randomise(layer: keras.layers.Layer, seed: int = 0, scale: float = 0.4) -> None:
    """Gives every weight, biases too, values that make each part of the layer count."""
    generator = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(generator.normal(scale=scale, size=weight.shape))


def small_model(**overrides) -> wt.WaveNet:
    model = wt.WaveNet(**{**SMALL, **overrides})
    randomise(model)
    return model


@pytest.fixture(autouse=True)
def collected_garbage():
    """Collects garbage after each test and exempts what is left from later collections.

    Traced graphs are millions of Python objects. Otherwise they pile up to gigabytes, and each
    collection goes through all of them.
    """
    yield
    gc.collect()
    gc.freeze()


def tone(seconds: float = 0.5, sample_rate: int = 8000, frequency: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture
def recordings_dir(tmp_path) -> Path:
    """A folder of eight tones of half a second at 8 kHz."""
    for index in range(8):
        path = tmp_path / "recordings" / f"tone_{index}.wav"
        wt.write_audio(path, tone(frequency=300.0 + 50.0 * index), 8000)
    return tmp_path / "recordings"


def run_program(program, *arguments, fresh: bool = False) -> subprocess.CompletedProcess:
    """Runs a program of tools/ as a user does.

    Args:
        program: its path, from tools/ on.
        arguments: of the program.
        fresh: whether in a new interpreter, which has imported nothing yet.
    """
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    words = [str(ROOT / "tools" / program), *map(str, arguments)]
    if fresh:
        return subprocess.run(
            [sys.executable, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    process = Program(words, environment)
    outputs = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, *outputs)


# Runs a program where modules are not installed, named first and joined by commas.
WITHOUT = """
import runpy, sys
from importlib.machinery import PathFinder

missing, find = sys.argv[1].split(","), PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: (
    None if name.partition(".")[0] in missing else find(name, *more)
)
program = sys.argv[2]
sys.path.insert(0, program.rpartition("/")[0])
del sys.argv[:2]
runpy.run_path(program, run_name="__main__")
"""
TENSORFLOW = "tensorflow,keras,soxr,matplotlib"


@pytest.fixture
def run_without(tmp_path):
    """Runs a program, or the text of one, without some modules."""

    def run(missing, program, *arguments):
        bare, script = tmp_path / "bare.py", program
        bare.write_text(WITHOUT)
        if "\n" in str(program):
            script = tmp_path / "script.py"
            script.write_text(program)
        return run_program(bare, missing, script, *arguments, fresh=True)

    return run
