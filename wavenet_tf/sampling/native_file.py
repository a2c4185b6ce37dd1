"""Model files of libwavenet, which `wavenet_tf.native` and programs in C run."""

import json
from typing import Any

import numpy as np

from wavenet_tf.distributions import Categorical
from wavenet_tf.errors import InputError
from wavenet_tf.native import model_file
from wavenet_tf.options import NATIVE_PRECISIONS
from wavenet_tf.sampling.metadata import checked_block_size, generator_metadata
from wavenet_tf.sampling.weights import prepare_weights

# Samples per block: each call copies the whole state, a cost that the samples of a block share.
BLOCK_SIZE = 1024
# Kernels that int8 quantizes: all that a step reads, but those of conditioning. The few outputs of
# a mixture stay float32, which costs nothing.
QUANTIZED = ("dilated_kernel", "residual_kernel", "skip_kernel", "head_kernel")
QUANTIZED_OF_CODES = (*QUANTIZED, "output_kernel")


def convert_native(model, precision: str = "float32", block_size: int | None = None) -> bytes:
    """Returns a model file of libwavenet.

    Args:
        model: a `WaveNet`.
        precision: "float32"; or "int8" for the weights of the blocks, the head and the output layer
            of codes, with a scale per output channel. Activations are then quantized to 8 bits
            while sampling, to the range that each vector has.
        block_size: samples of a block in `wavenet_tf.native.Runner`; None takes about 1024.

    Raises:
        InputError: for an unknown precision, or a block size that does not fit.

    Example:
    >>> import wavenet_tf as wt
    >>> model = wt.WaveNet.from_preset("tiny")
    >>> len(convert_native(model, "int8")) < len(convert_native(model))
    True
    """
    if precision not in NATIVE_PRECISIONS:
        raise InputError(
            f"precision must be one of {', '.join(NATIVE_PRECISIONS)}; received {precision!r}"
        )
    unit = model.config.frame_unit
    block_size = checked_block_size(
        block_size,
        BLOCK_SIZE,
        unit,
        "the frames of this model's conditioning and context stacks",
    )
    metadata = {
        **generator_metadata(model, block_size),
        "frame_unit": unit,
        "precision": precision,
    }
    tensors = _tensors(model)
    if precision == "int8":
        is_categorical = isinstance(model.distribution, Categorical)
        tensors = _quantized(tensors, QUANTIZED_OF_CODES if is_categorical else QUANTIZED)
    texts = {name: str(value) for name, value in _settings(model).items()}
    return model_file.pack(tensors, {**texts, model_file.METADATA_NAME: json.dumps(metadata)})


def _settings(model) -> dict[str, Any]:
    """Returns the numbers and names that the library reads besides tensors."""
    config, spec = model.config, model.conditioning
    upsampler = model.trunk.upsampler
    settings = {
        "format": model_file.FORMAT,
        "sample_rate": config.sample_rate,
        "input_taps": config.input_taps,
        "compand_input": int(config.compand_input),
        "kernel_size": config.kernel_size,
        "output_distribution": config.output_distribution,
        "quantization_channels": config.quantization_channels,
        "num_mixtures": config.num_mixtures,
        "mixture_means": config.mixture_means,
        "round_samples": int(config.round_samples),
        "num_speakers": spec.num_speakers or 0,
        "global_channels": spec.global_channels or 0,
        "local_channels": spec.local_channels or 0,
        "num_contexts": len(model.trunk.context_stacks),
    }
    if isinstance(model.distribution, Categorical):
        settings |= {
            "silence": model.distribution.silence,
            "has_code_table": int(model.distribution.code_table is not None),
        }
    if upsampler:
        settings |= {
            "upsampling": config.upsampling,
            "upsampling_rectified": int(
                config.upsampling == "learned" and config.upsampling_activation == "relu"
            ),
            "upsampled_channels": upsampler.channels,
            "frames_before": spec.frames_before,
            "frames_after": spec.frames_after,
        }
        if config.upsampling == "stretch":
            settings |= {
                "upsampling_reach": upsampler.reach,
                "upsampling_bands": upsampler.bands,
            }
    for index, stack in enumerate(model.trunk.context_stacks):
        settings[f"context_{index}.pooling"] = stack.pooling
        settings[f"context_{index}.kernel_size"] = stack.kernel_size
    return settings


