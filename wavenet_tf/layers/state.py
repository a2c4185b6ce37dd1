"""States of a trunk and its context stacks: the tensors that later samples depend on."""

from typing import NamedTuple

import tensorflow as tf


class ContextState(NamedTuple):
    """State of a context stack after some samples.

    Attributes:
        recent: the most recent samples, `[batch, pooling + CONTEXT_DELAY]`.
        phase: number of samples after the last whole frame, less 1, int32 `[batch]`.
        outputs: outputs of the last frames, `[batch, frames, channels]`.
        blocks: state of each block, `[batch, context, channels]`.
    """

    recent: tf.Tensor
    phase: tf.Tensor
    outputs: tf.Tensor
    blocks: tuple[tf.Tensor, ...]


class TrunkState(NamedTuple):
    """State of a trunk after some samples.

    Attributes:
        inputs: state of the input convolution, `[batch, kernel_size - 1]`.
        contexts: state of each context stack.
        blocks: state of each block, `[batch, context, residual_channels]`.
    """

    inputs: tf.Tensor
    contexts: tuple[ContextState, ...]
    blocks: tuple[tf.Tensor, ...]


def trunk_state_tensors(state: TrunkState) -> dict[str, tf.Tensor]:
    """Returns the tensors of a state by name: `block_0`, `context_0_recent` and so on.

    Args:
        state: of any trunk.
    """
    tensors = {"input_convolution": state.inputs}
    for index, context in enumerate(state.contexts):
        *parts, blocks = context
        named = dict(zip(ContextState._fields, parts, strict=False))
        named.update(_blocks_by_name(blocks))
        tensors.update({f"context_{index}_{name}": part for name, part in named.items()})
    return {**tensors, **_blocks_by_name(state.blocks)}


def _blocks_by_name(blocks) -> dict[str, tf.Tensor]:
    return {f"block_{index}": block for index, block in enumerate(blocks)}


def trunk_state_from_tensors(trunk, tensors: dict[str, tf.Tensor]) -> TrunkState:
    """Returns the state whose tensors `trunk_state_tensors` has named.

    Args:
        trunk: a `WaveNetTrunk`.
        tensors: by name; other tensors among them are ignored.
    """

    def blocks(prefix: str, stack) -> tuple[tf.Tensor, ...]:
        return tuple(tensors[f"{prefix}{block.name}"] for block in stack.blocks)

    contexts = []
    for stack in trunk.context_stacks:
        names = (f"{stack.name}_{part}" for part in ContextState._fields[:-1])
        recent, phase, outputs = (tensors[name] for name in names)
        contexts.append(ContextState(recent, phase, outputs, blocks(f"{stack.name}_", stack.stack)))
    return TrunkState(tensors["input_convolution"], tuple(contexts), blocks("", trunk.stack))
