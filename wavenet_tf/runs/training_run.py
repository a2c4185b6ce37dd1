"""Trains a run, from its start or from its last checkpoint."""

import contextlib
import dataclasses
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from wavenet_tf import data, files, training
from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.log import LOG, best_validation, cut_log
from wavenet_tf.model_directory.model_files import FINAL_MODEL
from wavenet_tf.models import WaveNet, WaveNetClassifier
from wavenet_tf.runs.adaptation import ROW
from wavenet_tf.runs.checkpointing import (
    WriteCheckpoint,
    assign_ema_weights,
    remove_incomplete_files,
    save,
)
from wavenet_tf.runs.generated_audio import LogGeneratedScore
from wavenet_tf.runs.interruption import FinishEpoch, Interruption, delayed_interruption
from wavenet_tf.runs.open_run import Run, open_run
from wavenet_tf.runs.prosody import train_prosody
from wavenet_tf.runs.recognition import LogLabelErrorRate, write_decoder
from wavenet_tf.runs.settings import SETTINGS, Settings

TENSORBOARD = "tensorboard"
# `StopAtStep` ends training, because batches whose gradients overflow lead to no step.
MAX_EPOCHS = 2**31


def train(settings: Settings, model_dir: str | os.PathLike) -> WaveNet | WaveNetClassifier:
    """Trains a model, or resumes the run in `model_dir`.

    Of several workers each calls this, and only the chief prints and writes.

    Args:
        settings: of the run, see `Settings.from_run`.
        model_dir: created if missing.

    Returns:
        The trained model, also saved as `model.keras`.

    Raises:
        InputError: if the recordings cannot be used, a setting is out of range, memory runs out,
            the loss becomes NaN, another worker is lost, or several workers call this in the scope
            of their strategy.
    """
    model_dir = Path(model_dir)
    strategy = training.named_strategy(settings.strategy)
    if training.num_workers(strategy) > 1 and tf.distribute.has_strategy():
        # Keras creates variables when it saves a model. In the scope of the strategy, creating a
        # variable waits for the other workers, which save nothing.
        raise InputError("several workers train outside the scope of their strategy")
    if training.num_workers(strategy) > 1 and settings.prosody_models:
        raise InputError(
            "models of prosody train in one process: train them with --models "
            f"{','.join(settings.prosody_models)}, and the rest with --models wavenet"
        )
    with input_errors(strategy):
        settings = settings.with_absolute_paths()
        if training.is_chief(strategy):
            _create_writable(model_dir)
        row_dir = None
        if settings.adapt_all:
            row_dir = model_dir / ROW
            train(settings.without_adapt_all(), row_dir)
        run = open_run(settings, model_dir, strategy, row_dir)
        batches = run.training_batches()
        run.check_memory()
        if run.is_chief:
            print(run.description)
            _write_start(model_dir, run)
            if settings.task == "speak":
                train_prosody(run, model_dir)
        if settings.task == "speak" and "wavenet" not in settings.model_names:
            return run.model
        best = best_validation(model_dir, run.step)
        if run.step >= settings.steps:
            assign_ema_weights(run.model)
        elif best is not None and best.ends_training(settings.patience):
            assign_ema_weights(run.model)
            if run.is_chief:
                print(best.reason)
        else:
            _fit(model_dir, run, batches)
        if run.is_chief:
            if run.recordings.unreadable:
                print(run.recordings.unreadable_summary)
            save(run.model, model_dir / FINAL_MODEL)
            if _recognizes_frames(run):
                write_decoder(model_dir, run)
        # Without it, another worker may look for `model.keras` before it is written.
        training.barrier(strategy)
    return run.model


def _recognizes_frames(run: Run) -> bool:
    return isinstance(run.model, WaveNetClassifier) and run.model.targets == "frames"


