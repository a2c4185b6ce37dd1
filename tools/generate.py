"""Samples audio from a trained WaveNet into a WAV file.

python tools/generate.py --model_dir runs/first --output out.wav --seconds 5
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import math
from pathlib import Path

from absl import flags

from wavenet_tf import audio, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Of a training run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Audio file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 5.0, "To make, in seconds, besides the prompt.")
_PROMPT = flags.DEFINE_string("prompt", None, "Recording to continue; resampled if need be.")
_SPEAKER = flags.DEFINE_string("speaker", None, "Who speaks, where the model knows speakers.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 1.0, "Below 1 more careful, above 1 wilder; 0 the most likely value always."
)
_TOP_K = flags.DEFINE_integer("top_k", None, "Draw among this many most likely values only.")
_TOP_P = flags.DEFINE_float("top_p", None, "Draw among the likeliest up to this probability.")
_SEED = flags.DEFINE_integer("seed", None, "The same seed gives the same audio.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 1, "Independent recordings to make at once: out_0.wav, out_1.wav, ..."
)


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    output = Path(_OUTPUT.value)
    audio.check_output(output)
    model = runs.load_model(_MODEL_DIR.value)
    if model.local_channels:
        raise InputError(
            "the model makes audio from features of recordings: use tools/vocode.py for it"
        )
    if not 1 <= _SECONDS.value * model.sample_rate < math.inf:
        raise InputError(
            f"seconds must be finite and give at least one sample; received {_SECONDS.value}"
        )
    prompt = None
    if _PROMPT.value is not None:
        prompt = audio.read_audio(_PROMPT.value, model.sample_rate)[0][None]
    speaker_id = command_line.asked_speaker(model, _SPEAKER.value)
    generated = model.generate(
        round(_SECONDS.value * model.sample_rate),
        batch_size=_BATCH_SIZE.value,
        prompt=prompt,
        speaker_id=speaker_id,
        temperature=_TEMPERATURE.value,
        top_k=_TOP_K.value,
        top_p=_TOP_P.value,
        seed=_SEED.value,
        progress=True,
    )
    for index, stream in enumerate(generated):
        path = output
        if len(generated) > 1:
            path = output.with_stem(f"{output.stem}_{index}")
        audio.write_audio(path, stream, model.sample_rate)
        print(f"{path}: {len(stream) / model.sample_rate:.2f} s at {model.sample_rate} Hz")


if __name__ == "__main__":
    command_line.run(main)
