"""Checkpoints of github.com/ibab/tensorflow-wavenet, of TensorFlow 1.

Its kernels are `[taps, in, out]`, as here. Its biases were meant to be named `filter_bias` and so
on, but the name was passed as another argument: TensorFlow called them `Variable`, `Variable_1` and
so on, in the order in which they were made. Both are read.
"""

from collections.abc import Callable

import numpy as np

from wavenet_tf.convert import companding, weight_map
from wavenet_tf.convert.checkpoint import Checkpoint, Conversion
from wavenet_tf.convert.options import Options
from wavenet_tf.convert.weight_map import Row, block
from wavenet_tf.errors import InputError

NAME = "ibab"
LAYER, POSTPROCESSING = "wavenet/dilated_stack/layer{}/{}", "wavenet/postprocessing/{}"
# "slip_bias" is how the program spells it.
LAYER_BIASES = ("filter_bias", "gate_bias", "dense_bias", "slip_bias")
POSTPROCESSING_BIASES = ("postprocess1_bias", "postprocess2_bias")
KEYS = (
    r"wavenet/causal_layer/filter",
    r"wavenet/dilated_stack/layer\d+/(filter|gate|dense|skip|gc_filter|gc_gate)",
    r"wavenet/dilated_stack/layer\d+/((filter|gate|dense|slip)_bias|Variable(_[1-3])?)",
    r"wavenet/postprocessing/(postprocess[12](_bias)?|Variable(_1)?)",
    r"wavenet/embeddings/gc_embedding",
)


def convert(checkpoint: Checkpoint) -> Conversion:
    """Returns how a checkpoint becomes a model.

    Args:
        checkpoint: to import; `dilations` of its options, of the program's wavenet_params.json, is
            the dilation of each layer.

    Raises:
        InputError: for another layout, or options that do not fit the weights.
    """
    options = Options(checkpoint._replace(tensors=_with_bias_names(checkpoint.tensors)))
    tensors = options.checkpoint.tensors
    causal = options.tensor("wavenet/causal_layer/filter", rank=3)
    filters = options.tensor(LAYER.format(0, "filter"), rank=3)
    output = options.tensor(POSTPROCESSING.format("postprocess2"), rank=3)
    blocks = options.count(r"wavenet/dilated_stack/layer(\d+)/filter")
    codes, skip = output.shape[2], output.shape[1]
    dilations = options.integers("dilations")
    if len(dilations) != blocks:
        raise InputError(
            f"dilations must have one number for each of the checkpoint's {blocks} layers; "
            f"received {len(dilations)}"
        )
    biases = LAYER.format(0, "filter_bias") in tensors
    conditioning, conditioned = _conditioning(options)
    arguments = {
        "dilations": dilations,
        "kernel_size": filters.shape[0],
        "input_kernel_size": causal.shape[0],
        "residual_channels": filters.shape[1],
        "gate_channels": filters.shape[2],
        "skip_channels": skip,
        "head_channels": skip,
        "quantization_channels": codes,
        "sample_rate": options.sample_rate(16000),
        **conditioning,
    }
    rows = [
        *_input_rows(options, causal, codes),
        *(row for index in range(blocks) for row in _block_rows(index, biases, conditioned)),
        *_last_rows_of_blocks(blocks, biases),
        *_output_rows(biases),
    ]
    if "num_speakers" in conditioning:
        rows.append(Row(weight_map.SPEAKERS, ("wavenet/embeddings/gc_embedding",), np.asarray))
    unused = tuple(LAYER.format(blocks - 1, part) for part in ("dense", "dense_bias"))
    return Conversion(arguments, rows, unused, options.notes, tensors)


def _with_bias_names(tensors) -> dict[str, np.ndarray]:
    """Returns tensors with the names that the program meant its biases to have."""
    meant = {"dilated_stack": LAYER_BIASES, "postprocessing": POSTPROCESSING_BIASES}
    named = {}
    for name, tensor in tensors.items():
        folder, _, leaf = name.rpartition("/")
        biases = meant.get(next((part for part in meant if part in folder), ""), ())
        index = {f"Variable_{i}" if i else "Variable": i for i in range(len(biases))}.get(leaf)
        named[name if index is None else f"{folder}/{biases[index]}"] = tensor
    return named


