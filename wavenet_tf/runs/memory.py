"""How much memory training takes at least, and how much there is."""

import contextlib
import os
import sys
from pathlib import Path

from wavenet_tf.errors import InputError

# Where Linux says how much memory a container may use.
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Copies of the outputs that a step has at once: logits, log-probabilities and gradients of both.
COPIES_OF_OUTPUTS = 2
# Arrays of a block that the gradient needs: its input, both halves of its gate and their product.
GATE_ARRAYS = 3


def total_memory() -> int | None:
    """Memory of this machine, or of the container if that has less, in bytes; None if unknown."""
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits, default=None)


def peak_memory() -> int | None:
    """Returns the most memory that this process has had, in bytes; None if unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def least_step_memory(model, batch_size: int, crop_samples: int, rematerialise: bool) -> int:
    """The memory that a step of training takes at least: what the gradient needs to be kept.

    Args:
        model: a `WaveNet`.
        batch_size: crops a batch, of this process.
        crop_samples: scored samples of a crop; its context is added.
        rematerialise: whether blocks are computed again for the gradient.

    Returns:
        Bytes.
    """
    samples = batch_size * (crop_samples + model.config.trunk_receptive_field - 1)
    blocks = len(model.config.block_dilations)
    gate_arrays = 1 if rematerialise else GATE_ARRAYS
    # A block's gated activations go to the output layers too, so that they are kept in any case.
    channels = blocks * (model.config.residual_channels + gate_arrays * model.config.gate_channels)
    channels += model.config.skip_channels + model.config.head_channels
    bytes_per_value = 4 if model.compute_dtype == "float32" else 2
    outputs = COPIES_OF_OUTPUTS * model.head.output_convolution.filters * 4
    return samples * (channels * bytes_per_value + outputs)


def check_memory(needed: int, what: str) -> None:
    """Raises InputError if more memory is needed than there is.

    Args:
        needed: in bytes.
        what: takes it, for the error.
    """
    total = total_memory()
    if total is not None and needed > total:
        raise InputError(
            f"{what} takes at least {needed / 2**30:,.1f} GiB of memory, and there are "
            f"{total / 2**30:,.1f} GiB: lower batch_size (and raise gradient_accumulation by as "
            "much) or crop_seconds, or turn rematerialise on"
        )
