"""Checkpoints of github.com/r9y9/wavenet_vocoder: its last version, v0.1.1 and those before.

Weights of all versions have the same names but for the upsampler. Skip connections are scaled in
three ways: by `sqrt(1 / layers)`; up to v0.1.1 by `sqrt(1 / 2)` after each sum, or, if `legacy` is
false, not at all.
"""

import math
import re
from typing import Any

import numpy as np

from wavenet_tf.convert import companding, weight_map
from wavenet_tf.convert.checkpoint import Checkpoint, Conversion
from wavenet_tf.convert.options import Options
from wavenet_tf.convert.r9y9_upsampling import UPSAMPLING_KEYS, UPSAMPLING_V0, convert_upsampling
from wavenet_tf.convert.weight_map import Row, block
from wavenet_tf.distributions import TYPICAL_LOG_SCALE
from wavenet_tf.errors import InputError

NAME = "r9y9"
KEYS = (
    r"(first_conv|last_conv_layers\.[13])\.(weight|bias)",
    r"conv_layers\.\d+\.(conv|conv1x1_out|conv1x1_skip|conv1x1c|conv1x1g)\.(weight|bias)",
    r"embed_speakers\.weight",
    *UPSAMPLING_KEYS,
)
LAYER, HEAD, OUTPUT = "conv_layers.{}.{}", "last_conv_layers.1", "last_conv_layers.3"
INPUT_TYPES = ("raw", "mulaw-quantize")
# Coefficient of the program's pre-emphasis.
PRE_EMPHASIS = 0.85
DISTRIBUTIONS = {"Logistic": "logistic_mixture", "Normal": "gaussian_mixture"}


def convert(checkpoint: Checkpoint) -> Conversion:
    """Returns how a checkpoint becomes a model.

    Args:
        checkpoint: to import; its options are those of the program's hparams, of which `stacks` is
            needed.

    Raises:
        InputError: for another layout, or options that cannot be represented.
    """
    options = Options(checkpoint)
    conv = options.tensor(LAYER.format(0, "conv.weight"), rank=3)
    skip = options.tensor(LAYER.format(0, "conv1x1_skip.weight"), rank=3)
    layers = options.count(r"conv_layers\.(\d+)\.conv\.weight")
    stacks = options.integer("stacks")
    if layers % stacks:
        raise InputError(f"stacks must divide the checkpoint's {layers} layers; received {stacks}")
    distribution, output_rows = _output(options)
    conditioning, conditioning_rows = _conditioning(options)
    if options.get("exponential_moving_average") and "_ema" not in checkpoint.name:
        options.note("the program writes averaged weights to a file of their own, *_ema.pth")
    arguments = {
        "num_stacks": stacks,
        "layers_per_stack": layers // stacks,
        "kernel_size": conv.shape[2],
        "input_kernel_size": 1,
        "residual_channels": conv.shape[1],
        "gate_channels": conv.shape[0] // 2,
        "skip_channels": skip.shape[0],
        "head_channels": skip.shape[0],
        "residual_scale": math.sqrt(0.5),
        **distribution,
        **conditioning,
        **_emphasis(options),
        "sample_rate": options.sample_rate(22050),
    }
    skips = [LAYER.format(index, "conv1x1_skip") for index in range(layers)]
    rows = [
        *weight_map.convolution_rows(weight_map.INPUT, "first_conv"),
        *(row for i in range(layers) for row in _layer_rows(options, i, i < layers - 1)),
        *weight_map.skip_rows(skips, _skip_scales(options, layers)),
        *weight_map.convolution_rows(weight_map.HEAD, HEAD),
        *output_rows,
        *conditioning_rows,
    ]
    unused = (LAYER.format(layers - 1, r"conv1x1_out\.(weight|bias)"),)
    return Conversion(arguments, rows, unused, options.notes)


def code_table(codes: int, mu: int | None = None):
    """Returns the program's companding: the mu-law, rounded down.

    Args:
        codes: number of codes.
        mu: of the mu-law; None takes one less than the number of codes. Up to v0.1.1 it was equal
            to their number.
    """
    mu = codes - 1 if mu is None else mu
    values = 2.0 * np.arange(codes) / mu - 1.0
    return companding.code_table(values[1:], values, mu)


