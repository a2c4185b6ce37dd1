"""TensorBoard: scalars, audio, histograms and the configuration of a run, against the step."""

import itertools
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import data
from wavenet_tf.errors import InputError, check_seed, positive_integer
from wavenet_tf.training.optimizers import ema_weights, num_steps
from wavenet_tf.training.spectrogram_image import spectrogram_image
from wavenet_tf.training.strategy import is_chief


class _Summaries(keras.callbacks.Callback):
    """Base class of callbacks that write summaries at the end of epochs.

    Of several workers, only the chief writes.

    Args:
        directory: gets a folder for each name in `folders`.
        folders: names of the folders, each with one file of summaries.
        every: number of epochs between two writes.
    """

    # Whether `write` sums over replicas, so that every worker has to call it.
    on_every_worker = False

    def __init__(self, directory: str | os.PathLike, folders: Sequence[str], every: int = 1):
        super().__init__()
        self.directory = Path(directory)
        self.folders = folders
        self.every = positive_integer("every", every)

    def on_train_begin(self, logs=None):
        self.writes = is_chief(self.model.distribute_strategy)
        self.writers = {folder: self._new_writer(folder) for folder in self.folders}

    def _new_writer(self, folder: str) -> tf.summary.SummaryWriter:
        if not self.writes:
            return tf.summary.create_noop_writer()
        return tf.summary.create_file_writer(str(self.directory / folder))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 and (self.writes or self.on_every_worker):
            self.write(num_steps(self.model.optimizer), logs or {})

    def on_train_end(self, logs=None):
        if self.writes:
            for writer in self.writers.values():
                writer.close()

    def write(self, step: int, logs: dict) -> None:
        """Writes the summaries of an epoch.

        Writers need no flush: TensorFlow flushes them at the end of `as_default`.

        Args:
            step: number of steps so far.
            logs: of the epoch.
        """
        raise NotImplementedError


class TensorBoardScalars(_Summaries):
    """Writes losses, metrics and the learning rate for TensorBoard, against the step.

    Args:
        directory: gets a folder `train` and a folder `validation`.
    """

    def __init__(self, directory: str | os.PathLike):
        super().__init__(directory, ["train", "validation"])

    def write(self, step, logs):
        scalars = {**logs, "learning_rate": self.model.optimizer.learning_rate}
        scalars.pop("step", None)
        for name, value in scalars.items():
            split = "validation" if name.startswith("val_") else "train"
            with self.writers[split].as_default(step):
                tf.summary.scalar(name.removeprefix("val_"), value)


class TensorBoardAudio(_Summaries):
    """Writes generated audio and its spectrograms for TensorBoard, beside held-out recordings.

    A model with speakers generates the voices of the recordings' speakers. A model with local
    conditioning generates from the recordings' features (copy synthesis). If training keeps an
    average of the weights (EMA), the average generates. Sampling is compiled only once.

    Args:
        directory: gets a folder `audio`.
        recordings: a `data.Recordings`, with the speakers and features that the model is
            conditioned on. The callback chooses recordings of as many speakers as possible, and
            skips those that cannot be read.
        seconds: duration of each generated clip.
        streams: number of recordings, at most.
        every: number of epochs between two writes.
        seed: of the sampling, the same each time.
        most_seconds: time limit; clips that are not finished by then are cut off.

    Raises:
        InputError: for a duration that is not above 0, or a seed out of range.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        recordings,
        seconds: float = 2.0,
        streams: int = 3,
        every: int = 1,
        seed: int = 0,
        most_seconds: float = 60.0,
    ):
        super().__init__(directory, ["audio"], every)
        check_seed(seed)
        self.samples = round(seconds * recordings.sample_rate)
        if self.samples < 1:
            raise InputError(f"seconds must give at least one sample; received {seconds}")
        streams = positive_integer("streams", streams)
        readable = itertools.islice(
            _readable(recordings, data.alternate_speakers(recordings)), streams
        )
        self.recordings = recordings.select(list(readable))
        self.recorded = [clip[: self.samples] for clip in self.recordings.waveforms()]
        self.seed = seed
        self.most_seconds = most_seconds

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        with self.writers["audio"].as_default(num_steps(self.model.optimizer)):
            for label, recorded in zip(self._labels(), self.recorded, strict=True):
                self._write_audio(f"recorded/{label}", recorded)

    def write(self, step, logs):
        if not self.recorded:
            return
        with ema_weights(self.model):
            generated = self._generate()
        rate = self.recordings.sample_rate
        with self.writers["audio"].as_default(step):
            for label, *both in zip(self._labels(), generated, self.recorded, strict=True):
                self._write_audio(f"generated/{label}", both[0])
                tf.summary.image(
                    f"spectrogram/{label}",
                    spectrogram_image(both, rate)[None],
                    description="Generated, and recorded to its right; -80 to 0 dBFS",
                )

    def _labels(self) -> list[str]:
        """Returns the tag of each stream: its number, and its speaker's name if there is one."""
        names = self.model.config.speaker_names
        ids = self.recordings.speaker_ids if names else [None] * len(self.recorded)
        return [
            str(number) if speaker is None else f"{number} {names[speaker]}"
            for number, speaker in enumerate(ids, start=1)
        ]

    def _generate(self) -> list[np.ndarray]:
        """Returns a generated waveform for each stream, shorter ones after the time limit."""
        deadline = time.monotonic() + self.most_seconds
        conditions = data.clip_conditions(self.model.crop_spec.conditions, self.recordings)
        stream = self.model.stream(len(self.recorded), seed=self.seed, **conditions)
        blocks, num_samples = [], 0
        for block in stream:
            blocks.append(block)
            num_samples += block.shape[1]
            if num_samples >= self.samples or time.monotonic() > deadline:
                break
        stream.close()
        generated = np.concatenate(blocks, axis=1)[:, : self.samples]
        if not self.model.config.local_channels:
            return list(generated)
        # Copy synthesis is no longer than its recording.
        return [clip[: len(part)] for clip, part in zip(generated, self.recorded, strict=True)]

    def _write_audio(self, name: str, waveform: np.ndarray) -> None:
        tf.summary.audio(name, waveform[None, :, None], self.recordings.sample_rate)


