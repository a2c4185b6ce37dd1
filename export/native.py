"""Exports a trained model as a file of libwavenet, which samples in real time on any core.

    python export/native.py --model_dir runs/first --output model.wn --precision int8

`wavenet_tf.native.Runner` and programs in C sample with it; neither needs TensorFlow.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from absl import flags, logging

import wavenet_tf as wt
from wavenet_tf import files, options, runs

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_OUTPUT = command_line.define_path("output", None, "Model file to write.", required=True)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    options.NATIVE_PRECISIONS,
    "Of the weights; int8 quantizes activations too, while sampling.",
)
_BLOCK_SIZE = flags.DEFINE_integer(
    "block_size", None, "Samples of a block in wavenet_tf.native.Runner (about 1024).", 1
)


def main(argv):
    """Exports the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    command_line.check_output("output", _OUTPUT.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)
    model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)
    content = wt.deployment.convert_native(model, _PRECISION.value, _BLOCK_SIZE.value)
    with files.atomic_path(_OUTPUT.value) as temporary:
        temporary.write_bytes(content)
        if wt.native.is_available():
            wt.native.Runner(temporary).check_sampling()
    print(
        f"{_OUTPUT.value}: {len(content) / 1e6:.2f} MB, {model.sample_rate} Hz, "
        f"precision {_PRECISION.value}"
    )


if __name__ == "__main__":
    command_line.run(main)