def _is_old(options: Options) -> bool:
    """Returns whether a checkpoint is of v0.1.1 or before."""
    names = options.checkpoint.tensors
    stated = options.get("legacy") is not None or options.get("builder") is not None
    biases = any(name.endswith(("conv1x1c.bias", "conv1x1g.bias")) for name in names)
    return stated or biases or any(re.fullmatch(UPSAMPLING_V0, name) for name in names)


def _skip_scales(options: Options, layers: int) -> list[float]:
    """Returns the factor of each layer's skip connection in their sum."""
    if not _is_old(options):
        return [math.sqrt(1.0 / layers)] * layers
    if not options.flag("legacy", True):
        return [1.0] * layers
    # Each sum is halved in power, and the first layer is not summed before the second.
    return [math.sqrt(0.5) ** (layers - max(index, 1)) for index in range(layers)]


def _output(options: Options) -> tuple[dict[str, Any], list[Row]]:
    """Returns the arguments and the rows of the output distribution."""
    inputs = options.tensor("first_conv.weight", rank=3).shape[1]
    outputs = options.tensor(f"{OUTPUT}.weight", rank=3).shape[0]
    input_type = options.get("input_type", "raw" if inputs == 1 else "mulaw-quantize")
    if input_type not in INPUT_TYPES:
        raise InputError(
            f"input_type must be one of {', '.join(INPUT_TYPES)}; received {input_type!r}, whose "
            "distributions lie in the companded waveform"
        )
    if (inputs == 1) != (input_type == "raw") or (inputs > 1 and inputs != outputs):
        raise InputError(
            f"the checkpoint has {inputs} input and {outputs} output channels, which does not fit "
            f"input_type {input_type!r}"
        )
    if inputs > 1:
        table = code_table(outputs, outputs if _is_old(options) else None)
        arguments = {"quantization_channels": outputs, "code_table": table}
        return arguments, weight_map.convolution_rows(weight_map.OUTPUT, OUTPUT)
    name = options.get("output_distribution", "Logistic")
    if name not in DISTRIBUTIONS:
        raise InputError(
            f"output_distribution must be one of {', '.join(DISTRIBUTIONS)}; received {name!r}"
        )
    if outputs % 3 and not (outputs == 2 and name == "Normal"):
        raise InputError(f"out_channels must be a multiple of 3; the checkpoint has {outputs}")
    return {
        "output_distribution": DISTRIBUTIONS[name],
        "num_mixtures": max(1, outputs // 3),
        "mixture_means": "absolute",
        "log_scale_floor": options.number("log_scale_min", math.log(1e-14)),
        "round_samples": False,
        "compand_input": False,
    }, [
        Row(f"{weight_map.OUTPUT}/kernel", (f"{OUTPUT}.weight",), _mixture_kernel),
        Row(f"{weight_map.OUTPUT}/bias", (f"{OUTPUT}.bias",), _mixture_bias),
    ]


def _emphasis(options: Options) -> dict[str, float]:
    """Returns the arguments of the filter between audio and the network's waveform."""
    expected = {"preprocess": "preemphasis", "postprocess": "inv_preemphasis"}
    given = {name: options.get(name, "none") or "none" for name in expected}
    if given not in (expected, dict.fromkeys(expected, "none")):
        raise InputError(
            "preprocess and postprocess must be preemphasis and inv_preemphasis, or both none; "
            f"received {' and '.join(map(repr, given.values()))}"
        )
    gain = options.number("global_gain_scale", 1.0)
    return {
        "pre_emphasis": 0.0 if given["preprocess"] == "none" else PRE_EMPHASIS,
        # The program takes 0 and negative numbers for no gain.
        "gain": gain if gain > 0.0 else 1.0,
    }


def _mixture_kernel(weight: np.ndarray) -> np.ndarray:
    """Returns the kernel of a mixture's outputs; a single Gaussian has no logit."""
    kernel = weight_map.kernel(weight)
    return np.pad(kernel, [[0, 0], [0, 0], [1, 0]]) if kernel.shape[-1] == 2 else kernel


def _mixture_bias(bias: np.ndarray) -> np.ndarray:
    """Returns the bias of a mixture's outputs, whose log scales are counted from another one."""
    bias = np.pad(bias, [1, 0]) if len(bias) == 2 else bias.copy()
    bias[len(bias) // 3 * 2 :] -= TYPICAL_LOG_SCALE
    return bias


def _conditioning(options: Options) -> tuple[dict[str, Any], list[Row]]:
    """Returns the arguments and the rows of embedded speakers, vectors and frames."""
    tensors = options.checkpoint.tensors
    arguments: dict[str, Any] = {}
    rows: list[Row] = []
    if LAYER.format(0, "conv1x1g.weight") in tensors:
        channels = options.tensor(LAYER.format(0, "conv1x1g.weight"), rank=3).shape[1]
        if "embed_speakers.weight" in tensors:
            speakers = options.tensor("embed_speakers.weight", rank=2).shape[0]
            arguments |= {"num_speakers": speakers, "speaker_channels": channels}
            rows.append(Row(weight_map.SPEAKERS, ("embed_speakers.weight",), np.asarray))
        else:
            arguments["global_channels"] = channels
    if LAYER.format(0, "conv1x1c.weight") in tensors:
        channels = options.tensor(LAYER.format(0, "conv1x1c.weight"), rank=3).shape[1]
        upsampling, upsampler_rows = convert_upsampling(options, channels)
        arguments |= {"local_channels": channels, "upsampled_channels": channels, **upsampling}
        features = None if _is_old(options) else _mel_feature(options)
        if features is not None:
            arguments["features"] = (features,)
        rows += upsampler_rows
    return arguments, rows


def _mel_feature(options: Options) -> str | None:
    """Returns the feature that the program's last version makes frames of; None if it is unknown.

    Its frames are logarithms to the base 10 of mel spectrograms of the recordings, before gain and
    pre-emphasis, whose ends are reflected.
    """
    needed = {"fft": "fft_size", "bands": "num_mels", "min_hz": "fmin", "max_hz": "fmax"}
    found = {option: options.get(name) for option, name in needed.items()}
    window = options.get("win_length", -1)
    if window is not None and window < 0 and options.get("win_length_ms") is not None:
        window = int(options.number("win_length_ms", 0.0) / 1000 * options.sample_rate(22050))
    if None in found.values() or not window or window < 0 or options.get("window") != "hann":
        options.note(
            "no configuration states how frames are made: tools/vocode.py does not take the model, "
            "unless --features is given"
        )
        return None
    if options.number("highpass_cutoff", 0.0) > 0.0:
        options.note(
            f"the program filters recordings by a high-pass of {options.get('highpass_cutoff')} Hz "
            "before everything else; tools/vocode.py does not"
        )
    settings = {"window": window, **found, "floor": 1e-10, "log": 10, "padding": "reflect"}
    return ":".join(["mel", *(f"{name}={value}" for name, value in settings.items())])


def _layer_rows(options: Options, index: int, residual: bool) -> list[Row]:
    def name(part):
        return LAYER.format(index, part)

    tensors = options.checkpoint.tensors
    biases = [name(f"{part}.bias") for part in ("conv", "conv1x1c", "conv1x1g")]
    rows = [
        Row(block(index, "dilated_convolution/kernel"), (name("conv.weight"),), weight_map.kernel),
        Row(
            block(index, "dilated_convolution/bias"),
            (biases[0], *(bias for bias in biases[1:] if bias in tensors)),
            weight_map.total,
        ),
    ]
    for part, target in (("conv1x1c", "local_projection"), ("conv1x1g", "global_projection")):
        if LAYER.format(0, f"{part}.weight") in tensors:
            source = (name(f"{part}.weight"),)
            rows.append(Row(block(index, f"{target}/kernel"), source, weight_map.matrix))
    if residual:
        target = block(index, "residual_convolution")
        rows += weight_map.convolution_rows(target, name("conv1x1_out"))
    return rows