class TensorBoardHistograms(_Summaries):
    """Writes histograms of weights and gradients for TensorBoard.

    Of several workers, each has to have this callback.

    Args:
        directory: gets a folder `histograms`.
        batch: inputs, targets and weights, for whose loss the gradients are computed.
        every: number of epochs between two writes.
    """

    on_every_worker = True

    def __init__(self, directory: str | os.PathLike, batch, every: int = 1):
        super().__init__(directory, ["histograms"], every)
        self.batch = batch

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.gradients = tf.function(self._gradients)

    def write(self, step, logs):
        strategy = self.model.distribute_strategy
        # Each replica gets the whole batch, and computes the gradients of its share of the loss.
        gradients = strategy.run(self.gradients, args=tuple(self.batch))
        with self.writers["histograms"].as_default(step):
            for variable, gradient in zip(self.model.trainable_weights, gradients, strict=True):
                name = variable.path.removeprefix(f"{self.model.name}/")
                tf.summary.histogram(f"weights/{name}", variable)
                gradient = strategy.reduce("SUM", gradient, axis=None)
                tf.summary.histogram(f"gradients/{name}", gradient)

    def _gradients(self, inputs, targets, weights) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            loss = self.model.compute_loss(inputs, targets, outputs, weights)
        variables = [variable.value for variable in self.model.trainable_weights]
        # The gradients of an embedding are sparse.
        return [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]


def write_configuration(directory: str | os.PathLike, settings: Mapping[str, Any], model) -> None:
    """Writes the settings of a run and the arguments of its model as tables for TensorBoard.

    Args:
        directory: gets a folder `configuration`.
        settings: of the run, by name.
        model: a compiled `WaveNet`.
    """
    milliseconds = 1000 * model.receptive_field / model.sample_rate
    properties = {
        "parameters": f"{model.count_params():,}",
        "receptive field": f"{model.receptive_field:,} samples ({milliseconds:.0f} ms)",
        **model.get_config(),
        "dtype": model.dtype_policy.name,
    }
    writer = tf.summary.create_file_writer(str(Path(directory) / "configuration"))
    with writer.as_default(num_steps(model.optimizer)):
        tf.summary.text("settings", _markdown_table(settings))
        tf.summary.text("model", _markdown_table(properties))
    writer.close()


def _readable(recordings, indices: Iterable[int]) -> Iterator[int]:
    """Yields the indices of clips that can be read with their features; warns of others."""
    for index in indices:
        try:
            recordings.waveform(index)
            if len(recordings.features):
                recordings.features[index][:]
        except InputError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            yield index


def _markdown_table(values: Mapping[str, Any]) -> str:
    """Returns a Markdown table of names and values, without those that are None."""
    rows = [
        "| {} | {} |".format(name, str(value).replace("|", r"\|"))
        for name, value in values.items()
        if value is not None
    ]
    return "\n".join(["| | |", "|---|---|", *rows])
