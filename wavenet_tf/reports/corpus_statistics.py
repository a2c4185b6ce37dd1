"""Statistics of a corpus: durations, silence, levels, codes, outliers and speakers."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import keras
import numpy as np

from wavenet_tf import audio, data
from wavenet_tf.data.headers import evenly_spaced
from wavenet_tf.data.preparing import report as preparation_report
from wavenet_tf.errors import InputError
from wavenet_tf.reports.opened_corpus import MAX_MEASURED

MAX_MEASURED_SECONDS = 4 * 3600
# As --trim_db of tools/prepare_data.py.
SILENCE_DB = 60.0


@dataclasses.dataclass(frozen=True)
class ClipMeasurements:
    """Measurements of the clips of a corpus, or of evenly spaced ones of a large corpus.

    Attributes:
        names: names of the measured clips.
        seconds: duration of each clip, float64 `[clips]`.
        silent_seconds: duration of the silence at both ends of each clip, float64 `[clips]`.
        levels: `audio.Levels` of the clips, by attribute, `[clips]`.
        value_counts: number of samples that have each 16-bit value, from the lowest value on,
            int64 `[65536]`.
        unreadable: why further clips could not be read, by name.
    """

    names: list[str]
    seconds: np.ndarray
    silent_seconds: np.ndarray
    levels: dict[str, np.ndarray]
    value_counts: np.ndarray
    unreadable: dict[str, str]


def measure_clips(recordings: data.Recordings, progress: bool = False) -> ClipMeasurements:
    """Measures clips of a corpus, at most `MAX_MEASURED` and `MAX_MEASURED_SECONDS` of them.

    Args:
        recordings: the clips.
        progress: shows a progress bar.

    Raises:
        InputError: if none of the clips can be read.
    """
    total = len(recordings.names)
    maximum = min(MAX_MEASURED, 1 + int(total * MAX_MEASURED_SECONDS / recordings.seconds))
    indices = evenly_spaced(total, maximum)
    bar = None
    if progress:
        terminal = sys.stdout.isatty()
        bar = keras.utils.Progbar(len(indices), unit_name="clip", verbose=1 if terminal else 2)
    names, lengths, sounding, levels = [], [], [], []
    unreadable: dict[str, str] = {}
    value_counts = np.zeros(2 * audio.STEPS_OF_16_BITS, np.int64)
    for index in indices:
        if bar is not None:
            bar.add(1)
        name = recordings.names[index]
        try:
            samples = recordings.clip(index)
        except InputError as error:
            unreadable[name] = str(error)
            continue
        waveform = samples / np.float32(audio.STEPS_OF_16_BITS)
        segments = audio.audible_segments(waveform, recordings.sample_rate, SILENCE_DB)
        names.append(name)
        lengths.append(len(samples))
        sounding.append(sum(end - begin for begin, end in segments))
        levels.append(dataclasses.asdict(audio.measure_levels(waveform)))
        values = samples.astype(np.int64) + audio.STEPS_OF_16_BITS
        value_counts += np.bincount(values, minlength=len(value_counts))
    if not names:
        name, reason = next(iter(unreadable.items()))
        raise InputError(f"none of {len(indices)} clips can be read; {name}: {reason}")
    return ClipMeasurements(
        names,
        seconds=np.array(lengths) / recordings.sample_rate,
        silent_seconds=np.subtract(lengths, sounding) / recordings.sample_rate,
        levels={key: np.array([clip[key] for clip in levels]) for key in levels[0]},
        value_counts=value_counts,
        unreadable=unreadable,
    )


def code_distribution(value_counts: np.ndarray, model) -> tuple[np.ndarray, float]:
    """Computes how often each mu-law code occurs.

    Args:
        value_counts: see `ClipMeasurements`.
        model: a `WaveNet` with the categorical output distribution, which encodes the samples.

    Returns:
        The share of the samples that have each code, float64 `[codes]`, and the entropy of this
        distribution in bits.
    """
    values = np.arange(-audio.STEPS_OF_16_BITS, audio.STEPS_OF_16_BITS) / audio.STEPS_OF_16_BITS
    codes = np.asarray(model.distribution.encode(values))
    counts = np.bincount(codes, value_counts, model.config.quantization_channels)
    shares = counts / counts.sum()
    occurring = shares[shares > 0]
    return shares, float(-np.sum(occurring * np.log2(occurring)))


def find_outliers(measurements: ClipMeasurements) -> dict[str, dict[str, Any]]:
    """Finds clips that are clipped, offset from zero, or unlike the others in level.

    Returns:
        The number of clips ("clips") and their names ("names") for each kind of outlier, as
        report.json of a prepared corpus has them.
    """
    levels = measurements.levels
    deviations = np.abs(levels["rms"] - np.median(levels["rms"]))
    found = {
        "clipped": levels["clipped"] > 0,
        "dc_offset": np.abs(levels["dc_offset"]) > preparation_report.LARGE_DC_OFFSET,
        "outlying_level": deviations > preparation_report.OUTLYING_DB,
    }
    return {
        kind: {
            "clips": int(chosen.sum()),
            "names": [measurements.names[index] for index in np.flatnonzero(chosen)],
        }
        for kind, chosen in found.items()
    }


def speaker_seconds(recordings: data.Recordings) -> np.ndarray:
    """Returns the duration of all clips of each speaker, in seconds, `[speakers]`."""
    # The first count is of clips without a speaker, whose id is -1.
    samples = np.bincount(
        recordings.speaker_ids + 1, recordings.lengths, len(recordings.speaker_names) + 1
    )
    return samples[1:] / recordings.sample_rate


def example_clips(recordings: data.Recordings, maximum: int) -> list[int]:
    """Chooses clips that are evenly spaced over the speakers, and over the clips of each speaker.

    Args:
        recordings: the clips; without speakers, all clips count as those of one speaker.
        maximum: number of clips to choose, if there are as many.

    Returns:
        Indices of the chosen clips.
    """
    ids = recordings.speaker_ids if len(recordings.speaker_ids) else np.zeros(len(recordings.names))
    speakers = np.unique(ids)
    chosen = []
    for number in range(maximum):
        speaker, within = divmod(number * len(speakers), maximum)
        # One clip per speaker would otherwise be the first clip of each.
        if len(speakers) >= maximum:
            within = number
        clips = np.flatnonzero(ids == speakers[speaker])
        chosen.append(int(clips[within * len(clips) // maximum]))
    return list(dict.fromkeys(chosen))
