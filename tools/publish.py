"""Writes a trained model as a small model directory to give away.

    python tools/publish.py --model_dir runs/first --output_dir first

Weights are rounded to half precision and the optimizer's state is left out: a sixth of the size.
Every program that takes --model_dir takes the directory.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence

from wavenet_tf import runs

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_OUTPUT_DIR = command_line.define_path(
    "output_dir", None, "Folder to write, without a model.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Publishes the model named by the flags."""
    command_line.refuse_words(argv)
    size = runs.publish(_MODEL_DIR.value, _OUTPUT_DIR.value, _STEP.value).stat().st_size
    print(f"wrote {_OUTPUT_DIR.value}, whose model has {size:,} bytes")


if __name__ == "__main__":
    command_line.run(main)
