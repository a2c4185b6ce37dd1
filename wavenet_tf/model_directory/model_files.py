"""The model files in a model directory, found without TensorFlow."""

import dataclasses
import json
import os
import re
import warnings
import zipfile
import zlib
from pathlib import Path

from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.log import best_validation

FINAL_MODEL = "model.keras"
BEST = "best"
LAST = "last"
POSITION = "position.json"  # member of a model's zip file
CHECKPOINT = re.compile(r"step_(\d+)[.]keras")


@dataclasses.dataclass(frozen=True)
class Position:
    """The position in a run at which a model was written.

    Attributes:
        step: number of optimizer steps; None if the file does not state it.
        batches: number of batches that the model was trained on; None if the file does not state
            it. A step may use several batches, and with float16 some batches lead to no step.
        metrics: state of the training metrics, if the file was written in the middle of an epoch.
    """

    step: int | None = None
    batches: int | None = None
    metrics: list[float] | None = None


def read_position(path: Path) -> Position:
    """Returns the position in the run that is stored in a model's file.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            stored = POSITION in archive.namelist()
            return Position(**json.loads(archive.read(POSITION))) if stored else Position()
    except (zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError) as error:
        raise InputError(f"cannot read {path} as a model: {error}") from error


def describe_model(path: Path) -> str:
    """Returns the kind and the step of a model's file, such as "model.keras of step 7"."""
    step = read_position(path).step
    file = FINAL_MODEL if path.name == FINAL_MODEL else "the checkpoint"
    return f"{file} of step {'unknown' if step is None else f'{step:,}'}"


def checkpoints(model_dir: Path) -> list[Path]:
    """Returns the checkpoints by the steps in their names, the first step first."""
    paths = model_dir.glob("checkpoints/step_*.keras")
    return sorted((path for path in paths if CHECKPOINT.fullmatch(path.name)), key=step_from_name)


def step_from_name(path: Path) -> int:
    """Returns the step in the file name of a checkpoint."""
    return int(path.stem.split("_")[1])


def find_model(model_dir: str | os.PathLike, step: int | str = LAST) -> Path:
    """Returns the path of the model of a step.

    File times do not matter: copies and archives change them.

    Args:
        model_dir: of a training run.
        step: number of steps of a checkpoint; "best" for the checkpoint with the best validation;
            "last" for the model of the last step, which is `model.keras` or a later checkpoint.

    Raises:
        InputError: if there is no such model.
    """
    model_dir = Path(model_dir)
    if not model_dir.is_dir():
        raise InputError(f"no model directory at {model_dir}")
    if step != LAST:
        return _find_checkpoint(model_dir, step)
    final, existing = model_dir / FINAL_MODEL, checkpoints(model_dir)
    if not final.exists():
        if existing:
            return existing[-1]
        raise InputError(
            f"{model_dir} holds no model: expected {FINAL_MODEL} or a checkpoint of a training run"
        )
    return existing[-1] if existing and _is_older(final, existing[-1]) else final


def _is_older(final: Path, checkpoint: Path) -> bool:
    """Returns whether the final model is of an earlier step than a checkpoint."""
    step = read_position(final).step
    if step is None:
        warnings.warn(
            f"{final} does not state its step; the last checkpoint is of step "
            f"{step_from_name(checkpoint)}, and can be chosen by its step",
            stacklevel=4,
        )
    return step is not None and step < step_from_name(checkpoint)


def _find_checkpoint(model_dir: Path, step: int | str) -> Path:
    paths = {step_from_name(path): path for path in checkpoints(model_dir)}
    if step == BEST:
        # The log may be ahead of the checkpoints.
        best = best_validation(model_dir, last_step=max(paths, default=0))
        step = BEST if best is None else best.step
    elif not str(step).isdecimal():
        raise InputError(f"step must be a whole number, {BEST!r} or {LAST!r}; received {step!r}")
    if str(step).isdecimal() and int(step) in paths:
        return paths[int(step)]
    existing = ", ".join(map(str, paths)) or "none"
    raise InputError(f"no checkpoint of step {step}; there are {existing}")
