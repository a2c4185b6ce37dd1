"""The model files in a model directory, found without TensorFlow."""

import os
from pathlib import Path

from wavenet_tf.errors import InputError
from wavenet_tf.runs.log import best_validation

FINAL_MODEL = "model.keras"
BEST = "best"


def checkpoints(model_dir: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted(model_dir.glob("checkpoints/update_*.keras"))


def update_of(path: Path) -> int:
    """Returns the number of updates of a checkpoint, by its file name."""
    return int(path.stem.split("_")[1])


def find_model(model_dir: str | os.PathLike, update: int | str | None = None) -> Path:
    """Returns the path of the newest model: the final one, or else the last checkpoint.

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
    final = [path for path in [model_dir / FINAL_MODEL] if path.exists()]
    models = sorted([*checkpoints(model_dir), *final], key=lambda path: path.stat().st_mtime)
    if not models:
        raise InputError(
            f"{model_dir} holds no model: expected {FINAL_MODEL} or a checkpoint of a training run"
        )
    return models[-1]


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
