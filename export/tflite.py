"""Exports a trained WaveNet as one TFLite file that samples on a device.

python export/tflite.py --model_dir runs/first --output model.tflite --quantization dynamic_int8
"""

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from absl import flags, logging

from wavenet_tf import files, on_device, runs

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Of a training run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "TFLite file to write.", required=True)
_UPDATE = flags.DEFINE_integer("update", None, "Take the checkpoint of this update.")
_QUANTIZATION = flags.DEFINE_enum(
    "quantization", "none", on_device.QUANTIZATIONS, "Of the weights; they are float32 otherwise."
)
_BLOCK_SIZE = flags.DEFINE_integer("block_size", None, "Samples of a block (about 256).")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams sampled at once.")


def main(argv):
    """Exports the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    model = runs.load_model(_MODEL_DIR.value, _UPDATE.value)
    signatures = on_device.DeviceSignatures(model, _BLOCK_SIZE.value, _BATCH_SIZE.value)
    content = on_device.convert(signatures, _QUANTIZATION.value)
    with files.atomic_path(_OUTPUT.value) as temporary:
        temporary.write_bytes(content)
    print(
        f"{_OUTPUT.value}: {len(content) / 1e6:.2f} MB, blocks of {signatures.block_size} samples "
        f"at {model.sample_rate} Hz, quantization {_QUANTIZATION.value}"
    )


if __name__ == "__main__":
    command_line.run(main)
