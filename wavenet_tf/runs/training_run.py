"""Training: a new run, or one that goes on."""

import contextlib
import dataclasses
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio, data, files, training
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet
from wavenet_tf.presets import PRESETS
from wavenet_tf.runs.checkpointing import (
    WriteCheckpoint,
    average_weights,
    load_newest,
    remove_unfinished,
    save,
)
from wavenet_tf.runs.interruption import FinishEpoch, Interruption, delayed_interruption
from wavenet_tf.runs.log import LOG, best_validation, cut_log
from wavenet_tf.runs.memory import check_memory, least_step_memory, peak_memory, total_memory
from wavenet_tf.runs.model_files import FINAL_MODEL, Position
from wavenet_tf.runs.reading import read_recordings
from wavenet_tf.runs.settings import SETTINGS, Settings

TENSORBOARD = "tensorboard"
NAMES_LISTED = 10
MOST_EPOCHS = 2**31  # `StopAtUpdate` ends training: batches whose gradients overflow are no updates
# Of `estimate`: the first is traced, and its time is no step's.
ESTIMATED_STEPS = 4


@dataclasses.dataclass(frozen=True)
class _Run:
    """A model and what it is trained on."""

    settings: Settings
    strategy: tf.distribute.Strategy
    model: WaveNet
    recordings: data.Recordings
    training: data.Recordings
    validation: data.Recordings
    done: int  # updates
    batches: int  # that these were of
    epoch_metrics: list[float] | None  # of a run that was interrupted within an epoch

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that tells and writes."""
        return training.is_chief(self.strategy)

    @property
    def description(self) -> str:
        """What a user should know before it starts."""
        model = self.model
        lines = [self.recordings.summary]
        if model.speaker_names:
            lines.append(f"{len(model.speaker_names)} speakers: {_listed(model.speaker_names)}")
        lines.append(
            f"training on {len(self.training.names)} recordings ({self.training.seconds:,.0f} s), "
            f"validating on {len(self.validation.names)} ({self.validation.seconds:,.0f} s)"
            + self._how_split
        )
        lines.append(
            f"{model.count_params():,} parameters, receptive field {model.receptive_field} samples "
            f"({1000 * model.receptive_field / model.sample_rate:.0f} ms)"
        )
        if self.crop_seconds < self.settings.crop_seconds:
            lines.append(
                f"crops of {self.crop_seconds:.2f} s, the longest recording to train on, in place "
                f"of {self.settings.crop_seconds:g} s"
            )
        replicas = self.strategy.num_replicas_in_sync
        if replicas > 1:
            workers = training.num_workers(self.strategy)
            lines.append(f"{replicas} replicas in {workers} process{'es' if workers > 1 else ''}")
        lines.append(
            f"bits per sample: {model.distribution.uniform_bits:.2f} is uniform guessing, lower is "
            "better"
        )
        return "\n".join(lines)

    @property
    def crop_seconds(self) -> float:
        """Length of a crop to train on: no longer than the longest recording."""
        return data.longest_crop_seconds(
            self.training, self.model.crop_spec, self.settings.crop_seconds
        )

    def check_memory(self) -> None:
        """Raises InputError if a step takes more memory than there is; on GPUs TensorFlow does."""
        if tf.config.list_physical_devices("GPU"):
            return
        batch_size = self.settings.batch_size // training.num_workers(self.strategy)
        samples = round(self.crop_seconds * self.model.sample_rate)
        needed = least_step_memory(self.model, batch_size, samples, self.settings.rematerialise)
        check_memory(
            needed,
            f"training with batches of {self.settings.batch_size} crops of {self.crop_seconds:g} s",
        )

    @property
    def _how_split(self) -> str:
        if self.recordings.has_split:
            return ", as the corpus says"
        if not self.recordings.splits_by_time:
            return ""
        gap = self.model.receptive_field / self.model.sample_rate
        return (
            f": the end of the only recording, {gap:.2f} s (the receptive field) after what is "
            "trained on"
        )


def train(settings: Settings, model_dir: str | os.PathLike) -> WaveNet:
    """Trains a model, or goes on where the run in `model_dir` stopped.

    Of several workers each calls this, and the chief alone prints and writes.

    Args:
        settings: of the run, see `Settings.of_run`.
        model_dir: made if missing.

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
        # Saving, Keras makes variables, which there means waiting for workers that save nothing.
        raise InputError("several workers train outside the scope of their strategy")
    with _told_what_ended_it(strategy):
        settings = settings.with_absolute_paths()
        if training.is_chief(strategy):
            _check_writable(model_dir)
        run = _open_run(settings, model_dir, strategy)
        batches = _batches(settings, run)
        run.check_memory()
        if run.is_chief:
            print(run.description)
            _write_beginning(settings, model_dir, run)
        best = best_validation(model_dir, run.done)
        if run.done >= settings.steps:
            average_weights(run.model)
        elif best is not None and best.ends_training(settings.patience):
            average_weights(run.model)
            if run.is_chief:
                print(best.reason)
        else:
            _fit(settings, model_dir, run, batches)
        if run.is_chief:
            if run.recordings.unreadable:
                print(run.recordings.unreadable_summary)
            save(run.model, model_dir / FINAL_MODEL)
        training.wait_for_all(strategy)  # or another worker looks for what is not there yet
    return run.model


