"""Reads the pickles in PyTorch's files without running anything that they name.

A pickle is a program: it names functions, and the usual unpickler calls them. Here a few
constructors of containers and tensors are replaced by functions of this module; every other name
becomes an empty class. Objects of such a class may be made, which only stores their attributes; a
pickle that calls such a name is refused.
"""

import collections
import io
import pickle
import pickletools
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError

# Numbers per element of PyTorch's storages, by the name of the storage's class.
STORAGE_TYPES: dict[str, np.dtype] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype("<u2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# Opcodes whose argument is an index of the memo, for which the unpickler allocates memory.
MEMO_OPCODES = ("PUT", "BINPUT", "LONG_BINPUT")


class Storage:
    """Numbers that tensors share.

    Attributes:
        type_name: name of PyTorch's class of the storage.
        key: of the numbers in the file.
        size: number of elements.
        elements: the numbers, once they are read.
    """

    def __init__(self, type_name: str, key: str, size: int):
        self.type_name, self.key, self.size = type_name, key, size
        self.elements: np.ndarray | None = None

    @property
    def dtype(self) -> np.dtype:
        """Type of an element in the file."""
        return STORAGE_TYPES[self.type_name]


class Tensor:
    """A strided view of a storage.

    Attributes:
        storage: that holds its elements.
        offset: index of its first element.
        shape: sizes of its axes.
        strides: elements from one index of each axis to the next.
    """

    def __init__(self, storage: Storage, offset: int, shape: tuple, strides: tuple):
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)

    def __setstate__(self, state):
        """Takes no notice of gradients and hooks."""

    def numpy(self) -> np.ndarray:
        """Returns the elements, floats in float32.

        Raises:
            ValueError: if the view leaves its storage.
        """
        elements = self.storage.elements
        if elements is None:
            raise ValueError("a tensor has no storage in the file")
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(
            type(number) is int and number >= 0 for number in numbers
        ):
            raise ValueError(f"a tensor has the shape {self.shape} and the strides {self.strides}")
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        count = int(np.prod(self.shape, dtype=object))
        if count > elements.size or (count and last >= elements.size):
            raise ValueError(f"a tensor of shape {list(self.shape)} leaves its storage")
        strides = [stride * elements.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(
            elements[self.offset :] if count else elements, self.shape, strides, writeable=False
        )
        if self.storage.type_name == "BFloat16Storage":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view.astype(np.float32 if view.dtype.kind == "f" else view.dtype)


class _InertType(type):
    """Type of the classes that stand for names of a pickle: they cannot be called."""

    def __call__(cls, *args, **kwargs):
        raise InputError(
            f"it calls {cls.__module__}.{cls.__name__} when it is loaded, which may run any code"
        )


class InertObject(metaclass=_InertType):
    """An object of a class that only the pickle names; it has the stored attributes."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __setstate__(self, state):
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)


class _Ignored:
    """A number of numpy, a type or a device, which no model needs."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


def load(file: io.BytesIO) -> tuple[Any, list[Storage]]:
    """Returns the object of the pickle at a file's position, and the storages that it names.

    Args:
        file: positioned at the pickle; then after it.

    Raises:
        InputError: if the pickle would run code, or is corrupted.
    """
    start = file.tell()
    try:
        _check_opcodes(file)
        file.seek(start)
        unpickler = _Unpickler(file)
        return unpickler.load(), list(unpickler.storages.values())
    except InputError:
        raise
    except Exception as error:  # of a corrupted pickle: of any kind
        raise InputError(f"its pickle is corrupted ({type(error).__name__}: {error})") from error


def _check_opcodes(file: io.BytesIO) -> None:
    """Raises ValueError for a pickle whose indices are larger than it is long."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        # The memo may be written from anywhere, but a pickle does not skip indices.
        if opcode.name in MEMO_OPCODES and (argument or 0) > count:
            raise ValueError(f"memo index {argument}")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO):
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_TYPES:
            return _InertType(name, (InertObject,), {"__module__": module})
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        return _InertType(name, (InertObject,), {"__module__": module})

    def persistent_load(self, identifier: Any) -> Any:
        kind, *values = identifier
        if kind == "module":  # a class, and the text of its source, which nothing needs
            return values[0]
        if kind != "storage":
            raise ValueError(f"a persistent object of kind {kind!r}")
        storage_class, key, _, size, *view = values
        if any(part is not None for part in view):
            raise InputError("it holds views of storages, as no PyTorch since 2017 writes them")
        name = getattr(storage_class, "__name__", "")
        if name not in STORAGE_TYPES:
            raise InputError(f"it holds numbers of the type {name}, which is not supported")
        return self.storages.setdefault(str(key), Storage(name, str(key), int(size)))


def _rebuild_tensor(storage, offset, shape, strides, *_):
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    return Tensor(storage, offset, shape, strides)


def _first(value, *_):
    return value


def _tuple(values=()):
    return tuple(values)


def _set(values=()):
    return frozenset(values)


def _empty_dict(*_):
    return {}


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _nothing(*_):
    return None


# The functions that replace those that PyTorch's files call.
_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): _empty_dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch.nn.parameter", "Parameter"): _first,
    ("torch.autograd.variable", "Variable"): _first,
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): _nothing,
    ("torch", "Size"): _tuple,
    ("torch", "device"): _Ignored,
    ("_codecs", "encode"): _encode,
    ("numpy.core.multiarray", "scalar"): _Ignored,
    ("numpy._core.multiarray", "scalar"): _Ignored,
    ("numpy", "dtype"): _Ignored,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
}
