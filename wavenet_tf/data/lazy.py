"""Sequences and arrays whose contents are computed or read when they are accessed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError


class Mapped(Sequence):
    """A sequence whose elements are computed at each access.

    Args:
        function: computes an element from its argument.
        arguments: the argument of each element.

    Example:
    >>> list(Mapped(abs, [-1, 2]))
    [1, 2]
    """

    def __init__(self, function: Callable[[Any], Any], arguments: Sequence | np.ndarray):
        self.function = function
        self.arguments = arguments

    def __len__(self) -> int:
        return len(self.arguments)

    def __getitem__(self, index):
        return self.function(self.arguments[index])


class Slice:
    """A range of an array, or of an object that reads its slices from files.

    Nothing is read until the range itself is sliced, and then only the requested slice.

    Args:
        whole: the array or object that the range is of.
        start: index of the first element of the range.
        end: index after the last element.

    Example:
    >>> Slice(np.arange(10), 2, 8)[1:3].tolist()
    [3, 4]
    """

    def __init__(self, whole, start: int, end: int):
        self.whole = whole
        self.start = start
        self.end = end

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> np.ndarray:
        first, last, _ = part.indices(len(self))
        return self.whole[self.start + first : self.start + last]


class Unreadable:
    """Stands for an array that could not be read: slicing it raises the error.

    Args:
        error: why the array could not be read.
    """

    def __init__(self, error: InputError):
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, part: slice):
        raise self.error
