"""Names of the features of recordings; importable without TensorFlow."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

from wavenet_tf.errors import InputError

# Tacotron 2's framing (arXiv 1712.05884).
HOP_SECONDS = 0.0125
MEL_BANDS = 80

# Name: number of channels, at default settings. Each tracker of F0 is a feature of its own, so that
# a model never gets the values of another tracker than the one it was trained on.
FEATURES: dict[str, int] = {"mel": MEL_BANDS, "energy": 1, "f0": 2, "f0_world": 2}
F0_FEATURES = ("f0", "f0_world")
# Options of the feature "mel": the argument of `log_mel` that each sets, and how its text is read.
MEL_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "window": ("window_length", int),
    "fft": ("fft_length", int),
    "bands": ("num_bands", int),
    "min_hz": ("min_hz", float),
    "max_hz": ("max_hz", float),
    "floor": ("floor", float),
    "log": ("log_base", lambda text: {"e": math.e, "10": 10.0}[text]),
    "padding": ("padding", str),
}


def default_f0_feature() -> str:
    """Returns the feature of `F0_FEATURES` that WORLD computes, or pYIN's where that is missing."""
    return "f0_world" if importlib.util.find_spec("pyworld") is not None else "f0"


def parse_feature(feature: str) -> tuple[str, dict[str, Any]]:
    """Returns the name of a feature, and the arguments that its options set.

    Options make a model's features explicit, as those of a vocoder that another program trained:
    "mel:fft=1024:log=10". They follow the name after colons.

    Args:
        feature: a name of `FEATURES`; "mel" with any of `MEL_OPTIONS`.

    Raises:
        InputError: for an unknown name or option, or a value that is none.

    Example:
    >>> parse_feature("mel:bands=40:floor=1e-10")
    ('mel', {'num_bands': 40, 'floor': 1e-10})
    """
    name, *options = feature.split(":")
    if name not in FEATURES:
        raise InputError(f"names must be some of {', '.join(FEATURES)}; received {feature!r}")
    arguments = {}
    for option in options:
        key, _, value = option.partition("=")
        if name != "mel" or key not in MEL_OPTIONS:
            known = f"one of {', '.join(MEL_OPTIONS)}" if name == "mel" else "none"
            raise InputError(f"options of the feature {name} must be {known}; received {option!r}")
        argument, read = MEL_OPTIONS[key]
        try:
            arguments[argument] = read(value)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"the option {key} of the feature {name} has the value {value!r}, which cannot be "
                "read"
            ) from error
    return name, arguments


def feature_channels(names: Sequence[str]) -> int:
    """Number of channels of `extract_features`.

    Args:
        names: of `FEATURES`, with options as `parse_feature` reads them.

    Returns:
        The channels of all of them together.

    Raises:
        InputError: if a name or an option is unknown, a name there twice, or none is given.

    Example:
    >>> feature_channels(["mel", "f0"]), feature_channels(["mel:bands=40"])
    (82, 40)
    """
    if not names or any(name.partition(":")[0] not in FEATURES for name in names):
        raise InputError(f"names must be some of {', '.join(FEATURES)}; received {names!r}")
    parsed = [parse_feature(name) for name in names]
    if len({name for name, _ in parsed}) < len(parsed):
        raise InputError(f"names of features must differ from each other; received {names!r}")
    return sum(arguments.get("num_bands", FEATURES[name]) for name, arguments in parsed)
