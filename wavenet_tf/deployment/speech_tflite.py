"""A voice as a TFLite file: the prosody of phones, and the sampling loop of its WaveNet."""

from typing import Any

from wavenet_tf.deployment.generator_tflite import TFLiteSignatures
from wavenet_tf.deployment.prosody import ProsodySignature
from wavenet_tf.deployment.signatures import traced
from wavenet_tf.models import WaveNet


class TFLiteSpeechSignatures(TFLiteSignatures):
    """Functions of the TFLite file of a voice.

    Args:
        model: a `WaveNet` that is conditioned on linguistic features.
        prosody: the function of the signature `prosody`, of one utterance at a time.
        **options: as `TFLiteSignatures` takes them.
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
        """Returns the signatures by name, traced; those of audio for `batch_size` streams."""
        prosody = traced({"prosody": self.prosody}, {"prosody": self.prosody.inputs})
        return {**super().concrete_functions(), **prosody}
