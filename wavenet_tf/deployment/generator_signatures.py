"""What the signatures of a generator have in common, as a SavedModel and as a TFLite file.

A client streams without this package: `initial_state` or `prime` returns tensors named `state_...`;
`generate_block` takes these and uniform numbers, and returns audio and the next state.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from wavenet_tf import sampling
from wavenet_tf.clients import GENERATION
from wavenet_tf.conditioning import LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.deployment.signatures import Signatures
from wavenet_tf.layers import RepeatedFrames
from wavenet_tf.sampling import checked_block_size, generator_metadata


class GeneratorSignatures(Signatures):
    """Functions of an exported generator.

    Args:
        model: a `WaveNet`.
        block_size: samples of `generate_block`, whole frames of conditioning and of context
            stacks; None takes the default.
        default_block_size: the default, or the next multiple of a frame.

    Attributes:
        model: the `WaveNet`.
        block_size: samples of `generate_block`.
        conditioning: the `ConditioningSpec` of the model.

    Raises:
        InputError: for a block size that does not fit.
    """

    task = GENERATION

    def __init__(self, model, block_size: int | None, default_block_size: int):
        super().__init__(model)
        self.conditioning = model.conditioning
        self.block_size = checked_block_size(
            block_size,
            default_block_size,
            model.config.frame_unit,
            "the frames of this model's conditioning and context stacks",
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return generator_metadata(self.model, self.block_size)

    @property
    def frames_per_block(self) -> int | None:
        """Frames that `generate_block` takes: those of the block and around it; None if none."""
        spec = self.conditioning
        if spec.hop_length is None:
            return None
        return spec.frames_before + self.block_size // spec.hop_length + spec.frames_after

    @property
    def samples_before(self) -> int:
        """Samples of the frames of `generate_block` that come before the block."""
        return self.conditioning.frames_before * (self.conditioning.hop_length or 0)

    def conditioning_specs(self, batch_size=None, frames=None) -> dict[str, tf.TensorSpec]:
        """Returns shapes and types of the model's conditioning, by name.

        Args:
            batch_size: number of streams; None for any number.
            frames: frames of local conditioning; None for any number.
        """
        return {
            name: tf.TensorSpec(
                [batch_size, *shape], tf.int32 if name == SPEAKER_ID else tf.float32, name
            )
            for name, shape in self.conditioning.shapes(frames).items()
        }

    def conditions_of(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the conditions among the inputs of a signature."""
        return {name: inputs[name] for name in self.conditioning.names}

    def conditioning_of_block(self, conditions: Mapping[str, tf.Tensor], first) -> dict[str, Any]:
        """Returns the conditioning of a block, as `sampling.sample_block` takes it.

        Args:
            conditions: of the model.
            first: index of the block's first sample, counted from the first frame.
        """
        return conditioning_of_block(self.model, conditions, first, self.block_size)

    def state_specs(self, batch_size: int | None = None) -> dict[str, tf.TensorSpec]:
        """Returns shapes and types of the tensors of a state, of the codec's memory too.

        Args:
            batch_size: number of streams; None for any number.
        """
        memory = {
            name: tf.TensorSpec([batch_size], part.dtype, name)
            for name, part in self.model.codec.initial_memory(1).items()
        }
        return {**sampling.state_specs(self.model, batch_size), **memory}

    def state_after_silence(self, batch_size, conditions) -> sampling.SamplerState:
        """Returns the state of streams that begin after digital silence."""
        nothing = tf.zeros([batch_size, 0], self.model.distribution.encode(0.0).dtype)
        return sampling.prime(self.model, nothing, conditions)


def conditioning_of_block(
    model, conditions: Mapping[str, tf.Tensor], first, block_size: int
) -> dict[str, Any]:
    """Returns the conditioning of a block, as `sampling.sample_block` takes it.

    Args:
        model: a `WaveNet`.
        conditions: the model's other inputs.
        first: index of the block's first sample, counted from the first frame.
        block_size: samples of the block.
    """
    local_conditioning = None
    if model.trunk.upsampler:
        rows, offset = model.trunk.upsampler.repeated_frames(
            conditions[LOCAL_CONDITIONING], first, block_size
        )
        local_conditioning = RepeatedFrames(tf.cast(rows, tf.float32), offset)
    global_conditioning = model.trunk.global_conditioning(conditions)
    if global_conditioning is not None:
        global_conditioning = tf.cast(global_conditioning, tf.float32)
    return {
        "global_conditioning": global_conditioning,
        "local_conditioning": local_conditioning,
    }
