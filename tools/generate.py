"""Samples audio from a trained WaveNet into a WAV file.

python tools/generate.py --model_dir runs/first --output out.wav --seconds 5
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import sys
from pathlib import Path

from absl import flags

from wavenet_tf import audio, conditioning, native, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_OUTPUT = command_line.define_path("output", None, "Audio file to write.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 5.0, "To make, in seconds, besides the prompt.")
_PROMPT = command_line.define_path("prompt", None, "Recording to continue; resampled if need be.")
_FEATURES = command_line.define_path(
    "features",
    None,
    "NumPy file of the frames that condition the model, [frames, channels]; they set the length.",
)
_SPEAKER = command_line.define_speaker()
_TAGS = command_line.define_tags()
_TAGS_AT = command_line.define_tags_at()
_TEMPERATURE = command_line.define_temperature()
_TOP_K = command_line.define_top_k()
_TOP_P = command_line.define_top_p()
_SEED = command_line.define_seed()
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 1, "Independent recordings to make at once: out_0.wav, out_1.wav, ...", 1
)
_RUNTIME = command_line.define_runtime()


def main(argv):
    """Makes the audio described by the flags."""
    command_line.refuse_words(argv)
    command_line.check_seconds(_SECONDS.value)
    outputs = [Path(_OUTPUT.value)]
    if _BATCH_SIZE.value > 1:
        stem = outputs[0].stem
        outputs = [outputs[0].with_stem(f"{stem}_{index}") for index in range(_BATCH_SIZE.value)]
    for output in outputs:
        audio.check_output(output)
        command_line.check_output("output", output, _PROMPT.value)
    command_line.check_exists("recording", _PROMPT.value)
    command_line.check_exists("file of frames", _FEATURES.value)
    frames = None if _FEATURES.value is None else conditioning.read_array(_FEATURES.value)[None]
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = _load_model()
    spec = model.conditioning
    if spec.local_channels and frames is None:
        raise InputError(
            "the model makes audio from features of recordings: use tools/vocode.py for it, or "
            "give their frames by --features"
        )
    samples = round(_SECONDS.value * model.sample_rate)
    if not samples:
        raise InputError(f"seconds must give at least one sample; received {_SECONDS.value}")
    arguments = {
        "speaker_id": command_line.asked_speaker(spec, _SPEAKER.value),
        "global_conditioning": command_line.requested_tags(spec, _TAGS.value),
        "local_conditioning": frames,
        "temperature": _TEMPERATURE.value,
        "seed": _SEED.value,
    }
    if _PROMPT.value is not None:
        arguments["prompt"] = audio.read_audio(_PROMPT.value, model.sample_rate)[0][None]
    if not isinstance(model, native.Runner):
        arguments |= {
            "batch_size": _BATCH_SIZE.value,
            "top_k": _TOP_K.value,
            "top_p": _TOP_P.value,
        }
    stream = model.stream(**{name: value for name, value in arguments.items() if value is not None})
    command_line.change_tags(stream, spec.tag_names, model.sample_rate, _TAGS_AT.value)
    samples = stream.num_samples or samples
    generated, complete = command_line.generate(stream, samples, model.sample_rate)
    for output, waveform in zip(outputs, generated, strict=True):
        audio.write_audio(output, waveform, model.sample_rate)
        print(f"{output}: {len(waveform) / model.sample_rate:.2f} s at {model.sample_rate} Hz")
    if not complete:
        sys.exit(command_line.INTERRUPTED)


def _load_model():
    """Returns the model in TensorFlow or in libwavenet: both have `sample_rate` and `stream`."""
    filters = {"top_k": _TOP_K.value, "top_p": _TOP_P.value}
    runtime = native.choose_runtime(_RUNTIME.value, _BATCH_SIZE.value, filters)
    if runtime != "tensorflow":
        run = _MODEL_DIR.value, _STEP.value, native.PRECISIONS[runtime], _BATCH_SIZE.value
        return runs.native_runner(*run, verbose=True)
    return runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)


if __name__ == "__main__":
    command_line.run(main)
