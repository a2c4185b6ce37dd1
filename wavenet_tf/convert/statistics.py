"""Means and deviations of the frames that a foreign model was trained on."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf.convert.checkpoint import Statistics
from wavenet_tf.errors import InputError

HDF5, NPZ = (".h5", ".hdf5"), ".npz"


def read_statistics(path: str | os.PathLike, feature_type: str | None = None) -> Statistics:
    """Returns the mean and the deviation of each channel.

    Args:
        path: an HDF5 file with the data sets `mean` and `scale`, in a group of the feature type if
            there are several, or a file of `numpy.savez` with these two arrays.
        feature_type: name of the group; None for the only one.

    Raises:
        InputError: if the file cannot be read, or lacks one of the two.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (*HDF5, NPZ):
        raise InputError(
            f"statistics must be in an .h5 file, or in an .npz file with mean and scale; received "
            f"{path}"
        )
    try:
        found = _read_npz(path) if suffix == NPZ else _read_hdf5(path, feature_type)
        mean, scale = (np.asarray(found[name], np.float32) for name in ("mean", "scale"))
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]}") from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path} as statistics: {error}") from error
    if mean.ndim != 1 or mean.shape != scale.shape or not np.isfinite(mean + scale).all():
        raise InputError(
            f"mean and scale of {path} must be finite numbers, one for each channel; received "
            f"shapes {list(mean.shape)} and {list(scale.shape)}"
        )
    if not (scale > 0.0).all():
        raise InputError(f"scale of {path} must be above 0; received {scale.min():g}")
    return Statistics(mean, scale)


def _read_npz(path: str | os.PathLike) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("mean", "scale") if name in arrays.files}


def _read_hdf5(path: str | os.PathLike, feature_type: str | None) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        groups = [name for name in file if isinstance(file[name], h5py.Group)]
        group = file
        if "mean" not in file and (feature_type in groups or len(groups) == 1):
            group = file[feature_type if feature_type in groups else groups[0]]
        return {name: group[name][()] for name in ("mean", "scale") if name in group}
