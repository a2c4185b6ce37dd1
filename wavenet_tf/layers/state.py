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
