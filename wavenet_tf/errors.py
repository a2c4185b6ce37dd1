"""The error of this package that a user can mend, and checks of arguments."""

import numbers


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, and what was expected."""


def positive_integer(name: str, value) -> int:
    """Returns `value` where it is a whole number of at least 1, and raises where it is not."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or value < 1 or value % 1:
        raise InputError(f"{name} must be a whole number of at least 1; received {value!r}")
    return int(value)


def optional_positive_integer(name: str, value) -> int | None:
    """The value as `positive_integer` gives it, or None where it is None."""
    return None if value is None else positive_integer(name, value)
