"""What TensorBoard shows of a run, against its updates."""

import collections
import contextlib
import itertools
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio
from wavenet_tf.errors import InputError, check_seed, positive_integer
from wavenet_tf.training.distribution import is_chief
from wavenet_tf.training.optimizers import num_updates

# Of a spectrogram: what is as quiet as this, in dB of full scale, or quieter is black.
FLOOR_DB = -80.0
SPECTROGRAM_HOP_SECONDS = 0.005
GAP_PIXELS = 8
# From the floor to full scale, evenly spaced; those between are mixed.
_COLOURS = np.array(
    [(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)], np.float64
)


@keras.saving.register_keras_serializable(package="wavenet_tf")
class NextSampleAccuracy(keras.metrics.Mean):
    """The share of scored samples than which no other code was more likely.

    For models with the categorical distribution.

    Input shape:
        Targets `[batch, time]`, logits `[batch, time, codes]`, weights `[batch, time]`.

    Example:
    >>> metric = NextSampleAccuracy()
    >>> metric.update_state([[0, 1]], tf.constant([[[0.9, 0.1], [0.8, 0.2]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # Half as long as an argmax, 0.5% of a training step of preset small.
        logits = tf.gather(y_pred, tf.cast(y_true, tf.int32), axis=-1, batch_dims=2)
        likeliest = logits >= tf.reduce_max(y_pred, axis=-1)
        return super().update_state(tf.cast(likeliest, tf.float32), sample_weight=sample_weight)


class _Summaries(keras.callbacks.Callback):
    """Writes summaries at the end of epochs: a file in each of some folders.

    Of several workers, only the chief writes.

    Args:
        directory: gets the folders.
        folders: their names.
        every: epochs from one time to the next.
    """

    # Whether `write` sums over replicas, and so has to be called by every worker.
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
            self.write(num_updates(self.model.optimizer), logs or {})

    def on_train_end(self, logs=None):
        if self.writes:
            for writer in self.writers.values():
                writer.close()

    def write(self, update: int, logs: dict) -> None:
        """Writes what there is to say after an update.

        A writer is flushed wherever it was the default.
        """
        raise NotImplementedError


class TensorBoardScalars(_Summaries):
    """Writes losses, metrics and learning rate for TensorBoard, against updates.

    Args:
        directory: gets a folder `train` and a folder `validation`.
    """

    def __init__(self, directory: str | os.PathLike):
        super().__init__(directory, ["train", "validation"])

    def write(self, update, logs):
        scalars = {**logs, "learning_rate": self.model.optimizer.learning_rate}
        scalars.pop("update", None)
        for name, value in scalars.items():
            split = "validation" if name.startswith("val_") else "train"
            with self.writers[split].as_default(update):
                tf.summary.scalar(name.removeprefix("val_"), value)


class TensorBoardAudio(_Summaries):
    """Lets the model be heard and seen in TensorBoard, beside recordings kept aside.

    A model with speakers speaks as those of the recordings do, and one with local conditioning
    makes the recordings again from their features. It does so with its averaged weights, where its
    training averages them. Only the first time is anything compiled.

    Args:
        directory: gets a folder `audio`.
        recordings: a `data.Recordings`, with the speakers and features that the model wants; those
            used are of as many speakers as there are, and those that cannot be read are left out.
        seconds: to generate, of each.
        streams: how many recordings to use, at most.
        every: epochs from one time to the next.
        seed: of the audio, the same each time.
        most_seconds: of waiting; what is generated by then has to do.

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
        readable = itertools.islice(_readable(recordings, over_speakers(recordings)), streams)
        self.recordings = recordings.select(list(readable))
        self.recorded = [clip[: self.samples] for clip in self.recordings.waveforms()]
        self.seed = seed
        self.most_seconds = most_seconds

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        with self.writers["audio"].as_default(num_updates(self.model.optimizer)):
            for label, recorded in zip(self._labels(), self.recorded, strict=True):
                self._write_audio(f"recorded/{label}", recorded)

    def write(self, update, logs):
        if not self.recorded:
            return
        with _averaged_weights(self.model):
            generated = self._generate()
        rate = self.recordings.sample_rate
        with self.writers["audio"].as_default(update):
            for label, *both in zip(self._labels(), generated, self.recorded, strict=True):
                self._write_audio(f"generated/{label}", both[0])
                tf.summary.image(
                    f"spectrogram/{label}",
                    spectrogram_picture(both, rate)[None],
                    description="Generated, and recorded to its right; -80 to 0 dBFS",
                )

    def _labels(self) -> list[str]:
        """Of each stream: its number, and its speaker where the model knows some by name."""
        names = self.model.config.speaker_names
        ids = self.recordings.speaker_ids if names else [None] * len(self.recorded)
        return [
            str(number) if speaker is None else f"{number} {names[speaker]}"
            for number, speaker in enumerate(ids, start=1)
        ]

    def _generate(self) -> list[np.ndarray]:
        """What the model makes now, a waveform a stream; shorter ones where time runs out."""
        deadline = time.monotonic() + self.most_seconds
        stream = self.model.stream(len(self.recorded), seed=self.seed, **self._conditions())
        blocks, made = [], 0
        for block in stream:
            blocks.append(block)
            made += block.shape[1]
            if made >= self.samples or time.monotonic() > deadline:
                break
        stream.close()
        generated = np.concatenate(blocks, axis=1)[:, : self.samples]
        if not self.model.config.local_channels:
            return list(generated)
        # What is made again is no longer than it was.
        return [made[: len(part)] for made, part in zip(generated, self.recorded, strict=True)]

    def _conditions(self) -> dict[str, np.ndarray]:
        conditions = {}
        if self.model.config.num_speakers:
            conditions["speaker_id"] = self.recordings.speaker_ids
        if self.model.config.local_channels:
            features = [frames[:] for frames in self.recordings.features]
            longest = max(map(len, features))
            # The last frame holds, as it does at every end.
            conditions["local_conditioning"] = np.stack(
                [np.pad(part, [(0, longest - len(part)), (0, 0)], "edge") for part in features]
            )
        return conditions

    def _write_audio(self, name: str, waveform: np.ndarray) -> None:
        tf.summary.audio(name, waveform[None, :, None], self.recordings.sample_rate)


