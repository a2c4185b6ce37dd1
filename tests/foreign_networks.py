"""Forward passes of other programs' WaveNets, written in numpy from their descriptions."""

import numpy as np


def random_tensors(shapes: dict, seed: int = 0, scale: float = 0.4) -> dict[str, np.ndarray]:
    """Returns float32 tensors of these shapes with random elements."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(scale=scale, size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def convolve(signal, weight, bias=None, dilation: int = 1) -> np.ndarray:
    """A causal convolution, zeros before the signal, as PyTorch stores its weights.

    Args:
        signal: `[channels, time]`.
        weight: `[out, in, taps]`, the oldest tap first.
        bias: `[out]`.
        dilation: samples between taps.
    """
    taps, time = weight.shape[2], signal.shape[1]
    padded = np.pad(signal, [[0, 0], [(taps - 1) * dilation, 0]])
    result = np.zeros((weight.shape[0], time))
    for tap in range(taps):
        result += weight[:, :, tap].astype(np.float64) @ padded[:, tap * dilation :][:, :time]
    return result if bias is None else result + bias[:, None]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0.0)


def one_hot(codes, num_codes: int) -> np.ndarray:
    return np.eye(num_codes)[codes].T
