"""Models of prosody: how long phones are, and the fundamental frequency (F0) of frames.

Source: the external models of the text-to-speech systems (WaveNet, section 3.2).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, positive_integer, positive_number
from wavenet_tf.layers import DilatedStack
from wavenet_tf.text import LinguisticFeatures

# Typical values that untrained outputs start from: 16 frames of 5 ms.
_TYPICAL_LOG_FRAMES = math.log(16.0)
_TYPICAL_LOG_F0, _TYPICAL_DEVIATION = math.log(150.0), 0.2


class ProsodyModel(keras.Model):
    """What the models of prosody share: phone set, speakers, and layers over whole utterances.

    Args:
        phone_set: labels of all phones, "sil" included.
        speaker_names: the name of each speaker; None for a model without speakers.
        frame_seconds: duration of a frame.
        channels: channels of the layers.
        num_convolutions: number of the convolutions over phones or frames; not causal.
        kernel_size: taps of these convolutions; odd.
        dropout: fraction of the channels that dropout sets to 0 in training.
        **kwargs: as `keras.Model` takes them.

    Raises:
        InputError: for an argument out of its range.
    """

    def __init__(
        self,
        phone_set: Sequence[str],
        speaker_names: Sequence[str] | None = None,
        frame_seconds: float = 0.005,
        channels: int = 64,
        num_convolutions: int = 3,
        kernel_size: int = 5,
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.phone_set = tuple(phone_set)
        self.speaker_names = None if speaker_names is None else tuple(speaker_names)
        self.frame_seconds = positive_number("frame_seconds", frame_seconds)
        self.channels = positive_integer("channels", channels)
        self.num_convolutions = positive_integer("num_convolutions", num_convolutions)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd; received {self.kernel_size}")
        self.dropout = float(dropout)
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"dropout must be at least 0 and below 1; received {dropout!r}")
        self.features = LinguisticFeatures(self.phone_set)
        if self.speaker_names:
            self.speaker_embedding = keras.layers.Embedding(
                len(self.speaker_names), self.channels, name="speaker_embedding"
            )
        self.projection = keras.layers.Dense(self.channels, name="projection")
        self.convolutions = [
            keras.layers.Conv1D(
                self.channels,
                self.kernel_size,
                padding="same",
                activation="relu",
                name=f"convolution_{index}",
            )
            for index in range(self.num_convolutions)
        ]
        self.normalizations = [
            keras.layers.LayerNormalization(name=f"normalization_{index}")
            for index in range(self.num_convolutions)
        ]
        self.dropout_layer = keras.layers.Dropout(self.dropout, name="dropout")

    def speaker_id(self, name: str | None) -> int | None:
        """Returns the id of a speaker.

        Args:
            name: None takes the first speaker, or none of a model without speakers.

        Raises:
            InputError: for a name that the model does not have.
        """
        if self.speaker_names is None and name is None:
            return None
        known = self.speaker_names or ()
        if name is not None and name not in known:
            raise InputError(
                f"speaker must be one of {', '.join(known) or 'none'}; received {name!r}"
            )
        return 0 if name is None else known.index(name)

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Configures training as `keras.Model.compile` does; the default is squared error.

        Args:
            optimizer: an optimizer, or the name of one.
            loss: None takes the squared error.
            **kwargs: as `keras.Model.compile` takes them.
        """
        super().compile(optimizer, loss or self.default_loss(), **kwargs)

    def default_loss(self):
        """Returns the loss of a model that is compiled without one."""
        return "mse"

    def _build_encoder(self, num_features: int) -> None:
        if self.speaker_names:
            self.speaker_embedding.build((None,))
        self.projection.build((None, None, num_features))
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            convolution.build((None, None, self.channels))
            normalization.build((None, None, self.channels))

    def _encode(self, features, speaker_ids, training: bool) -> tf.Tensor:
        """Returns the encoded phones or frames, `[batch, length, channels]`; padding stays 0."""
        mask = tf.cast(tf.reduce_any(features != 0.0, axis=-1, keepdims=True), tf.float32)
        signal = self.projection(features)
        if self.speaker_names:
            signal += self.speaker_embedding(speaker_ids)[:, None]
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            encoded = normalization(convolution(signal * mask))
            signal += self.dropout_layer(encoded, training=training)
        return signal * mask

    def get_config(self):
        return {
            **super().get_config(),
            "phone_set": list(self.phone_set),
            "speaker_names": None if self.speaker_names is None else list(self.speaker_names),
            "frame_seconds": self.frame_seconds,
            "channels": self.channels,
            "num_convolutions": self.num_convolutions,
            "kernel_size": self.kernel_size,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package="wavenet_tf")
