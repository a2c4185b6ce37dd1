"""Exports a trained WaveNet as one TFLite file that samples on a device.

    python export/tflite.py --model_dir runs/first --output model.tflite --quantization dynamic_int8

`int8` rounds the activations too: it is the fastest, and has to hear some recordings.
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from absl import flags, logging

from wavenet_tf import WaveNet, data, files, on_device, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Of a training run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "TFLite file to write.", required=True)
_UPDATE = flags.DEFINE_string(
    "update", None, "Take the checkpoint of this update, or the 'best' one."
)
_QUANTIZATION = flags.DEFINE_enum(
    "quantization",
    "none",
    on_device.QUANTIZATIONS,
    "Of the weights, which are float32 otherwise; int8 is of the activations too.",
)
_REPRESENTATIVE_DATA = flags.DEFINE_string(
    "representative_data", None, "Folder of recordings, on which int8 takes its ranges."
)
_BLOCK_SIZE = flags.DEFINE_integer("block_size", None, "Samples of a block (about 256).")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams sampled at once.")

# On which int8 takes its ranges.
CROPS = 16


def main(argv):
    """Exports the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    model = runs.load_model(_MODEL_DIR.value, _UPDATE.value)
    ranges = None
    if _QUANTIZATION.value == "int8":
        if _REPRESENTATIVE_DATA.value is None:
            raise InputError("--quantization int8 needs --representative_data: recordings to hear")
        recordings = runs.recordings_of_run(_MODEL_DIR.value, model, _REPRESENTATIVE_DATA.value)
        values, conditions = representative_batch(recordings, model)
        ranges = on_device.activation_ranges(model, values, conditions)
    signatures = on_device.DeviceSignatures(model, _BLOCK_SIZE.value, _BATCH_SIZE.value, ranges)
    content = on_device.convert(signatures, _QUANTIZATION.value)
    with files.atomic_path(_OUTPUT.value) as temporary:
        temporary.write_bytes(content)
    print(
        f"{_OUTPUT.value}: {len(content) / 1e6:.2f} MB, blocks of {signatures.block_size} samples "
        f"at {model.sample_rate} Hz, quantization {_QUANTIZATION.value}"
    )


def representative_batch(recordings: data.Recordings, model: WaveNet):
    """Values and conditions of random crops, as `on_device.activation_ranges` takes them."""
    batches = data.training_batches(recordings, model, CROPS, crop_seconds=0.1)
    inputs, targets, _ = next(iter(batches))
    conditions = inputs if isinstance(inputs, dict) else {}
    return targets, {name: conditions[name] for name in model.conditioning_names}


if __name__ == "__main__":
    command_line.run(main)
