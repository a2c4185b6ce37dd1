"""Models from files: what `keras.models.load_model` returns, checked, with averaged weights."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.model_directory import find_model, resolve_model_dir, trained_models
from wavenet_tf.models.config import PRESETS
from wavenet_tf.models.trainer import TrainableModel


def read_model(path: Path, kind: type[TrainableModel] = TrainableModel) -> Any:
    """Returns the model of a file, as it was saved.

    Args:
        path: of a `.keras` file.
        kind: class of the model.

    Raises:
        InputError: if the file cannot be read, or holds a model of another class.
    """
    try:
        model = keras.models.load_model(path)
    except (InputError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:  # zip, HDF5, JSON and Keras each raise their own for corrupted files
        raise InputError(f"cannot read {path} as a model: {error}") from error
    if not isinstance(model, TrainableModel):
        raise InputError(
            f"{path} holds a {type(model).__name__}, not a WaveNet or a WaveNetClassifier"
        )
    if not isinstance(model, kind):
        raise InputError(f"{path} holds a {type(model).__name__}, not a {kind.__name__}")
    return model


def assign_ema_weights(model: TrainableModel) -> None:
    """Replaces a model's weights by their average (EMA), if its optimizer computes one."""
    if model.compiled:
        model.optimizer.finalize_variable_values(model.trainable_weights)


def load_pretrained(name: str, kind: type[TrainableModel], dtype: str | None = None) -> Any:
    """Returns the model of a name or a path, with averaged weights.

    Args:
        name: of a trained model of the package, of a model directory or of a `.keras` file.
        kind: class of the model.
        dtype: policy of the model, such as "mixed_bfloat16"; None for that of the file.

    Raises:
        InputError: if there is no such model, it cannot be read, or it is of another class.
    """
    path = resolve_model_dir(name)
    if not path.exists():
        names = ", ".join((*PRESETS, *trained_models()))
        raise InputError(
            f"unknown preset {str(name)!r}: expected one of {names}, a model directory or a .keras "
            "file"
        )
    model = read_model(path if path.is_file() else find_model(path), kind)
    assign_ema_weights(model)
    if dtype is None:
        return model
    copy = type(model).from_config({**model.get_config(), "dtype": dtype})
    copy.set_weights(model.get_weights())
    return copy
