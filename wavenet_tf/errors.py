"""The error of this package that a user can mend, and checks of arguments."""

import math
import numbers

# The largest seed that numpy, TensorFlow and Keras all take.
MAX_SEED = 2**32 - 1


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, and what was expected."""


def positive_integer(name: str, value) -> int:
    """Returns `value` where it is a whole number of at least 1, and raises where it is not."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or value < 1 or value % 1:
        raise InputError(f"{name} must be a whole number of at least 1; received {value!r}")
    return int(value)


def positive_number(name: str, value) -> float:
    """Returns `value` where it is a finite number above 0, and raises InputError otherwise."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0.0 < value < math.inf:
        raise InputError(f"{name} must be a finite number above 0; received {value!r}")
    return float(value)


def optional_positive_integer(name: str, value) -> int | None:
    """The value as `positive_integer` gives it, or None where it is None."""
    return None if value is None else positive_integer(name, value)


def optional_number(name: str, value) -> float | None:
    """Returns None, or `value` if it is a finite number; raises InputError otherwise."""
    if value is None:
        return None
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number; received {value!r}")
    return float(value)


def check_seed(seed, name: str = "seed") -> None:
    """Raises InputError unless `seed` is None or a whole number from 0 to 2**32 - 1.

    Args:
        seed: of random numbers.
        name: of the argument, for the error.

    Example:
    >>> check_seed(0)
    >>> check_seed(-1)
    Traceback (most recent call last):
    wavenet_tf.errors.InputError: seed must be a whole number from 0 to 4294967295; received -1
    """
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if seed is not None and not (whole and 0 <= seed <= MAX_SEED):
        raise InputError(f"{name} must be a whole number from 0 to {MAX_SEED}; received {seed!r}")


def check_temperature(temperature) -> None:
    """Raises InputError unless `temperature` is a finite number of at least 0.

    Args:
        temperature: of sampling.

    Example:
    >>> check_temperature(1.0)
    >>> check_temperature(-1.0)
    Traceback (most recent call last):
    wavenet_tf.errors.InputError: temperature must be 0 or above; received -1.0
    """
    if not isinstance(temperature, numbers.Real) or not 0.0 <= float(temperature) < math.inf:
        raise InputError(f"temperature must be 0 or above; received {temperature!r}")
