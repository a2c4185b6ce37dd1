"""Tables that map the weights of other programs to those of a model, row by row."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from wavenet_tf.errors import InputError

INPUT = "trunk/input_convolution"
SPEAKERS = "trunk/speaker_embedding/embeddings"
UPSAMPLER = "trunk/upsampler"
SKIP, HEAD, OUTPUT = (f"head/{name}_convolution" for name in ("skip", "head", "output"))


class LayoutError(InputError):
    """A checkpoint lacks a tensor of its layout, or has one more."""


class Row(NamedTuple):
    """Where a weight of the model comes from.

    Attributes:
        target: path of the model's variable, without the name of the model.
        sources: names of tensors of the checkpoint.
        transformation: computes the variable from these tensors; None gives zeros.
    """

    target: str
    sources: tuple[str, ...] = ()
    transformation: Callable[..., np.ndarray] | None = None


def assign_weights(
    model, rows: Sequence[Row], tensors: Mapping[str, np.ndarray], unused: Sequence[str] = ()
) -> None:
    """Sets every weight of a model from a checkpoint's tensors.

    Args:
        model: a `WaveNet`.
        rows: one for each variable of the model.
        tensors: of the checkpoint, by name.
        unused: patterns of the names of tensors that may remain.

    Raises:
        LayoutError: if a tensor is missing or left over.
        InputError: if a tensor has another shape than expected.
        ValueError: if the rows are not one for each variable.
    """
    variables = {variable.path.partition("/")[2]: variable for variable in model.variables}
    variables = {path: variable for path, variable in variables.items() if _is_weight(path)}
    targets = [row.target for row in rows]
    if sorted(targets) != sorted(variables):
        wrong = sorted(set(targets) ^ set(variables)) or targets
        raise ValueError(f"the rows must name every variable once; wrong is {wrong[0]}")
    check_names(rows, tensors, unused)
    values = {row.target: _value(row, tensors, variables[row.target]) for row in rows}
    for target, value in values.items():
        variables[target].assign(value)


def _is_weight(path: str) -> bool:
    return path.startswith(("trunk/", "head/"))


def check_names(
    rows: Sequence[Row], tensors: Mapping[str, np.ndarray], unused: Sequence[str] = ()
) -> None:
    """Raises LayoutError unless tensors are those that rows name.

    Args:
        rows: that name tensors.
        tensors: of the checkpoint, by name.
        unused: patterns of the names of tensors that may remain.
    """
    needed = [source for row in rows for source in row.sources]
    for source in needed:
        if source not in tensors:
            raise LayoutError(f"the checkpoint has no {source}")
    known = set(needed)
    for name in tensors:
        if name not in known and not any(re.fullmatch(pattern, name) for pattern in unused):
            raise LayoutError(f"the checkpoint has {name}, which this layout does not have")


def _value(row: Row, tensors: Mapping[str, np.ndarray], variable) -> np.ndarray:
    """Returns the value of the variable of a row."""
    shape = tuple(variable.shape)
    if row.transformation is None:
        return np.zeros(shape, np.float32)
    sources = [tensors[source] for source in row.sources]
    shapes = ", ".join(
        f"{source} {list(tensor.shape)}"
        for source, tensor in zip(row.sources, sources, strict=True)
    )
    try:
        value = np.asarray(row.transformation(*sources), np.float32)
    except (ValueError, IndexError) as error:  # numpy's, for axes that do not fit
        raise InputError(f"the checkpoint's shapes do not fit each other: {shapes}") from error
    if value.shape != shape:
        raise InputError(
            f"the checkpoint's shapes do not fit {row.target} {list(shape)}: {shapes or 'none'}"
        )
    return value


def block(index: int, part: str) -> str:
    """Returns the path of a part of a residual block, such as "dilated_convolution/kernel"."""
    return f"trunk/stack/block_{index}/{part}"


def kernel(weight: np.ndarray) -> np.ndarray:
    """Returns a PyTorch convolution's weight, `[out, in, taps]`, as `[taps, in, out]`."""
    return np.transpose(weight, (2, 1, 0))


def matrix(weight: np.ndarray) -> np.ndarray:
    """Returns the weight of a PyTorch convolution with one tap as `[in, out]`."""
    return kernel(weight).reshape(weight.shape[1], weight.shape[0])


def filter_and_gate(filter_weight: np.ndarray, gate_weight: np.ndarray) -> np.ndarray:
    """Returns the kernel of a block whose filter (tanh) and gate are two PyTorch convolutions."""
    return np.concatenate([kernel(filter_weight), kernel(gate_weight)], axis=-1)


def side_by_side(*weights: np.ndarray) -> np.ndarray:
    """Returns 1x1 PyTorch convolutions of all blocks as one of their concatenated inputs."""
    return np.concatenate([kernel(weight) for weight in weights], axis=1)


def total(*biases: np.ndarray) -> np.ndarray:
    """Returns the sum of biases."""
    return np.sum(biases, axis=0)


def joined(*biases: np.ndarray) -> np.ndarray:
    """Returns biases one after the other."""
    return np.concatenate(biases)


def identity(size: int) -> np.ndarray:
    """Returns the kernel of a 1x1 convolution that changes nothing."""
    return np.eye(size, dtype=np.float32)[None]


def convolution_rows(target: str, source: str) -> list[Row]:
    """Returns the rows of a convolution that is a PyTorch convolution with a bias.

    Args:
        target: path of the convolution in the model.
        source: name of the PyTorch convolution.
    """
    return [
        Row(f"{target}/kernel", (f"{source}.weight",), kernel),
        Row(f"{target}/bias", (f"{source}.bias",), joined),
    ]


def skip_rows(sources: Sequence[str], scales: Sequence[float] | None = None) -> list[Row]:
    """Returns the rows of the skip convolution, from one PyTorch convolution of each block.

    Args:
        sources: name of the PyTorch convolution of each block.
        scales: factor of each block's skip connection; None for 1.
    """
    factors = np.asarray([1.0] * len(sources) if scales is None else scales, np.float32)

    def scaled_kernel(*weights):
        return side_by_side(*(w * factor for w, factor in zip(weights, factors, strict=True)))

    def scaled_bias(*biases):
        return total(*(bias * factor for bias, factor in zip(biases, factors, strict=True)))

    weights, biases = (tuple(f"{s}.{part}" for s in sources) for part in ("weight", "bias"))
    return [
        Row(f"{SKIP}/kernel", weights, scaled_kernel),
        Row(f"{SKIP}/bias", biases, scaled_bias),
    ]


def statistics_rows(options, channels: int) -> list[Row]:
    """Returns the rows of the upsampler's mean and scale, which normalize frames.

    Args:
        options: `Options` of the checkpoint, whose statistics are taken; a note says so if there
            are none.
        channels: of a frame.
    """
    statistics = options.checkpoint.statistics
    if statistics is None:
        options.note(
            "no statistics of the frames are given (--statistics): the model takes frames that "
            "are normalized already"
        )
        mean, scale = np.zeros(channels), np.ones(channels)
    else:
        mean, scale = statistics.mean, 1.0 / statistics.deviation
    return [
        Row(f"{UPSAMPLER}/mean", (), lambda: mean),
        Row(f"{UPSAMPLER}/scale", (), lambda: scale),
    ]