def _tensors(model) -> dict[str, np.ndarray]:
    """Returns the weights as `prepare_weights` orders them, by name."""
    weights, trunk = prepare_weights(model), model.trunk
    tensors = {
        "input_kernel": weights.input_kernel,
        "input_bias": weights.input_bias,
        "skip_bias": weights.skip_bias,
        "pre_emphasis": np.array([model.config.pre_emphasis], np.float32),
        "gain": np.array([model.config.gain], np.float32),
        **_stack_tensors("", weights.blocks, trunk.stack, weights.skip_bias.shape[0]),
    }
    for name, (kernel, bias) in zip(("head", "output"), weights.head, strict=True):
        tensors |= {f"{name}_kernel": kernel, f"{name}_bias": bias}
    for block, kernel in enumerate(weights.global_kernels):
        tensors[f"block_{block}.global_kernel"] = kernel
    for source, kernels in enumerate(weights.local_kernels):
        for block, kernel in enumerate(kernels):
            tensors[f"block_{block}.local_kernel_{source}"] = kernel
    if model.config.num_speakers:
        tensors["speaker_embedding"] = trunk.speaker_embedding.embeddings
    for index, (stack, context) in enumerate(
        zip(trunk.context_stacks, weights.contexts, strict=True)
    ):
        prefix = f"context_{index}."
        tensors |= {
            f"{prefix}frame_kernel": context.frame_kernel,
            f"{prefix}frame_bias": context.frame_bias,
            f"{prefix}skip_bias": context.skip_bias,
            **_stack_tensors(prefix, context.blocks, stack.stack, stack.channels),
        }
    distribution = model.distribution
    if not isinstance(distribution, Categorical):
        tensors["log_scale_floor"] = np.array([distribution.log_scale_floor], np.float32)
    elif distribution.code_table is not None:
        tensors["code_thresholds"] = np.array(distribution.code_table.thresholds, np.float32)
        tensors["code_values"] = np.array(distribution.code_table.values, np.float32)
    if trunk.upsampler:
        tensors |= _upsampler_tensors(trunk.upsampler)
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    return {
        name: array if array.dtype == np.int32 else array.astype(np.float32)
        for name, array in arrays.items()
    }


def _stack_tensors(prefix: str, blocks, stack, skip_channels: int) -> dict[str, Any]:
    """Returns the tensors of a stack of gated residual blocks.

    Args:
        prefix: of their names.
        blocks: `BlockWeights` of each block.
        stack: the `DilatedStack`.
        skip_channels: channels of the sum of the skip connections.
    """
    tensors: dict[str, Any] = {
        f"{prefix}dilations": np.array([block.dilation_rate for block in stack.blocks], np.int32),
        f"{prefix}residual_scale": np.array([stack.blocks[0].residual_scale], np.float32),
    }
    for index, block in enumerate(blocks):
        both = block.skip_and_residual_kernel
        name = f"{prefix}block_{index}."
        tensors |= {
            f"{name}dilated_kernel": block.dilated_kernel,
            f"{name}dilated_bias": block.dilated_bias,
            f"{name}skip_kernel": both[:, :skip_channels],
        }
        if block.residual_bias is not None:
            tensors[f"{name}residual_kernel"] = both[:, skip_channels:]
            tensors[f"{name}residual_bias"] = block.residual_bias
    return tensors


def _upsampler_tensors(upsampler) -> dict[str, Any]:
    """Returns the tensors of the upsampler of local conditioning."""
    convolutions = getattr(upsampler, "convolutions", None) or [upsampler.convolution]
    tensors: dict[str, Any] = {
        "upsampler.factors": np.array(upsampler.upsample_factors, np.int32),
        "upsampler.mean": upsampler.mean,
        "upsampler.scale": upsampler.scale,
    }
    for index, convolution in enumerate(convolutions):
        kernel = np.asarray(convolution.kernel)
        tensors[f"upsampler.kernel_{index}"] = kernel.reshape(-1, kernel.shape[-1])
        tensors[f"upsampler.bias_{index}"] = convolution.bias
    for index, filter in enumerate(getattr(upsampler, "filters", ())):
        tensors[f"upsampler.filter_{index}"] = filter
    return tensors


def _quantized(tensors: dict[str, np.ndarray], kernels: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns the tensors with the kernels of some names in int8, but for context stacks."""
    result = {}
    for name, tensor in tensors.items():
        if name.startswith("context") or not name.endswith(kernels):
            result[name] = tensor
        else:
            result[name], result[f"{name}.scales"] = model_file.quantize(tensor)
    return result