def _fit(model_dir: Path, run: Run, batches) -> None:
    """Trains to the end of the run, or to an interruption, which leaves a checkpoint."""
    with delayed_interruption() as interruption:
        run.model.fit(
            batches,
            initial_epoch=run.batches // run.epoch_batches,
            epochs=MAX_EPOCHS,
            steps_per_epoch=run.epoch_batches,
            validation_data=run.validation_batches(),
            callbacks=_callbacks(model_dir, run, interruption),
            verbose=0,
        )


def _create_writable(model_dir: Path) -> None:
    """Creates a model directory.

    Raises:
        InputError: if it is no folder, or files cannot be written to it.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=model_dir):
            pass
    except OSError as error:
        raise InputError(
            f"model_dir must be a folder that can be written to; received {model_dir} "
            f"({error.strerror})"
        ) from error


def _write_start(model_dir: Path, run: Run) -> None:
    """Writes the settings and the configuration; removes what lies after the run's position."""
    if run.step:
        print(f"resuming after step {run.step}")
    elif (model_dir / FINAL_MODEL).exists():
        warnings.warn(
            f"{model_dir} holds {FINAL_MODEL} but no checkpoint to resume from: training starts at "
            f"step 0, and replaces {FINAL_MODEL} at its end",
            stacklevel=3,
        )
    files.write_text(model_dir / SETTINGS, run.settings.to_json())
    remove_incomplete_files(model_dir)
    cut_log(model_dir, run.step)
    training.write_configuration(
        model_dir / TENSORBOARD, dataclasses.asdict(run.settings), run.model
    )


def _callbacks(
    model_dir: Path, run: Run, interruption: Interruption
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a run, in the order in which they have to be called.

    The log is written before the checkpoint: a resumed run removes the log's lines after the
    checkpoint, but could not add missing ones.
    """
    settings, tensorboard, period = run.settings, model_dir / TENSORBOARD, run.epoch_batches
    callbacks: list[keras.callbacks.Callback] = []
    if run.batches % period:
        callbacks.append(FinishEpoch(period - run.batches % period, run.epoch_metrics))
    callbacks += [training.StopAtStep(settings.steps), training.LogStep()]
    if run.is_chief and _recognizes_frames(run):
        callbacks.append(LogLabelErrorRate(run))
    if settings.best_by is not None:
        callbacks.append(LogGeneratedScore(run))
    if run.is_chief:
        callbacks += [
            training.ProgressLine(settings.steps, round(run.step_samples)),
            keras.callbacks.CSVLogger(str(model_dir / LOG), append=run.step > 0),
        ]
    callbacks += [
        training.TensorBoardScalars(tensorboard),
        WriteCheckpoint(
            model_dir,
            settings.checkpoints_kept,
            settings.patience,
            run.batches,
            period,
            interruption,
        ),
    ]
    if settings.tensorboard_audio and run.is_chief and isinstance(run.model, WaveNet):
        callbacks.append(
            training.TensorBoardAudio(tensorboard, run.validation, settings.tensorboard_audio)
        )
    if settings.tensorboard_histograms:
        crops = settings.batch_size // run.strategy.num_replicas_in_sync
        batches = data.training_batches(run.training, run.crop_spec, crops, run.crop_seconds)
        callbacks.append(training.TensorBoardHistograms(tensorboard, next(iter(batches))))
    if settings.ema_decay is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return callbacks


@contextlib.contextmanager
def input_errors(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Context that turns errors of lost workers and of exhausted memory into InputError.

    Args:
        strategy: of the training.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if training.num_workers(strategy) == 1:
            raise
        _, _, reason = error.message.splitlines()[0].rpartition("aborted by: ")
        raise InputError(
            "another worker is lost. Start every worker again, as before: they resume from the "
            f"last checkpoint ({reason})"
        ) from error
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise InputError(
            "memory ran out: lower batch_size (and raise gradient_accumulation by as much) or "
            "crop_seconds, or turn gradient_checkpointing on"
        ) from error
