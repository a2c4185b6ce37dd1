"""Samples audio with an exported TFLite file, into a WAV file.

    python export/generate_tflite.py --model model.tflite --output out.wav --seconds 5
    python export/generate_tflite.py --model voice.tflite --output hello.wav --phones "HH AH0 L OW1"

Needs no TensorFlow: numpy, soundfile, absl-py and ai-edge-litert.
"""

from shared import command_line  # isort: skip

import os
from pathlib import Path

import inputs
import numpy as np
import soundfile
from absl import flags

from wavenet_tf import files
from wavenet_tf.audio import formats
from wavenet_tf.errors import InputError

_MODEL = command_line.define_path("model", None, "TFLite file of export/tflite.py.", required=True)
_OUTPUT = command_line.define_path("output", None, "WAV or FLAC file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of the audio, without the prompt.")
_PROMPT = command_line.define_path(
    "prompt", None, "Recording to continue, at the model's sample rate."
)
_SPEAKER = command_line.define_speaker()
_TAGS = command_line.define_tags()
_TAGS_AT = command_line.define_tags_at()
_FEATURES = command_line.define_path(
    "features", None, "NumPy file of local conditioning, float [frames, channels]."
)
_SPEECH = inputs.SpeechFlags()
_TEMPERATURE = command_line.define_temperature()
_SEED = command_line.define_seed()
_THREADS = flags.DEFINE_integer("threads", 1, "Of the interpreter.", 1)


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    if Path(_OUTPUT.value).suffix.lower() not in (".wav", ".flac"):
        raise InputError(f"--output must be a WAV or FLAC file; received {_OUTPUT.value}")
    command_line.check_seconds(_SECONDS.value)
    command_line.check_output("output", _OUTPUT.value, _PROMPT.value, _FEATURES.value, _MODEL.value)
    for kind, path in (
        ("TFLite file", _MODEL.value),
        ("recording", _PROMPT.value),
        ("NumPy file", _FEATURES.value),
    ):
        command_line.check_exists(kind, path)
    from wavenet_tf import lite  # which may have to take its interpreter from TensorFlow

    runner = lite.Runner(_MODEL.value, _THREADS.value)
    conditions = inputs.conditions(runner.metadata, _SPEAKER.value, _TAGS.value, _FEATURES.value)
    stream = runner.stream(
        prompt=inputs.prompt(_PROMPT.value, runner.sample_rate),
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        **_SPEECH.conditions(runner.call_signature, runner.metadata, conditions),
    )
    names = runner.metadata.get("tag_names")
    command_line.change_tags(stream, names, runner.sample_rate, _TAGS_AT.value)
    samples = stream.num_samples or inputs.length(_SECONDS.value, runner.sample_rate)
    blocks: list[np.ndarray] = []
    try:
        while stream.samples_done < samples:
            blocks.append(next(stream))
            inputs.show_progress(
                stream.samples_done, samples, runner.sample_rate, stream.real_time_factor
            )
    except KeyboardInterrupt:
        if not blocks:
            raise
    audio = np.concatenate(blocks, axis=1)[:, :samples]
    steps = formats.to_16_bits(audio)
    with files.atomic_path(_OUTPUT.value) as temporary:
        try:
            soundfile.write(os.fsencode(temporary), steps.T, runner.sample_rate, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {_OUTPUT.value}: {error}") from error
    print(
        f"{_OUTPUT.value}: {audio.shape[1] / runner.sample_rate:.2f} s at {runner.sample_rate} Hz, "
        f"{stream.samples_done / stream.seconds:,.0f} samples/s, real-time factor "
        f"{stream.real_time_factor:.2f}, {runner.threads} thread{'s' * (runner.threads > 1)}"
    )
    if audio.shape[1] < samples:
        raise KeyboardInterrupt


if __name__ == "__main__":
    command_line.run(main)
