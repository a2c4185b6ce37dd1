"""The state of sampling: everything that the next sample depends on, and its tensors by name."""

from typing import NamedTuple

import tensorflow as tf

from wavenet_tf.clients import STATE_PREFIX
from wavenet_tf.conditioning import LOCAL_CONDITIONING
from wavenet_tf.layers import TrunkState, trunk_state_from_tensors, trunk_state_tensors


class SamplerState(NamedTuple):
    """Everything that the next sample depends on.

    Attributes:
        trunk: state of the trunk.
        previous: the most recent sample's value, `[batch]`, which the trunk has not processed.
    """

    trunk: TrunkState
    previous: tf.Tensor


def state_tensors(state: SamplerState) -> dict[str, tf.Tensor]:
    """Returns the tensors of a state by name: `state_block_0`, `state_context_0_recent` and so on.

    Args:
        state: of any model.
    """
    tensors = {"previous": state.previous, **trunk_state_tensors(state.trunk)}
    return {STATE_PREFIX + name: tensor for name, tensor in tensors.items()}


def state_from_tensors(model, tensors: dict[str, tf.Tensor]) -> SamplerState:
    """Returns the state whose tensors `state_tensors` has named.

    Args:
        model: a `WaveNet`.
        tensors: by name; other tensors among them are ignored.
    """
    named = {name.removeprefix(STATE_PREFIX): tensor for name, tensor in tensors.items()}
    return SamplerState(trunk_state_from_tensors(model.trunk, named), named["previous"])


def initial_state(model, batch_size) -> SamplerState:
    """Returns the state of layers that have processed nothing, after one sample of silence.

    Args:
        model: a `WaveNet`.
        batch_size: int or scalar tensor.
    """
    silence = tf.fill([batch_size], model.distribution.silence)
    return SamplerState(in_float32(model.trunk.initial_state(batch_size)), silence)


def state_specs(model, batch_size: int | None = None) -> dict[str, tf.TensorSpec]:
    """Returns shapes and types of `state_tensors`.

    Args:
        model: a `WaveNet`.
        batch_size: number of streams; None for any number.
    """
    return {
        name: tf.TensorSpec([batch_size, *tensor.shape[1:]], tensor.dtype, name)
        for name, tensor in state_tensors(initial_state(model, 1)).items()
    }


def prime(model, values, conditions: dict | None = None) -> SamplerState:
    """Returns the state after a prompt, by one parallel pass over a receptive field of it.

    Args:
        model: a `WaveNet`.
        values: values of the distribution, `[batch, time]`; before them lies digital silence.
        conditions: the model's other inputs; the frames of local conditioning begin with the
            first value.
    """
    conditions = conditions or {}
    end = tf.shape(values)[1]
    batch = tf.shape(values)[0]
    silence = tf.fill([batch, model.receptive_field], model.distribution.silence)
    # Samples before the receptive field have no influence.
    values = tf.concat([silence, values], axis=1)[:, -model.receptive_field :]
    # A position is conditioned on the frame of the sample that it predicts.
    length = model.config.trunk_receptive_field - 1
    inputs = {"audio": values[:, -1 - length : -1], **conditions}
    if model.trunk.context_stacks:
        inputs["context_audio"] = values[:, : -1 - length]
    local_conditioning = None
    if LOCAL_CONDITIONING in conditions:
        local_conditioning = model.trunk.local_conditioning(conditions, end - length, length)
    _, state = model.trunk(inputs, model.trunk.initial_state(batch), local_conditioning)
    return SamplerState(in_float32(state), values[:, -1])


def in_float32(tensors):
    """Returns a structure of tensors with floats in float32, the precision of sampling."""
    return tf.nest.map_structure(
        lambda part: tf.cast(part, tf.float32) if part.dtype.is_floating else part, tensors
    )
