"""Corpora of the package tensorflow-datasets, which need not be installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError

SPEAKER_FEATURES = ("speaker", "speaker_id")
TEXT_FEATURES = ("text_normalized", "text", "transcript")
SPLITS = {"train": "train", "valid": "validation", "dev": "validation", "test": "test"}


def tfds_clips(name: str, directory: str | os.PathLike) -> Iterator[Clip]:
    """A dataset of tensorflow-datasets, written to a folder as FLAC files an example at a time.

    Files that are there already are not written again, so that an interrupted run is taken up.

    Args:
        name: as `tfds.load` takes it, which downloads what is missing: "ljspeech".
        directory: to write `<split>/<index>.flac` to.

    Returns:
        The clips, with paths below `directory`, each once its file is written. A split whose
        name begins with train, valid, dev or test is of that split.

    Raises:
        InputError: if tensorflow-datasets is not installed or does not know the dataset, or for
            one without audio or the audio's sample rate.
    """
    try:
        # Of an installation that does not work the module can be imported, but not these.
        from tensorflow_datasets import features, load
        from tensorflow_datasets.core import DatasetNotFoundError
    except ImportError as error:
        raise InputError(
            f"the dataset {name!r} takes tensorflow-datasets: pip install tensorflow-datasets "
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
                if samples.size:  # an empty one is skipped and named, as its file is missing
                    rate = features[audio_feature].sample_rate
                    audio.write_audio(directory / path, samples, rate)
            yield Clip(
                path,
                speaker=_label(features, example, SPEAKER_FEATURES),
                text=_label(features, example, TEXT_FEATURES),
                split=next((SPLITS[key] for key in SPLITS if split.startswith(key)), None),
            )


def _waveform(samples: np.ndarray) -> np.ndarray:
    """One channel of floats in [-1, 1]."""
    if samples.dtype.kind == "i":
        samples = samples / audio.STEPS_OF_16_BITS
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def _label(features, example: dict, names: tuple[str, ...]) -> str | None:
    """The value of the first of these features that the dataset has, as a string."""
    for name in names:
        if name in example:
            value = example[name]
            if hasattr(features[name], "int2str"):
                return features[name].int2str(value)
            return value.decode() if isinstance(value, bytes) else str(value)
    return None
