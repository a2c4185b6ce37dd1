"""The upsamplers of r9y9's vocoders."""

import re
from typing import Any

import numpy as np

from wavenet_tf.convert import weight_map
from wavenet_tf.convert.options import Options
from wavenet_tf.convert.weight_map import UPSAMPLER, Row
from wavenet_tf.errors import InputError

# Up to v0.1.1: transposed convolutions with a ReLU after each. Later: repetition and filters, in
# most recipes after a convolution over frames.
UPSAMPLING_V0 = r"upsample_conv\.(\d+)\.weight"
UPSAMPLING_FILTER = r"upsample_net\.(?:upsample\.)?up_layers\.(\d+)\.weight"
CONVOLUTION = "upsample_net.conv_in.weight"
UPSAMPLING_KEYS = (UPSAMPLING_V0, r"upsample_conv\.\d+\.bias", UPSAMPLING_FILTER, CONVOLUTION)


def convert_upsampling(options: Options, channels: int) -> tuple[dict[str, Any], list[Row]]:
    """Returns the arguments and the rows of the upsampler.

    Args:
        options: of the checkpoint.
        channels: of a frame.

    Raises:
        InputError: for an upsampler that cannot be represented.
    """
    rows = weight_map.statistics_rows(options, channels)
    if _names(options, UPSAMPLING_V0):
        arguments, more = _transposed(options, channels)
    elif _names(options, UPSAMPLING_FILTER):
        arguments, more = _stretched(options, channels)
    else:
        arguments = {"upsample_factors": (options.integer("hop_size"),), "upsampling": "repeat"}
        target = f"{UPSAMPLER}/upsampling_0"
        identity = Row(f"{target}/kernel", (), lambda: weight_map.identity(channels))
        more = [identity, Row(f"{target}/bias")]
    return arguments, [*rows, *more]


def _names(options: Options, pattern: str) -> list[str]:
    """Returns the names of tensors that match, in the order of their numbers."""
    matches = (re.fullmatch(pattern, name) for name in options.checkpoint.tensors)
    return [match[0] for match in sorted(filter(None, matches), key=lambda match: int(match[1]))]


def _transposed(options: Options, channels: int) -> tuple[dict[str, Any], list[Row]]:
    """Converts transposed convolutions over channels and time, which do not overlap in time."""
    names, rows, factors = _names(options, UPSAMPLING_V0), [], []
    for index, name in enumerate(names):
        factor = options.tensor(name, rank=4).shape[3]
        factors.append(factor)

        def to_phases(weight, first=index == 0):
            kernel = _banded(weight[0, 0], channels)
            # The first convolution also takes the frame before, which has no influence here.
            taps = [np.zeros_like(kernel), kernel] if first else [kernel]
            return np.stack(taps)

        def repeated(bias, factor=factor):
            return np.full(factor * channels, bias[0])

        target = f"{UPSAMPLER}/upsampling_{index}"
        rows.append(Row(f"{target}/kernel", (name,), to_phases))
        rows.append(Row(f"{target}/bias", (name.replace(".weight", ".bias"),), repeated))
    arguments = {
        "upsample_factors": tuple(factors),
        "causal_upsampling": True,
        "upsampling_activation": "relu",
    }
    return arguments, rows


def _banded(weight: np.ndarray, channels: int) -> np.ndarray:
    """Returns the matrix to all phases, `[channels, phases * channels]`, of a shared filter.

    Args:
        weight: of a transposed convolution, `[bands, phases]`: it is reversed over channels.
        channels: beyond the outermost ones are zeros.
    """
    bands, phases = weight.shape
    matrix = np.zeros((channels, phases, channels), np.float32)
    for band in range(bands):
        shifted = np.eye(channels, k=band - (bands - 1) // 2, dtype=np.float32)
        matrix += weight[band][None, :, None] * shifted[:, None]
    return matrix.reshape(channels, -1)


def _stretched(options: Options, channels: int) -> tuple[dict[str, Any], list[Row]]:
    """Converts repetition and filters, after a convolution over frames if there is one."""
    parameters = options.get("upsample_params", {})
    if not isinstance(parameters, dict):
        raise InputError(f"upsample_params must be a JSON object; received {parameters!r}")
    for name, expected in (("upsample_activation", "none"), ("mode", "nearest")):
        if parameters.get(name, expected) != expected:
            raise InputError(
                f"{name} of upsample_params must be {expected}; received {parameters[name]!r}"
            )
    names = _names(options, UPSAMPLING_FILTER)
    numbers = [int(re.fullmatch(UPSAMPLING_FILTER, name)[1]) for name in names]  # type: ignore[index]
    if numbers != [2 * index + 1 for index in range(len(names))]:
        raise InputError(
            "upsample_activation of upsample_params must be none: the checkpoint's filters are the "
            f"layers {', '.join(map(str, numbers))} of its upsampler"
        )
    shapes = [options.tensor(name, rank=4).shape for name in names]
    context, kernel = 1, Row(f"{UPSAMPLER}/upsampling_0/kernel", (), lambda: _padded(channels))
    if CONVOLUTION in options.checkpoint.tensors:
        taps = options.tensor(CONVOLUTION, rank=3).shape[2]
        context = max(1, taps // 2)
        target = f"{UPSAMPLER}/upsampling_0/kernel"
        kernel = Row(target, (CONVOLUTION,), lambda weight: _centered(weight, 2 * context + 1))
    options.note(
        "frames are repeated beyond both ends of a recording, where the program's upsampler has "
        "zeros: the first and last two frames differ"
    )
    arguments = {
        "upsample_factors": tuple((shape[3] - 1) // 2 for shape in shapes),
        "upsampling": "stretch",
        "upsampling_context": context,
        "upsampling_bands": shapes[0][2],
    }
    filters = [
        Row(f"{UPSAMPLER}/filter_{index}", (name,), lambda weight: weight[0, 0].T)
        for index, name in enumerate(names)
    ]
    return arguments, [kernel, Row(f"{UPSAMPLER}/upsampling_0/bias"), *filters]


def _centered(weight: np.ndarray, taps: int) -> np.ndarray:
    """Returns the kernel of a PyTorch convolution, with zeros around it to this many taps."""
    kernel = weight_map.kernel(weight)
    around = (taps - len(kernel)) // 2
    return np.pad(kernel, [[around, around], [0, 0], [0, 0]])


def _padded(channels: int) -> np.ndarray:
    """Returns the kernel of a convolution of three taps that changes nothing."""
    return np.pad(weight_map.identity(channels), [[1, 1], [0, 0], [0, 0]])