class TensorBoardHistograms(_Summaries):
    """Writes how weights and gradients are distributed, for TensorBoard.

    Of several workers, each has to have this callback.

    Args:
        directory: gets a folder `histograms`.
        batch: inputs, targets and weights whose loss the gradients are of.
        every: epochs from one time to the next.
    """

    on_every_worker = True

    def __init__(self, directory: str | os.PathLike, batch, every: int = 1):
        super().__init__(directory, ["histograms"], every)
        self.batch = batch

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.gradients = tf.function(self._gradients)

    def write(self, update, logs):
        strategy = self.model.distribute_strategy
        # Each replica gets the whole batch, and in Keras an equal share of its loss.
        gradients = strategy.run(self.gradients, args=tuple(self.batch))
        with self.writers["histograms"].as_default(update):
            for variable, gradient in zip(self.model.trainable_weights, gradients, strict=True):
                name = variable.path.removeprefix(f"{self.model.name}/")
                tf.summary.histogram(f"weights/{name}", variable)
                gradient = strategy.reduce("SUM", gradient, axis=None)
                tf.summary.histogram(f"gradients/{name}", gradient)

    def _gradients(self, inputs, targets, weights) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            loss = self.model.loss(targets, outputs, weights)
        variables = [variable.value for variable in self.model.trainable_weights]
        # Those of an embedding are sparse.
        return [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]


def write_configuration(directory: str | os.PathLike, settings: Mapping[str, Any], model) -> None:
    """Writes how a run was started and what its model is like, as tables for TensorBoard.

    Args:
        directory: gets a folder `configuration`.
        settings: of the run, by name.
        model: a compiled `WaveNet`.
    """
    milliseconds = 1000 * model.receptive_field / model.sample_rate
    of_model = {
        "parameters": f"{model.count_params():,}",
        "receptive field": f"{model.receptive_field:,} samples ({milliseconds:.0f} ms)",
        **model.get_config(),
        "dtype": model.dtype_policy.name,
    }
    writer = tf.summary.create_file_writer(str(Path(directory) / "configuration"))
    with writer.as_default(num_updates(model.optimizer)):
        tf.summary.text("settings", _markdown_table(settings))
        tf.summary.text("model", _markdown_table(of_model))
    writer.close()


def spectrogram_picture(waveforms: Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
    """Draws spectrograms side by side on one scale of levels: black is -80 dBFS or less.

    Args:
        waveforms: float `[samples]` in [-1, 1].
        sample_rate: in Hz.

    Returns:
        uint8 `[frequencies, times, 3]`, low frequencies at the bottom.
    """
    hop_length = max(1, round(SPECTROGRAM_HOP_SECONDS * sample_rate))
    parts: list[np.ndarray] = []
    for waveform in waveforms:
        levels = audio.spectral_levels(waveform, sample_rate, hop_length).T[::-1]
        if parts:
            parts.append(np.full((len(levels), GAP_PIXELS, 3), 255, np.uint8))
        parts.append(_coloured(np.clip(1.0 - levels / FLOOR_DB, 0.0, 1.0)))
    return np.concatenate(parts, axis=1)


def over_speakers(recordings) -> np.ndarray:
    """Places of all clips: the first one of each speaker, then the second one of each, and so on.

    Clips without speakers stay in their order.

    Args:
        recordings: a `data.Recordings`.
    """
    if not len(recordings.speaker_ids):
        return np.arange(len(recordings.names))
    heard: collections.Counter = collections.Counter()
    turns = []
    for speaker in recordings.speaker_ids.tolist():
        turns.append(heard[speaker])
        heard[speaker] += 1
    return np.argsort(turns, kind="stable")


def _readable(recordings, places) -> Iterator[int]:
    """Those of some places whose clips, and their features, are not damaged."""
    for place in places:
        try:
            recordings.waveform(place)
            if len(recordings.features):
                recordings.features[place][:]
        except InputError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            yield place


def _coloured(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as colours, uint8 `[..., 3]`."""
    places = np.linspace(0.0, 1.0, len(_COLOURS))
    channels = [np.interp(values, places, channel) for channel in _COLOURS.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


@contextlib.contextmanager
def _averaged_weights(model) -> Iterator[None]:
    """The model has its averaged weights, where its training averages them."""
    weights = model.trainable_weights
    kept = [weight.numpy() for weight in weights]
    model.optimizer.finalize_variable_values(weights)
    try:
        yield
    finally:
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)


def _markdown_table(values: Mapping[str, Any]) -> str:
    """A table of what is set, by name."""
    rows = [
        "| {} | {} |".format(name, str(value).replace("|", r"\|"))
        for name, value in values.items()
        if value is not None
    ]
    return "\n".join(["| | |", "|---|---|", *rows])
