"""The command `wavenet`, from a wheel that is installed into an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from wavenet_tf import command, native

# Everything of these folders that a user starts.
PROGRAMS = {"train", "generate", "evaluate", "prepare-data", "saved-model", "tflite", "verify"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what the wheel installs, and nothing else of the project."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site"
    for name in ("wavenet_tf", "tools", "export"):
        copy_sources(ROOT / name, source / name)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


def copy_sources(source: Path, target: Path) -> None:
    for path in source.rglob("*.*"):
        if path.suffix in (".py", ".pyi", ".c", ".h"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def wavenet(installed: Path, *words, folder: Path) -> subprocess.CompletedProcess:
    """Runs the command of the installation, in another folder than the project's."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, installed / "bin" / "wavenet", *map(str, words)],
        env={**environment, "PYTHONPATH": str(installed)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_programs_of_a_checkout_are_found():
    assert set(command.programs()) >= PROGRAMS
    assert "command-line" not in command.programs()
    assert all(command.summary(path).endswith(".") for path in command.programs().values())


@pytest.mark.slow
@pytest.mark.once
def test_the_command_of_a_wheel_starts_every_program(installed, tmp_path):
    shown = wavenet(installed, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert all(f"  {name} " in shown.stdout for name in command.programs())
    for name in command.programs():
        shown = wavenet(installed, name, "--help", folder=tmp_path)
        assert "flags:" in shown.stdout, shown.stderr
    unknown = wavenet(installed, "tain", folder=tmp_path)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("wavenet: unknown program 'tain': expected one of ")


@pytest.mark.slow
@pytest.mark.once
def test_the_command_of_a_wheel_trains_generates_and_exports(installed, recordings_dir, tmp_path):
    model = tmp_path / "model"
    small = ["--set=num_stacks=1", "--set=layers_per_stack=2", "--steps=2", "--crop_seconds=0.05"]
    for words in (
        ["train", f"--data_dir={recordings_dir}", f"--model_dir={model}", "--preset=tiny", *small],
        ["generate", f"--model_dir={model}", "--output=out.wav", "--seconds=0.1"],
        ["tflite", f"--model_dir={model}", "--output=model.tflite"],
        ["generate-tflite", "--model=model.tflite", "--output=lite.wav", "--seconds=0.1"],
    ):
        ended = wavenet(installed, *words, folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
        if words[0] == "generate" and native.is_available():
            assert "libwavenet (" in ended.stderr
    assert (tmp_path / "out.wav").exists()
    assert (tmp_path / "lite.wav").exists()
