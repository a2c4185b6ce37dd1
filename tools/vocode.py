"""Makes a recording again from its features, with a WaveNet trained on such.

python tools/train.py --data_dir recordings --model_dir runs/vocoder --features mel
python tools/vocode.py --model_dir runs/vocoder --input in.wav --output out.wav
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from pathlib import Path

import pictures
from absl import flags

from wavenet_tf import audio, evaluation, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Of a training run.", required=True)
_INPUT = flags.DEFINE_string("input", None, "Recording to make again.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Audio file to write.", required=True)
_SPEAKER = flags.DEFINE_string("speaker", None, "Who speaks, where the model knows speakers.")
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Below 1 more careful, above 1 wilder.")
_SEED = flags.DEFINE_integer("seed", None, "The same seed gives the same audio.")
_UPDATE = flags.DEFINE_string(
    "update", None, "Take the checkpoint of this update, or the 'best' one."
)
_PICTURE = flags.DEFINE_string("picture", None, "PNG file to draw both recordings into.")


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    audio.check_output(_OUTPUT.value)
    model = runs.load_model(_MODEL_DIR.value, _UPDATE.value)
    if not model.features:
        raise InputError(f"the model in {_MODEL_DIR.value} was not trained with --features")
    speaker_id = command_line.asked_speaker(model, _SPEAKER.value)
    recorded, _ = audio.read_audio(_INPUT.value, model.sample_rate)
    frames = audio.extract_features(recorded, model.sample_rate, model.hop_length, model.features)
    generated = model.generate(
        len(frames) * model.hop_length,
        speaker_id=speaker_id,
        local_conditioning=frames[None],
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        progress=True,
    )[0, : len(recorded)]
    audio.write_audio(_OUTPUT.value, generated, model.sample_rate)
    distance = evaluation.log_spectral_distance(recorded, generated, model.sample_rate)
    print(
        f"{_OUTPUT.value}: {len(generated) / model.sample_rate:.2f} s at {model.sample_rate} Hz, "
        f"{distance:.2f} dB log-spectral distance from {_INPUT.value}"
    )
    if _PICTURE.value:
        pictures.draw_recordings(
            [
                (f"recorded: {Path(_INPUT.value).name}", recorded, model.sample_rate),
                (f"made again from its {', '.join(model.features)}", generated, model.sample_rate),
            ],
            _PICTURE.value,
        )


if __name__ == "__main__":
    command_line.run(main)
