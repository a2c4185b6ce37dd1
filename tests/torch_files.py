"""Files as PyTorch and safetensors write them, made without PyTorch: opcode by opcode."""

import io
import json
import struct
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

STORAGES = {
    "f8": "DoubleStorage",
    "f4": "FloatStorage",
    "f2": "HalfStorage",
    "u2": "BFloat16Storage",
    "i8": "LongStorage",
    "i4": "IntStorage",
}


class Object(NamedTuple):
    """An object of a class that only the pickle names, with its attributes."""

    module: str
    name: str
    state: dict


class Call(NamedTuple):
    """A call of a function that only the pickle names."""

    module: str
    name: str
    arguments: tuple


class Pickle:
    """Writes pickles of protocol 2, and collects the storages of the arrays in them."""

    def __init__(self):
        self.storages: list[np.ndarray] = []

    def dumps(self, value: Any) -> bytes:
        return b"\x80\x02" + self._emit(value) + b"."

    def _emit(self, value: Any) -> bytes:
        if value is None:
            return b"N"
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int):
            digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(digits)]) + digits
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        if isinstance(value, Object):
            return _name(value) + b")\x81" + self._emit(value.state) + b"b"
        if isinstance(value, Call):
            return _name(value) + self._emit(tuple(value.arguments)) + b"R"
        if isinstance(value, np.ndarray):
            return self._emit_array(value)
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self._emit, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(self._emit, value)) + b"e"
        empty = b"ccollections\nOrderedDict\n)R" if isinstance(value, OrderedDict) else b"}"
        items = (self._emit(part) for item in value.items() for part in item)
        return empty + b"(" + b"".join(items) + b"u"

    def _emit_array(self, array: np.ndarray) -> bytes:
        base = array if array.base is None else array.base
        known = [stored is base for stored in self.storages]
        if True not in known:
            self.storages.append(base)
            known.append(True)
        key = known.index(True)
        storage = f"ctorch\n{STORAGES[array.dtype.str[1:]]}\n".encode()
        words = b"".join(map(self._emit, (str(key), "cpu", base.size, None)))
        identifier = b"(" + self._emit("storage") + storage + words + b"t"
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // (
            array.itemsize
        )
        strides = tuple(stride // array.itemsize for stride in array.strides)
        parts = (int(offset), array.shape, strides, False, OrderedDict())
        return (
            b"ctorch._utils\n_rebuild_tensor_v2\n("
            + identifier
            + b"Q"
            + b"".join(map(self._emit, parts))
            + b"tR"
        )


def _name(value: Object | Call) -> bytes:
    return f"c{value.module}\n{value.name}\n".encode()


def legacy(value: Any) -> bytes:
    """The bytes of a file of `torch.save` before PyTorch 1.6."""
    writer = Pickle()
    contents = writer.dumps(value)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    keys = [str(key) for key in range(len(writer.storages))]
    head = (Pickle().dumps(part) for part in (0x1950A86A20F9469CFC6C, 1001, system))
    storages = (
        struct.pack("<q", array.size) + np.ascontiguousarray(array).tobytes()
        for array in writer.storages
    )
    return b"".join([*head, contents, Pickle().dumps(keys), *storages])


def zipped(value: Any) -> bytes:
    """The bytes of a file of `torch.save` since PyTorch 1.6."""
    writer, file = Pickle(), io.BytesIO()
    contents = writer.dumps(value)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", contents)
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(writer.storages):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file."""
    names = {"f8": "F64", "f4": "F32", "f2": "F16", "u2": "BF16", "i8": "I64", "i4": "I32"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in tensors.items():
        offsets = [len(data), len(data) + array.nbytes]
        kind = names[array.dtype.str[1:]]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


FORMATS = {"legacy": legacy, "zip": zipped, "safetensors": safetensors}
