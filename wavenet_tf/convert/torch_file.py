"""Tensors in the files of PyTorch and of safetensors, read with numpy; nothing in them is run.

PyTorch has two formats of its own: a series of pickles (to 2020), and a zip file with one pickle
and a member per storage (since 1.6). `pickled` reads their pickles.
"""

import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf.convert import pickled
from wavenet_tf.convert.checkpoint import Checkpoint
from wavenet_tf.errors import InputError

# Of a zip file, and of a pickle.
FIRST_BYTES = (b"PK\x03\x04", b"\x80")
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
# Of a safetensors file: the length of its header, then the header in JSON.
HEADER_LENGTH = struct.Struct("<Q")
SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
# Names of a dict's state, the averaged weights first.
STATE_NAMES = (
    "ema_state_dict",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
)

# Errors of numpy, zipfile and this module for files that are cut or changed.
_CORRUPTED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_object(path: str | os.PathLike) -> Any:
    """Returns the object in a file of `torch.save`, with inert objects for foreign classes.

    Args:
        path: of the file.

    Raises:
        InputError: for a file that cannot be read, is corrupted, or would run code.
    """
    try:
        return _parse(_read(path))
    except InputError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    except _CORRUPTED as error:
        raise InputError(f"cannot read {path}: it is corrupted ({error})") from error


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Returns the tensors of a state dict, a checkpoint or a whole module, and its options.

    Of a checkpoint with averaged weights (EMA) these are taken. The prefix `module.` of a model on
    several devices is removed, and weights that are stored as a length and a direction (weight
    normalization) are multiplied out; floats become float32. The options are the numbers and texts
    that a whole module has as attributes.

    Args:
        path: of a file of `torch.save` or of safetensors.

    Raises:
        InputError: for a file that cannot be read, is corrupted, would run code, or holds no model.
    """
    options: dict[str, Any] = {}
    data = _read(path)
    try:
        if _is_safetensors(data):
            tensors = _parse_safetensors(data)
        else:
            contents = _parse(data)
            tensors = {name: tensor.numpy() for name, tensor in _state(contents).items()}
            options = attributes(contents)
    except InputError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    except _CORRUPTED as error:
        raise InputError(f"cannot read {path}: it is corrupted ({error})") from error
    if not tensors:
        raise InputError(f"{path} holds no tensors of a model")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise InputError(f"{path} holds NaN or infinity in {name}")
    return Checkpoint(Path(path).name, fold_weight_norm(tensors), options)


def fold_weight_norm(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns tensors in which each weight of weight normalization is one tensor `weight`.

    The weight is `g v / |v|`, with the norm over all axes but the first (Salimans and Kingma 2016,
    arXiv 1602.07868, equation 2). Its parts are named `weight_g` and `weight_v`, or, since
    PyTorch 2, `parametrizations.weight.original0` and `original1`.

    Args:
        tensors: by name.

    Raises:
        InputError: if one of the two parts is missing, or they do not fit each other.

    Example:
    >>> parts = {"a.weight_g": np.float32([[10.0]]), "a.weight_v": np.float32([[3.0, 4.0]])}
    >>> fold_weight_norm(parts)["a.weight"].tolist()
    [[6.0, 8.0]]
    """
    spellings = (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    )
    folded = dict(tensors)
    for length, direction in spellings:
        for name in tensors:
            stem = next((name[: -len(s)] for s in (length, direction) if name.endswith(s)), None)
            if stem is None or stem + "weight" in folded:
                continue
            for part in (stem + length, stem + direction):
                if part not in tensors:
                    raise InputError(f"the checkpoint has {name}, but no {part}")
            g, v = folded.pop(stem + length), folded.pop(stem + direction)
            norm = np.sqrt(np.sum(v.astype(np.float64) ** 2, axis=tuple(range(1, v.ndim)))) + 0.0
            norm = norm.reshape(-1, *[1] * (v.ndim - 1))
            if g.size != norm.size or not norm.all():
                raise InputError(f"{stem}{length} and {direction} do not fit each other")
            folded[stem + "weight"] = (g.reshape(norm.shape) * (v / norm)).astype(np.float32)
    return folded


