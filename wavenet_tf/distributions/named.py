"""Distributions by their names."""

from wavenet_tf.distributions.categorical import Categorical
from wavenet_tf.distributions.mixtures import GaussianMixture, LogisticMixture
from wavenet_tf.errors import InputError
from wavenet_tf.options import DISTRIBUTIONS


def named_distribution(
    name: str,
    quantization_channels: int = 256,
    num_mixtures: int = 10,
    *,
    code_table=None,
    means: str = "relative",
    log_scale_floor: float | None = None,
    rounding: bool = True,
) -> Categorical | LogisticMixture | GaussianMixture:
    """Returns the distribution of a name.

    Args:
        name: "categorical", "logistic_mixture" or "gaussian_mixture".
        quantization_channels: number of codes of the categorical distribution.
        num_mixtures: components of a mixture.
        code_table: of the categorical distribution, see `Categorical`.
        means: of a mixture, see `LogisticMixture`.
        log_scale_floor: of a mixture.
        rounding: of a mixture.

    Raises:
        InputError: for an unknown name.
    """
    if name == "categorical":
        return Categorical(quantization_channels, code_table)
    if name == "logistic_mixture":
        return LogisticMixture(num_mixtures, means, log_scale_floor, rounding)
    if name == "gaussian_mixture":
        return GaussianMixture(num_mixtures, means, log_scale_floor, rounding)
    raise InputError(
        f"unknown output_distribution {name!r}: expected one of {', '.join(DISTRIBUTIONS)}"
    )
