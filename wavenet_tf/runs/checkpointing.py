"""Checkpoints: models with their optimizer's state, of which the newest and the best are kept."""

import contextlib
import dataclasses
import json
import math
import os
import warnings
import zipfile
from pathlib import Path

import keras
import tensorflow as tf

from wavenet_tf import files, training
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet
from wavenet_tf.runs.interruption import Interruption, metrics_state
from wavenet_tf.runs.log import BestValidation, best_validation
from wavenet_tf.runs.model_files import (
    FINAL_MODEL,
    POSITION,
    Position,
    checkpoints,
    find_model,
    read_position,
    update_of,
)


def load_model(
    model_dir: str | os.PathLike, update: int | str | None = None, verbose: bool = False
) -> WaveNet:
    """Returns the model of the last step in a model directory.

    That is `model.keras`, or a checkpoint of a later step. File times do not count: copies and
    archives change them. If training averages the weights (EMA), the model has the averaged ones.

    Args:
        model_dir: of a training run.
        update: step of the checkpoint to load instead; "best" for that of the best validation.
        verbose: print which file of which step is loaded.

    Raises:
        InputError: if there is none, or it cannot be read.
    """
    path = find_model(model_dir, update)
    model = load(path)
    if verbose:
        kind = FINAL_MODEL if path.name == FINAL_MODEL else "the checkpoint"
        step = f"{training.num_updates(model.optimizer):,}" if model.compiled else "unknown"
        print(f"loaded {kind} of step {step}")
    return average_weights(model)


def average_weights(model: WaveNet) -> WaveNet:
    """The model, with its averaged weights in place, where its training averages them."""
    if model.compiled:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    return model


def load(path: Path) -> WaveNet:
    """The model of a file.

    Raises:
        InputError: if it cannot be read, or is another model.
    """
    try:
        model = keras.models.load_model(path)
    except (InputError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:  # of zip, HDF5, JSON, Keras: whatever a damaged file leads to
        raise InputError(f"cannot read {path} as a model: {error}") from error
    if not isinstance(model, WaveNet):
        raise InputError(f"{path} holds a {type(model).__name__}, not a WaveNet")
    return model


def load_newest(model_dir: Path) -> tuple[WaveNet, Position] | None:
    """The newest checkpoint that can be read, to go on with; None if there is none.

    Newer ones that cannot be read are told, and get another suffix.

    Returns:
        The model and its position in the run.

    Raises:
        InputError: if there are checkpoints, but none that can be read.
    """
    existing = checkpoints(model_dir)
    damaged = []
    for path in reversed(existing):
        try:
            model, position = load(path), read_position(path)
        except InputError as error:
            warnings.warn(f"{error}; going back to the checkpoint before it", stacklevel=2)
            damaged.append(path)
            continue
        for spoilt in damaged:
            with contextlib.suppress(FileNotFoundError):  # another worker was first
                spoilt.rename(f"{spoilt}.damaged")
        return model, position
    if existing:
        raise InputError(f"none of the checkpoints in {existing[0].parent} can be read")
    return None


def save(
    model: WaveNet, path: Path, batches: int | None = None, metrics: list[float] | None = None
) -> None:
    """Writes a model and its position in the run, whole or not at all.

    Args:
        model: to write; compiled.
        path: the file.
        batches: see `Position`.
        metrics: see `Position`.
    """
    position = Position(training.num_updates(model.optimizer), batches, metrics)
    with files.atomic_path(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(POSITION, json.dumps(dataclasses.asdict(position)))


def remove_unfinished(model_dir: Path) -> None:
    """Removes what a killed run was writing."""
    for pattern in ("checkpoints/.update_*-*.keras", ".model-*.keras"):
        for path in model_dir.glob(pattern):
            path.unlink()


class WriteCheckpoint(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch; the newest and the best are kept.

    An interruption ends training after the batch, with a checkpoint. If that batch is the last one
    of an epoch, the epoch is validated first, and training ends after the next batch.

    Of several workers, each has to have this callback, so that all stop at once; only the chief
    writes.

    Args:
        model_dir: of the run, whose log says which checkpoint is the best so far.
        kept: how many of the newest.
        patience: epochs without a better validation after which training ends; None for no end.
        batches: that the model was trained on before.
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
        done = training.num_updates(self.model.optimizer)
        self.best = best_validation(self.model_dir, done)

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.interruption.signal is None:
            return
        ends_epoch = self.period is not None and self.batches % self.period == 0
        finite = math.isfinite(float((logs or {}).get("loss", 0.0)))
        if ends_epoch or self.model.stop_training or not finite:
            return
        if self.writes:
            step = training.num_updates(self.model.optimizer)
            self._write(step, metrics_state(self.model))
            print(f"checkpoint of step {step:,} written: the same command goes on from there")
        self.interruption.stop()

    def on_epoch_end(self, epoch, logs=None):
        update = training.num_updates(self.model.optimizer)
        bits = float(logs["val_bits_per_sample"])
        if math.isfinite(bits) and (self.best is None or bits < self.best.bits_per_sample):
            self.best = BestValidation(update, bits)
        elif self.best is not None:
            since = self.best.validations_since + 1
            self.best = dataclasses.replace(self.best, validations_since=since)
        if self.writes:
            self._write(update)
        if self.best is not None and self.best.ends_training(self.patience):
            if self.writes:
                print(self.best.reason)
            self.model.stop_training = True

    def _write(self, update: int, metrics: list[float] | None = None) -> None:
        path = self.model_dir / "checkpoints" / f"update_{update:08d}.keras"
        save(self.model, path, self.batches, metrics)
        for path in checkpoints(self.model_dir)[: -self.kept]:
            if self.best is None or update_of(path) != self.best.update:
                path.unlink()
