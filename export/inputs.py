"""What the programs that run an exported model are given, as arrays."""

import math
import sys
from typing import Any

import numpy as np

from wavenet_tf.audio import formats
from wavenet_tf.conditioning import read_array, tag_vector
from wavenet_tf.errors import InputError


def conditions(
    metadata: dict[str, Any],
    speaker: str | None,
    tags: list[str] | None,
    features: str | None,
) -> dict[str, Any]:
    """Returns the values of --speaker, --tags and --features, as `WaveNet.generate` takes them.

    Args:
        metadata: metadata of the exported model.
        speaker: name of a speaker; a number if speakers have no names.
        tags: names of tags; None if the flag is not given.
        features: NumPy file of local conditioning, float `[frames, channels]`.

    Raises:
        InputError: for an unknown speaker, or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    names = metadata["speaker_names"] or [str(i) for i in range(metadata["num_speakers"] or 0)]
    if speaker is not None or names:
        if speaker not in names:
            raise InputError(
                f"--speaker must be one of {', '.join(names) or 'none: it has no speakers'}; "
                f"received {speaker}"
            )
        values["speaker_id"] = names.index(speaker)
    if tags is not None:
        values["global_conditioning"] = tag_vector(metadata.get("tag_names"), tags)[None]
    if features is not None:
        values["local_conditioning"] = read_array(features)[None]
    return values


def recording(path: str, sample_rate: int) -> np.ndarray:
    """Returns a recording, float32 `[samples]`.

    Args:
        path: of the recording.
        sample_rate: sample rate that the recording must have, in Hz.

    Raises:
        InputError: for a file that cannot be read, or of another sample rate.
    """
    audio, rate = formats.read_audio(path)
    if rate != sample_rate:
        raise InputError(f"{path} must be at {sample_rate} Hz; it is at {rate} Hz")
    return audio


def prompt(path: str | None, sample_rate: int) -> np.ndarray | None:
    """Returns the recording of --prompt, float32 `[1, samples]`; None if there is none.

    Args:
        path: of a recording.
        sample_rate: sample rate that the recording must have, in Hz.

    Raises:
        InputError: for a file that cannot be read, or of another sample rate.
    """
    return None if path is None else recording(path, sample_rate)[None]


def length(seconds: float, sample_rate: int) -> int:
    """The samples that the flag --seconds asks for.

    Args:
        seconds: its value.
        sample_rate: of the model.

    Raises:
        InputError: for less than a sample, or without end.
    """
    if not 1 <= seconds * sample_rate < math.inf:
        raise InputError(f"seconds must be finite and give at least one sample; received {seconds}")
    return round(seconds * sample_rate)


def show_progress(made: int, samples: int, sample_rate: int, real_time_factor: float) -> None:
    """Renews the progress line on a terminal.

    Args:
        made: samples so far.
        samples: that there will be.
        sample_rate: of them.
        real_time_factor: seconds of audio made by a second.
    """
    if sys.stderr.isatty():
        print(
            f"{min(made, samples) / sample_rate:.1f} of {samples / sample_rate:.1f} s, "
            f"real-time factor {real_time_factor:.2f}",
            end="\r" if made < samples else "\n",  # so that an error takes the line
            file=sys.stderr,
        )
