"""Model files of libwavenet: tensors and texts by name, in the format of safetensors.

A file is the length of the header in 8 bytes, the header as JSON, and the tensors one after the
other. Numbers that the library reads are texts in the header's `__metadata__`; what clients need is
JSON in its entry `wavenet`. The entry `crc32` is the checksum of the file, with its own digits as
zeros.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

# Entry of the metadata that clients read.
METADATA_NAME = "wavenet"
FORMAT = "2"
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("i1"),
}
NO_CHECKSUM = "0" * 8


def pack(tensors: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> bytes:
    """Returns a model file.

    Args:
        tensors: float32, int32 or int8 arrays of up to two dimensions, by name.
        texts: entries of the metadata, by name.

    Raises:
        ValueError: for a tensor of another type.

    Example:
    >>> file = pack({"bias": np.ones([2], np.float32)}, {"format": "1"})
    >>> tensors, texts = unpack(file)
    >>> tensors["bias"].tolist(), texts["format"]
    ([1.0, 1.0], '1')
    """
    header: dict[str, Any] = {"__metadata__": {**texts, "crc32": NO_CHECKSUM}}
    offset, parts = 0, []
    for name, tensor in tensors.items():
        kinds = [kind for kind, dtype in DTYPES.items() if dtype == tensor.dtype]
        if not kinds:
            raise ValueError(f"{name} must be float32, int32 or int8; received {tensor.dtype}")
        parts.append(np.ascontiguousarray(tensor).tobytes())
        header[name] = {
            "dtype": kinds[0],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(parts[-1])],
        }
        offset += len(parts[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file = struct.pack("<Q", len(text)) + text + b"".join(parts)
    checksum = f"{zlib.crc32(file):08x}"
    return file.replace(f'"crc32":"{NO_CHECKSUM}"'.encode(), f'"crc32":"{checksum}"'.encode(), 1)


def unpack(file: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Returns the tensors and the texts of a model file, by name.

    Args:
        file: content of a file; the C library checks its checksum.

    Raises:
        ValueError: for another file.
    """
    try:
        (size,) = struct.unpack_from("<Q", file)
        if size > len(file) - 8:
            raise ValueError("its header is cut off")
        header = json.loads(file[8 : 8 + size])
        texts = header.pop("__metadata__")
        tensors = {name: _tensor(file, 8 + size, entry) for name, entry in header.items()}
    except (AttributeError, KeyError, RecursionError, TypeError, struct.error) as error:
        raise ValueError(f"its header has no {error}") from error
    return tensors, texts


def _tensor(file: bytes, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    array = np.frombuffer(file[start + begin : start + end], DTYPES[entry["dtype"]])
    return array.reshape(entry["shape"])


def quantize(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a kernel in int8, and the scale of each output channel.

    Args:
        kernel: float32 `[inputs, outputs]`.

    Returns:
        int8 `[inputs, outputs]` and float32 `[outputs]`; their product is the kernel, rounded.

    Example:
    >>> quantize(np.array([[1.0, 0.5], [-0.5, 0.0]], np.float32))[0].tolist()
    [[127, 127], [-64, 0]]
    """
    largest = np.abs(kernel).max(axis=0)
    scales = np.where(largest > 0.0, largest / 127.0, 1.0).astype(np.float32)
    return np.rint(kernel / scales).astype(np.int8), scales
