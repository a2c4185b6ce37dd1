"""Asks a TensorFlow Serving server for audio, at once or as a stream, into a WAV file.

    python export/serving_client.py --output out.wav --seconds 5
    python export/serving_client.py --protocol rest --server localhost:8501 --output out.wav

REST needs numpy, soundfile and absl-py; gRPC needs tensorflow-serving-api and TensorFlow.
A stream that is interrupted leaves a WAV file of the audio received until then.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import itertools
import os
import random
import struct
import time
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import served_model
from absl import flags

from wavenet_tf import clients, files
from wavenet_tf.audio import formats
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import InputError

_SERVER = served_model.ServerFlags()
_MODE = flags.DEFINE_enum(
    "mode", "stream", ["once", "stream"], "All audio in one answer, or a block in each."
)
_OUTPUT = command_line.define_path("output", None, "WAV file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of the audio, without the prompt.")
_PROMPT = command_line.define_path(
    "prompt", None, "Recording to continue, at the model's sample rate; only for a stream."
)
_SPEAKER = command_line.define_speaker()
_TAGS = command_line.define_tags()
_TAGS_AT = command_line.define_tags_at()
_FEATURES = command_line.define_path(
    "features", None, "NumPy file of local conditioning, float [frames, channels]."
)
_SPEECH = inputs.SpeechFlags()
_TEMPERATURE = command_line.define_temperature()
_SEED = flags.DEFINE_integer(
    "seed", None, "The same seed gives the same audio, in the same mode.", 0, 2**31 - 1
)

WAV_HEADER_BYTES = 44


def main(argv):
    """Writes the audio described by the flags."""
    command_line.refuse_words(argv)
    if not _OUTPUT.value.lower().endswith(".wav"):
        raise InputError(f"--output must be a WAV file; received {_OUTPUT.value}")
    if _PROMPT.value is not None and _MODE.value == "once":
        raise InputError("--prompt needs --mode stream")
    if _TAGS_AT.value and _MODE.value == "once":
        raise InputError("--tags_at needs --mode stream")
    command_line.check_seconds(_SECONDS.value)
    command_line.check_output("output", _OUTPUT.value, _PROMPT.value, _FEATURES.value)
    command_line.check_exists("recording", _PROMPT.value)
    command_line.check_exists("NumPy file", _FEATURES.value)
    server = _SERVER.connect()
    metadata = served_model.read_metadata(server, clients.GENERATION)
    given = inputs.conditions(metadata, _SPEAKER.value, _TAGS.value, _FEATURES.value)
    given = _SPEECH.conditions(server.call_signature, metadata, given)
    conditions = ConditioningSpec.from_metadata(metadata).checked(given, batch_size=1)
    make = {"once": at_once, "stream": streamed}[_MODE.value]
    started = time.perf_counter()
    blocks, samples = make(server, metadata, conditions)
    write(blocks, samples, metadata["sample_rate"], started)


def at_once(
    server: served_model.Server, metadata: dict[str, Any], conditions: dict[str, np.ndarray]
) -> tuple[Iterable[np.ndarray], int]:
    """All audio in one answer, as the only block, and the number of its samples."""
    rate, longest = metadata["sample_rate"], metadata["max_samples"]
    if metadata["hop_length"]:
        samples = conditions["local_conditioning"].shape[1] * metadata["hop_length"]
    else:
        samples = inputs.length(_SECONDS.value, rate)
    if samples > longest:
        raise InputError(
            f"the model makes at most {longest / rate:g} s at once; --mode stream makes more"
        )
    seed = random.randrange(2**31) if _SEED.value is None else _SEED.value
    request = {
        "seed": np.array([seed], np.int32),
        "temperature": np.array([_TEMPERATURE.value], np.float32),
        **conditions,
    }
    if not metadata["hop_length"]:
        request["num_samples"] = np.array([samples], np.int32)
    answer = server.call_signature("serving_default", **request)
    return [clients.checked_answer_audio(answer.get("audio"), 1, samples)], samples


def streamed(
    server: served_model.Server, metadata: dict[str, Any], conditions: dict[str, np.ndarray]
) -> tuple[Iterable[np.ndarray], int]:
    """Audio a block at a time, whose state travels with each, and the number of its samples."""
    prompt = inputs.prompt(_PROMPT.value, metadata["sample_rate"])
    start = 0
    if prompt is not None:
        prompt = clients.checked_audio(metadata, 1, prompt)
        start = prompt.shape[1]
        state = server.call_signature("prime", audio=prompt, **conditions)
    elif conditions:
        first = clients.conditions_of_silence(metadata, conditions)
        state = server.call_signature("initial_state", **first)
    else:
        state = server.call_signature("initial_state", streams=np.zeros(1, np.int32))
    stream = clients.AudioStream(
        server.call_signature,
        metadata,
        conditions,
        clients.checked_state(state, 1),
        start,
        _TEMPERATURE.value,
        _SEED.value,
    )
    names = metadata.get("tag_names")
    command_line.change_tags(stream, names, metadata["sample_rate"], _TAGS_AT.value)
    samples = stream.num_samples or inputs.length(_SECONDS.value, metadata["sample_rate"])
    return itertools.islice(stream, -(-samples // metadata["block_size"])), samples


def write(blocks: Iterable[np.ndarray], samples: int, rate: int, started: float) -> None:
    """Writes blocks of one stream as they come; after each, the file is a whole WAV file.

    A file of that name is replaced when the first block is there, not before.

    Args:
        blocks: float `[1, any]` each.
        samples: to write; what is beyond them is left out.
        rate: of the samples, in Hz.
        started: when the audio was asked for, by `time.perf_counter`.

    Raises:
        InputError: for more samples than a WAV file can hold, or where the blocks end too early.
    """
    path, made, seconds, first_after = Path(_OUTPUT.value), 0, 0.0, 0.0
    if 2 * samples + WAV_HEADER_BYTES >= 2**32:
        raise InputError(f"a WAV file holds less than 2**31 samples; received {samples}")
    try:
        for block in blocks:
            steps = formats.to_16_bits(block[0, : samples - made]).astype("<i2")
            if made:
                append(path, steps)
            else:
                start_file(path, steps, rate)
            made += steps.size
            seconds = time.perf_counter() - started
            first_after = first_after or seconds
            inputs.show_progress(made, samples, rate, made / rate / seconds)
    except InputError as error:
        if not made:
            raise
        raise InputError(
            f"{error}; {path} holds {made / rate:.2f} of {samples / rate:.2f} s"
        ) from error
    print(
        f"{path}: {made / rate:.2f} s at {rate} Hz, {made / seconds:,.0f} samples/s, real-time "
        f"factor {made / rate / seconds:.2f}, the first audio after {first_after:.2f} s"
    )


def start_file(path: Path, steps: np.ndarray, rate: int) -> None:
    """Writes a WAV file of one channel; a file of that name is replaced by the whole new one."""
    with files.atomic_path(path) as temporary, wave.open(str(temporary), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(steps.tobytes())


def append(path: Path, steps: np.ndarray) -> None:
    """Appends samples to a file of `start_file`, and corrects the sizes in its header."""
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(steps.tobytes())
        size = file.tell()
        for position, before in ((4, 8), (WAV_HEADER_BYTES - 4, WAV_HEADER_BYTES)):
            file.seek(position)
            file.write(struct.pack("<I", size - before))


if __name__ == "__main__":
    command_line.run(main)
