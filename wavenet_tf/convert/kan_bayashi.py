"""Checkpoints of github.com/kan-bayashi/PytorchWaveNetVocoder: softmax vocoders."""

from typing import Any

import numpy as np

from wavenet_tf.convert import companding, weight_map
from wavenet_tf.convert.checkpoint import Checkpoint, Conversion
from wavenet_tf.convert.options import Options
from wavenet_tf.convert.weight_map import Row, block
from wavenet_tf.errors import InputError

NAME = "kan-bayashi"
KEYS = (
    r"(causal|upsampling)\.conv\.(weight|bias)",
    r"dil_(sigmoid|tanh)\.\d+\.conv\.(weight|bias)",
    r"(aux_1x1_sigmoid|aux_1x1_tanh|skip_1x1|res_1x1)\.\d+\.(weight|bias)",
    r"conv_post_[12]\.(weight|bias)",
)


def convert(checkpoint: Checkpoint) -> Conversion:
    """Returns how a checkpoint becomes a model.

    Args:
        checkpoint: to import; its options are those of model.conf. `dilation_depth` and
            `dilation_repeat` are needed, without an upsampling layer also `upsampling_factor`.

    Raises:
        InputError: for another layout, or options that do not fit the weights.
    """
    options = Options(checkpoint)
    dilated = options.tensor("dil_tanh.0.conv.weight", rank=3)
    causal = options.tensor("causal.conv.weight", rank=3)
    skip = options.tensor("skip_1x1.0.weight", rank=3)
    channels = options.tensor("aux_1x1_tanh.0.weight", rank=3).shape[1]
    blocks = options.count(r"dil_tanh\.(\d+)\.conv\.weight")
    depth, repeats = options.integer("dilation_depth"), options.integer("dilation_repeat")
    if depth * repeats != blocks:
        raise InputError(
            f"dilation_depth times dilation_repeat must be the checkpoint's {blocks} residual "
            f"blocks; received {depth} and {repeats}"
        )
    upsampling, upsampler_rows = _upsampler(options, channels)
    codes = causal.shape[1]
    arguments = {
        "num_stacks": repeats,
        "layers_per_stack": depth,
        "kernel_size": dilated.shape[2],
        "input_kernel_size": causal.shape[2],
        "residual_channels": dilated.shape[1],
        "gate_channels": dilated.shape[0],
        "skip_channels": skip.shape[0],
        "head_channels": skip.shape[0],
        "quantization_channels": codes,
        "code_table": code_table(codes),
        "local_channels": channels,
        "upsampled_channels": channels,
        **upsampling,
        "sample_rate": options.sample_rate(16000),
    }
    rows = [
        *weight_map.convolution_rows(weight_map.INPUT, "causal.conv"),
        *upsampler_rows,
        *(row for index in range(blocks) for row in _block_rows(index, index < blocks - 1)),
        *weight_map.skip_rows([f"skip_1x1.{index}" for index in range(blocks)]),
        *weight_map.convolution_rows(weight_map.HEAD, "conv_post_1"),
        *weight_map.convolution_rows(weight_map.OUTPUT, "conv_post_2"),
    ]
    return Conversion(arguments, rows, (rf"res_1x1\.{blocks - 1}\.(weight|bias)",), options.notes)


def code_table(codes: int):
    """Returns the program's companding: the mu-law, decoded to the lower bound of each code.

    Args:
        codes: number of codes.
    """
    mu = codes - 1
    bounds = 2.0 * (np.arange(codes) - 0.5) / mu - 1.0
    return companding.code_table(bounds[1:], np.maximum(bounds, -1.0), mu)


def _upsampler(options: Options, channels: int) -> tuple[dict[str, Any], list[Row]]:
    """Returns the arguments and the rows of the upsampler.

    The program's transposed convolution has one channel, which all channels of the frames share.
    """
    target = f"{weight_map.UPSAMPLER}/upsampling_0"
    rows = weight_map.statistics_rows(options, channels)
    if "upsampling.conv.weight" not in options.checkpoint.tensors:
        factor = options.integer("upsampling_factor")
        kernel = Row(f"{target}/kernel", (), lambda: weight_map.identity(channels))
        return {"upsample_factors": (factor,), "upsampling": "repeat"}, [
            *rows,
            kernel,
            Row(f"{target}/bias"),
        ]
    factor = options.tensor("upsampling.conv.weight", rank=4).shape[3]

    def every_phase(weight):
        """Returns the kernel over the frame before, and the frame itself, to all phases."""
        frame = np.einsum("p,cd->cpd", weight[0, 0, 0], np.eye(channels, dtype=np.float32))
        return np.stack([np.zeros_like(frame), frame]).reshape(2, channels, -1)

    return {"upsample_factors": (factor,), "causal_upsampling": True}, [
        *rows,
        Row(f"{target}/kernel", ("upsampling.conv.weight",), every_phase),
        Row(
            f"{target}/bias",
            ("upsampling.conv.bias",),
            lambda bias: np.full(factor * channels, bias[0]),
        ),
    ]


def _block_rows(index: int, residual: bool) -> list[Row]:
    dilated = (f"dil_tanh.{index}.conv", f"dil_sigmoid.{index}.conv")
    local = (f"aux_1x1_tanh.{index}", f"aux_1x1_sigmoid.{index}")
    weights, biases = (
        [tuple(f"{name}.{part}" for name in names) for names in (dilated, local)]
        for part in ("weight", "bias")
    )
    rows = [
        Row(block(index, "dilated_convolution/kernel"), weights[0], weight_map.filter_and_gate),
        Row(
            block(index, "dilated_convolution/bias"),
            (*biases[0], *biases[1]),
            lambda tanh, gate, tanh_local, gate_local: np.concatenate(
                [tanh + tanh_local, gate + gate_local]
            ),
        ),
        Row(
            block(index, "local_projection/kernel"),
            weights[1],
            lambda tanh, gate: weight_map.filter_and_gate(tanh, gate)[0],
        ),
    ]
    if residual:
        target = block(index, "residual_convolution")
        rows += weight_map.convolution_rows(target, f"res_1x1.{index}")
    return rows