def _fit(settings: Settings, model_dir: Path, run: _Run, batches) -> None:
    """Trains to the end of the run, or to an interruption, which leaves a checkpoint."""
    period = _epoch_batches(settings)
    with delayed_interruption() as interruption:
        run.model.fit(
            batches,
            initial_epoch=run.batches // period,
            epochs=MOST_EPOCHS,
            steps_per_epoch=period,
            validation_data=_validation_batches(settings, run),
            callbacks=_callbacks(settings, model_dir, run, interruption),
            verbose=0,
        )


def _epoch_batches(settings: Settings) -> int:
    """Batches from one validation to the next."""
    return settings.steps_per_validation * settings.gradient_accumulation


def _check_writable(model_dir: Path) -> None:
    """Makes a model directory.

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


def _write_beginning(settings: Settings, model_dir: Path, run: _Run) -> None:
    """What a run leaves before it trains; of one that went on further, what came later is gone."""
    if run.done:
        print(f"going on after update {run.done}")
    elif (model_dir / FINAL_MODEL).exists():
        warnings.warn(
            f"{model_dir} holds {FINAL_MODEL} but no checkpoint to go on from: training starts at "
            f"step 0, and replaces {FINAL_MODEL} at its end",
            stacklevel=3,
        )
    files.write_text(model_dir / SETTINGS, settings.to_json())
    remove_unfinished(model_dir)
    cut_log(model_dir, run.done)
    training.write_configuration(model_dir / TENSORBOARD, dataclasses.asdict(settings), run.model)


def estimate(settings: Settings) -> str:
    """What a run would be like, by a few steps of it that leave nothing behind.

    Args:
        settings: of the run.

    Returns:
        Parameters, receptive field, memory and time, in lines; of several workers, this one's.

    Raises:
        InputError: as `train` raises it.
    """
    strategy = training.named_strategy(settings.strategy)
    times: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    with _told_what_ended_it(strategy):
        run = _open_run(settings, None, strategy)
        run.check_memory()
        run.model.fit(
            _batches(settings, run), steps_per_epoch=ESTIMATED_STEPS, callbacks=[note], verbose=0
        )
    step = min(np.diff(times)) * settings.gradient_accumulation
    samples = settings.batch_size * run.crop_seconds * run.model.sample_rate
    samples *= settings.gradient_accumulation
    lines = [
        run.description,
    ]
    peak, total = peak_memory(), total_memory()
    if peak is not None:
        of_total = "" if total is None else f" of {total / 2**30:.1f} GiB"
        lines.append(f"memory      {peak / 2**30:.2f} GiB at most{of_total}, recordings included")
    if tf.config.list_physical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        lines.append(f"GPU memory  {peak / 2**30:.2f} GiB at most")
    lines.append(
        f"time        {training.duration(step * settings.steps)} for {settings.steps:,} updates of "
        f"{step:.2f} s ({samples / step:,.0f} samples/s), without validation"
    )
    return "\n".join(lines)


def _open_run(settings: Settings, model_dir: Path | None, strategy: tf.distribute.Strategy) -> _Run:
    """The model of a run, or a new one, and its recordings, under the strategy."""
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model, recordings, position = _open_model(settings, model_dir)
        training_part, validation_part = recordings.split(
            settings.validation_fraction, model.receptive_field
        )
        if model.features:
            training_part = training_part.with_features(model.features, model.hop_length)
            validation_part = validation_part.with_features(model.features, model.hop_length)
        if not model.compiled:
            if model.features:
                model.adapt(training_part.sample_frames())
            model.compile(_optimizer(settings))
        model.optimizer.learning_rate = training.learning_rate_schedule(
            settings.schedule,
            settings.learning_rate,
            settings.steps * settings.gradient_accumulation,  # Keras asks for it at each batch
        )
    done = training.num_updates(model.optimizer)
    state = {"updates done": done, "recordings": len(recordings.names)}
    state["samples to train on"] = int(training_part.lengths.sum())
    training.check_alike(state, strategy)
    batches = position.batches
    if batches is None:
        batches = done * settings.gradient_accumulation
    return _Run(
        settings,
        strategy,
        model,
        recordings,
        training_part,
        validation_part,
        done,
        batches,
        position.metrics,
    )


def _open_model(
    settings: Settings, model_dir: Path | None
) -> tuple[WaveNet, data.Recordings, Position]:
    """The model of a run, or a new one; the recordings; how far the run was."""
    with _rematerialised(settings):
        newest = None if model_dir is None else load_newest(model_dir)
        if model_dir is None or newest is None:
            return *_new_model(settings), Position(step=0, batches=0)
    settings.check_continues(model_dir)
    model, position = newest
    return model, read_recordings(settings, model, settings.data_dir), position


def _new_model(settings: Settings) -> tuple[WaveNet, data.Recordings]:
    """An untrained model for the recordings, their speakers and features; and the recordings."""
    arguments = dict(settings.overrides)
    if settings.precision != "float32":
        arguments["dtype"] = settings.precision
    if "sample_rate" not in arguments and data.is_prepared(settings.data_dir):
        arguments["sample_rate"] = data.open_prepared(settings.data_dir).sample_rate
    # A bad argument is told before the recordings are read, which may take long.
    sample_rate = WaveNet.from_preset(settings.preset, **arguments).sample_rate
    recordings = data.read_recordings(settings.data_dir, sample_rate, settings.layout)
    if settings.speakers is not None:
        recordings = recordings.with_speakers(settings.speakers)
        names = recordings.speaker_names
        arguments |= {"num_speakers": len(names), "speaker_names": list(names)}
    if settings.features is not None:
        features = settings.features.split(",")
        hop_length = recordings.hop_length or max(1, round(audio.HOP_SECONDS * sample_rate))
        arguments |= {
            "local_channels": audio.feature_channels(features),
            "upsample_factors": upsample_factors(hop_length),
            "features": features,
        }
    keras.utils.set_random_seed(settings.seed)
    return WaveNet.from_preset(settings.preset, **arguments), recordings


def _optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    arguments: dict = {}
    if settings.weight_decay:
        arguments["weight_decay"] = settings.weight_decay
    if settings.averaging is not None:
        # Keras averages at each batch.
        momentum = settings.averaging ** (1 / settings.gradient_accumulation)
        arguments |= {"use_ema": True, "ema_momentum": momentum}
    if settings.gradient_accumulation > 1:
        arguments["gradient_accumulation_steps"] = settings.gradient_accumulation
    return training.named_optimizer("adamw" if settings.weight_decay else "adam", **arguments)


def _rematerialised(settings: Settings) -> contextlib.AbstractContextManager:
    """The scope in which a model is made, or loaded, whose blocks are worked out again."""
    if not settings.rematerialise:
        return contextlib.nullcontext()
    arguments = {**PRESETS[settings.preset], **settings.overrides}
    blocks = arguments["num_stacks"] * arguments["layers_per_stack"]
    names = [f"block_{index}" for index in range(blocks)]
    return keras.RematScope(mode="list_of_layers", layer_names=names)


def _batches(settings: Settings, run: _Run) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    def batches_of(worker: int, num_workers: int) -> tf.data.Dataset:
        return data.training_batches(
            run.training,
            run.model.crop_spec,
            settings.batch_size,
            run.crop_seconds,
            settings.seed,
            first_batch=run.batches,
            balance_speakers=settings.balance_speakers,
            worker=worker,
            num_workers=num_workers,
        )

    return training.distribute(batches_of, settings.batch_size, run.strategy)


def _validation_batches(settings: Settings, run: _Run) -> tf.data.Dataset:
    batches = data.evaluation_batches(
        run.validation,
        run.model.crop_spec,
        settings.batch_size,
        data.longest_crop_seconds(run.validation, run.model.crop_spec, settings.crop_seconds),
        whole_batches=run.strategy.num_replicas_in_sync > 1,
    )
    return batches.take(-(-settings.validation_crops // settings.batch_size))


def _callbacks(
    settings: Settings, model_dir: Path, run: _Run, interruption: Interruption
) -> list[keras.callbacks.Callback]:
    """What happens in a run, in this order.

    The log is written before the checkpoint: of what a killed run has only logged, going on cuts
    the lines.
    """
    samples = settings.batch_size * run.crop_seconds * run.model.sample_rate
    tensorboard = model_dir / TENSORBOARD
    callbacks: list[keras.callbacks.Callback] = []
    period = _epoch_batches(settings)
    if run.batches % period:
        callbacks.append(FinishEpoch(period - run.batches % period, run.epoch_metrics))
    callbacks += [training.StopAtUpdate(settings.steps), training.CountUpdates()]
    if run.is_chief:
        callbacks += [
            training.ProgressLine(settings.steps, round(samples * settings.gradient_accumulation)),
            keras.callbacks.CSVLogger(str(model_dir / LOG), append=run.done > 0),
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
    if settings.tensorboard_audio and run.is_chief:
        callbacks.append(
            training.TensorBoardAudio(tensorboard, run.validation, settings.tensorboard_audio)
        )
    if settings.tensorboard_histograms:
        crops = settings.batch_size // run.strategy.num_replicas_in_sync
        batches = data.training_batches(run.training, run.model.crop_spec, crops, run.crop_seconds)
        callbacks.append(training.TensorBoardHistograms(tensorboard, next(iter(batches))))
    if settings.averaging is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return callbacks


@contextlib.contextmanager
def _told_what_ended_it(strategy: tf.distribute.Strategy):
    """Makes the errors that no program can foresee ones that say what to do."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if training.num_workers(strategy) == 1:
            raise
        _, _, reason = error.message.splitlines()[0].rpartition("aborted by: ")
        raise InputError(
            "another worker is lost. Start every worker again, as before: they go on from the last "
            f"checkpoint ({reason})"
        ) from error
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise InputError(
            "memory ran out: lower batch_size (and raise gradient_accumulation by as much) or "
            "crop_seconds, or turn rematerialise on"
        ) from error


def upsample_factors(hop_length: int) -> tuple[int, int]:
    """Two factors of a hop length, as near to each other as can be, the smaller one first."""
    smaller = max(n for n in range(1, int(hop_length**0.5) + 1) if hop_length % n == 0)
    return smaller, hop_length // smaller


def _listed(names: Sequence[str]) -> str:
    """The first few, and whether there are more."""
    more = ", ..." if len(names) > NAMES_LISTED else ""
    return ", ".join(names[:NAMES_LISTED]) + more
