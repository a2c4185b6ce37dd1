"""Checkpoints: models with the optimizer's state, of the most recent steps and the best one."""

import contextlib
import dataclasses
import json
import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras

from wavenet_tf import files, training
from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.log import BestValidation, best_validation
from wavenet_tf.model_directory.model_files import (
    LAST,
    POSITION,
    Position,
    checkpoints,
    describe_model,
    find_model,
    read_position,
    step_from_name,
)
from wavenet_tf.models import TrainableModel, WaveNet
from wavenet_tf.models.loading import assign_ema_weights, read_model
from wavenet_tf.options import compared_metric
from wavenet_tf.runs.interruption import Interruption, metrics_state


def load_model(
    model_dir: str | os.PathLike,
    step: int | str = LAST,
    verbose: bool = False,
    kind: type[TrainableModel] = WaveNet,
) -> Any:
    """Returns the model of a step from a model directory.

    File times do not matter: copies and archives change them. If training keeps an average of the
    weights (EMA), the model has the averaged weights.

    Args:
        model_dir: of a training run.
        step: number of steps of a checkpoint; "best" for the checkpoint with the best validation;
            "last" for the model of the last step, which is `model.keras` or a later checkpoint.
        verbose: print which file of which step is loaded.
        kind: class of the model, such as `WaveNetClassifier`; `TrainableModel` for any.

    Raises:
        InputError: if there is no such model, it cannot be read, or it is of another class.
    """
    path = find_model(model_dir, step)
    model = read_model(path, kind)
    if verbose:
        print(f"loaded {describe_model(path)}")
    assign_ema_weights(model)
    return model


def load_last_checkpoint(model_dir: Path) -> tuple[Any, Position] | None:
    """Returns the model of the last checkpoint that can be read, to resume training.

    Later checkpoints that cannot be read are renamed to `*.corrupted` with a warning.

    Returns:
        The model and its position in the run; None if there is no checkpoint.

    Raises:
        InputError: if there are checkpoints, but none can be read.
    """
    existing = checkpoints(model_dir)
    corrupted = []
    for path in reversed(existing):
        try:
            model, position = read_model(path), read_position(path)
        except InputError as error:
            warnings.warn(f"{error}; going back to the checkpoint before it", stacklevel=2)
            corrupted.append(path)
            continue
        for unreadable in corrupted:
            with contextlib.suppress(FileNotFoundError):  # another worker was first
                unreadable.rename(f"{unreadable}.corrupted")
        return model, position
    if existing:
        raise InputError(f"none of the checkpoints in {existing[0].parent} can be read")
    return None


def save(
    model: TrainableModel,
    path: Path,
    batches: int | None = None,
    metrics: list[float] | None = None,
) -> None:
    """Writes a model and its position in the run; the file is complete or not written at all.

    Args:
        model: to write; compiled.
        path: the file.
        batches: see `Position`.
        metrics: see `Position`.
    """
    position = Position(training.num_steps(model.optimizer), batches, metrics)
    with files.atomic_path(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(POSITION, json.dumps(dataclasses.asdict(position)))


def remove_incomplete_files(model_dir: Path) -> None:
    """Removes the files that a killed run did not finish."""
    for pattern in ("checkpoints/.step_*-*.keras", ".model-*.keras"):
        for path in model_dir.glob(pattern):
            path.unlink()


class WriteCheckpoint(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and removes old ones.

    An interruption ends training after the batch, with a checkpoint. If that batch is the last one
    of an epoch, the epoch is validated first, and training ends after the next batch.

    Of several workers, each has to have this callback, so that all stop at once; only the chief
    writes.

    Args:
        model_dir: of the run, whose log states which checkpoint is the best so far.
        kept: number of most recent checkpoints that are kept beside the best one.
        patience: epochs without a better validation after which training ends; None for no end.
        batches: number of batches that the model was trained on before.
        period: batches of an epoch, counted from the first batch of the run.
        interruption: that ends training; None for none.
    """

    def __init__(
        self,
        model_dir: Path,
        kept: int,
        patience: int | None = None,
        batches: int = 0,
        period: int | None = None,
        interruption: Interruption | None = None,
    ):
        super().__init__()
        self.batches = batches
        self.period = period
        self.interruption = interruption or Interruption()
        self.model_dir = model_dir
        self.kept = kept
        self.patience = patience

    def on_train_begin(self, logs=None):
        self.writes = training.is_chief(self.model.distribute_strategy)
        self.best = best_validation(self.model_dir, training.num_steps(self.model.optimizer))

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.interruption.signal is None:
            return
        ends_epoch = self.period is not None and self.batches % self.period == 0
        finite = math.isfinite(float((logs or {}).get("loss", 0.0)))
        if ends_epoch or self.model.stop_training or not finite:
            return
        if self.writes:
            step = training.num_steps(self.model.optimizer)
            self._write(step, metrics_state(self.model))
            print(f"checkpoint of step {step:,} written: the same command resumes from it")
        self.interruption.stop()

    def on_epoch_end(self, epoch, logs=None):
        step = training.num_steps(self.model.optimizer)
        metric = compared_metric(logs) or "loss"
        value = float(logs[f"val_{metric}"])
        if math.isfinite(value) and (self.best is None or value < self.best.value):
            self.best = BestValidation(step, value, metric=metric)
        elif self.best is not None:
            since = self.best.validations_since + 1
            self.best = dataclasses.replace(self.best, validations_since=since)
        if self.writes:
            self._write(step)
        if self.best is not None and self.best.ends_training(self.patience):
            if self.writes:
                print(self.best.reason)
            self.model.stop_training = True

    def _write(self, step: int, metrics: list[float] | None = None) -> None:
        path = self.model_dir / "checkpoints" / f"step_{step:08d}.keras"
        save(self.model, path, self.batches, metrics)
        for path in checkpoints(self.model_dir)[: -self.kept]:
            if self.best is None or step_from_name(path) != self.best.step:
                path.unlink()
