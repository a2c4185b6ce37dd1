"""Exports a trained WaveNet as one TFLite file that samples on a device.

    python export/tflite.py --model_dir runs/first --output model.tflite --quantization dynamic_int8

`int8` quantizes the activations too, to ranges that are measured on `--representative_data`.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

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
_BLOCK_SIZE = flags.DEFINE_integer("block_size", None, "Samples of a block (about 256).", 1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams sampled at once.", 1)

# On which int8 takes its ranges.
CROPS = 16


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

    model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)
    ranges = None
    if _QUANTIZATION.value == "int8":
        recordings = runs.recordings_from_run(_MODEL_DIR.value, model, _REPRESENTATIVE_DATA.value)
        values, conditions = representative_batch(recordings, model)
        ranges = wt.deployment.activation_ranges(model, values, conditions)
    signatures = wt.deployment.TFLiteSignatures(model, _BLOCK_SIZE.value, _BATCH_SIZE.value, ranges)
    content = wt.deployment.convert(signatures, _QUANTIZATION.value)
    with files.atomic_path(_OUTPUT.value) as temporary:
        temporary.write_bytes(content)
        wt.lite.Runner(temporary).check_sampling()
    print(
        f"{_OUTPUT.value}: {len(content) / 1e6:.2f} MB, blocks of {signatures.block_size} samples "
        f"at {model.sample_rate} Hz, quantization {_QUANTIZATION.value}"
    )


def representative_batch(recordings: data.Recordings, model: wt.WaveNet):
    """Values and conditions of random crops, as `deployment.activation_ranges` takes them."""
    batches = data.training_batches(recordings, model.crop_spec, CROPS, crop_seconds=0.1)
    inputs, targets, _ = next(iter(batches))
    conditions = inputs if isinstance(inputs, dict) else {}
    return targets, {name: conditions[name] for name in model.conditioning.names}


if __name__ == "__main__":
    command_line.run(main)
