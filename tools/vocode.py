"""Copy synthesis: generates a recording again from its features, with a WaveNet trained on such.

python tools/train.py --data_dir recordings --model_dir runs/vocoder --features mel
python tools/vocode.py --model_dir runs/vocoder --input in.wav --output out.wav
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import sys
from pathlib import Path

import wavenet_tf as wt
from wavenet_tf import audio, reports, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_INPUT = command_line.define_path("input", None, "Recording to make again.", required=True)
_OUTPUT = command_line.define_path("output", None, "Audio file to write.", required=True)
_SPEAKER = command_line.define_speaker()
_TAGS = command_line.define_tags()
_TEMPERATURE = command_line.define_temperature()
_SEED = command_line.define_seed()
_RUNTIME = command_line.define_runtime()
_PICTURE = command_line.define_path(
    "picture", None, "PNG, SVG or PDF file to draw both recordings into."
)


def main(argv):
    """Writes the copy synthesis of the recording that the flags name."""
    command_line.refuse_words(argv)
    audio.check_output(_OUTPUT.value)
    command_line.check_output("output", _OUTPUT.value, _INPUT.value)
    reports.check_picture_path(_PICTURE.value)
    command_line.check_output("picture", _PICTURE.value, _INPUT.value, _OUTPUT.value)
    command_line.check_exists("recording", _INPUT.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)
    if not model.config.features:
        raise InputError(f"the model in {_MODEL_DIR.value} was not trained with --features")
    speaker_id = command_line.asked_speaker(model.conditioning, _SPEAKER.value)
    recorded, _ = audio.read_audio(_INPUT.value, model.sample_rate)
    frames = audio.extract_features(
        recorded, model.sample_rate, model.hop_length, model.config.features
    )
    stream = model.stream(
        speaker_id=speaker_id,
        global_conditioning=command_line.requested_tags(model.conditioning, _TAGS.value),
        local_conditioning=frames[None],
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        runtime=_RUNTIME.value,
    )
    samples = len(frames) * model.hop_length
    batch, complete = command_line.generate(stream, samples, model.sample_rate)
    generated = batch[0, : len(recorded)]
    audio.write_audio(_OUTPUT.value, generated, model.sample_rate)
    if not complete:
        print(f"{_OUTPUT.value}: {len(generated) / model.sample_rate:.2f} s")
        sys.exit(command_line.INTERRUPTED)
    distance = wt.evaluation.log_spectral_distance(recorded, generated, model.sample_rate)
    print(
        f"{_OUTPUT.value}: {len(generated) / model.sample_rate:.2f} s at {model.sample_rate} Hz, "
        f"{distance:.2f} dB log-spectral distance from {_INPUT.value}"
    )
    if _PICTURE.value:
        reports.draw_recordings(
            [
                (f"recorded: {Path(_INPUT.value).name}", recorded, model.sample_rate),
                (
                    f"copy synthesis from its {', '.join(model.config.features)}",
                    generated,
                    model.sample_rate,
                ),
            ],
            _PICTURE.value,
        )


if __name__ == "__main__":
    command_line.run(main)
