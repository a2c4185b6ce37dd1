"""A run before it trains: its model, new or from the last checkpoint, and its recordings."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from wavenet_tf import data, training
from wavenet_tf.data.crops import NEXT_SAMPLE
from wavenet_tf.model_directory.model_files import Position
from wavenet_tf.models import WaveNet, WaveNetClassifier
from wavenet_tf.models.config import PRESETS
from wavenet_tf.runs.adaptation import adapted_model
from wavenet_tf.runs.checkpointing import load_last_checkpoint
from wavenet_tf.runs.memory import check_memory, min_step_memory
from wavenet_tf.runs.new_model import class_sources, new_model
from wavenet_tf.runs.recordings import read_run_recordings, split_recordings
from wavenet_tf.runs.settings import Settings

NAMES_LISTED = 10
# Validation scores the class of a clip over this much of it, however long crops are.
WHOLE_CLIP_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Run:
    """A compiled model with the recordings that it is trained on.

    Attributes:
        settings: of the run.
        strategy: in whose scope the model was created.
        model: compiled.
        crop_spec: what batches of crops hold.
        recordings: all of them.
        training: recordings to train on.
        validation: held-out recordings.
        step: number of optimizer steps so far.
        batches: number of batches that the model was trained on.
        epoch_metrics: state of the training metrics, if the run was interrupted in the middle of
            an epoch.
    """

    settings: Settings
    strategy: tf.distribute.Strategy
    model: WaveNet | WaveNetClassifier
    crop_spec: data.CropSpec
    recordings: data.Recordings
    training: data.Recordings
    validation: data.Recordings
    step: int
    batches: int
    epoch_metrics: list[float] | None

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return training.is_chief(self.strategy)

    @property
    def description(self) -> str:
        """The lines that are printed before training: recordings, split, model and replicas."""
        model = self.model
        lines = [self.recordings.summary]
        if isinstance(model, WaveNetClassifier):
            classes = model.class_names or ()
            lines.append(f"{len(classes)} classes of {model.targets}: {_first(classes)}")
        if model.config.speaker_names:
            names = model.config.speaker_names
            lines.append(f"{len(names)} speakers: {_first(names)}")
        if model.config.phone_set:
            lines.append(f"{len(model.config.phone_set)} phones: {_first(model.config.phone_set)}")
        if model.config.tag_names:
            lines.append(f"{len(model.config.tag_names)} tags: {_first(model.config.tag_names)}")
        lines.append(
            f"training on {len(self.training.names)} recordings ({self.training.seconds:,.0f} s), "
            f"validating on {len(self.validation.names)} ({self.validation.seconds:,.0f} s)"
            + self._split_note
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
        if isinstance(model, WaveNet):
            lines.append(
                f"bits per sample: {model.distribution.uniform_bits:.2f} is uniform guessing, "
                "lower is better"
            )
        return "\n".join(lines)

    @property
    def _split_note(self) -> str:
        if self.settings.validation_pattern is not None:
            return f", whose names match {self.settings.validation_pattern!r}"
        if self.settings.split_by == "speaker":
            names = [self.validation.speaker_names[k] for k in set(self.validation.speaker_ids)]
            return f", of the speakers {_first(sorted(names))}"
        if self.recordings.has_split:
            return ", as the corpus says"
        if not self.recordings.splits_by_time:
            return ""
        gap = self.model.receptive_field / self.model.sample_rate
        return (
            f": the end of the only recording, {gap:.2f} s (the receptive field) after the part "
            "to train on"
        )

    @property
    def crop_seconds(self) -> float:
        """Length of a crop to train on: no longer than the longest recording."""
        return data.longest_crop_seconds(self.training, self.crop_spec, self.settings.crop_seconds)

    @property
    def epoch_batches(self) -> int:
        """Number of batches from one validation to the next."""
        return self.settings.steps_per_validation * self.settings.gradient_accumulation

    @property
    def step_samples(self) -> float:
        """Scored samples of a step, at most."""
        batch_samples = self.settings.batch_size * self.crop_seconds * self.model.sample_rate
        return batch_samples * self.settings.gradient_accumulation

    def check_memory(self) -> None:
        """Raises InputError if a step needs more memory than there is; not checked on GPUs."""
        if tf.config.list_physical_devices("GPU"):
            return
        batch_size = self.settings.batch_size // training.num_workers(self.strategy)
        samples = round(self.crop_seconds * self.model.sample_rate)
        check_memory(
            min_step_memory(self.model, batch_size, samples, self.settings.gradient_checkpointing),
            f"training with batches of {self.settings.batch_size} crops of {self.crop_seconds:g} s",
        )

    def training_batches(self) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Returns the endless batches of crops from the run's current position on."""

        def make_batches(worker: int, num_workers: int) -> tf.data.Dataset:
            return data.training_batches(
                self.training,
                self.crop_spec,
                self.settings.batch_size,
                self.crop_seconds,
                self.settings.seed,
                first_batch=self.batches,
                balance_speakers=self.settings.balance_speakers,
                worker=worker,
                num_workers=num_workers,
            )

        return training.distribute(make_batches, self.settings.batch_size, self.strategy)

    def validation_batches(self) -> tf.data.Dataset:
        """Returns the batches of a validation, the same ones each time."""
        settings = self.settings
        seconds = WHOLE_CLIP_SECONDS if settings.task == "classify" else settings.crop_seconds
        batches = data.evaluation_batches(
            self.validation,
            self.crop_spec,
            settings.batch_size,
            data.longest_crop_seconds(self.validation, self.crop_spec, seconds),
            whole_batches=self.strategy.num_replicas_in_sync > 1,
        )
        return batches.take(-(-settings.validation_crops // settings.batch_size))


def _first(names: Sequence[str]) -> str:
    """Returns the first few names, joined by commas."""
    return ", ".join(names[:NAMES_LISTED]) + (", ..." if len(names) > NAMES_LISTED else "")


def open_run(
    settings: Settings,
    model_dir: Path | None,
    strategy: tf.distribute.Strategy,
    row_dir: Path | None = None,
) -> Run:
    """Returns a run with its model and recordings.

    Args:
        settings: of the run.
        model_dir: whose last checkpoint is resumed, if there is one; None starts a new run.
        strategy: in whose scope the model is created.
        row_dir: see `adapted_model`.

    Raises:
        InputError: if the recordings or the checkpoints cannot be used, or workers differ.
    """
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model, recordings, position = _open_model(settings, model_dir, row_dir)
        parts = split_recordings(settings, recordings, model.receptive_field)
        crop_spec = model.crop_spec.with_sources(*class_sources(settings, model))
        crop_spec = dataclasses.replace(crop_spec, augment=settings.augment)
        training_part, validation_part = (crop_spec.prepare(part) for part in parts)
        if not model.compiled:
            # An adapted model keeps the mean and the deviation of the frames it was trained on.
            if settings.adapt_from is None and (model.config.features or model.config.phone_set):
                frames = next(s for s in crop_spec.conditions if isinstance(s, data.FrameSource))
                model.trunk.adapt(frames.sample_frames(training_part))
            model.compile(_optimizer(settings), **_loss_weights(settings, model))
        model.optimizer.learning_rate = training.learning_rate_schedule(
            settings.schedule,
            settings.learning_rate,
            # Keras evaluates the schedule at each batch.
            settings.steps * settings.gradient_accumulation,
        )
    step = training.num_steps(model.optimizer)
    state = {"steps so far": step, "recordings": len(recordings.names)}
    state["samples to train on"] = int(training_part.lengths.sum())
    training.check_same_on_all_workers(state, strategy)
    batches = position.batches
    if batches is None:
        batches = step * settings.gradient_accumulation
    return Run(
        settings,
        strategy,
        model,
        crop_spec,
        recordings,
        training_part,
        validation_part,
        step,
        batches,
        position.metrics,
    )


def _open_model(
    settings: Settings, model_dir: Path | None, row_dir: Path | None
) -> tuple[WaveNet | WaveNetClassifier, data.Recordings, Position]:
    """Returns the run's model, its recordings and its position."""
    with _checkpointed_blocks(settings):
        last = None if model_dir is None else load_last_checkpoint(model_dir)
        if model_dir is None or last is None:
            adapts = settings.adapt_from is not None
            new = adapted_model(settings, row_dir) if adapts else new_model(settings)
            return *new, Position(step=0, batches=0)
    settings.check_continues(model_dir)
    model, position = last
    return model, read_run_recordings(settings, model, settings.data_dir), position


def _loss_weights(settings: Settings, model: WaveNet | WaveNetClassifier) -> dict[str, Any]:
    """Returns the argument of `compile` for the weights of a classifier's two losses."""
    if isinstance(model, WaveNet) or model.head is None:
        return {}
    return {"loss_weights": {data.CLASSES: 1.0, NEXT_SAMPLE: settings.next_sample_weight}}


def _optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    arguments: dict = {}
    if settings.weight_decay:
        arguments["weight_decay"] = settings.weight_decay
    if settings.ema_decay is not None:
        # Keras updates the EMA at each batch.
        momentum = settings.ema_decay ** (1 / settings.gradient_accumulation)
        arguments |= {"use_ema": True, "ema_momentum": momentum}
    if settings.gradient_accumulation > 1:
        arguments["gradient_accumulation_steps"] = settings.gradient_accumulation
    return training.named_optimizer("adamw" if settings.weight_decay else "adam", **arguments)


def _checkpointed_blocks(settings: Settings) -> contextlib.AbstractContextManager:
    """Returns the context in which models are created with gradient checkpointing, if it is on."""
    if not settings.gradient_checkpointing:
        return contextlib.nullcontext()
    arguments = {**PRESETS[settings.preset], **settings.overrides}
    blocks = arguments["num_stacks"] * arguments["layers_per_stack"]
    names = [f"block_{index}" for index in range(blocks)]
    return keras.RematScope(mode="list_of_layers", layer_names=names)
