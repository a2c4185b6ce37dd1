"""SavedModels of exported models, which any TensorFlow runtime loads without this package."""

import json
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from wavenet_tf.deployment.signatures import Signatures
from wavenet_tf.errors import InputError

# The metadata among the assets of a SavedModel.
METADATA_FILE = "wavenet.json"
# Signatures that a new SavedModel is tried out with, in this order.
REQUESTED = ("serving_default", "initial_state", "generate_block", "recognize_block", "prosody")


def save(signatures: Signatures, directory: str | os.PathLike) -> None:
    """Writes a SavedModel that any TensorFlow runtime loads without this package.

    Args:
        signatures: functions of the SavedModel.
        directory: a folder that does not exist yet.
    """
    directory = Path(directory)
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder, METADATA_FILE)
        asset.write_text(json.dumps(signatures.metadata, indent=2), encoding="utf-8")
        root = tf.Module(name="wavenet")
        root.weights = [variable.value for variable in signatures.variables]
        root.metadata = tf.saved_model.Asset(str(asset))
        tf.saved_model.save(root, str(directory), signatures.concrete_functions())


def run_small_requests(directory: str | os.PathLike) -> list[tuple[str, dict[str, tf.Tensor]]]:
    """Loads a SavedModel of `save` and calls each signature that computes, once.

    Args:
        directory: folder of the SavedModel.

    Returns:
        The requests: names of signatures, and the smallest inputs that they take.

    Raises:
        InputError: if the exported model fails, or returns NaN or infinity.
    """
    signatures = tf.saved_model.load(str(directory)).signatures
    requests: list[tuple[str, dict[str, tf.Tensor]]] = []
    state: dict[str, tf.Tensor] = {}
    for name in (name for name in REQUESTED if name in signatures):
        specs = signatures[name].structured_input_signature[1]
        samples = _frame_length(signatures) if name == "recognize_block" else 1
        inputs = {key: state.get(key, _smallest(spec, samples)) for key, spec in specs.items()}
        try:
            answer = signatures[name](**inputs)
        except tf.errors.OpError as error:
            lines = [line for line in error.message.splitlines() if "assertion" in line]
            raise InputError(
                f"the exported model fails in {name}: {(lines or [error.message])[0]}"
            ) from error
        for key, tensor in answer.items():
            if tensor.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(tensor)):
                raise InputError(f"the exported model gives NaN or infinity: {key} of {name}")
        requests.append((name, inputs))
        if name == "initial_state":
            state = answer
    return requests


def _frame_length(signatures) -> int:
    """Returns the samples per frame, of which `recognize_block` takes whole ones."""
    metadata = signatures["metadata"](streams=tf.zeros([1], tf.int32))
    return json.loads(metadata["json"].numpy()[0])["frame_length"]


def _smallest(spec: tf.TensorSpec, samples: int) -> tf.Tensor:
    """Returns a tensor of the smallest shape that a signature takes.

    Args:
        spec: of the input.
        samples: smallest number of samples if the input is audio.
    """
    sizes = [1, samples if spec.name == "audio" else 1, *spec.shape[2:]]
    shape = [
        smallest if size is None else size
        for size, smallest in zip(spec.shape, sizes, strict=False)
    ]
    fill = {"num_samples": 1, "temperature": 1.0, "uniforms": 0.5, "frame_mask": 1.0, "rate": 1.0}
    return tf.fill(shape, tf.cast(fill.get(spec.name, 0), spec.dtype))
