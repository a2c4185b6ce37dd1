"""Tables that quantize audio to integer codes, and back; importable without TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wavenet_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class CodeTable:
    """A quantizer of audio, given by the bounds and the value of each code.

    Models of other programs have companding that no formula of `mu_law_encode` gives. Every one of
    them is a step function, which two tables hold exactly.

    Attributes:
        thresholds: smallest value of each code but the first, in ascending order, `[codes - 1]`.
        values: audio that each code is decoded to, in [-1, 1] in ascending order, `[codes]`.
        silence: code of digital silence.

    Raises:
        InputError: for tables of other lengths, or values out of range or order.

    Example:
    >>> table = CodeTable(thresholds=(-0.5, 0.0, 0.5), values=(-0.75, -0.25, 0.25, 0.75), silence=2)
    >>> len(table.values)
    4
    """

    thresholds: Sequence[float]
    values: Sequence[float]
    silence: int

    def __post_init__(self):
        for name in ("thresholds", "values"):
            object.__setattr__(self, name, _ascending(name, getattr(self, name)))
        if len(self.thresholds) != len(self.values) - 1 or not self.thresholds:
            raise InputError(
                "a code table must have at least 2 values, and a threshold less than values; "
                f"received {len(self.values)} values and {len(self.thresholds)} thresholds"
            )
        if not -1.0 <= self.values[0] <= self.values[-1] <= 1.0:
            raise InputError(
                f"values of a code table must be in [-1, 1]; received {self.values[0]} to "
                f"{self.values[-1]}"
            )
        codes = len(self.values)
        whole = isinstance(self.silence, int) and not isinstance(self.silence, bool)
        if not whole or not 0 <= self.silence < codes:
            raise InputError(
                f"silence of a code table must be a whole number from 0 to {codes - 1}; received "
                f"{self.silence!r}"
            )

    @classmethod
    def from_dict(cls, arguments: Mapping[str, Any]) -> "CodeTable":
        """Returns the table with these attributes.

        Raises:
            InputError: if one is missing or unknown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(arguments, Mapping) or set(arguments) != set(names):
            raise InputError(
                f"a code table takes {', '.join(names)}; received {str(arguments)[:80]}"
            )
        return cls(**arguments)


def checked_code_table(table: CodeTable | Mapping[str, Any] | None, codes: int) -> CodeTable | None:
    """Returns a code table, given as such or by its attributes; None for None.

    Args:
        table: the table.
        codes: number of codes that it must have.

    Raises:
        InputError: for a table with another number of codes.
    """
    if table is None:
        return None
    if not isinstance(table, CodeTable):
        table = CodeTable.from_dict(table)
    if len(table.values) != codes:
        raise InputError(
            f"code_table must have quantization_channels {codes} values; received "
            f"{len(table.values)}"
        )
    return table


def _ascending(name: str, numbers: Sequence[float]) -> tuple[float, ...]:
    """Returns numbers as float32 has them, after a check that each is above the one before."""
    try:
        array = np.asarray(numbers, np.float32)
    except (TypeError, ValueError):
        array = np.zeros([0, 0], np.float32)
    if array.ndim != 1 or not np.isfinite(array).all() or (np.diff(array) < 0.0).any():
        raise InputError(
            f"{name} of a code table must be finite numbers in ascending order; received "
            f"{str(numbers)[:80]}"
        )
    return tuple(array.tolist())
