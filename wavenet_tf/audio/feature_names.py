"""Names of the features of recordings; importable without TensorFlow."""

from collections.abc import Sequence

from wavenet_tf.errors import InputError

# Tacotron 2's framing (arXiv 1712.05884).
HOP_SECONDS = 0.0125
MEL_BANDS = 80

# Name: number of channels, at default settings. Each tracker of F0 is a feature of its own, so that
# a model never gets the values of another tracker than the one it was trained on.
FEATURES: dict[str, int] = {"mel": MEL_BANDS, "energy": 1, "f0": 2, "f0_world": 2}
F0_FEATURES = ("f0", "f0_world")


def feature_channels(names: Sequence[str]) -> int:
    """Number of channels of `extract_features`.

    Args:
        names: of `FEATURES`.

    Returns:
        The channels of all of them together.

    Raises:
        InputError: if a name is unknown or there twice, or none is given.

    Example:
    >>> feature_channels(["mel", "f0"])
    82
    """
    if not names or any(name not in FEATURES for name in names):
        raise InputError(f"names must be some of {', '.join(FEATURES)}; received {names!r}")
    if len(set(names)) < len(names):
        raise InputError(f"names of features must differ from each other; received {names!r}")
    return sum(FEATURES[name] for name in names)
