"""A voice as a TFLite file: the prosody of phones, and the sampling loop of its WaveNet."""

from typing import Any

import tensorflow as tf

from wavenet_tf.conditioning import LOCAL_CONDITIONING
from wavenet_tf.deployment.generator_tflite import TFLiteSignatures
from wavenet_tf.deployment.prosody import ProsodySignature
from wavenet_tf.deployment.signatures import traced
from wavenet_tf.models import WaveNet
from wavenet_tf.text.phone_features import ENCODED, PHONES

# Sizes of the signature `prosody`, which are fixed: LiteRT cannot resize tensors in a browser.
MAX_PHONES, MAX_FRAMES = 250, 4000


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
        sizes = {"max_phones": MAX_PHONES, "max_frames": MAX_FRAMES}
        return {**super().metadata, "prosody": True, **sizes}

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self.prosody.variables]

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced; those of audio for `batch_size` streams."""
        inputs = {
            name: tf.TensorSpec([1, MAX_PHONES], spec.dtype, name) if name in ENCODED else spec
            for name, spec in self.prosody.inputs.items()
        }
        prosody = traced({"prosody": self._padded_prosody}, {"prosody": inputs})
        return {**super().concrete_functions(), **prosody}

    def _padded_prosody(self, **inputs) -> dict[str, tf.Tensor]:
        """Returns the prosody of the phones before the first -1, with zeros after its end."""
        count = tf.reduce_sum(tf.cast(inputs[PHONES] >= 0, tf.int32))
        inputs |= {name: inputs[name][:, :count] for name in ENCODED}
        answer = self.prosody(max_frames=MAX_FRAMES, **inputs)
        sizes = {"durations": MAX_PHONES, LOCAL_CONDITIONING: MAX_FRAMES}
        return {name: _padded(answer[name], size) for name, size in sizes.items()}


def _padded(tensor: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the rows of an utterance, `[1, size, ...]`, with zeros after its end."""
    rows = tensor[0]
    end = size - tf.shape(rows)[0]
    rows = tf.pad(rows, [[0, end], *[[0, 0]] * (len(rows.shape) - 1)])
    return tf.reshape(rows, [1, size, *tensor.shape[2:]])