def _read(path: str | os.PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _parse(data: bytes) -> Any:
    return _read_zip(data) if data.startswith(FIRST_BYTES[0]) else _read_legacy(data)


def _read_legacy(data: bytes) -> Any:
    file = io.BytesIO(data)
    magic, _ = pickled.load(file)
    if magic != LEGACY_MAGIC:
        raise InputError("it does not begin as one")
    protocol, _ = pickled.load(file)
    system, _ = pickled.load(file)
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise InputError(f"its protocol is {str(protocol)[:40]}, and 1001 was expected")
    if not system.get("little_endian", True):
        raise InputError("its numbers are big-endian, which is not supported")
    contents, storages = pickled.load(file)
    keys, _ = pickled.load(file)
    by_key = {storage.key: storage for storage in storages}
    if sorted(map(str, keys)) != sorted(by_key):
        raise InputError("its storages are not those that its tensors name")
    for key in keys:
        storage = by_key[str(key)]
        (size,) = np.frombuffer(file.read(8), "<i8")
        if size != storage.size:
            raise InputError(f"storage {key} has {size} elements, and {storage.size} were expected")
        storage.elements = np.frombuffer(file.read(size * storage.dtype.itemsize), storage.dtype)
        if storage.elements.size != size:
            raise InputError(f"it ends within storage {key}")
    return contents


def _read_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise InputError("it has no single member data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise InputError("its members are compressed, as PyTorch writes none")
        order = folder + "byteorder"
        if order in archive.namelist() and archive.read(order).strip() != b"little":
            raise InputError("its numbers are big-endian, which is not supported")
        contents, storages = pickled.load(io.BytesIO(archive.read(names[0])))
        for storage in storages:
            storage.elements = np.frombuffer(
                archive.read(f"{folder}data/{storage.key}"), storage.dtype
            )
            if storage.elements.size < storage.size:
                raise InputError(f"storage {storage.key} is shorter than its tensors")
    return contents


def _is_safetensors(data: bytes) -> bool:
    if len(data) < HEADER_LENGTH.size + 2:
        return False
    (length,) = HEADER_LENGTH.unpack_from(data)
    return length < len(data) and data[HEADER_LENGTH.size : HEADER_LENGTH.size + 1] == b"{"


def _parse_safetensors(data: bytes) -> dict[str, np.ndarray]:
    (length,) = HEADER_LENGTH.unpack_from(data)
    start = HEADER_LENGTH.size + length
    header = json.loads(data[HEADER_LENGTH.size : start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        if not 0 <= first <= last <= len(data) - start:
            raise ValueError(f"{name} leaves the file")
        dtype = np.dtype(SAFETENSORS_TYPES[entry["dtype"]])
        values = np.frombuffer(data[start + first : start + last], dtype)
        values = values.reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.astype(np.float32) if values.dtype.kind == "f" else values
    return tensors


def _state(contents: Any) -> dict[str, pickled.Tensor]:
    """Returns the tensors of a state dict, of a checkpoint that has one, or of a module."""
    if isinstance(contents, pickled.InertObject):
        return dict(_module_tensors(contents))
    if not isinstance(contents, dict):
        return {}
    for name in STATE_NAMES:
        inner = contents.get(name)
        if isinstance(inner, dict | pickled.InertObject):
            return _state(inner)
    return {
        str(name): value for name, value in contents.items() if isinstance(value, pickled.Tensor)
    }


def _module_tensors(module: pickled.InertObject, prefix: str = "", depth: int = 0):
    """Yields the names and tensors of a pickled module and of the modules in it."""
    if depth > 20:
        raise ValueError("its modules are nested too deeply")
    attributes = vars(module)
    for group in ("_parameters", "_buffers"):
        tensors = attributes.get(group)
        for name, value in (tensors if isinstance(tensors, dict) else {}).items():
            if isinstance(value, pickled.Tensor):
                yield f"{prefix}{name}", value
    modules = attributes.get("_modules")
    for name, inner in (modules if isinstance(modules, dict) else {}).items():
        if isinstance(inner, pickled.InertObject):
            yield from _module_tensors(inner, f"{prefix}{name}.", depth + 1)


def attributes(contents: Any) -> dict[str, Any]:
    """Returns the numbers and texts among the attributes of an inert object; of others none.

    Args:
        contents: of a file, such as a whole module.
    """
    if not isinstance(contents, pickled.InertObject):
        return {}
    return {
        name: value
        for name, value in vars(contents).items()
        if isinstance(value, bool | int | float | str)
    }
