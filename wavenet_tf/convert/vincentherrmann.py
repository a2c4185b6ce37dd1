"""Checkpoints of github.com/vincentherrmann/pytorch-wavenet, of 2017 and 2018.

State dicts of 2017 have a scalar input, filter and gate in one convolution, and one output
convolution. Models of 2018 have a one-hot input, two convolutions and two output convolutions; they
are pickled whole.
"""

import re

import numpy as np

from wavenet_tf.convert import companding, weight_map
from wavenet_tf.convert.checkpoint import Checkpoint, Conversion
from wavenet_tf.convert.options import Options
from wavenet_tf.convert.weight_map import Row, block
from wavenet_tf.errors import InputError

NAME = "vincentherrmann"
KEYS = (
    r"(start_conv|end_conv|end_conv_1|end_conv_2)\.(weight|bias)",
    r"(dilated|filter|gate|residual|skip)_convs\.\d+\.(weight|bias)",
    r"main\..*",
)
# The program's files of 2017 are named content_LAYERS-BLOCKS-CLASSES-..., its recordings were at
# this rate.
NAME_PATTERN = re.compile(r".*_(\d+)-(\d+)-\d+-\d+-\d+-\d+-\d+")
SAMPLE_RATE_2017, SAMPLE_RATE_2018 = 44100, 16000


def convert(checkpoint: Checkpoint) -> Conversion:
    """Returns how a checkpoint becomes a model.

    Args:
        checkpoint: to import; `layers` and `blocks` of its options are the layers of a block and
            the number of blocks, which a name such as `piano_8-2-128-32-32-64-2` states too.

    Raises:
        InputError: for another layout, or a network without gates.
    """
    if "filter_convs.0.weight" in checkpoint.tensors:
        return _convert_2018(checkpoint)
    return _convert_2017(checkpoint)


def code_table(codes: int):
    """Returns the companding of the program: a mu-law with `mu` equal to the number of codes.

    Codes are the whole steps from -1 to 1 below the companded value.

    Args:
        codes: number of codes.
    """
    thresholds = np.linspace(-1.0, 1.0, codes)[1:]
    return companding.code_table(thresholds, 2.0 * np.arange(codes) / codes - 1.0, codes)


def _convert_2017(checkpoint: Checkpoint) -> Conversion:
    tensors = checkpoint.tensors
    check_gate(tensors)
    options = Options(checkpoint)
    dilated = options.tensor("dilated_convs.0.weight", rank=3)
    output = options.tensor("end_conv.weight", rank=3)
    residual = options.tensor("residual_convs.0.weight", rank=3)
    codes, skip = output.shape[:2]
    blocks = options.count(r"dilated_convs\.(\d+)\.weight")
    taps = dilated.shape[2]
    inputs = np.float32(2.0 * np.arange(codes) / max(1, codes - 1) - 1.0)

    def input_kernel(weight):
        return (inputs[:, None] * weight[:, 0, 0])[None]

    rows = [
        Row(f"{weight_map.INPUT}/kernel", ("start_conv.weight",), input_kernel),
        Row(f"{weight_map.INPUT}/bias"),
        *_block_rows(blocks, lambda i: ((f"dilated_convs.{i}.weight",), weight_map.kernel)),
        *_skip_rows(blocks),
        # The network has one output convolution: ReLU(I ReLU(x)) is ReLU(x).
        Row(f"{weight_map.HEAD}/kernel", (), lambda: weight_map.identity(skip)),
        Row(f"{weight_map.HEAD}/bias"),
        Row(f"{weight_map.OUTPUT}/kernel", ("end_conv.weight",), weight_map.kernel),
        Row(f"{weight_map.OUTPUT}/bias", ("end_conv.bias",), weight_map.joined),
    ]
    arguments = {
        **_dilation_arguments(options, blocks),
        "kernel_size": taps,
        "input_kernel_size": 1,
        "residual_channels": residual.shape[0],
        "gate_channels": residual.shape[1],
        "skip_channels": skip,
        "head_channels": skip,
        "quantization_channels": codes,
        "code_table": code_table(codes),
        "sample_rate": options.sample_rate(SAMPLE_RATE_2017),
    }
    return Conversion(arguments, rows, _unused(blocks), options.notes)


