"""Datasets of the package tensorflow-datasets, which is an optional dependency."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError

SPEAKER_FEATURES = ("speaker", "speaker_id")
TAG_FEATURES = ("label", "genre")
TEXT_FEATURES = ("text_normalized", "text", "transcript")
SPLITS = {"train": "train", "valid": "validation", "dev": "validation", "test": "test"}


def tfds_clips(name: str, directory: str | os.PathLike) -> Iterator[Clip]:
    """Writes a dataset of tensorflow-datasets to a folder as FLAC files, one example at a time.

    Existing files are not written again: an interrupted run can be continued.

    Args:
        name: name of the dataset for `tfds.load`, such as "ljspeech"; downloaded if missing.
        directory: folder for the files, `<split>/<index>.flac`.

    Returns:
        The clips, with paths below `directory`, each after its file is written. The split is given
        by the first letters of the dataset's split: train, valid, dev or test. The label or genre
        of an example is its tag.

    Raises:
        InputError: if tensorflow-datasets is not installed or has no such dataset, or for a dataset
            without audio or without a sample rate.
    """
    try:
        # The module itself can be imported even if the installation does not work.
        from tensorflow_datasets import features, load
        from tensorflow_datasets.core import DatasetNotFoundError
    except ImportError as error:
        raise InputError(
            f"the dataset {name!r} needs tensorflow-datasets: pip install tensorflow-datasets "
            f"({error})"
        ) from error
    try:
        splits, info = load(name, with_info=True)
    except DatasetNotFoundError as error:
        raise InputError(f"name must be that of a dataset of tfds; received {name!r}") from error
    found = [key for key, kind in info.features.items() if isinstance(kind, features.Audio)]
    if not found or not info.features[found[0]].sample_rate:
        raise InputError(f"the dataset {name!r} must have audio of a known sample rate; has none")
    return _written_clips(splits, info.features, found[0], Path(directory))


def _written_clips(splits, features, audio_feature: str, directory: Path) -> Iterator[Clip]:
    for split in sorted(splits):
        for index, example in enumerate(splits[split].as_numpy_iterator()):
            path = f"{split}/{index:06}.flac"
            if not (directory / path).exists():
                samples = _waveform(example[audio_feature])
                if samples.size:  # an empty example has no file; preparing skips and names it
                    rate = features[audio_feature].sample_rate
                    audio.write_audio(directory / path, samples, rate)
            tag = _string_value(features, example, TAG_FEATURES)
            yield Clip(
                path,
                speaker=_string_value(features, example, SPEAKER_FEATURES),
                text=_string_value(features, example, TEXT_FEATURES),
                tags=() if tag is None else (tag,),
                split=next((SPLITS[key] for key in SPLITS if split.startswith(key)), None),
            )


def _waveform(samples: np.ndarray) -> np.ndarray:
    """Returns audio as one channel of floats in [-1, 1]."""
    if samples.dtype.kind == "i":
        samples = samples / audio.STEPS_OF_16_BITS
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def _string_value(features, example: dict, names: tuple[str, ...]) -> str | None:
    """Returns the value of the first of some features that the dataset has, as a string."""
    for name in names:
        value = example.get(name)
        if value is not None and np.ndim(value) == 0 and not isinstance(value, dict):
            if hasattr(features[name], "int2str"):
                return features[name].int2str(value)
            return value.decode() if isinstance(value, bytes) else str(value)
    return None
