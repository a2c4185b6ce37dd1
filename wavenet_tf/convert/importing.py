"""Imports checkpoints of other programs: files in, a model directory out."""

import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from wavenet_tf import files, models, runs
from wavenet_tf.convert import tensorflow_checkpoint, torch_file
from wavenet_tf.convert.checkpoint import Checkpoint
from wavenet_tf.convert.options import SAMPLE_RATE
from wavenet_tf.convert.refused import check_not_refused
from wavenet_tf.convert.source_names import AUTO, SOURCES
from wavenet_tf.convert.statistics import read_statistics
from wavenet_tf.convert.weight_map import LayoutError, assign_weights
from wavenet_tf.errors import InputError, optional_positive_integer


def import_checkpoint(
    checkpoint: str | os.PathLike,
    output_dir: str | os.PathLike,
    source: str = AUTO,
    config: str | os.PathLike | None = None,
    sample_rate: int | None = None,
    statistics: str | os.PathLike | None = None,
    features: Sequence[str] | None = None,
) -> tuple[models.WaveNet, tuple[str, ...]]:
    """Writes a model directory with the model of another program's checkpoint.

    Args:
        checkpoint: file of the weights.
        output_dir: model directory to write; one that holds no model.
        source: the program, of `SOURCES`; "auto" finds it by the names of the weights.
        config: file of the model's options, as the program writes it; None for none.
        sample_rate: in Hz; None takes that of the options.
        statistics: file of the mean and the deviation of the frames that condition the model, see
            `read_statistics`; None for frames that are normalized already.
        features: what the frames are, as `audio.parse_feature` reads it; None takes what the
            options state, if anything.

    Returns:
        The model, and notes on what was assumed or left out.

    Raises:
        InputError: if the files cannot be used, or the model cannot be represented; then nothing
            is written.
    """
    output_dir = Path(output_dir)
    final = output_dir / runs.FINAL_MODEL
    if final.exists() or runs.checkpoints(output_dir):
        raise InputError(f"{output_dir} holds a model already: choose another output_dir")
    files.check_writable_folder(output_dir)
    options = _read_config(config) if config is not None else {}
    optional_positive_integer(SAMPLE_RATE, sample_rate)
    if sample_rate is not None:
        options[SAMPLE_RATE] = sample_rate
    contents = read_checkpoint(checkpoint)
    options = {**contents.options, **options}
    if statistics is not None:
        contents = contents._replace(
            statistics=read_statistics(statistics, options.get("feature_type"))
        )
    model, notes = convert_checkpoint(contents._replace(options=options), source, features)
    model.compile("adam")
    runs.save(model, final)
    return model, notes


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Returns the contents of a checkpoint of TensorFlow, of PyTorch or of safetensors.

    Args:
        path: of the file; of a checkpoint of TensorFlow, the prefix of its files or one of them.

    Raises:
        InputError: if it cannot be read.
    """
    prefix = tensorflow_checkpoint.find_prefix(path)
    if prefix is not None:
        return tensorflow_checkpoint.read_checkpoint(prefix)
    return torch_file.read_checkpoint(path)


def convert_checkpoint(
    checkpoint: Checkpoint, source: str = AUTO, features: Sequence[str] | None = None
) -> tuple[models.WaveNet, tuple[str, ...]]:
    """Returns the model of another program's checkpoint, and notes on what was assumed.

    Args:
        checkpoint: the weights and options.
        source: the program, of `SOURCES`; "auto" finds it by the names of the weights.
        features: as `import_checkpoint` takes them.

    Raises:
        InputError: if the model cannot be represented, or a weight is missing or left over.
    """
    if source != AUTO and source not in SOURCES:
        raise InputError(f"source must be auto or one of {', '.join(SOURCES)}; received {source!r}")
    check_not_refused(checkpoint.tensors)
    nearest = nearest_source(checkpoint.tensors)
    module = nearest if source == AUTO else _module(source)
    try:
        conversion = module.convert(checkpoint)
        arguments = dict(conversion.arguments)
        if features is not None:
            arguments["features"] = tuple(features)
        model = models.WaveNet(**arguments)
        tensors = checkpoint.tensors if conversion.tensors is None else conversion.tensors
        assign_weights(model, conversion.rows, tensors, conversion.unused)
    except LayoutError as error:
        raise InputError(f"{error}; the nearest known layout is {nearest.NAME}") from error
    return model, conversion.notes


def nearest_source(tensors: Mapping[str, Any]) -> ModuleType:
    """Returns the module of the source with the most names of weights in common.

    Args:
        tensors: by name.

    Raises:
        InputError: if no known layout has a name in common.
    """
    shares = {}
    for name in SOURCES:
        module = _module(name)
        known = [any(re.fullmatch(pattern, key) for pattern in module.KEYS) for key in tensors]
        shares[name] = sum(known) / max(1, len(known))
    best = max(shares, key=lambda name: shares[name])
    if not shares[best]:
        first = next(iter(tensors), "no weights")
        raise InputError(
            f"the checkpoint is of no known layout ({', '.join(SOURCES)}): its first name is "
            f"{first}"
        )
    return _module(best)


def _module(source: str) -> ModuleType:
    return importlib.import_module(f"wavenet_tf.convert.{source.replace('-', '_')}")


def _read_config(path: str | os.PathLike) -> dict[str, Any]:
    """Returns the options in a configuration file: in JSON, or a namespace in a PyTorch file."""
    try:
        contents = Path(path).read_bytes()
        if contents.startswith(torch_file.FIRST_BYTES):
            return torch_file.attributes(torch_file.read_object(path))
        options = json.loads(contents)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}") from error
    if not isinstance(options, dict):
        raise InputError(f"{path} must hold a JSON object; received {type(options).__name__}")
    return options