def _conditioning(options: Options) -> tuple[dict[str, int], bool]:
    """Returns the arguments of global conditioning, and whether there is any."""
    tensors = options.checkpoint.tensors
    if LAYER.format(0, "gc_filter") not in tensors:
        return {}, False
    channels = options.tensor(LAYER.format(0, "gc_filter"), rank=3).shape[1]
    if "wavenet/embeddings/gc_embedding" not in tensors:
        return {"global_channels": channels}, True
    embedding = options.tensor("wavenet/embeddings/gc_embedding", rank=2)
    return {"num_speakers": embedding.shape[0], "speaker_channels": channels}, True


def _input_rows(options: Options, causal: np.ndarray, codes: int) -> list[Row]:
    transformation: Callable[..., np.ndarray] = np.asarray
    if causal.shape[1] == 1 and codes > 1:
        mu = codes - 1
        values = np.float32(companding.expand(2.0 * np.arange(codes) / mu - 1.0, mu))
        options.note(
            "the program gives the network the waveform; here it is given the value of each code"
        )

        def read_values(kernel):
            return values[:, None] * kernel

        transformation = read_values

    return [
        Row(f"{weight_map.INPUT}/kernel", ("wavenet/causal_layer/filter",), transformation),
        Row(f"{weight_map.INPUT}/bias"),
    ]


def _block_rows(index: int, biases: bool, conditioned: bool) -> list[Row]:
    def names(*parts):
        return tuple(LAYER.format(index, part) for part in parts)

    rows = [
        Row(block(index, "dilated_convolution/kernel"), names("filter", "gate"), _joined_channels),
        _bias_row(
            block(index, "dilated_convolution/bias"), names("filter_bias", "gate_bias"), biases
        ),
    ]
    if conditioned:
        target, sources = block(index, "global_projection/kernel"), names("gc_filter", "gc_gate")
        rows.append(Row(target, sources, lambda *kernels: _joined_channels(*kernels)[0]))
    return rows


def _last_rows_of_blocks(blocks: int, biases: bool) -> list[Row]:
    """Returns the rows of residual and skip connections."""

    def names(part):
        return tuple(LAYER.format(index, part) for index in range(blocks))

    rows = []
    for index in range(blocks - 1):
        target, part = block(index, "residual_convolution"), LAYER.format(index, "dense")
        rows.append(Row(f"{target}/kernel", (part,), np.asarray))
        rows.append(_bias_row(f"{target}/bias", (f"{part}_bias",), biases))
    skip_bias = Row(f"{weight_map.SKIP}/bias")
    if biases:
        skip_bias = Row(f"{weight_map.SKIP}/bias", names("slip_bias"), weight_map.total)
    skip = Row(f"{weight_map.SKIP}/kernel", names("skip"), _joined_inputs)
    return [*rows, skip, skip_bias]


def _output_rows(biases: bool) -> list[Row]:
    rows = []
    layers = {"postprocess1": weight_map.HEAD, "postprocess2": weight_map.OUTPUT}
    for name, target in layers.items():
        source = POSTPROCESSING.format(name)
        rows.append(Row(f"{target}/kernel", (source,), np.asarray))
        rows.append(_bias_row(f"{target}/bias", (f"{source}_bias",), biases))
    return rows


def _bias_row(target: str, names: tuple[str, ...], biases: bool) -> Row:
    return Row(target, names, weight_map.joined) if biases else Row(target)


def _joined_channels(*kernels: np.ndarray) -> np.ndarray:
    return np.concatenate(kernels, axis=-1)


def _joined_inputs(*kernels: np.ndarray) -> np.ndarray:
    return np.concatenate(kernels, axis=1)
