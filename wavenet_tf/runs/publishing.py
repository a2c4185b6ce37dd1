"""Model directories to give away: weights in half precision, without the optimizer's state."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from wavenet_tf import files
from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.model_files import (
    FINAL_MODEL,
    LAST,
    POSITION,
    find_model,
    read_position,
)
from wavenet_tf.models import TrainableModel
from wavenet_tf.models.loading import assign_ema_weights, read_model
from wavenet_tf.runs.prosody import FILES
from wavenet_tf.runs.recognition import DECODER
from wavenet_tf.runs.settings import SETTINGS, stored_settings

WEIGHTS = "model.weights.h5"  # member of a model's zip file
# Settings that are paths on the machine of the training.
PATHS = ("data_dir", "adapt_from", "best_by_classifier")


def publish(
    model_dir: str | os.PathLike, output_dir: str | os.PathLike, step: int | str = LAST
) -> Path:
    """Writes the model of a run as a model directory of a sixth of the size.

    The weights are averaged (EMA) if the run averages them, and rounded to half precision;
    decoder and models of prosody are written beside them. Every program that takes `--model_dir`
    takes the directory; training does not resume from it, but `--adapt_from` takes it.

    Args:
        model_dir: of a training run.
        output_dir: a folder that holds no model.
        step: of the model, as `load_model` takes it.

    Returns:
        The model's file in `output_dir`.

    Raises:
        InputError: if there is no such model, or `output_dir` holds one.
    """
    source, target = find_model(model_dir, step), Path(output_dir) / FINAL_MODEL
    if target.exists():
        raise InputError(f"{output_dir} holds a model already: choose another output_dir")
    files.check_writable_folder(output_dir)
    model = read_model(source, TrainableModel)
    assign_ema_weights(model)
    settings = stored_settings(model_dir)
    for name in PATHS:
        settings.pop(name, None)
    if settings:
        files.write_text(target.parent / SETTINGS, json.dumps(settings, indent=2) + "\n")
    if (Path(model_dir) / DECODER).exists():
        shutil.copyfile(Path(model_dir) / DECODER, target.parent / DECODER)
    for name in FILES.values():
        if (Path(model_dir) / name).exists():
            prosody = keras.saving.load_model(Path(model_dir) / name, compile=False)
            _save_halved(prosody, target.parent / name)
    _save_halved(model, target, {POSITION: json.dumps({"step": read_position(source).step})})
    return target


def _save_halved(model: keras.Model, path: Path, members: dict[str, str] | None = None) -> None:
    """Writes a model that is not compiled, with float32 weights rounded to float16."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with files.atomic_path(path) as temporary:
        bare.save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        contents[WEIGHTS] = _halved(contents[WEIGHTS])
        contents |= {name: text.encode() for name, text in (members or {}).items()}
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)


def _halved(weights: bytes) -> bytes:
    """Returns an HDF5 file with the float32 datasets of another one as float16."""
    copy = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(copy, "w") as target:

        def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                added = target.require_group(name)
            else:
                value = item[()]
                if value.dtype == np.float32:
                    value = value.astype(np.float16)
                added = target.create_dataset(name, data=value)
            added.attrs.update(item.attrs)

        source.visititems(add)
        target.attrs.update(source.attrs)
    return copy.getvalue()
