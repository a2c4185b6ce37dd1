"""Configuration of the sampling loop: everything it depends on besides tensors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from wavenet_tf.distributions import Categorical, GaussianMixture, LogisticMixture
from wavenet_tf.errors import InputError
from wavenet_tf.sampling.buffers import RingBuffers, StateBuffers

# Observes an activation by its name and returns it, fake-quantized or as it is.
ActivationObserver = Callable[[str, Any], tf.Tensor]


def unchanged(name: str, activation) -> tf.Tensor:
    """Returns an activation as it is, the activation observer of sampling in float32.

    Args:
        name: of the activation; activations of one name share a range.
        activation: of any shape.
    """
    return activation


class ContextSamplerConfig(NamedTuple):
    """Configuration of a context stack in the sampling loop.

    Attributes:
        pooling: samples per frame.
        kernel_size: taps of each dilated convolution.
        dilations: dilation of each block, in frames.
    """

    pooling: int
    kernel_size: int
    dilations: tuple[int, ...]


class SamplerConfig(NamedTuple):
    """Configuration of the sampling loop; equal configurations share one compiled loop.

    Attributes:
        distribution: distribution of a sample.
        input_taps: taps of the input convolution.
        kernel_size: taps of each dilated convolution.
        dilations: dilation of each block, in samples.
        residual_scale: factor of each block's residual output.
        compand_input: whether the input convolution of a mixture takes the companded waveform.
        samples_per_row: samples that share a row of local conditioning.
        contexts: a configuration per context stack.
        top_k: see `keep_top_k`; None keeps all codes.
        top_p: see `keep_top_p`; None keeps all codes.
        buffers: class of the state buffers.
        observe: activation observer, which may fake-quantize activations.
    """

    distribution: Categorical | LogisticMixture | GaussianMixture
    input_taps: int
    kernel_size: int
    dilations: tuple[int, ...]
    residual_scale: float = 1.0
    compand_input: bool = True
    samples_per_row: int = 1
    contexts: tuple[ContextSamplerConfig, ...] = ()
    top_k: int | None = None
    top_p: float | None = None
    buffers: type[StateBuffers] = RingBuffers
    observe: ActivationObserver = unchanged


def sampler_config(model, top_k: int | None = None, top_p: float | None = None) -> SamplerConfig:
    """Returns the configuration of the sampling loop of a model.

    Args:
        model: a `WaveNet`.
        top_k: see `keep_top_k`; None keeps all codes.
        top_p: see `keep_top_p`; None keeps all codes.

    Raises:
        InputError: for a filter out of range.
    """
    config, trunk = model.config, model.trunk
    if not isinstance(model.distribution, Categorical) and (top_k, top_p) != (None, None):
        raise InputError(
            "top_k and top_p are for the categorical distribution; received "
            f"top_k={top_k}, top_p={top_p} for {config.output_distribution}"
        )
    codes = config.quantization_channels
    if top_k is not None and not 1 <= top_k <= codes:
        raise InputError(f"top_k must be from 1 to {codes}; received {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise InputError(f"top_p must be above 0 and at most 1; received {top_p}")
    return SamplerConfig(
        model.distribution,
        config.input_taps,
        config.kernel_size,
        tuple(block.dilation_rate for block in trunk.stack.blocks),
        config.residual_scale,
        config.compand_input,
        trunk.upsampler.samples_per_row if trunk.upsampler else 1,
        tuple(
            ContextSamplerConfig(
                stack.pooling,
                stack.kernel_size,
                tuple(block.dilation_rate for block in stack.stack.blocks),
            )
            for stack in trunk.context_stacks
        ),
        top_k,
        top_p,
    )
