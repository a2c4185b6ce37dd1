"""What the programs that run an exported model are given, as arrays."""

from shared import command_line  # isort: skip

import math
import sys
from typing import Any

import numpy as np

from wavenet_tf import clients, text
from wavenet_tf.audio import formats
from wavenet_tf.conditioning import parse_tags, read_array, tag_vector
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
        tags: names of tags, with strengths as in "piano:0.5"; None if the flag is not given.
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
        values["global_conditioning"] = tag_vector(metadata.get("tag_names"), parse_tags(tags))[
            None
        ]
    if features is not None:
        values["local_conditioning"] = read_array(features)[None]
    return values


class SpeechFlags:
    """The flags of a program that speaks phones with an exported voice; it defines them."""

    def __init__(self):
        self._phones = command_line.define_phones()
        self._rate, self._pitch = command_line.define_rate(), command_line.define_pitch()

    def conditions(
        self,
        call_signature: clients.CallSignature,
        metadata: dict[str, Any],
        conditions: dict[str, Any],
    ) -> dict[str, Any]:
        """Returns conditions with the frames of the phones in the flags, if there are any.

        Args:
            call_signature: calls a signature of the exported model.
            metadata: of the exported model.
            conditions: values of the other flags, see the function `conditions`.

        Raises:
            InputError: for --phones beside --features, --rate or --pitch without --phones, or as
                `clients.frames_of_phones` raises it.
        """
        if self._phones.value is None:
            for flag in (self._rate, self._pitch):
                if flag.present:
                    raise InputError(f"--{flag.name} changes how --phones are spoken: give both")
            return conditions
        if clients.LOCAL_CONDITIONING in conditions:
            raise InputError("--phones and --features both give local conditioning: give one")
        phones = text.sentence_of_phones(self._phones.value).phones
        _, frames = clients.frames_of_phones(
            call_signature,
            metadata,
            phones,
            conditions.get("speaker_id"),
            self._rate.value,
            self._pitch.value,
        )
        return {**conditions, clients.LOCAL_CONDITIONING: frames}


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
