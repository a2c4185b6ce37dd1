"""Weights of a model in the order in which the sampling loop reads them."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class WeightSnapshot:
    """The weights of a model at some time, to notice later that they have changed.

    Args:
        model: a Keras model.
    """

    def __init__(self, model):
        self.model = model
        self._values: list[np.ndarray] = []

    def changed(self) -> bool:
        """Returns whether the weights differ from those at the last call; at the first, True."""
        values = [weight.numpy() for weight in self.model.weights]
        same = len(values) == len(self._values) and all(map(np.array_equal, values, self._values))
        self._values = values
        return not same


class BlockWeights(NamedTuple):
    """Weights of a gated residual block, with both halvings of `prepare_weights`.

    Attributes:
        dilated_kernel: `[kernel_size * residual, 2 * gate]`, the oldest tap first.
        dilated_bias: `[2 * gate]`.
        skip_and_residual_kernel: `[gate, skip + residual]`; of the last block `[gate, skip]`.
        residual_bias: `[residual]`; None for the last block.
    """

    dilated_kernel: tf.Tensor
    dilated_bias: tf.Tensor
    skip_and_residual_kernel: tf.Tensor
    residual_bias: tf.Tensor | None


class ContextWeights(NamedTuple):
    """Weights of a context stack.

    Attributes:
        frame_kernel: `[pooling, channels]`.
        frame_bias: `[channels]`.
        blocks: weights of each block.
        skip_bias: `[channels]`.
    """

    frame_kernel: tf.Tensor
    frame_bias: tf.Tensor
    blocks: list[BlockWeights]
    skip_bias: tf.Tensor


class Weights(NamedTuple):
    """Weights of a model for the sampling loop.

    Attributes:
        input_kernel: `[input_taps * codes, residual]`; for a waveform, codes is 1.
        input_bias: `[residual]`.
        blocks: weights of each block.
        global_kernels: `[global, 2 * gate]` per block; empty without global conditioning.
        local_kernels: for each source of local conditioning, frames first, a kernel
            `[channels, 2 * gate]` per block.
        contexts: weights of each context stack.
        skip_bias: `[skip]`.
        head: kernel and bias of the head convolution and of the output convolution.
    """

    input_kernel: tf.Tensor
    input_bias: tf.Tensor
    blocks: list[BlockWeights]
    global_kernels: list[tf.Tensor]
    local_kernels: list[list[tf.Tensor]]
    contexts: list[ContextWeights]
    skip_bias: tf.Tensor
    head: list[tuple[tf.Tensor, tf.Tensor]]


def prepare_weights(model) -> Weights:
    """Reorders the weights of a model for the sampling loop.

    The gate's sigmoid is computed as `(1 + tanh(x / 2)) / 2`, so that one tanh serves filter and
    gate; both halvings are folded into the weights here.

    Args:
        model: a `WaveNet`.
    """
    trunk, head = model.trunk, model.head
    blocks = trunk.stack.blocks
    halve_gate = _halve_gate(blocks[0].gate_channels)
    sources = [layer for layer in (trunk.upsampler, *trunk.context_stacks) if layer]
    local_kernels = [
        tf.split(
            _float32(block.local_projection.kernel) * halve_gate,
            [source.channels for source in sources],
        )
        for block in blocks
        if sources
    ]
    input_kernel = _float32(trunk.input_convolution.kernel)
    return Weights(
        input_kernel=tf.reshape(input_kernel, [-1, input_kernel.shape[-1]]),
        input_bias=_float32(trunk.input_convolution.bias),
        blocks=_block_weights(blocks, head.skip_convolution),
        global_kernels=[
            _float32(block.global_projection.kernel) * halve_gate
            for block in blocks
            if block.global_channels
        ],
        local_kernels=[list(kernels) for kernels in zip(*local_kernels, strict=True)],
        contexts=[
            ContextWeights(
                frame_kernel=_float32(stack.frame_projection.kernel),
                frame_bias=_float32(stack.frame_projection.bias),
                blocks=_block_weights(stack.stack.blocks, stack.skip_convolution),
                skip_bias=_float32(stack.skip_convolution.bias),
            )
            for stack in trunk.context_stacks
        ],
        skip_bias=_float32(head.skip_convolution.bias),
        head=[
            (_float32(layer.kernel)[0], _float32(layer.bias))
            for layer in (head.head_convolution, head.output_convolution)
        ],
    )


def _block_weights(blocks, skip_convolution) -> list[BlockWeights]:
    halve_gate = _halve_gate(blocks[0].gate_channels)
    skips = tf.split(_float32(skip_convolution.kernel)[0] / 2, len(blocks))
    weights = []
    for block, skip in zip(blocks, skips, strict=True):
        kernel = _float32(block.dilated_convolution.kernel) * halve_gate
        residual = [_float32(block.residual_convolution.kernel)[0] / 2] if block.residual else []
        weights.append(
            BlockWeights(
                dilated_kernel=tf.reshape(kernel, [-1, kernel.shape[-1]]),
                dilated_bias=_float32(block.dilated_convolution.bias) * halve_gate,
                skip_and_residual_kernel=tf.concat([skip, *residual], axis=1),
                residual_bias=_float32(block.residual_convolution.bias) if block.residual else None,
            )
        )
    return weights


def _halve_gate(gate_channels: int) -> np.ndarray:
    return np.repeat(np.array([1.0, 0.5], np.float32), gate_channels)


def _float32(weight) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(weight), tf.float32)
