"""The arithmetic of a gated residual block on prepared weights."""

import tensorflow as tf

from wavenet_tf.sampling.config import ActivationObserver, unchanged
from wavenet_tf.sampling.weights import BlockWeights


def doubled_gate(activation, observe: ActivationObserver = unchanged) -> tf.Tensor:
    """Returns twice the gated activation; see `prepare_weights` for the halvings.

    Args:
        activation: `[batch, 2 * gate_channels]`, computed with prepared weights.
        observe: activation observer.
    """
    filter_half, gate_half = tf.split(observe("tanh", tf.tanh(activation)), 2, axis=-1)
    return observe("gated", filter_half * observe("opening", 1.0 + gate_half))


def add_skip_and_residual(
    block: BlockWeights, gated, signal, skip_sum, residual_scale: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the next block's input and the sum of the skip connections, by one product.

    Args:
        block: weights of the block.
        gated: of `doubled_gate`, `[batch, gate_channels]`.
        signal: the block's input, `[batch, residual_channels]`.
        skip_sum: of the blocks before, `[batch, skip_channels]`.
        residual_scale: factor of the residual output.
    """
    both = tf.matmul(gated, block.skip_and_residual_kernel)
    skip_channels = skip_sum.shape[-1]
    skip_sum += both[:, :skip_channels]
    if block.residual_bias is not None:
        signal = scaled(signal + (both[:, skip_channels:] + block.residual_bias), residual_scale)
    return signal, skip_sum


def scaled(signal, residual_scale: float) -> tf.Tensor:
    """Returns the residual output times its factor."""
    return signal if residual_scale == 1.0 else signal * residual_scale
