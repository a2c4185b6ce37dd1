"""Layouts of other programs that are recognized, and why no model here can have their weights."""

import re
from collections.abc import Iterable

from wavenet_tf.errors import InputError

# Patterns of the names of weights, by program, with the reason.
REFUSED = {
    "Mason-McGough/Wavenet-PyTorch": (
        (r"hs\.\d+\.(gatedconv\.conv_[fg]|conv_1)\..*", r"batch_norms\.\d+\..*", r"h_class\..*"),
        "its network predicts a block of samples ahead of its input, through linear gates and "
        "batch normalization: it is no model of the next sample",
    ),
}


def check_not_refused(names: Iterable[str]) -> None:
    """Raises InputError for the weights of a program that cannot be imported.

    Args:
        names: of the weights.

    Example:
    >>> check_not_refused(["causal.conv.weight"])
    """
    names = list(names)
    for program, (patterns, reason) in REFUSED.items():
        if all(any(re.fullmatch(pattern, name) for name in names) for pattern in patterns):
            raise InputError(f"the checkpoint is of {program}, which cannot be imported: {reason}")