def _convert_2018(checkpoint: Checkpoint) -> Conversion:
    options = Options(checkpoint)
    filters = options.tensor("filter_convs.0.weight", rank=3)
    start = options.tensor("start_conv.weight", rank=3)
    end_1 = options.tensor("end_conv_1.weight", rank=3)
    blocks = options.count(r"filter_convs\.(\d+)\.weight")
    taps, codes = filters.shape[2], start.shape[1]

    def dilated(index):
        names = (f"filter_convs.{index}.weight", f"gate_convs.{index}.weight")
        return names, weight_map.filter_and_gate

    biases = "filter_convs.0.bias" in checkpoint.tensors
    rows = [
        Row(f"{weight_map.INPUT}/kernel", ("start_conv.weight",), weight_map.kernel),
        _bias_row(f"{weight_map.INPUT}/bias", ("start_conv.bias",), biases),
        *_block_rows(blocks, dilated, biases),
        *_skip_rows(blocks, biases),
        Row(f"{weight_map.HEAD}/kernel", ("end_conv_1.weight",), weight_map.kernel),
        Row(f"{weight_map.HEAD}/bias", ("end_conv_1.bias",), weight_map.joined),
        Row(f"{weight_map.OUTPUT}/kernel", ("end_conv_2.weight",), weight_map.kernel),
        Row(f"{weight_map.OUTPUT}/bias", ("end_conv_2.bias",), weight_map.joined),
    ]
    arguments = {
        **_dilation_arguments(options, blocks),
        "kernel_size": taps,
        "input_kernel_size": 1,
        "residual_channels": filters.shape[1],
        "gate_channels": filters.shape[0],
        "skip_channels": end_1.shape[1],
        "head_channels": end_1.shape[0],
        "quantization_channels": codes,
        "code_table": code_table(codes),
        "sample_rate": options.sample_rate(SAMPLE_RATE_2018),
    }
    return Conversion(arguments, rows, _unused(blocks), options.notes)


def check_gate(tensors) -> None:
    """Raises InputError for a network of before May 2017, whose blocks have no gate."""
    dilated, residual = (tensors.get(f"{name}_convs.0.weight") for name in ("dilated", "residual"))
    gated = not any(name.startswith("main.") for name in tensors)
    if dilated is not None and residual is not None and dilated.ndim == residual.ndim == 3:
        gated = gated and dilated.shape[0] != residual.shape[1]
    if not gated:
        raise InputError(
            "the checkpoint is of a network without gates: its blocks end in a ReLU, and those of "
            "a WaveNet in the gate tanh x sigmoid, which has two channels for each of the residual "
            "convolution's inputs"
        )


def _dilation_arguments(options: Options, blocks: int) -> dict[str, int]:
    """Returns the numbers of stacks and of layers per stack."""
    named = NAME_PATTERN.fullmatch(options.checkpoint.name)
    layers = options.integer("layers", int(named[1]) if named else None)
    stacks = options.integer("blocks", int(named[2]) if named else None)
    if layers * stacks != blocks:
        raise InputError(
            f"layers times blocks must be the checkpoint's {blocks} residual blocks; received "
            f"{layers} layers and {stacks} blocks"
        )
    return {"num_stacks": stacks, "layers_per_stack": layers}


def _block_rows(blocks: int, dilated, biases: bool = False) -> list[Row]:
    rows = []
    for index in range(blocks):
        names, transformation = dilated(index)
        bias_names = tuple(name.replace(".weight", ".bias") for name in names)
        rows.append(Row(block(index, "dilated_convolution/kernel"), names, transformation))
        rows.append(_bias_row(block(index, "dilated_convolution/bias"), bias_names, biases))
        if index < blocks - 1:
            name = f"residual_convs.{index}"
            rows.append(
                Row(
                    block(index, "residual_convolution/kernel"),
                    (f"{name}.weight",),
                    weight_map.kernel,
                )
            )
            target = block(index, "residual_convolution/bias")
            rows.append(_bias_row(target, (f"{name}.bias",), biases))
    return rows


def _skip_rows(blocks: int, biases: bool = False) -> list[Row]:
    names = tuple(f"skip_convs.{index}" for index in range(blocks))
    weights, skip_biases = (tuple(f"{n}.{part}" for n in names) for part in ("weight", "bias"))
    target = f"{weight_map.SKIP}/bias"
    return [
        Row(f"{weight_map.SKIP}/kernel", weights, weight_map.side_by_side),
        Row(target, skip_biases, weight_map.total) if biases else Row(target),
    ]


def _bias_row(target: str, names: tuple[str, ...], biases: bool) -> Row:
    return Row(target, names, weight_map.joined) if biases else Row(target)


def _unused(blocks: int) -> tuple[str, ...]:
    return (rf"residual_convs\.{blocks - 1}\.(weight|bias)",)
