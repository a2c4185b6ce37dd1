"""A voice as a SavedModel: the prosody of phones, and the sampling loop of its WaveNet."""

from typing import Any

import tensorflow as tf

from wavenet_tf.conditioning import LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.deployment import checks
from wavenet_tf.deployment.generator_saved_model import SavedModelSignatures
from wavenet_tf.models import DurationModel, LogF0Model, WaveNet
from wavenet_tf.text.linguistic import expand_to_frames

MAX_SEMITONES = 24.0


class SavedModelSpeechSignatures(SavedModelSignatures):
    """The functions of the SavedModel of a voice; see `save`.

    The signature `prosody` maps the linguistic features of the phones of one utterance, as
    `text.LinguisticFeatures.of_phones` returns them, to durations and to the frames that the other
    signatures take as local conditioning.

    Args:
        model: a `WaveNet` that is conditioned on linguistic features.
        durations: predicts how long phones are.
        log_f0: predicts F0; None for a `WaveNet` without F0.
        **options: as `SavedModelSignatures` takes them.
    """

    def __init__(
        self,
        model: WaveNet,
        durations: DurationModel,
        log_f0: LogF0Model | None = None,
        **options,
    ):
        super().__init__(model, **options)
        self.durations, self.log_f0 = durations, log_f0

    @property
    def variables(self) -> list[Any]:
        prosody = self.log_f0.variables if self.log_f0 else []
        return [*super().variables, *self.durations.variables, *prosody]

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced; `prosody` for one utterance at a time."""
        width = len(self.durations.features.phone_names)
        inputs = {
            "phones": tf.TensorSpec([1, None, width], tf.float32, "phones"),
            "rate": tf.TensorSpec([1], tf.float32, "rate"),
        }
        if self.log_f0:
            inputs["semitones"] = tf.TensorSpec([1], tf.float32, "semitones")
        if self.durations.speaker_names:
            inputs[SPEAKER_ID] = tf.TensorSpec([1], tf.int32, SPEAKER_ID)
        prosody = checks.traced_with_checks(
            {"prosody": self.prosody}, {"prosody": inputs}, self._limits
        )
        return {**super().concrete_functions(), **prosody}

    def prosody(self, phones, rate, **inputs) -> dict[str, tf.Tensor]:
        """Returns the frames of each phone, and the frames of local conditioning."""
        speaker = {name: inputs[name] for name in (SPEAKER_ID,) if name in inputs}
        durations = self.durations.rounded_frames({"phones": phones, **speaker}, rate[0])
        count = tf.shape(phones)[1]
        phone_of_frame = tf.repeat(tf.range(count), durations[0])
        seconds = self.durations.frame_seconds
        frames = expand_to_frames(
            phones[0], durations[0], phone_of_frame, seconds, tf.experimental.numpy
        )[None]
        if self.log_f0:
            f0 = self.log_f0.f0({"frames": frames, **speaker}, inputs["semitones"][0])
            frames = tf.concat([frames, f0], axis=-1)
        return {"durations": durations, LOCAL_CONDITIONING: frames}

    def _limits(self, name: str, tensor: tf.Tensor) -> checks.Limits:
        if name == "phones":
            return [(tf.shape(tensor)[1] > 0, "hold at least one phone")]
        if name == "rate":
            return [(tensor > 0.0, "be above 0")]
        if name == "semitones":
            return [(tf.abs(tensor) <= MAX_SEMITONES, f"be within {MAX_SEMITONES:g} of 0")]
        return super()._limits(name, tensor)
