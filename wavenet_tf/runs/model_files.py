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
from wavenet_tf.runs.log import best_validation

FINAL_MODEL = "model.keras"
BEST = "best"
POSITION = "position.json"  # in a model's file
CHECKPOINT = re.compile(r"update_(\d+)[.]keras")


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a run was when it wrote a model.

    Attributes:
        step: of the optimizer; None where the file does not say.
        batches: that the model was trained on; None where the file does not say. A step may be of
            several batches, and with float16 some batches lead to no step.
        metrics: state of the training metrics, where the file was written within an epoch.
    """

    step: int | None = None
    batches: int | None = None
    metrics: list[float] | None = None


def read_position(path: Path) -> Position:
    """Returns what a model's file says of its position in the run.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            known = POSITION in archive.namelist()
            return Position(**json.loads(archive.read(POSITION))) if known else Position()
    except (zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError) as error:
        raise InputError(f"cannot read {path} as a model: {error}") from error


def checkpoints(model_dir: Path) -> list[Path]:
    """Returns the checkpoints by the steps in their names, the first step first."""
    paths = model_dir.glob("checkpoints/update_*.keras")
    return sorted((path for path in paths if CHECKPOINT.fullmatch(path.name)), key=update_of)


def update_of(path: Path) -> int:
    """Returns the number of updates of a checkpoint, by its file name."""
    return int(path.stem.split("_")[1])


def find_model(model_dir: str | os.PathLike, update: int | str | None = None) -> Path:
    """Returns the path of the model of the last step: `model.keras`, or a later checkpoint.

    File times do not count: copies and archives change them.

    Args:
        model_dir: of a training run.
        update: takes the checkpoint of this update instead; "best" that with the best validation.

    Raises:
        InputError: if there is none.
    """
    model_dir = Path(model_dir)
    if not model_dir.is_dir():
        raise InputError(f"no model directory at {model_dir}")
    if update is not None:
        return _find_checkpoint(model_dir, update)
    final, kept = model_dir / FINAL_MODEL, checkpoints(model_dir)
    if not final.exists():
        if kept:
            return kept[-1]
        raise InputError(
            f"{model_dir} holds no model: expected {FINAL_MODEL} or a checkpoint of a training run"
        )
    return kept[-1] if kept and _is_older(final, kept[-1]) else final


def _is_older(final: Path, checkpoint: Path) -> bool:
    """Whether the final model is of an earlier step than a checkpoint."""
    step = read_position(final).step
    if step is None:
        warnings.warn(
            f"{final} does not say of which step it is; the last checkpoint is of step "
            f"{update_of(checkpoint)}, and can be chosen by its step",
            stacklevel=4,
        )
    return step is not None and step < update_of(checkpoint)


def _find_checkpoint(model_dir: Path, update: int | str) -> Path:
    kept = {update_of(path): path for path in checkpoints(model_dir)}
    if update == BEST:
        # The log may be ahead of the checkpoints.
        best = best_validation(model_dir, done=max(kept, default=0))
        update = BEST if best is None else best.update
    elif not str(update).isdecimal():
        raise InputError(f"update must be a whole number or {BEST!r}; received {update!r}")
    if str(update).isdecimal() and int(update) in kept:
        return kept[int(update)]
    known = ", ".join(map(str, kept)) or "none"
    raise InputError(f"no checkpoint of update {update}; kept are {known}")
