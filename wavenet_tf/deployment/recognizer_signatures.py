"""What the signatures of a recognizer have in common, as a SavedModel and as a TFLite file.

A client streams without this package: `initial_state` returns tensors named `state_...`;
`recognize_block` takes these, whole frames of audio and their mask, and returns the logits of the
frames `look_ahead` frames before, and the next state.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from wavenet_tf import models, recognition
from wavenet_tf.clients import RECOGNITION, STATE_PREFIX
from wavenet_tf.deployment.signatures import Signatures
from wavenet_tf.layers import trunk_state_from_tensors, trunk_state_tensors


class RecognizerSignatures(Signatures):
    """Functions of an exported recognizer, which compute in float32.

    Args:
        model: a `WaveNetClassifier`.

    Attributes:
        recognizer: the `wavenet_tf.recognition.Recognizer` whose functions are exported.
    """

    task = RECOGNITION

    def __init__(self, model):
        super().__init__(in_float32(model))
        self.recognizer = recognition.Recognizer(self.model)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, **dataclasses.asdict(self.recognizer.spec)}

    def state_tensors(self, state: recognition.RecognizerState) -> dict[str, tf.Tensor]:
        """Returns the tensors of a state by name.

        Args:
            state: of the recognizer.
        """
        tensors = trunk_state_tensors(state.trunk)
        if self.model.look_ahead:  # files have no tensors without a value
            tensors.update(frames=state.frames, frame_mask=state.mask)
        return {STATE_PREFIX + name: tensor for name, tensor in tensors.items()}

    def state_from_tensors(self, tensors: dict[str, tf.Tensor]) -> recognition.RecognizerState:
        """Returns the state whose tensors the method `state_tensors` has named.

        Args:
            tensors: by name; other tensors among them are ignored.
        """
        named = {name.removeprefix(STATE_PREFIX): tensor for name, tensor in tensors.items()}
        trunk = trunk_state_from_tensors(self.model.trunk, named)
        if self.model.look_ahead:
            return recognition.RecognizerState(trunk, named["frames"], named["frame_mask"])
        batch = tf.shape(trunk.inputs)[0]
        nothing = self.recognizer.initial_state(batch)
        return recognition.RecognizerState(trunk, nothing.frames, nothing.mask)

    def state_specs(self, batch_size: int | None = None) -> dict[str, tf.TensorSpec]:
        """Returns shapes and types of the state's tensors, by name.

        Args:
            batch_size: number of streams; None for any number.
        """
        return {
            name: tf.TensorSpec([batch_size, *tensor.shape[1:]], tensor.dtype, name)
            for name, tensor in self.state_tensors(self.recognizer.initial_state(1)).items()
        }

    def recognize_block(self, audio, frame_mask, **state) -> dict[str, tf.Tensor]:
        """Returns logits of the frames `look_ahead` frames before a block's, and the next state."""
        before = self.state_from_tensors(state)
        logits, after = self.recognizer.process(audio, frame_mask, before)
        return {"logits": logits, **self.state_tensors(after)}


def in_float32(model):
    """Returns a classifier that computes in float32: the model itself, or a copy of it.

    Args:
        model: a `WaveNetClassifier` of any precision.
    """
    if model.compute_dtype == "float32":
        return model
    trunk = models.WaveNetTrunk(model.config, dtype="float32")
    copy = models.WaveNetClassifier(**{**model.get_config(), "trunk": trunk, "dtype": "float32"})
    copy.set_weights(model.get_weights())
    return copy
