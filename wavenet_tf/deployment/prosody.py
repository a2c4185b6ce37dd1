"""The signature `prosody` of the exports of a voice."""

from typing import Any

import tensorflow as tf

from wavenet_tf.conditioning import LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.models import DurationModel, LogF0Model
from wavenet_tf.text.linguistic import expand_to_frames
from wavenet_tf.text.phone_features import ENCODED, phone_features


class ProsodySignature:
    """Maps the phones of one utterance to durations and to the frames of a WaveNet.

    Args:
        durations: predicts how long phones are.
        log_f0: predicts F0; None for a `WaveNet` without F0.
    """

    def __init__(self, durations: DurationModel, log_f0: LogF0Model | None = None):
        self.durations, self.log_f0 = durations, log_f0

    @property
    def variables(self) -> list[Any]:
        """The variables that the function reads."""
        return [*self.durations.variables, *(self.log_f0.variables if self.log_f0 else ())]

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Shapes and types of the inputs, for any number of phones."""
        inputs = {name: tf.TensorSpec([1, None], tf.int32, name) for name in ENCODED}
        inputs["rate"] = tf.TensorSpec([1], tf.float32, "rate")
        if self.log_f0:
            inputs["semitones"] = tf.TensorSpec([1], tf.float32, "semitones")
        if self.durations.speaker_names:
            inputs[SPEAKER_ID] = tf.TensorSpec([1], tf.int32, SPEAKER_ID)
        return inputs

    def __call__(self, rate, max_frames: int | None = None, **inputs) -> dict[str, tf.Tensor]:
        """Returns the frames of each phone, and the frames of local conditioning.

        Args:
            rate: factor of the speed.
            max_frames: greatest number of frames of local conditioning; None for any number.
            **inputs: the other tensors of `inputs`; the phones as
                `text.LinguisticFeatures.encode` returns them.
        """
        encoded = {name: inputs[name][0] for name in ENCODED}
        phones = phone_features(encoded, self.durations.phone_set, tf.experimental.numpy)[None]
        speaker = {name: inputs[name] for name in (SPEAKER_ID,) if name in inputs}
        durations = self.durations.rounded_frames({"phones": phones, **speaker}, rate[0])
        phone_of_frame = tf.repeat(tf.range(tf.shape(phones)[1]), durations[0])[:max_frames]
        seconds = self.durations.frame_seconds
        frames = expand_to_frames(
            phones[0], durations[0], phone_of_frame, seconds, tf.experimental.numpy
        )[None]
        if self.log_f0:
            f0 = self.log_f0.f0({"frames": frames, **speaker}, inputs["semitones"][0])
            frames = tf.concat([frames, f0], axis=-1)
        return {"durations": durations, LOCAL_CONDITIONING: frames}
