"""A voice as a SavedModel: the prosody of phones, and the sampling loop of its WaveNet."""

from typing import Any

import tensorflow as tf

from wavenet_tf.clients import MAX_SEMITONES
from wavenet_tf.conditioning import LOCAL_CONDITIONING
from wavenet_tf.deployment import checks
from wavenet_tf.deployment.generator_saved_model import SavedModelSignatures
from wavenet_tf.deployment.prosody import ProsodySignature
from wavenet_tf.models import WaveNet
from wavenet_tf.text.phone_features import PHONES, STRESS, STRESSES


class SavedModelSpeechSignatures(SavedModelSignatures):
    """The functions of the SavedModel of a voice; see `save`.

    The signature `prosody` maps phones, as `text.LinguisticFeatures.encode` returns them, to
    durations and to the frames that the other signatures take as local conditioning.

    Args:
        model: a `WaveNet` that is conditioned on linguistic features.
        prosody: the function of the signature `prosody`.
        **options: as `SavedModelSignatures` takes them.
    """

    def __init__(self, model: WaveNet, prosody: ProsodySignature, **options):
        super().__init__(model, **options)
        self.prosody = prosody

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, "prosody": True}

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self.prosody.variables]

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced."""
        inputs = {
            name: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, name)
            for name, spec in self.prosody.inputs.items()
        }
        prosody = checks.traced_with_checks(
            {"prosody": self._prosody_of_batch}, {"prosody": inputs}, self._limits
        )
        return {**super().concrete_functions(), **prosody}

    def _prosody_of_batch(self, **inputs) -> dict[str, tf.Tensor]:
        """Returns the prosody of each utterance; zeros follow the frames of shorter ones."""

        def prosody_of_row(row):
            answer = self.prosody(**{name: tensor[None] for name, tensor in row.items()})
            return answer["durations"][0], answer[LOCAL_CONDITIONING][0]

        frames = tf.RaggedTensorSpec(
            [None, self.conditioning.local_channels], tf.float32, ragged_rank=0
        )
        durations, frames = tf.map_fn(
            prosody_of_row,
            inputs,
            fn_output_signature=(tf.TensorSpec([None], tf.int32), frames),
        )
        return {"durations": durations, LOCAL_CONDITIONING: frames.to_tensor()}

    def _limits(self, name: str, tensor: tf.Tensor) -> checks.Limits:
        if name == PHONES:
            return [
                (tf.shape(tensor)[1] > 0, "hold at least one phone"),
                checks.from_to(tensor, 0, len(self.model.config.phone_set) - 1),
            ]
        if name == STRESS:
            return [checks.from_to(tensor, -1, STRESSES[-1])]
        if name == "rate":
            return [(tensor > 0.0, "be above 0")]
        if name == "semitones":
            return [(tf.abs(tensor) <= MAX_SEMITONES, f"be within {MAX_SEMITONES:g} of 0")]
        return super()._limits(name, tensor)