class DurationModel(ProsodyModel):
    """Predicts how long each phone of an utterance is, from its linguistic features.

    Non-causal convolutions over the phones predict the logarithm of the number of frames; training
    minimizes its squared error.

    Args:
        phone_set: labels of all phones, "sil" included.
        speaker_names: the name of each speaker; None for a model without speakers.
        **kwargs: as `ProsodyModel` takes them.

    Input shape:
        A dict of `phones`, float32 `[batch, phones, features]` as
        `LinguisticFeatures.of_phones` returns them, zeros after the end; and, of a model with
        speakers, `speaker_id`, int32 `[batch]`.

    Output shape:
        The logarithm of the number of frames, `[batch, phones, 1]`.

    Example:
    >>> model = DurationModel(["AY", "HH", "sil"])
    >>> phones = np.ones([1, 4, len(model.features.phone_names)], np.float32)
    >>> model({"phones": phones}).shape
    TensorShape([1, 4, 1])
    """

    def __init__(self, phone_set: Sequence[str], speaker_names=None, **kwargs):
        super().__init__(phone_set, speaker_names, **kwargs)
        self.output_layer = keras.layers.Dense(
            1,
            bias_initializer=keras.initializers.Constant(_TYPICAL_LOG_FRAMES),
            name="output_layer",
        )
        self.build()

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the arguments."""
        self._build_encoder(len(self.features.phone_names))
        self.output_layer.build((None, None, self.channels))
        self.built = True

    def call(self, inputs, training=False):
        encoded = self._encode(inputs["phones"], inputs.get("speaker_id"), training)
        return self.output_layer(encoded)

    def frames(self, phones: np.ndarray, speaker: str | None = None, rate: float = 1.0):
        """Returns the number of frames of each phone of an utterance, int `[phones]`.

        Rounding errors do not add up: each phone ends at the frame nearest to its predicted end.

        Args:
            phones: linguistic features of the phones, `[phones, features]`.
            speaker: name of the speaker; None takes the first.
            rate: factor of the speed; 2 halves all durations.

        Raises:
            InputError: for an unknown speaker, or a rate that is not positive.

        Example:
        >>> model = DurationModel(["AY", "HH", "sil"])
        >>> int(model.frames(np.ones([4, len(model.features.phone_names)])).min()) > 0
        True
        """
        rate = positive_number("rate", rate)
        inputs = {"phones": np.asarray(phones, np.float32)[None]}
        if (speaker_id := self.speaker_id(speaker)) is not None:
            inputs["speaker_id"] = np.array([speaker_id], np.int32)
        return self.rounded_frames(inputs, rate)[0].numpy()

    def rounded_frames(self, inputs, rate) -> tf.Tensor:
        """Returns the number of frames of each phone, int32 `[batch, phones]`; works in graphs.

        Args:
            inputs: as the model takes them.
            rate: factor of the speed.
        """
        lengths = tf.maximum(tf.exp(self(inputs)[..., 0]) / rate, 1.0)
        ends = tf.cast(tf.round(tf.cumsum(lengths, axis=-1)), tf.int32)
        return ends - tf.pad(ends, [[0, 0], [1, 0]])[:, :-1]


@keras.saving.register_keras_serializable(package="wavenet_tf")
class LogF0Model(ProsodyModel):
    """Predicts log F0 and voicing, frame by frame, from linguistic features and its own past.

    Gated residual blocks, as a WaveNet has them, see the log F0 and voicing of the frames before,
    and the encoded linguistic features of all frames. Training minimizes the squared error of both.

    Predictions would lose their movement in free running if training only ever gave the true past.
    In training the past is therefore, for `free_running` of the frames, what the model itself
    predicts from the true past with noise (parallel scheduled sampling, Mihaylova and Martins
    2019).

    Args:
        phone_set: labels of all phones, "sil" included.
        speaker_names: the name of each speaker; None for a model without speakers.
        num_blocks: number of the blocks, whose dilations are 1, 2, 4 and so on.
        free_running: fraction of the past frames that are predicted in training.
        noise: standard deviation of the noise added to the true past in training, relative to the
            deviation of log F0.
        feature: name of the feature that the targets are, of `audio.F0_FEATURES`.
        **kwargs: as `ProsodyModel` takes them.

    Input shape:
        A dict of `frames`, float32 `[batch, frames, features]` as `LinguisticFeatures.of_frames`
        returns them, zeros after the end; `f0`, float32 `[batch, frames, 2]`, log F0 and voicing as
        `audio.pitch` returns them, of which an output depends on the frames before; and, of a model
        with speakers, `speaker_id`, int32 `[batch]`.

    Output shape:
        Log F0 and voicing, `[batch, frames, 2]`; a frame is voiced where its voicing is above 0.5.

    Example:
    >>> model = LogF0Model(["AY", "HH", "sil"], num_blocks=3)
    >>> frames = np.ones([1, 20, len(model.features.frame_names)], np.float32)
    >>> model({"frames": frames, "f0": np.zeros([1, 20, 2], np.float32)}).shape
    TensorShape([1, 20, 2])
    >>> model.generate(frames[0]).shape
    (20, 2)
    """

    def __init__(
        self,
        phone_set: Sequence[str],
        speaker_names=None,
        num_blocks: int = 7,
        free_running: float = 0.5,
        noise: float = 0.3,
        feature: str = "f0",
        **kwargs,
    ):
        super().__init__(phone_set, speaker_names, **kwargs)
        self.num_blocks = positive_integer("num_blocks", num_blocks)
        self.free_running = float(free_running)
        if not 0.0 <= self.free_running <= 1.0:
            raise InputError(f"free_running must be from 0 to 1; received {free_running!r}")
        self.noise = positive_number("noise", noise)
        self.feature = feature
        self.past_projection = keras.layers.Dense(self.channels, name="past_projection")
        self.stack = DilatedStack(
            self.channels,
            self.channels,
            kernel_size=2,
            dilations=[2**index for index in range(self.num_blocks)],
            local_channels=self.channels,
            name="stack",
        )
        self.hidden_layer = keras.layers.Dense(
            self.channels, activation="relu", name="hidden_layer"
        )
        self.output_layer = keras.layers.Dense(2, name="output_layer")
        self.seed_generator = keras.random.SeedGenerator(0)
        self.build()

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the arguments."""
        speakers = len(self.speaker_names or ("",))
        for name, value in (("mean", _TYPICAL_LOG_F0), ("deviation", _TYPICAL_DEVIATION)):
            weight = self.add_weight(
                shape=(speakers,),
                initializer=keras.initializers.Constant(value),
                trainable=False,
                name=name,
            )
            setattr(self, name, weight)
        self._build_encoder(len(self.features.frame_names))
        self.past_projection.build((None, None, 2))
        self.stack.build()
        self.hidden_layer.build((None, None, self.num_blocks * self.channels))
        self.output_layer.build((None, None, self.channels))
        self.built = True

    def adapt(self, f0_of_speakers: Sequence[np.ndarray]) -> None:
        """Sets the mean and the deviation of each speaker's log F0 over its voiced frames.

        Args:
            f0_of_speakers: log F0 and voicing of the frames of each speaker, `[frames, 2]`, in the
                order of `speaker_names`; of a model without speakers one array.
        """
        means, deviations = [], []
        for f0 in f0_of_speakers:
            voiced = f0[f0[:, 1] > 0.5, 0]
            means.append(voiced.mean() if len(voiced) else _TYPICAL_LOG_F0)
            deviations.append(max(voiced.std(), 1e-2) if len(voiced) else _TYPICAL_DEVIATION)
        self.mean.assign(np.array(means, np.float32))
        self.deviation.assign(np.array(deviations, np.float32))

    def call(self, inputs, training=False):
        speaker_ids = inputs.get("speaker_id")
        encoded = self._encode(inputs["frames"], speaker_ids, training)
        past = _delayed(self._standardized(inputs["f0"], speaker_ids))
        if training:
            noise = keras.random.normal(tf.shape(past), seed=self.seed_generator) * self.noise
            predicted = self._predict(past + noise, encoded)
            chosen = keras.random.uniform(tf.shape(past)[:2], seed=self.seed_generator)
            chosen = (chosen < self.free_running)[..., None]
            past = tf.where(chosen, tf.stop_gradient(_delayed(predicted)), past)
        return self._in_units(self._predict(past, encoded), speaker_ids)

    def default_loss(self):
        return _f0_loss

    def generate(
        self, frames: np.ndarray, speaker: str | None = None, semitones: float = 0.0
    ) -> np.ndarray:
        """Returns log F0 and voicing, 1 or 0, in free running, float32 `[frames, 2]`.

        Args:
            frames: linguistic features of the frames, `[frames, features]`.
            speaker: name of the speaker; None takes the first.
            semitones: by which F0 is raised.

        Raises:
            InputError: for an unknown speaker.
        """
        inputs = {"frames": tf.constant(np.asarray(frames, np.float32)[None])}
        speaker_id = self.speaker_id(speaker)
        if speaker_id is not None:
            inputs["speaker_id"] = tf.constant([speaker_id], tf.int32)
        return self.f0(inputs, semitones)[0].numpy()

    def f0(self, inputs: Mapping[str, Any], semitones) -> tf.Tensor:
        """Returns log F0 and voicing, 1 or 0, in free running, `[batch, frames, 2]`.

        It works in graphs.

        Args:
            inputs: as `call` takes them, without `f0`.
            semitones: by which F0 is raised.
        """
        log_f0, voicing = tf.unstack(self.run_freely(inputs), axis=-1)
        raised = log_f0 + tf.cast(semitones, tf.float32) * (math.log(2.0) / 12.0)
        return tf.stack([raised, tf.cast(voicing > 0.5, tf.float32)], axis=-1)

    def trace(self) -> None:
        """Traces the graph of `run_freely` for one utterance of any length; it takes a second."""
        inputs = {"frames": tf.TensorSpec([1, None, len(self.features.frame_names)])}
        if self.speaker_names:
            inputs["speaker_id"] = tf.TensorSpec([1], tf.int32)
        self.run_freely.get_concrete_function(inputs)

    @tf.function(reduce_retracing=True)
    def run_freely(self, inputs: Mapping[str, Any]) -> tf.Tensor:
        """Returns predictions from the model's own predictions before, `[batch, frames, 2]`.

        Args:
            inputs: as `call` takes them, without `f0`.
        """
        speaker_ids = inputs.get("speaker_id")
        encoded = self._encode(inputs["frames"], speaker_ids, training=False)
        batch, frames = tf.shape(encoded)[0], tf.shape(encoded)[1]
        outputs = tf.TensorArray(tf.float32, frames, element_shape=[encoded.shape[0], 2])
        state, last = self.stack.initial_state(batch), tf.zeros([batch, 1, 2])
        for index in tf.range(frames):
            here = encoded[:, index][:, None]
            gated, state = self.stack(self.past_projection(last), None, here, state=state)
            last = self.output_layer(self.hidden_layer(gated))
            outputs = outputs.write(index, last[:, 0])
        return self._in_units(tf.transpose(outputs.stack(), [1, 0, 2]), speaker_ids)

    def _predict(self, past, encoded) -> tf.Tensor:
        gated = self.stack(self.past_projection(past), None, encoded)
        return self.output_layer(self.hidden_layer(gated))

    def _standardized(self, f0, speaker_ids) -> tf.Tensor:
        mean, deviation = self._scale(speaker_ids)
        return tf.concat([(f0[..., :1] - mean) / deviation, f0[..., 1:]], axis=-1)

    def _in_units(self, standardized, speaker_ids) -> tf.Tensor:
        mean, deviation = self._scale(speaker_ids)
        return tf.concat([standardized[..., :1] * deviation + mean, standardized[..., 1:]], -1)

    def _scale(self, speaker_ids) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean and the deviation of each utterance's speaker, `[batch, 1, 1]`."""
        ids = tf.zeros([1], tf.int32) if speaker_ids is None else speaker_ids
        mean, deviation = tf.gather(self.mean, ids), tf.gather(self.deviation, ids)
        return mean[:, None, None], deviation[:, None, None]

    def get_config(self):
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "free_running": self.free_running,
            "noise": self.noise,
            "feature": self.feature,
        }


def _f0_loss(targets, predictions) -> tf.Tensor:
    """Returns the squared errors of log F0, in typical deviations, and of voicing."""
    scales = tf.constant([1.0 / _TYPICAL_DEVIATION, 1.0])
    return tf.reduce_sum(tf.square(scales * (targets - predictions)), axis=-1)


def _delayed(values) -> tf.Tensor:
    """Returns values one frame later, after zeros."""
    return tf.pad(values, [[0, 0], [1, 0], [0, 0]])[:, :-1]
