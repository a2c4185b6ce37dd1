"""Options of a checkpoint's model, read with checks."""

import re
from typing import Any

import numpy as np

from wavenet_tf.convert.checkpoint import Checkpoint
from wavenet_tf.convert.weight_map import LayoutError
from wavenet_tf.errors import InputError, optional_number, positive_integer

SAMPLE_RATE = "sample_rate"


class Options:
    """Reads options and shapes of a checkpoint, and notes what was assumed.

    Args:
        checkpoint: whose options are read.

    Attributes:
        checkpoint: whose options are read.
    """

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        return tuple(self._notes)

    def note(self, sentence: str) -> None:
        """Adds a sentence to the notes."""
        self._notes.append(sentence)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an option, or the default if it is missing or null."""
        value = self.checkpoint.options.get(name)
        return default if value is None else value

    def integer(self, name: str, default: int | None = None) -> int:
        """Returns an option that is a whole number of at least 1.

        Raises:
            InputError: if it is missing and there is no default, or it is another value.
        """
        value = self.get(name, default)
        if value is None:
            raise InputError(f"the checkpoint does not state {name}: set it in the --config file")
        return positive_integer(name, value)

    def integers(self, name: str) -> tuple[int, ...]:
        """Returns an option that is a list of whole numbers of at least 1.

        Raises:
            InputError: if it is missing, or another value.
        """
        values = self.get(name)
        if values is None:
            raise InputError(f"the checkpoint does not state {name}: set it in the --config file")
        if not isinstance(values, list) or not values:
            raise InputError(f"{name} must be a list of whole numbers; received {values!r}")
        return tuple(positive_integer(name, value) for value in values)

    def number(self, name: str, default: float) -> float:
        """Returns an option that is a finite number.

        Raises:
            InputError: if it is another value.
        """
        value = optional_number(name, self.get(name))
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        """Returns an option that is true or false.

        Raises:
            InputError: if it is another value.
        """
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false; received {value!r}")
        return value

    def sample_rate(self, default: int) -> int:
        """Returns the sample rate in Hz, and notes that it was assumed if nothing states it."""
        if self.get(SAMPLE_RATE) is None:
            self.note(f"sample rate {default} Hz assumed; --sample_rate sets another")
        return self.integer(SAMPLE_RATE, default)

    def tensor(self, name: str, rank: int) -> np.ndarray:
        """Returns a tensor of the checkpoint.

        Raises:
            LayoutError: if it is missing.
            InputError: if it is empty or has another number of axes.
        """
        if name not in self.checkpoint.tensors:
            raise LayoutError(f"the checkpoint has no {name}")
        tensor = self.checkpoint.tensors[name]
        if tensor.ndim != rank or not tensor.size:
            raise InputError(
                f"{name} must have {rank} axes and elements; received shape {list(tensor.shape)}"
            )
        return tensor

    def count(self, pattern: str) -> int:
        """Returns the number of blocks, from the names of their tensors.

        Args:
            pattern: of the names, with the index of the block as its group.
        """
        matches = (re.fullmatch(pattern, name) for name in self.checkpoint.tensors)
        return len({match[1] for match in matches if match})
