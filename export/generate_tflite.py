"""Samples audio with an exported TFLite file, into a WAV file.

    python export/generate_tflite.py --model model.tflite --output out.wav --seconds 5

Needs no TensorFlow: numpy, soundfile, absl-py and ai-edge-litert.
"""

from shared import command_line  # isort: skip

from pathlib import Path

import inputs
import numpy as np
import soundfile
from absl import flags

from wavenet_tf import files, lite
from wavenet_tf.errors import InputError

_MODEL = flags.DEFINE_string("model", None, "TFLite file of export/tflite.py.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "WAV or FLAC file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of the audio, without the prompt.")
_PROMPT = flags.DEFINE_string("prompt", None, "Recording to continue, at the model's sample rate.")
_SPEAKER = flags.DEFINE_string("speaker", None, "Who speaks, where the model knows speakers.")
_FEATURES = flags.DEFINE_string(
    "features", None, "NumPy file of local conditioning, float [frames, channels]."
)
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Below 1 more careful, above 1 wilder.")
_SEED = flags.DEFINE_integer("seed", None, "The same seed gives the same audio.")
_THREADS = flags.DEFINE_integer("threads", 1, "Of the interpreter.", 1)


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    if Path(_OUTPUT.value).suffix.lower() not in (".wav", ".flac"):
        raise InputError(f"--output must be a WAV or FLAC file; received {_OUTPUT.value}")
    runner = lite.Runner(_MODEL.value, _THREADS.value)
    stream = runner.stream(
        prompt=inputs.prompt(_PROMPT.value, runner.sample_rate),
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        **inputs.conditions(runner.metadata, _SPEAKER.value, _FEATURES.value),
    )
    samples = stream.num_samples or inputs.length(_SECONDS.value, runner.sample_rate)
    blocks = []
    while stream.made < samples:
        blocks.append(next(stream))
        inputs.show_progress(stream.made, samples, runner.sample_rate, stream.real_time_factor)
    audio = np.concatenate(blocks, axis=1)[:, :samples]
    # soundfile would scale floats by 32767, and divides by 32768 when it reads.
    steps = np.clip(np.round(audio * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    with files.atomic_path(_OUTPUT.value) as temporary:
        try:
            soundfile.write(temporary, steps.T, runner.sample_rate, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {_OUTPUT.value}: {error}") from error
    print(
        f"{_OUTPUT.value}: {samples / runner.sample_rate:.2f} s at {runner.sample_rate} Hz, "
        f"{stream.made / stream.seconds:,.0f} samples/s, real-time factor "
        f"{stream.real_time_factor:.2f}, {runner.threads} thread{'s' * (runner.threads > 1)}"
    )


if __name__ == "__main__":
    command_line.run(main)
