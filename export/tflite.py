"""Exports a trained model as one TFLite file, which samples or recognizes on a device.

    python export/tflite.py --model_dir runs/first --output model.tflite --quantization dynamic_int8

`int8` quantizes the activations too, to ranges that are measured on `--representative_data`.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from typing import Any

import numpy as np
from absl import flags, logging

import wavenet_tf as wt
from wavenet_tf import data, files, options, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_OUTPUT = command_line.define_path("output", None, "TFLite file to write.", required=True)
_QUANTIZATION = flags.DEFINE_enum(
    "quantization",
    "none",
    options.QUANTIZATIONS,
    "Of the weights, which are float32 otherwise; int8 is of the activations too.",
)
_REPRESENTATIVE_DATA = command_line.define_path(
    "representative_data", None, "Folder of recordings, on which int8 takes its ranges."
)
_BLOCK_SIZE = flags.DEFINE_integer(
    "block_size", None, "Samples of a block (about 256; of a classifier 0.1 s).", 1
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams processed at once.", 1)

# On which int8 takes its ranges.
CROPS = 16
RECORDINGS = 16
RECORDING_SECONDS = 2.0


def main(argv):
    """Exports the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    if _QUANTIZATION.value == "int8" and _REPRESENTATIVE_DATA.value is None:
        raise InputError(
            "--quantization int8 needs --representative_data: recordings to take ranges from"
        )
    command_line.check_exists("folder of recordings", _REPRESENTATIVE_DATA.value)
    command_line.check_output("output", _OUTPUT.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(
        _MODEL_DIR.value, _STEP.value, verbose=True, kind=wt.models.TrainableModel
    )
    recordings = None
    if _QUANTIZATION.value == "int8":
        recordings = runs.recordings_from_run(_MODEL_DIR.value, model, _REPRESENTATIVE_DATA.value)
    is_generator = isinstance(model, wt.WaveNet)
    signatures = (generator_signatures if is_generator else recognizer_signatures)(
        model, recordings
    )
    content = wt.deployment.convert(signatures, _QUANTIZATION.value)
    with files.atomic_path(_OUTPUT.value) as temporary:
        temporary.write_bytes(content)
        if is_generator:
            wt.lite.Runner(temporary).check_sampling()
        else:
            wt.lite.Recognizer(temporary).check_recognition()
    print(
        f"{_OUTPUT.value}: {len(content) / 1e6:.2f} MB, blocks of {signatures.block_size} samples "
        f"at {model.sample_rate} Hz, quantization {_QUANTIZATION.value}"
    )


def generator_signatures(
    model: wt.WaveNet, recordings: data.Recordings | None
) -> wt.deployment.TFLiteSignatures:
    """Signatures of a generator; with recordings for int8."""
    ranges = None
    if recordings is not None:
        values, conditions = representative_batch(recordings, model)
        ranges = wt.deployment.activation_ranges(model, values, conditions)
    options: dict[str, Any] = {
        "block_size": _BLOCK_SIZE.value,
        "batch_size": _BATCH_SIZE.value,
        "ranges": ranges,
    }
    if model.config.phone_set:
        voice = runs.load_voice(_MODEL_DIR.value, _STEP.value)
        prosody = wt.deployment.ProsodySignature(voice.durations, voice.log_f0)
        return wt.deployment.TFLiteSpeechSignatures(voice.wavenet, prosody, **options)
    return wt.deployment.TFLiteSignatures(model, **options)


def recognizer_signatures(
    model: wt.WaveNetClassifier, recordings: data.Recordings | None
) -> wt.deployment.TFLiteRecognizerSignatures:
    """Signatures of a recognizer; with recordings for int8, of which some are taken, evenly."""
    waveforms = None
    if recordings is not None:
        count = min(RECORDINGS, len(recordings.names))
        samples = round(RECORDING_SECONDS * model.sample_rate)
        clips = np.linspace(0, len(recordings.names) - 1, count).astype(int)
        waveforms = [recordings.waveform(int(clip))[:samples] for clip in clips]
    return wt.deployment.TFLiteRecognizerSignatures(
        model, _BLOCK_SIZE.value, _BATCH_SIZE.value, waveforms
    )


def representative_batch(recordings: data.Recordings, model: wt.WaveNet):
    """Values and conditions of random crops, as `deployment.activation_ranges` takes them."""
    batches = data.training_batches(recordings, model.crop_spec, CROPS, crop_seconds=0.1)
    inputs, targets, _ = next(iter(batches))
    conditions = inputs if isinstance(inputs, dict) else {}
    return targets, {name: conditions[name] for name in model.conditioning.names}


if __name__ == "__main__":
    command_line.run(main)
