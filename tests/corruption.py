"""Corrupted files, for tests of errors."""

import numpy as np
import pytest

# It needs an interpreter, which not every TensorFlow has.
lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)


def with_nan_weights(file: bytes) -> bytes:
    """The file with NaN in its largest float32 weight, as a training that diverged leaves it."""
    content = bytearray(file)
    model, weights = lite.schema.Model.GetRootAs(content), np.zeros(0, np.uint8)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            is_float = tensor.Type() == lite.schema.TensorType.FLOAT32
            if is_float and isinstance(data, np.ndarray) and data.size > weights.size:
                weights = data
    weights[:] = np.full(weights.size // 4, np.nan, np.float32).view(np.uint8)
    return lite.with_checksum(bytes(content))
