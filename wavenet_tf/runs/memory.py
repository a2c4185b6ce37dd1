"""The memory that training needs at least, and the memory that there is."""

import contextlib
import os
import sys
from pathlib import Path

from wavenet_tf.errors import InputError

# Files in which Linux states how much memory a container may use.
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# The logits, the log-probabilities and the gradients of both have the shape of the outputs. A step
# has at least this many of them in memory at once.
COPIES_OF_OUTPUTS = 2
# Arrays of a block that the gradient needs: its input, both halves of its gate and their product.
GATE_ARRAYS = 3


def total_memory() -> int | None:
    """Returns the memory of this machine or of its container, whichever is less.

    Returns:
        Bytes; None if unknown.
    """
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits, default=None)


def peak_memory() -> int | None:
    """Returns the largest amount of memory that this process has had so far.

    Returns:
        Bytes; None if unknown.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def min_step_memory(model, batch_size: int, crop_samples: int, gradient_checkpointing: bool) -> int:
    """Returns the memory that a training step needs at least: the activations for the gradient.

    Args:
        model: a `WaveNet` or a `WaveNetClassifier`.
        batch_size: crops per batch in this process.
        crop_samples: scored samples of a crop, without its context.
        gradient_checkpointing: whether blocks are computed again for the gradient.

    Returns:
        Bytes.
    """
    samples = batch_size * (crop_samples + model.config.trunk_receptive_field - 1)
    blocks = len(model.config.block_dilations)
    gate_arrays = 1 if gradient_checkpointing else GATE_ARRAYS
    # The output layers need each block's gated activations too, so those are stored in any case.
    channels = blocks * (model.config.residual_channels + gate_arrays * model.config.gate_channels)
    bytes_per_value = 4 if model.compute_dtype == "float32" else 2
    channels += model.config.skip_channels
    outputs = 0
    if model.head is not None:
        channels += model.config.head_channels
        outputs = COPIES_OF_OUTPUTS * model.head.output_convolution.filters * 4
    return samples * (channels * bytes_per_value + outputs)


def check_memory(needed: int, what: str) -> None:
    """Raises InputError if more memory is needed than there is.

    Args:
        needed: in bytes.
        what: needs the memory, for the error message.
    """
    total = total_memory()
    if total is not None and needed > total:
        raise InputError(
            f"{what} takes at least {needed / 2**30:,.1f} GiB of memory, and there are "
            f"{total / 2**30:,.1f} GiB: lower batch_size (and raise gradient_accumulation by as "
            "much) or crop_seconds, or turn gradient_checkpointing on"
        )
